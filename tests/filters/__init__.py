"""Tests of hostedge.filters."""
