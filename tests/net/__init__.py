"""Tests of hostedge.net."""
