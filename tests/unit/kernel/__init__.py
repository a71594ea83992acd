"""The parsers, on bytes."""
