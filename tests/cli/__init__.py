"""Tests of `hostedge.cli`."""
