"""Tests of hostedge.mappings."""
