"""What each role answers to the others."""
