"""Tests of airmem/views."""
