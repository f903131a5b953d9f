"""Tests for `hostedge.model`."""
