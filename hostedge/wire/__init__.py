"""One standard per module; pure."""
