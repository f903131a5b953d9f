"""The manhole: an operator's Python inside a running node."""
