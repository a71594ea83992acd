"""The house rules of docs/architecture.md, as tests that read the source and run nothing of it."""
