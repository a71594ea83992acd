"""What all tests need of the process that they run in."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# These machines are busy: how long an example takes says nothing of the code.
settings.register_profile(
    "airmem", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("airmem")

# A shell that starts jobs in the background lets them ignore Ctrl-C, and every program that they start, too. Tests
# that interrupt airmem need it as it is at a terminal; a handler here becomes the default in each new program.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
