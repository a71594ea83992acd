"""/proc/PID/cmdline (proc(5)), without the secrets that command lines carry.

Redaction happens here, where the bytes come in, so that no other room ever holds a secret. Airflow's
KubernetesExecutor passes a JWT after `--json-string`; people pass passwords in options, variables and URLs.
"""

from __future__ import annotations

READ_BYTES = 1 << 16
REDACTED = "[redacted]"
HINTS = ("pass", "pwd", "secret", "token", "key", "auth", "cred", "cookie", "jwt", "eyj", "dsn", "conn", "@", "json",
         "bearer")  # fmt: skip
SECRET_WORDS = frozenset(
    {"auth", "authorization", "bearer", "cookie", "credential", "credentials", "dsn", "jwt", "pass", "passwd", "pwd"}
)
SECRET_PARTS = ("password", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "fernetkey",
                "alchemyconn", "signingkey", "encryptionkey")  # fmt: skip
TAIL_OPTIONS = ("--json-string", "--json")


def parse_cmdline(raw: bytes) -> tuple[str, ...]:
    """Return the arguments with secrets replaced by `[redacted]`; empty for kernel threads and zombies.

    A process that set its own title (setproctitle) has one argument, padded with NULs or spaces.
    """
    text = raw.rstrip(b"\0 ").decode(errors="surrogateescape")
    return redact(tuple(text.split("\0"))) if text else ()


def redact(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return the arguments with every value that may be a secret replaced; shapes and names stay readable."""
    lowered = "\0".join(arguments).lower()
    if not any(hint in lowered for hint in HINTS):
        return arguments
    if len(arguments) == 1:
        return (" ".join(_redact_words(arguments[0].split(" "))),)
    return tuple(_redact_words(list(arguments)))


def _redact_words(words: list[str]) -> list[str]:
    kept: list[str] = []
    hide_next = False
    for word in words:
        if hide_next and not word.startswith("--"):
            kept.append(REDACTED)
            hide_next = word.lower() in ("bearer", "basic")
            continue
        name, separator, _ = word.partition("=")
        if name in TAIL_OPTIONS and len(kept) + 1 < len(words) + bool(separator):
            return [*kept, name, REDACTED]
        hide_next = _is_secret_name(word)
        if separator and _is_secret_name(name):
            kept.append(f"{name}={REDACTED}")
        else:
            kept.append(_redact_inside(word))
    return kept


def _is_secret_name(name: str) -> bool:
    """Whether a value after this option or variable is a secret: `--db-password`, `API_KEY`, `Authorization:`."""
    if not name or " " in name.strip():
        return False
    plain = name.lower().rstrip(":").lstrip("-")
    joined = plain.replace("-", "").replace("_", "").replace(".", "")
    if any(part in joined for part in SECRET_PARTS):
        return name.startswith("-") or ("=" not in name and "/" not in name)
    return bool(SECRET_WORDS.intersection(plain.replace("_", "-").replace(".", "-").split("-")))


def _redact_inside(word: str) -> str:
    """Redact within one word: credentials in a URL, a JSON web token, `name=value` and `Bearer x` in free text."""
    import re  # noqa: PLC0415  # compiled only for words that look suspicious

    word = re.sub(r"://[^/@\s]*:[^/@\s]*@", f"://{REDACTED}@", word)
    word = re.sub(r"eyJ[\w-]{6,}(\.[\w-]*){0,2}", REDACTED, word)
    word = re.sub(r"(?i)\b(bearer|basic)\s+\S+", rf"\1 {REDACTED}", word)
    return re.sub(
        r"(?i)([\w.-]*(?:password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|fernet_?key|alchemy_conn)"
        r"[\w.-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&}]+",
        rf"\1{REDACTED}",
        word,
    )
