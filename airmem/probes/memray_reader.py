"""The one user of memray's FileReader: reads captures and sums their records while it streams.

It runs as a program of its own, in the Python whose memray wrote the captures (airmem's by default). So a damaged file
that crashes memray ends this program only, the memory of one large file is given back before the next, and another
memray is a matter of another Python. It needs Python 3.9, memray 1.19 and nothing of airmem.

Standard input is a request: {"paths": [...], "views": [...], "application": [...], "point_count": N}. Standard output
are lines of JSON, [word, value]: for each file `begin` and its path, then `capture`, `timeline`, one `view` for each,
`end`; or `problem` and its text.

A stack is reduced to three of its frames: the innermost that is not the import system's (its function), the innermost
outside the standard library (the package), and the innermost of the application. So the answer grows with distinct
places and never with allocations.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import sys
from operator import itemgetter

if __name__ == "__main__":
    del sys.path[0]  # this folder: a module in it must not stand for another of the same name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Frame = tuple[str, str, int]
    Emit = Callable[[str, Any], None]

ERRORS, SILENCE = 40, 60
"""Log levels of memray; it has none as high as the second."""

FIRST_FRAMES = 12
"""So many innermost frames are asked for at first, as long as most stacks have their three frames among them."""

MOST_NEAR = 64
"""So many stacks of the other kind in a row change what is asked for."""

LEAST_BYTES = 4096
"""Functions that hold less are told together."""

MMAP = 14
"""memray.AllocatorType.MMAP: what Python's own allocator takes its arenas by."""

LEAST_CAUSE_BYTES = 1024
"""Lines of the application that led to less, in one file of a package, are told together for that file."""

PR_SET_PDEATHSIG = 1
"""prctl(2): a child that reads a view ends with its parent."""

NO_FRAME = ("", "", 0)
PATH = itemgetter(1)
STARTER = "/airmem/probes/payloads/run_traced.py"
"""The outermost frame of all that `airmem trace` starts: no more the application's than memray's own."""

LIBRARIES = ("/site-packages/", "/dist-packages/")
STANDARD_FOLDERS = ("/lib/python3", "/lib64/python3", "/Lib/")
IMPORT_SYSTEM = "<frozen importlib."
IMPORTS, OTHER, PACKAGE, APPLICATION, OWN = -1, 0, 1, 2, 3


class Places:
    """Tells what a file belongs to: each path is looked at once."""

    def __init__(self, application: list[str]) -> None:
        self._application = tuple(application)
        self.kinds: dict[str, int] = {}
        self.passed: set[str] = set()
        """The paths that were looked at and are not the application's."""

    def look(self, path: str) -> int:
        """Return IMPORTS (import system), OTHER (standard library), PACKAGE, APPLICATION or OWN (tools); keep it."""
        kind = self.kinds[path] = self._kind(path)
        if kind != APPLICATION:
            self.passed.add(path)
        return kind

    def _kind(self, path: str) -> int:
        """Return the kind of a path that was not met before.

        The application is what the request names (a folder, or the beginning of a path below site-packages); where it
        names nothing, all that is neither installed nor of the standard library, and airflow.
        """
        for marker in LIBRARIES:
            at = path.rfind(marker)
            if at >= 0:
                inside = path[at + len(marker) :]
                if inside.startswith("memray/") or path.endswith(STARTER):
                    return OWN
                named = self._application or ("airflow/",)
                return APPLICATION if inside.startswith(named) or self._is_named(path) else PACKAGE
        if path.endswith((STARTER, "/memray/__main__.py")) or "/memray/commands/" in path:
            return OWN
        if path.startswith("<") or any(folder in path for folder in STANDARD_FOLDERS):
            kind = IMPORTS if path.startswith(IMPORT_SYSTEM) else OTHER
        else:
            kind = PACKAGE if self._application else APPLICATION
        return APPLICATION if self._is_named(path) else kind

    def _is_named(self, path: str) -> bool:
        return bool(self._application) and path.startswith(self._application)


class View:
    """The sums of one view: by innermost function, by the application's frame and the package's file, by allocator."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._sums: dict[tuple[str, str, Frame, str, int], list[int]] = {}
        self._near = 0
        self.stack_count = 0

    def add_all(self, records: Iterable[Any]) -> None:
        """Add records; each is dropped before the next comes."""
        sums, reduce = self._sums, self._reduce
        for record in records:
            (function, path, _), application, package = reduce(record)
            _add(sums, (function, path, application, package, record.allocator), record.size, record.n_allocations)
            self.stack_count += 1

    def rows(self, least_bytes: int) -> dict[str, Any]:
        """Return the sums, ready for JSON; functions below `least_bytes` are one row without a name."""
        by_function, by_cause, by_allocator = self._fold()
        functions: list[tuple[str, str, int, int]] = []
        rest = [0, 0]
        for name, (size_bytes, count, _) in by_function.items():
            if size_bytes >= least_bytes:
                functions.append((name[0], name[1], size_bytes, count))
            else:
                rest = [rest[0] + size_bytes, rest[1] + count]
        if rest[1]:
            functions.append(("", "", rest[0], rest[1]))
        causes: dict[tuple[Frame, str], list[int]] = {}
        for (frame, package), (size_bytes, count, mapped_bytes) in by_cause.items():
            key = (frame if size_bytes >= LEAST_CAUSE_BYTES else NO_FRAME, package)
            _add(causes, key, size_bytes, count)
            causes[key][2] += mapped_bytes
        return {
            "total_bytes": sum(size_bytes for size_bytes, _, _ in by_allocator.values()),
            "stack_count": self.stack_count,
            "functions": functions,
            "causes": [(*frame, package, *sums) for (frame, package), sums in causes.items()],
            "allocators": [(number, *sums[:2]) for number, sums in by_allocator.items()],
        }

    def _fold(
        self,
    ) -> tuple[dict[tuple[str, str], list[int]], dict[tuple[Frame, str], list[int]], dict[int, list[int]]]:
        """Return [bytes, allocations, bytes mapped] by innermost function, by cause, and by allocator."""
        by_function: dict[tuple[str, str], list[int]] = {}
        by_cause: dict[tuple[Frame, str], list[int]] = {}
        by_allocator: dict[int, list[int]] = {}
        for (function, path, application, package, allocator), (size_bytes, count, _) in self._sums.items():
            _add(by_function, (function, path), size_bytes, count)
            _add(by_cause, (application, package), size_bytes, count)
            by_cause[application, package][2] += size_bytes if allocator == MMAP else 0
            _add(by_allocator, allocator, size_bytes, count)
        return by_function, by_cause, by_allocator

    def _reduce(self, record: Any) -> tuple[Frame, Frame, str]:
        """Return the innermost frame, the application's frame and the file of the package's frame."""
        is_whole = self._near < 0
        try:
            stack = record.stack_trace() if is_whole else record.stack_trace(FIRST_FRAMES)
        except NotImplementedError:  # an allocator that memray keeps no stack for
            return NO_FRAME, NO_FRAME, ""
        inner, application, package, depth = self._find(stack)
        if application is NO_FRAME and not is_whole and len(stack) == FIRST_FRAMES:
            inner, application, package, depth = self._find(record.stack_trace())
        self._near += 1 if depth < FIRST_FRAMES else -1
        if abs(self._near) > MOST_NEAR:
            self._near = MOST_NEAR if self._near > 0 else -MOST_NEAR
        return inner, application, package

    def _find(self, stack: list[Frame]) -> tuple[Frame, Frame, str, int]:
        """Return the three frames of a stack, and how deep had to be looked."""
        kinds = self._places.kinds
        inner, depth = NO_FRAME, 0
        for frame in stack:
            depth += 1
            kind = kinds.get(frame[1])
            if kind is None:
                kind = self._places.look(frame[1])
            if kind > IMPORTS:
                if kind == APPLICATION:
                    return (frame if inner is NO_FRAME else inner), frame, frame[1], depth
                if kind == OWN:
                    continue
                if inner is NO_FRAME:
                    inner = frame
                if kind == PACKAGE:
                    application, depth = self._find_application(stack, depth)
                    return inner, application, frame[1], depth
        return inner, NO_FRAME, "", depth

    def _find_application(self, stack: list[Frame], depth: int) -> tuple[Frame, int]:
        """Return the innermost frame of the application beyond a depth, and how deep had to be looked.

        Most frames of most stacks pass through here, so the whole stack is asked first whether it has any.
        """
        passed = self._places.passed
        if not passed.issuperset(map(PATH, stack)):
            for frame in stack[depth:]:
                depth += 1
                if frame[1] not in passed and self._places.look(frame[1]) == APPLICATION:
                    return frame, depth
        return NO_FRAME, len(stack)


def _add(sums: dict[Any, list[int]], key: Any, size_bytes: int, count: int) -> None:
    found = sums.get(key)
    if found is None:
        sums[key] = [size_bytes, count, 0]
    else:
        found[0] += size_bytes
        found[1] += count


class Absent(type(sys)):  # type: ignore[misc]  # types.ModuleType, without an import
    """Stands for a module of which memray takes names at its import, and uses none here."""

    __path__ = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def import_memray() -> Any:
    """Return memray, imported without rich: that is for progress bars, and takes more than half of the import."""
    stand_ins = [name for name in ("rich", "rich.progress") if name not in sys.modules]
    sys.modules.update({name: Absent(name) for name in stand_ins})
    try:
        import memray  # noqa: PLC0415  # what else is in here works without
    except ModuleNotFoundError:
        raise
    except Exception:  # another version that does more with it
        for name in [name for name in sys.modules if name.partition(".")[0] in ("memray", "rich")]:
            del sys.modules[name]
        import memray  # noqa: PLC0415
    finally:
        for name in stand_ins:
            if isinstance(sys.modules.get(name), Absent):
                del sys.modules[name]
    return memray


def read_capture(path: str, request: dict[str, Any], emit: Emit) -> None:
    """Read one capture and emit what it tells.

    Errors: OSError when memray cannot read it, NotImplementedError for a view that an aggregated capture lacks.
    """
    memray = import_memray()
    places = Places(request["application"])
    with _complaints(memray) as said, memray.FileReader(path) as reader:
        memray.set_log_level(SILENCE)
        emit("capture", {**_describe(reader.metadata, memray.__version__), "complaint": said()})
        emit("timeline", _thin(list(reader.get_memory_snapshots()), request["point_count"]))
        _give_back()
        for name in request["views"]:
            _in_child(lambda view: emit("view", _sum(reader, view, places)), name)
    uses = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    emit(
        "end",
        {
            "peak_rss_bytes": max(one.ru_maxrss for one in uses) * 1024,
            "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in uses),
        },
    )


@contextlib.contextmanager
def _complaints(memray: Any) -> Iterator[Callable[[], str]]:
    """Catch what memray says of a file on standard error while it opens it; yields what returns that.

    Opening reads all records. Where they do not end as records do, memray says so there and nowhere else.
    """
    sys.stderr.flush()
    before = os.dup(2)
    file = os.memfd_create("said")
    os.dup2(file, 2)
    memray.set_log_level(ERRORS)

    def said() -> str:
        os.dup2(before, 2)
        return os.pread(file, 4096, 0).decode(errors="replace").strip()

    try:
        yield said
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(file)


def _sum(reader: Any, name: str, places: Places) -> dict[str, Any]:
    view = View(places)
    view.add_all(_records(reader, name))
    return {"view": name, **view.rows(LEAST_BYTES)}


def _in_child(read: Callable[[str], None], name: str) -> None:
    """Run `read` in a forked child, so that no view pays for the memory that another one left in pieces.

    Errors: OSError when the child did not end well; what it raised itself is in the text.
    """
    sys.stdout.flush()
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            read(name)
            os._exit(0)
        except BaseException as problem:  # it must not go on as a second parent
            os.write(sender, f"{type(problem).__name__}: {problem}".encode(errors="replace")[:4096])
            os._exit(1)
    os.close(sender)
    with open(receiver, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise OSError(f"memray's reader ended by signal {os.WTERMSIG(status)}")
    if status:
        raise OSError(said)


def _records(reader: Any, view: str) -> Iterable[Any]:
    if view == "peak":
        return reader.get_high_watermark_allocation_records(merge_threads=True)  # type: ignore[no-any-return]
    if view == "leaked":
        return reader.get_leaked_allocation_records(merge_threads=True)  # type: ignore[no-any-return]
    return reader.get_temporary_allocation_records(merge_threads=True, threshold=1)  # type: ignore[no-any-return]


def _describe(metadata: Any, version: str) -> dict[str, Any]:
    return {
        "memray_version": version,
        "pid": metadata.pid,
        "peak_bytes": metadata.peak_memory,
        "python_allocator": str(metadata.python_allocator),
        "traces_python_allocators": bool(metadata.trace_python_allocators),
    }


def _thin(snapshots: list[Any], most: int) -> dict[str, Any]:
    """Return at most `most` snapshots, of each stretch the one with the largest heap, and when the last was taken."""
    step = max(1, -(-len(snapshots) // most))
    kept = [max(snapshots[at : at + step], key=lambda one: one.heap) for at in range(0, len(snapshots), step)]
    points = [(one.time / 1000, one.heap, one.rss) for one in kept]
    return {"last_at_seconds": snapshots[-1].time / 1000 if snapshots else None, "points": points}


def _give_back() -> None:
    """Give freed memory back to the kernel, so that two views take no more than the larger one."""
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    gc.disable()  # millions of tuples and no cycle among them

    def emit(word: str, value: Any) -> None:
        sys.stdout.write(json.dumps([word, value]) + "\n")
        sys.stdout.flush()

    for path in request["paths"]:
        emit("begin", path)
        try:
            read_capture(path, request, emit)
        except Exception as problem:  # memray raises what it likes for a damaged file
            emit("problem", f"{type(problem).__name__}: {problem}")


if __name__ == "__main__":
    main()
