"""The daemon manager."""
