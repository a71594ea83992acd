"""All that was read for one answer about a tree that stands still, as raw as it came: what a bundle keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Kept: TypeAlias = "bytes | str | tuple[str, ...] | int"
"""A file's content, where a link points, the names in a folder, a number. Below 0: the errno of the refusal."""


@dataclass(slots=True, kw_only=True)
class HangRecord:
    """What live reading puts in and a replay takes out.

    `layers`: name of a look -> path -> what was found there: `proc/42/stat` is a file, `proc/42/exe link` a link,
    `proc/42/fd names` a folder, `proc/42/ owner` who owns it (kernel.tee). `told`: facts that no file tells.
    `dumps`: name -> py-spy's JSON without values of variables. `memory`: (pid, address, size) -> bytes.
    `sources`: (pid, path) -> text, None where it could not be read.
    """

    layers: dict[str, dict[str, Kept]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    dumps: dict[str, bytes] = field(default_factory=dict)
    memory: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    found: dict[tuple[int, bytes], tuple[int, ...]] = field(default_factory=dict)
    sources: dict[tuple[int, str], str | None] = field(default_factory=dict)
