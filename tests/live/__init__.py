"""Tests with real sockets, processes and clients."""
