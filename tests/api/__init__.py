"""Tests of `hostedge.api`."""
