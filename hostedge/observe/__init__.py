"""Access log and counters."""
