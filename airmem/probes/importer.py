"""Imports modules in a fresh child of any Python and reads what its recorder (payloads/import_recorder.py) wrote."""

from __future__ import annotations

import ctypes
import json
import os
from contextlib import contextmanager

from airmem.errors import NotMeasurable
from airmem.model.import_cost import ImportFailure, ImportRecord, ModuleLoad
from airmem.model.noun import noun, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airmem.model.import_cost import ImportNeed
    from airmem.probes.runner import Completed

PAYLOADS = os.path.join(os.path.dirname(__file__), "payloads")
RECORDER = os.path.join(PAYLOADS, "import_recorder.py")
TRACER = os.path.join(PAYLOADS, "import_tracer.py")
FIXED = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
"""Hashes that are the same in each run make the sizes of sets and dicts so; nothing is written beside the modules."""

ADDR_NO_RANDOMIZE = 0x0040000
ASK_PERSONALITY = 0xFFFFFFFF
"""personality(2): a flag, and the argument that changes nothing and returns what is."""

MOST_SAID = 400
OLDEST = (3, 10)
"""The hooks replace parts of importlib that are other ones in older Pythons."""

OTHER_PYTHON = "Give the python of the virtual environment that the service runs with."
NANOSECONDS = 1e9


@noun
class ImportRequest:
    """What a child shall import: modules, and then those of a start: (payload, component).

    `without` are blocked, with placeholders or, with `is_missing`, as if they were not installed. `moved` are pairs of
    folders: entries of sys.path below the first are looked up below the second.
    """

    modules: tuple[str, ...] = ()
    start: tuple[str, str] | None = None
    without: tuple[str, ...] = ()
    is_missing: bool = False
    moved: tuple[tuple[str, str], ...] = ()


def run_import(
    python: str,
    request: ImportRequest,
    *,
    deadline_seconds: float,
    environment: Mapping[str, str],
    cwd: str | None = None,
) -> ImportRecord:
    """Return what a child of `python` recorded. One that failed, ended early or stood still says how far it came, too.

    Raises ProgramMissing when `python` cannot be executed, NotMeasurable when it cannot run the recorder.
    """
    from airmem.probes.programs import require_python  # noqa: PLC0415  # imports shutil
    from airmem.probes.runner import run_program  # noqa: PLC0415  # loads subprocess

    require_python(python)
    with _same_addresses():
        done = run_program(
            [python, RECORDER, encode_request(request)],
            deadline_seconds=deadline_seconds,
            environment={**environment, **FIXED},
            cwd=cwd,
        )
    if b"\nH\t" not in done.stdout:
        said = last_line(done.stderr)
        cause = f"{python} is no Python 3.10 or newer that works: it {ended(done)}" + (
            f" and said: {said}" * bool(said)
        )
        raise NotMeasurable(cause, OTHER_PYTHON)
    record = parse_record(done.stdout)
    _check_version(python, record.python_version)
    if record.is_complete or record.failure is not None:
        return record
    said = last_line(done.stderr)
    message = f"the interpreter {ended(done)}" + (f" and said: {said}" if said else "")
    kind = "Timeout" if done.timed_out else "Ended"
    return replace(record, failure=ImportFailure(kind=kind, message=message, path="", line=0))


def _check_version(python: str, version: str) -> None:
    """Refuse what an old interpreter recorded: nobody has compared its figures. Errors: NotMeasurable."""
    if version and tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise NotMeasurable(f"{python} is Python {version}; imports are measured in 3.10 or newer", OTHER_PYTHON)


@contextmanager
def _same_addresses() -> Iterator[None]:
    """Let children of this thread have the same addresses in each run, where that is permitted (not in Docker).

    Where the heap begins within a page decides whether the C library gives 128 KiB back or not: 1 run in 30 differed by
    that much, and none by more than 16 KiB with this.
    """
    personality = ctypes.CDLL(None, use_errno=True).personality
    before = personality(ASK_PERSONALITY)
    if before != -1:
        personality(before | ADDR_NO_RANDOMIZE)
    try:
        yield
    finally:
        if before != -1:
            personality(before)


@noun
class TracerRun:
    """What a child under memray left besides its capture: `version` is empty where memray could not be imported."""

    version: str
    is_borrowed: bool
    hidden: tuple[str, ...]
    failure: ImportFailure | None
    said: str


def run_tracer(
    python: str,
    request: ImportRequest,
    *,
    out: str,
    borrowed: str,
    deadline_seconds: float,
    environment: Mapping[str, str],
) -> TracerRun:
    """Run the same imports under memray, which writes its capture to `out`; `borrowed` is a folder that has memray.

    Raises ProgramMissing when `python` cannot be executed.
    """
    from airmem.probes.runner import run_program  # noqa: PLC0415  # loads subprocess

    done = run_program(
        [python, TRACER, encode_request(request, out=out, borrowed=borrowed)],
        deadline_seconds=deadline_seconds,
        environment={**environment, **FIXED},
    )
    lines = [line.split("\t") for line in done.stdout.decode(errors="backslashreplace").split("\n")]
    failed = next((words[1:] for words in lines if words[0] == "X" and len(words) == 5), None)
    failure = None
    if failed is not None:
        failure = ImportFailure(kind=failed[0], message=failed[1], path=failed[2], line=int(failed[3]))
    elif ["Z"] not in lines:
        failure = ImportFailure(kind="Ended", message=f"under memray the interpreter {ended(done)}", path="", line=0)
    version = next((words for words in lines if words[0] == "V" and len(words) == 3), ["", "", "0"])
    return TracerRun(
        version=version[1],
        is_borrowed=version[2] == "1",
        hidden=tuple(words[1] for words in lines if words[0] == "M"),
        failure=failure,
        said=last_line(done.stderr),
    )


def encode_request(request: ImportRequest, **more: str) -> str:
    """Return a request as the text that a payload reads."""
    start = list(request.start) if request.start else None
    fields = {
        "modules": list(request.modules),
        "start": start,
        "without": list(request.without),
        "is_missing": request.is_missing,
        "moved": [list(one) for one in request.moved],
    }
    return json.dumps({**fields, **more})


def ended(done: Completed) -> str:
    """Return how a program ended, in words."""
    if done.timed_out:
        return f"was still at it after {done.seconds:.0f} s and was ended"
    if done.is_cut:
        return "wrote more than fits and was ended"
    return f"was killed by signal {-done.status}" if done.status < 0 else f"ended with status {done.status}"


def last_line(stderr: bytes) -> str:
    """Return the last line that a program said, at most MOST_SAID characters of it."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:MOST_SAID] if lines else ""


class _Open:
    """A module that has begun to load: where the counters stood, and what those below it took."""

    __slots__ = ("anon", "below_anon", "below_clock", "below_file", "clock", "file", "line", "name", "origin", "path")

    def __init__(self, words: list[str]) -> None:
        self.anon, self.file, self.clock = int(words[0]), int(words[1]), int(words[2])
        self.name, self.origin, self.path, self.line = words[3], words[4], words[5], int(words[6])
        self.below_anon = self.below_file = self.below_clock = 0


class _Parser:
    """Reads the recorder's lines; its fields are named in payloads/import_recorder.py."""

    def __init__(self) -> None:
        self.head: list[str] = []
        self.page_bytes = 0
        self.stack: list[_Open] = []
        self.loads: list[ModuleLoad] = []
        self.needs: list[ImportNeed] = []
        self.asked: list[str] = []
        self.marks: dict[str, tuple[int, int, int]] = {}
        self.walked_kb: list[int] = []
        self.distributions: dict[str, tuple[str, str]] = {}
        self.bare_count = 0
        self.failure: ImportFailure | None = None
        self.is_complete = False

    def take(self, kind: str, words: list[str]) -> None:  # one line for each kind
        """Take one line. Raises ValueError, IndexError, TypeError for one that is not the recorder's."""
        if kind == "I":
            names = tuple(words[1].split(",")) if words[1] else ()
            importer = self.stack[-1].name if self.stack else ""
            self.needs.append((importer, words[0], names, words[2], int(words[3])))
        elif kind == "B":
            self.stack.append(_Open(words))
        elif kind == "E":
            self._end(*(int(one) for one in words[:3]))
        elif kind == "T":
            self._add_thread(words)
        elif kind == "D":
            self.distributions[words[0]] = (words[1], words[2])
        elif kind in ("S", "F"):
            self.marks[kind] = (int(words[0]), int(words[1]), int(words[2]))
        elif kind == "N":
            self.asked.append(words[0])
            self.needs.append(("", words[0], (), "", 0))
        elif kind == "R":
            self.walked_kb.append(int(words[0]))
        elif kind == "X":
            self.failure = ImportFailure(kind=words[0], message=words[1], path=words[2], line=int(words[3]))
        elif kind == "H":
            self.head, self.page_bytes = words, int(words[3])
        elif kind == "C":
            self.bare_count = int(words[0])
        elif kind == "Z":
            self.is_complete = True

    def _end(self, anon: int, file: int, clock: int) -> None:
        opened = self.stack.pop()
        grown, grown_file, took = anon - opened.anon, file - opened.file, clock - opened.clock
        if self.stack:
            above = self.stack[-1]
            above.below_anon += grown
            above.below_file += grown_file
            above.below_clock += took
        self.loads.append(
            ModuleLoad(
                name=opened.name,
                origin=opened.origin,
                parent=self.stack[-1].name if self.stack else "",
                importer_path=opened.path,
                line=opened.line,
                own_bytes=(grown - opened.below_anon) * self.page_bytes,
                inclusive_bytes=grown * self.page_bytes,
                own_file_bytes=(grown_file - opened.below_file) * self.page_bytes,
                own_seconds=(took - opened.below_clock) / NANOSECONDS,
                inclusive_seconds=took / NANOSECONDS,
                in_thread=False,
            )
        )

    def _add_thread(self, words: list[str]) -> None:
        self.loads.append(
            ModuleLoad(
                name=words[3],
                origin=words[4],
                parent=self.stack[-1].name if self.stack else "",
                importer_path=words[5],
                line=int(words[6]),
                own_bytes=0,
                inclusive_bytes=0,
                own_file_bytes=0,
                own_seconds=0.0,
                inclusive_seconds=0.0,
                in_thread=True,
            )
        )


def parse_record(text: bytes) -> ImportRecord:
    """Return the record from the recorder's output, which may end anywhere: a line that is cut is left out."""
    parser = _Parser()
    for line in text.rpartition(b"\n")[0].decode(errors="backslashreplace").split("\n"):
        kind, *words = line.split("\t")
        try:
            parser.take(kind, words)
        except (ValueError, IndexError, TypeError):  # somebody else wrote to standard output at the start
            continue
    return _record_of(parser)


def _record_of(parser: _Parser) -> ImportRecord:
    start = parser.marks.get("S", (0, 0, 0))
    end = parser.marks.get("F", start)
    kb = parser.walked_kb
    can_walk = len(kb) == 2 and min(kb) >= 0
    return ImportRecord(
        python_version=parser.head[0] if parser.head else "",
        executable=parser.head[1] if parser.head else "",
        prefix=parser.head[2] if parser.head else "",
        asked=tuple(parser.asked),
        loads=tuple(parser.loads),
        needs=tuple(parser.needs),
        base_bytes=start[0] * parser.page_bytes,
        growth_bytes=(end[0] - start[0]) * parser.page_bytes,
        growth_file_bytes=(end[1] - start[1]) * parser.page_bytes,
        walked_growth_bytes=(kb[1] - kb[0]) * 1024 if can_walk else None,
        seconds=(end[2] - start[2]) / NANOSECONDS,
        distributions=parser.distributions,
        without_bytecode_count=parser.bare_count,
        failure=parser.failure,
        open_names=tuple(one.name for one in parser.stack),
        is_complete=parser.is_complete,
    )
