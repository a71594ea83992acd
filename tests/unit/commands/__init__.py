"""Tests of airmem/commands."""
