"""Model to JSON-ready values and back: what every document has in `document`, the rest in one module per command."""
