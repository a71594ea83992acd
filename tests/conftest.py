"""What all tests need of the process that they run in."""

from __future__ import annotations

import signal

# A shell that starts jobs in the background lets them ignore Ctrl-C, and every program that they start, too. Tests
# that interrupt airmem need it as it is at a terminal; a handler here becomes the default in each new program.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
