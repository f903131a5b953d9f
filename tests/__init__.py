"""Tests; the folders mirror hostedge/."""
