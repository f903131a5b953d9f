"""The `hostedge` command: a client of the API."""
