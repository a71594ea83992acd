"""Tests of airmem/kernel."""
