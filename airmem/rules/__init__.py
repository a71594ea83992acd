"""Opinions: whether a person is told, and the remedy."""
