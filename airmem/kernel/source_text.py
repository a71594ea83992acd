"""Source files of a target without the secrets that people write into them, redacted where the text comes in.

Only what stands between quotes is replaced, so that the file still parses and its lines keep their numbers.
"""

from __future__ import annotations

import re

from airmem.kernel.cmdline import REDACTED

HINTS = ("pass", "pwd", "secret", "token", "key", "auth", "cred", "conn", "dsn", "eyj", "ghp_", "glpat-", "xox", "akia",
         "://")  # fmt: skip
"""A line without any of these, in lower case, holds nothing that the rules below would find."""

NAMES = "passw(?:or)?d|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|fernet_?key|credential|dsn"
GIVEN = re.compile(
    rf"(?i)((?:{NAMES})\w{{0,20}}[\"']?\s{{0,4}}\]?\s{{0,4}}[=:,]\s{{0,4}}[rbuf]{{0,2}}([\"']))(?:\\.|(?!\2|\\).)+\2"
)
"""`password = "x"`, `token="x"`, `"api_key": "x"`, `("secret", "x")`."""

USER = re.compile(r"(?<=://)[^\s/\"'@{}]{1,200}(?=@)")
TOKEN = re.compile(r"eyJ[\w-]{6,}(?:\.[\w-]+){0,4}|(?:ghp_|github_pat_|glpat-|xox[bp]-)[\w-]{10,}|AKIA[A-Z0-9]{12,}")


def redact_source(text: str) -> str:
    """Return a source text with literals that may be secrets replaced by `[redacted]`."""
    lowered = text.lower()
    if not any(hint in lowered for hint in HINTS):
        return text
    return "\n".join(_redact_line(line) for line in text.split("\n"))


def _redact_line(line: str) -> str:
    lowered = line.lower()
    if not any(hint in lowered for hint in HINTS):
        return line
    line = GIVEN.sub(rf"\1{REDACTED}\2", line)
    return TOKEN.sub(REDACTED, USER.sub(REDACTED, line))
