"""Answers with fixed numbers, as every format shows them; `python -m tests.golden.make` writes them anew."""
