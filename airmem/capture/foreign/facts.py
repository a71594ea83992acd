"""What a file of another tool tells of one process."""

from __future__ import annotations

from dataclasses import dataclass

from airmem.errors import Malformed
from airmem.model.memory import MemoryAccount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.mapping import Mapping

UNKNOWN = MemoryAccount()
REMEDY = "airmem pss --help and its documentation name what --from accepts."


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Obstacle:
    """What is missing of one process although its format could tell it; the fields are those of model.gap.Gap."""

    fact: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ToldProcess:
    """One process as a file tells of it.

    `pid` is 0 and `title` empty where it does not say. `mappings` is None where the format has none.
    """

    pid: int
    title: str
    depth: str
    account: MemoryAccount
    mappings: tuple[Mapping, ...] | None
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ToldProcesses:
    """All that a file tells; `form` names what wrote it (`pmap -x`), for people."""

    form: str
    processes: tuple[ToldProcess, ...]


def malformed(name: str, number: int, what: str, remedy: str = REMEDY) -> Malformed:
    """Return the error that says what is wrong in which line (the first is 1) of which file."""
    return Malformed(f"{name}, line {number}: {what}", remedy)


def shown(line: bytes) -> str:
    """Return the start of a line for a message."""
    return repr(line[:60])[1:]


def split_lines(raw: bytes) -> list[bytes]:
    """Return the lines of a text, without the carriage returns of another system if every line has one."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    if lines and all(line.endswith(b"\r") for line in lines):
        return [line[:-1] for line in lines]
    return lines
