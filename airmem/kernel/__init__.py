"""Passive reading: one reader that opens kernel files, and one parser of bytes for each kind of file."""
