"""One edge node of a hosting provider: names in, daemons behind, one route store."""
