"""What is fuzzed: a module each, with `check`, `MODULES` and `seeds`."""
