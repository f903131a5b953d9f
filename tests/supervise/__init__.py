"""Tests of hostedge.supervise."""
