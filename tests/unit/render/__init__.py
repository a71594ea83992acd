"""Tests of airmem/render."""
