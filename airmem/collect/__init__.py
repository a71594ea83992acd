"""Snapshots: which files to read, in which order, and what a refused read means. Owns the clock."""
