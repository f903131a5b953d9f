"""The hostedge command."""
