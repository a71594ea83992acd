"""Words: from a report to a document of text, tables and findings, that any renderer can show."""
