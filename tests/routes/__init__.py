"""Tests of hostedge.routes."""
