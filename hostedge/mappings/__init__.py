"""What may answer under a path prefix, one module per word."""
