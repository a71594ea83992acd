"""Tests of airmem.cpython on memory made here, word by word."""
