"""airmem: why memory grows and why a process stands still, seen from outside."""
