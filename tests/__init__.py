"""The tests of hostedge; `tests/live` uses real sockets, daemons and clients."""
