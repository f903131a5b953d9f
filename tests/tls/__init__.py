"""Tests of `hostedge.tls`."""
