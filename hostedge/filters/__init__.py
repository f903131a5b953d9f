"""What may stand before a leaf, one module per word."""
