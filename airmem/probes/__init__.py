"""Active: a foreign program or the target must act. Each probe has a deadline and leaves the target as it found it."""
