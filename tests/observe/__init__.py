"""Tests of `hostedge.observe`."""
