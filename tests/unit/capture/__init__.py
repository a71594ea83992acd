"""Tests of airmem.capture."""
