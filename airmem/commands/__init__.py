"""One file for each subcommand, thin: options, question, view, render. Files with an underscore are no commands.

click reads command lines, but importing it costs more than reading a small tree. What is asked again and again, by
people and by scripts, is plain: `pss scheduler --format json`. Such a line is read here, as click would read it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer_plain(words: list[str]) -> int | None:
    """Answer a plain command line and return its exit status; None, with nothing done, where click must read it."""
    if words[:1] == ["pss"]:
        import airmem.commands._pss as command  # noqa: PLC0415
    elif words[:1] == ["ps"]:
        import airmem.commands._ps as command  # type: ignore[no-redef]  # noqa: PLC0415
    else:
        return None
    options = read_plain(words[1:], command.PLAIN)
    return None if options is None else command.answer(**options)


def read_plain(words: list[str], plain: dict[str, tuple[str, tuple[str, ...]]]) -> dict[str, Any] | None:
    """Return the options that words give, by name; None unless all are known, whole and right, with one target at most.

    `plain` is a table of options: name, and values (none for a flag). Of an option that is repeated, the last counts.
    """
    found: dict[str, Any] = {}
    left = iter(words)
    for word in left:
        option, equals, value = word.partition("=")
        if option in plain:
            name, values = plain[option]
            if values:
                found[name] = value if equals else next(left, None)
                if found[name] not in values:
                    return None
            elif equals:
                return None
            else:
                found[name] = True
        elif not word or word[0] == "-" or "target" in found:
            return None
        else:
            found["target"] = word
    return found
