"""Control's HTTP API."""
