"""Answers: one function for each question: resolve the target, collect, analyze, judge."""
