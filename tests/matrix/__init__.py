"""airmem cow and heap against targets under every CPython that can be had."""
