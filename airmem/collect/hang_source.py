"""Where the facts of a tree that stands still come from: the running system, or a record of an earlier answer.

Both answer the same questions in the same order, so that one collector (collect.stacks) serves both. Whatever no file
tells (clocks, what py-spy said, who else holds a pipe) is asked through `told` and `dump`, which a record answers.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from airmem.collect.blocking import run_blocking
from airmem.collect.clock import monotonic_seconds, now_seconds, pause_seconds
from airmem.collect.lookups import KeptMemory, KeptSources, LiveMemory, LiveSources
from airmem.kernel.kept import KeptReader
from airmem.kernel.record import HangRecord
from airmem.kernel.source import ProcessFiles, Source
from airmem.kernel.tee import TeeReader
from airmem.probes.pyspy import find_pyspy, run_pyspy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from airmem.model.target import Memory, Sources
    from airmem.probes.pyspy import DumpRequest

    Answer = TypeVar("Answer")

__all__ = ["HangRecord", "HangSource", "KeptHang", "LiveHang", "redact_value"]


class HangDump(NamedTuple):
    """What py-spy left: its JSON, None where there is none, when it began since the first look, how long it took and
    how long the process stood still for it.
    """

    raw: bytes | None
    timed_out: bool
    took_seconds: float
    at_seconds: float
    paused_seconds: float


class HangFiles(ProcessFiles, Protocol):
    """The files of one process, and what sock_diag says of its network namespace."""

    def __enter__(self) -> HangFiles: ...

    def ask_unix_sockets(self) -> bytes:
        """Return the raw answer about all unix sockets."""


class HangReader(Source, Protocol):
    """A source whose processes can be asked for their unix sockets."""

    def process(self, pid: int) -> HangFiles:
        """Open the folder of one process."""


class HangSource(Protocol):
    """Answers, live or from a record. `origin` is the bundle that `--from` named, empty for the running system."""

    origin: str

    @property
    def memory(self) -> Memory:
        """Memory of the processes, by address."""

    @property
    def sources(self) -> Sources:
        """Source files as the processes see them."""

    def layer(self, name: str) -> HangReader:
        """Return the files as they are, or were, at the look of this name."""

    def told(self, name: str, ask: Callable[[], Any]) -> Any:
        """Return a JSON-ready fact that no file tells."""

    def dump(self, name: str, request: DumpRequest) -> HangDump:
        """Return the stacks of a process; the name tells one look from another. Errors: ProgramMissing."""

    def elapsed_seconds(self) -> float:
        """Return the time since the source was made; of a record 0, so that no deadline is met twice."""

    def wait_until(self, elapsed_seconds: float) -> None:
        """Wait until so much time has passed since the source was made; a record does not wait."""


class LiveHang:
    """The running system; what is read is kept in `record`, unless that is None."""

    origin = ""

    def __init__(self, record: HangRecord | None, redact: Callable[[str, str], str] | None = None) -> None:
        self._record = record
        self._redact = redact
        self._began = monotonic_seconds()
        self._program = ""
        reader = TeeReader(None)
        self.memory: Memory = LiveMemory(reader, record)
        self.sources: Sources = LiveSources(reader, record)

    def layer(self, name: str) -> TeeReader:
        """Return a reader of the files as they are now."""
        return TeeReader(None if self._record is None else self._record.layers.setdefault(name, {}))

    def told(self, name: str, ask: Callable[[], Answer]) -> Answer:
        """Ask, and keep the answer."""
        answer = ask()
        if self._record is not None:
            self._record.told[name] = answer
        return answer

    def dump(self, name: str, request: DumpRequest) -> HangDump:
        """Run py-spy. Errors: ProgramMissing."""
        self._program = self._program or find_pyspy()
        at_seconds = self.elapsed_seconds()
        paused_seconds = 0.0
        if request.is_blocking:
            dump, paused_seconds = run_blocking(self._program, request, self._redact)
        else:
            dump = run_pyspy(self._program, request, self._redact)
        if self._record is not None:
            self._record.told[f"dump {name}"] = [dump.timed_out, dump.took_seconds, at_seconds, paused_seconds]
            if dump.raw is not None:
                self._record.dumps[name] = dump.raw
        return HangDump(dump.raw, dump.timed_out, dump.took_seconds, at_seconds, paused_seconds)

    def elapsed_seconds(self) -> float:
        """Return the time since this was made."""
        return monotonic_seconds() - self._began

    def wait_until(self, elapsed_seconds: float) -> None:
        """Wait."""
        pause_seconds(elapsed_seconds - self.elapsed_seconds())


class KeptHang:
    """A record of an earlier answer."""

    def __init__(self, record: HangRecord, origin: str = "") -> None:
        self._record = record
        self.origin = origin
        self.memory: Memory = KeptMemory(record)
        self.sources: Sources = KeptSources(record)

    def layer(self, name: str) -> KeptReader:
        """Return a reader of the files as they were then."""
        kept = self._record.layers.get(name, {})
        return KeptReader(kept, float(self._record.told.get("now", 0.0)), 0.0)

    def told(self, name: str, ask: Callable[[], Answer]) -> Any:  # noqa: ARG002  # nobody is asked any more
        """Return what was told then, None if nobody asked."""
        return self._record.told.get(name)

    def dump(self, name: str, request: DumpRequest) -> HangDump:  # noqa: ARG002
        """Return what py-spy said then."""
        told = self._record.told.get(f"dump {name}") or (False, 0.0, 0.0, 0.0)
        timed_out, *seconds = told
        return HangDump(self._record.dumps.get(name), bool(timed_out), *(float(one) for one in seconds))

    def elapsed_seconds(self) -> float:
        """Return 0."""
        return 0.0

    def wait_until(self, elapsed_seconds: float) -> None:
        """Do not wait."""


def begin(source: HangSource) -> float:
    """Return when the looking began, in seconds since 1970."""
    return float(source.told("now", now_seconds))


def redact_value(name: str, text: str) -> str:
    """Return the value of a variable as it may be shown: replaced where its name or its form tells of a secret."""
    from airmem.kernel.cmdline import REDACTED, is_secret_name, redact  # noqa: PLC0415  # only where values are kept
    from airmem.kernel.source_text import redact_source  # noqa: PLC0415

    return REDACTED if is_secret_name(name) else redact_source(redact((text,))[0])
