"""Tests of one room at a time; the folders mirror the package."""
