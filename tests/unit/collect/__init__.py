"""Tests of airmem.collect."""
