"""A process whose command line and short name carry what a terminal or a renderer would obey."""

from __future__ import annotations

import os
import sys

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\n[bold red]markup[/] <script>alert(1)</script> \u202eright-to-left"
if "again" not in sys.argv:
    os.execv(sys.executable, [sys.executable, __file__, "again", HOSTILE, "x" * 10_000, "", "--token=s3cr3t-s3cr3t"])

from tree import LIBC, PR_SET_NAME, fork, ready, rest  # noqa: E402

LIBC.prctl(PR_SET_NAME, b"\x1b[2J\n) R 1 1")
ready(child=fork(lambda: None), hostile=HOSTILE)
rest()
