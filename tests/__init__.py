"""The tests of airmem."""
