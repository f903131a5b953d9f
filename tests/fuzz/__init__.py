"""Fuzzing of what reads bytes of strangers: README.md."""
