"""The nouns: frozen values that every room shares. They import nothing."""
