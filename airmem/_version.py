"""The version as a literal: reading it from installed metadata would cost 20 ms at each start."""

__version__ = "0.1.0"
