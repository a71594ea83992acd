"""Laws that hold whatever is read."""
