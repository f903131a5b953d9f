"""Transports, listeners and links."""
