"""Code that runs inside other Pythons (3.10 to 3.14): each file alone, with nothing but the standard library."""
