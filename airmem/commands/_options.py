"""Options that commands share, the same words everywhere, and the types of their values."""

from __future__ import annotations

import os
from functools import wraps

import click

from airmem.errors import UsageProblem
from airmem.model.severity import SEVERITIES
from airmem.units import parse_bytes, parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from click.shell_completion import CompletionItem

FILE = click.Path()
"""The name of a file or folder, which shells complete; whoever opens it says what is wrong with it."""


class TargetName(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A pid or a component: shells complete components, beside --from files."""

    name = "target"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the components that begin so."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only for a shell

        from airmem.questions.targets import component_names  # noqa: PLC0415

        if ctx.params.get("named"):
            return [*FILE.shell_complete(ctx, param, incomplete)]
        return [CompletionItem(name) for name in component_names() if name.startswith(incomplete)]


class Size(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.2
    """A number of bytes: 10M, 1.5G, 4096."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes, or fail with the accepted forms."""
        try:
            return value if isinstance(value, int) else parse_bytes(value)
        except ValueError:
            self.fail(f"{value!r} is not a size; write 10M, 1.5G or a number of bytes", param, ctx)


class Ratio(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A part of a whole: more than 0, at most 1."""

    name = "ratio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the ratio, or fail with the accepted forms; what is not a number is none, whatever float() says."""
        try:
            ratio = float(value)
        except ValueError:
            ratio = 0.0
        if not 0 < ratio <= 1:
            self.fail(f"{value!r} is no part of a whole; write more than 0 and at most 1, such as 0.1", param, ctx)
        return ratio


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A duration in seconds: 30, 0.5, 10m, 2h; 0 where `with_zero` says that it makes sense."""

    name = "duration"

    def __init__(self, with_zero: bool = False) -> None:
        self._with_zero = with_zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds, or fail with the accepted forms."""
        if self._with_zero and isinstance(value, str) and value.strip().lower().rstrip("smhd") in ("0", "0.0"):
            return 0.0
        try:
            return value if isinstance(value, float) else parse_seconds(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration; write 30, 0.5, 10m or 2h", param, ctx)


def answer_options(
    *forms: str, output_help: str = "Write to a new file of mode 0600."
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator that adds the options about the answer's form, file and exit status.

    Without --format a file that is named like one of the `forms` (x.json, x.html) gets that form.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @wraps(command)
        def function(**options: Any) -> int:
            return command(**{**options, "form": _form_of(options["form"], options["output"], forms)})

        for option in reversed(
            (
                click.option(
                    "--format",
                    "form",
                    type=click.Choice(forms),
                    default="text",
                    show_default=True,
                    help="The answer's form; -o FILE.json tells it, too.",
                ),
                click.option("-o", "--output", type=FILE, metavar="FILE", help=output_help),
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


def _form_of(form: str, output: str | None, forms: tuple[str, ...]) -> str:
    """Return the form that was asked for: by --format, else by how the file is named."""
    source = click.get_current_context().get_parameter_source("form")
    named = os.path.splitext(output or "")[1][1:].lower()
    return named if named in forms and source is not None and source.name == "DEFAULT" else form


def repeat_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add --every and --for."""
    every = click.option("--every", type=Duration(), metavar="SECONDS", help="Look again and again; mark what changed.")
    duration = click.option(
        "--for", "duration", type=Duration(), metavar="DURATION", help="With --every: for how long."
    )
    return every(duration(function))


def target_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add TARGET and --from; the command gets `target` (None where none is given) and `files` (empty for live).

    `--from a b c TARGET` is what people type, and what a shell makes of `--from *.airmem`: further words that are
    files belong to `--from`.
    """

    @wraps(function)
    def with_target(*, words: tuple[str, ...], named: tuple[str, ...], **options: Any) -> int:
        target, files = _divide(words, named)
        return function(target=target, files=files, **options)

    argument = click.argument("words", nargs=-1, type=TargetName(), metavar="[TARGET]")
    from_files = click.option(
        "--from",
        "named",
        multiple=True,
        type=FILE,
        metavar="FILE...",
        help="Ask files (a capture ...) instead of this system.",
    )
    return argument(from_files(with_target))


def _divide(words: tuple[str, ...], named: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return the target and the files. Errors: UsageProblem when two words could be the target."""
    files = [word for word in words if named and _is_file(word)]
    targets = [word for word in words if word not in files]
    if len(targets) > 1:
        raise UsageProblem(f"{targets[1]!r} is one target too many", "Give one pid or component.")
    return (targets[0] if targets else None), (*named, *files)


def _is_file(word: str) -> bool:
    return not word.isdecimal() and (os.path.exists(word) or "/" in word or word.endswith((".airmem", ".gz", ".tar")))
