"""From a host's stored objects to what answers; pure."""
