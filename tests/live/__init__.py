"""airmem against real processes whose truth is known."""
