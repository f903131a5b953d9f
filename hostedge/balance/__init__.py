"""Who gets the next free place; pure."""
