"""Tests of `hostedge.http`."""
