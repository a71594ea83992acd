"""Options that commands share, the same words everywhere, and the types of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from airmem.units import parse_bytes, parse_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

SEVERITIES = ("note", "warning", "critical")


class Size(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """A number of bytes: 10M, 1.5G, 4096."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes, or fail with the accepted forms."""
        try:
            return value if isinstance(value, int) else parse_bytes(value)
        except ValueError:
            self.fail(f"{value!r} is not a size; write 10M, 1.5G or a number of bytes", param, ctx)


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A duration in seconds: 30, 0.5, 10m, 2h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds, more than 0, or fail with the accepted forms."""
        try:
            return value if isinstance(value, float) else parse_seconds(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration; write 30, 0.5, 10m or 2h", param, ctx)


def answer_options(*forms: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that adds the options about the answer's form, file and exit status."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(
            (
                click.option(
                    "--format",
                    "form",
                    type=click.Choice(forms),
                    default="text",
                    show_default=True,
                    help="The answer's form.",
                ),
                click.option("-o", "--output", metavar="FILE", help="Write to a new file of mode 0600."),
                click.option("--force", is_flag=True, help="Replace the file of --output if it exists."),
                click.option(
                    "--fail-on", type=click.Choice(SEVERITIES), help="Exit 1 on such a finding, or a graver one."
                ),
                click.option("--no-color", is_flag=True, help="No color, as with NO_COLOR in the environment."),
            )
        ):
            function = option(function)
        return function

    return decorate


def repeat_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add --every and --for."""
    every = click.option("--every", type=Duration(), metavar="SECONDS", help="Look again and again; mark what changed.")
    duration = click.option(
        "--for", "duration", type=Duration(), metavar="DURATION", help="With --every: for how long."
    )
    return every(duration(function))
