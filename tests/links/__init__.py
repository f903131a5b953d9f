"""Tests of hostedge.links."""
