"""Tests for `hostedge.store`."""
