"""Looks: a document or report in, text out. No files, no clock, no terminal."""
