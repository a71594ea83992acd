"""Numbers: pure functions from facts to attributions."""
