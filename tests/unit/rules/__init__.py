"""Tests of airmem/rules."""
