"""Tests of hostedge.runtimes."""
