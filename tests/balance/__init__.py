"""Tests of hostedge.balance."""
