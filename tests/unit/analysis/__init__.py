"""Tests of airmem/analysis."""
