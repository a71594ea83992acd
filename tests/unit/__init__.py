"""Tests of single rooms, laid out as the package is."""
