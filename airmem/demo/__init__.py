"""A tree of processes with a known truth, to try airmem on and to test it. It imports nothing of airmem's rooms."""
