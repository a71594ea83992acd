"""/proc/PID/cmdline (proc(5)), without the secrets that command lines carry.

Redaction happens here, where the bytes come in, so that no other room ever holds a secret. Airflow's
KubernetesExecutor passes a JWT after `--json-string`; people pass passwords in options, variables and URLs. The text
is the target's own, up to 64 KiB of anything: every rule takes time in proportion to its length.
"""

from __future__ import annotations

READ_BYTES = 1 << 16
REDACTED = "[redacted]"
HINTS = ("pass", "pwd", "secret", "token", "key", "auth", "cred", "cookie", "jwt", "eyj", "dsn", "conn", "@", "json",
         "basic", "bearer", "airflow_var_", "ghp_", "glpat-", "xox", "akia", "_pat_", "\0-u\0", " -u ",
         "-user")  # fmt: skip
"""Every rule below needs one of these, in lower case; most command lines have none and are not looked at again."""

SECRET_WORDS = frozenset(
    [
        "auth",
        "authorization",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "creds",
        "dsn",
        "jwt",
        "pass",
        "passwd",
        "passwords",
        "pwd",
        "secrets",
        "token",
        "tokens",
    ]
)
SECRET_ENDS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey")
SECRET_PAIRS = frozenset(
    [
        "api-key",
        "access-key",
        "account-key",
        "secret-key",
        "private-key",
        "fernet-key",
        "signing-key",
        "encryption-key",
        "master-key",
        "shared-key",
        "auth-key",
        "license-key",
        "alchemy-conn",
        "secret-id",
    ]
)
COUNTED = frozenset(
    ["max", "min", "num", "number", "total", "count", "limit", "per", "batch", "input", "output", "new"]
)
"""`--max-new-tokens 100` is a number of tokens."""

VALUE_WORDS = frozenset(["value", "string", "text", "plain", "base64", "b64", "default"])
"""`--password-value x`: these may stand after the word; any other (`--password-file`) makes it something else."""

TAIL_OPTION = "--json-string"
USER_OPTIONS = ("-u", "--user", "--proxy-user")
TOKEN_STARTS = ("ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA")
LONGEST_NAME = 80


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
    before = ""
    for word in words:
        if word.startswith(TAIL_OPTION) or (before == "--json" and word.startswith(("{", "[")) and word != REDACTED):
            tail = [] if before == "--json" else [TAIL_OPTION]
            return [*kept, *tail, REDACTED]
        if before and _announces(before) and not word.startswith("--"):
            kept.append(REDACTED)
            before = word if word.lower() in ("bearer", "basic", "token") else ""
            continue
        if before in USER_OPTIONS and ":" in word:
            kept.append(f"{word.partition(':')[0]}:{REDACTED}")
        else:
            kept.append(_redact_word(word))
        before = word
    return kept


def _announces(word: str) -> bool:
    """Whether the word after this one is a secret: `--db-password`, `-password`, `Authorization:`, `Bearer`."""
    if word.startswith("-") and "=" not in word:
        return is_secret_name(word)
    return word.lower() == "bearer" or (word.endswith(":") and is_secret_name(word))


def is_secret_name(name: str) -> bool:
    """Whether what this option, variable or header holds is a secret: by the last word of its name."""
    if len(name) > LONGEST_NAME or not all(one.isalnum() or one in "-_.:" for one in name):
        return False
    words = [word for word in _plain(name).split("-") if word]
    while len(words) > 1 and (words[-1] in VALUE_WORDS or words[-1].isdigit()):
        words.pop()
    if not words:
        return False
    if words[:2] in (["airflow", "conn"], ["airflow", "var"]) and len(words) > 2:
        return True
    last = words[-1].rstrip("0123456789")
    if last == "tokens" and COUNTED.intersection(words):
        return False
    return last in SECRET_WORDS or last.endswith(SECRET_ENDS) or "-".join(words[-2:]) in SECRET_PAIRS


def _plain(name: str) -> str:
    """Return a name in lower case with its words apart: `clientSecret` and `CLIENT__SECRET` are `client-secret`."""
    spaced = "".join(
        f"-{one}" if one.isupper() and before.islower() else one for before, one in zip(" " + name, name, strict=False)
    )
    for separator in "_.:":
        spaced = spaced.replace(separator, "-")
    return spaced.lower()


def _redact_word(word: str) -> str:
    for separator in ("=", ":"):
        name, found, _ = word.partition(separator)
        if found and is_secret_name(name) and word != name + separator:
            return f"{name}{separator}{REDACTED}" if separator == "=" else f"{name}: {REDACTED}"
    if word.startswith(TOKEN_STARTS) and len(word) >= 20:
        return REDACTED
    return _redact_inside(_redact_addresses(word))


def _redact_addresses(word: str) -> str:
    """Redact who logs in, in `scheme://user:password@host`, and a long user alone, which is a token."""
    first, *others = word.split("://")
    kept = [first]
    for part in others:
        end = len(part.split(None, 1)[0]) if part.strip() and not part[0].isspace() else 0
        at = part.rfind("@", 0, end)
        is_secret = at > 0 and (":" in part[:at] or at >= 16)
        kept.append(REDACTED + part[at:] if is_secret else part)
    return "://".join(kept)


def _redact_inside(word: str) -> str:
    """Redact within free text (JSON, code, a query): a JSON web token, `name=value`, `"name": "value"`, `Bearer x`."""
    lowered = word.lower()
    if not any(hint in lowered for hint in HINTS):
        return word
    import re  # noqa: PLC0415  # compiled only for words that look suspicious

    word = re.sub(r"eyJ[\w-]{6,}(?:\.[\w-]*){0,4}", REDACTED, word)
    word = re.sub(r"(?i)\b(bearer|basic) {1,4}[^\s\"',;&}]{8,}", rf"\1 {REDACTED}", word)
    names = "password|passwd|passphrase|secret|token|api_?-?key|access_?-?key|private_?-?key|fernet_?-?key|alchemy_conn"
    return re.sub(
        rf"(?i)((?:{names})[\w.-]{{0,20}}\\?[\"']?\s{{0,4}}[=:]\s{{0,4}})"
        r"(\\?\"[^\"]*\"?|\\?'[^']*'?|[^\s\"',;&}]+)",
        rf"\1{REDACTED}",
        word,
    )
