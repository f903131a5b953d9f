"""Control's HTTP API, on a UNIX socket."""
