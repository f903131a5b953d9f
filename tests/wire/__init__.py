"""Tests of hostedge.wire."""
