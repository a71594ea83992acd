"""Imports modules in a fresh interpreter and writes what each import did to its resident memory.

Runs alone: `python import_recorder.py '{"modules": ["json"]}'`. It writes lines to standard output, fields apart by a
tab; what the modules themselves print goes to standard error. Nothing is kept in memory that grows with the modules, or
the measure would measure itself.

    H version, executable, prefix, pages of a byte   the interpreter; first line
    S anon, file, ns                    resident pages and the clock before the first import
    N name                              one of the modules asked for begins
    B anon, file, ns, name, origin, place, line   a module begins to load; the place and line that asked for it
    E anon, file, ns, name              it has ended, in the order of a stack
    T anon, file, ns, name              like B, but in another thread: no figures of its own, no E
    I name, names, place, line          the module on top of the stack needs these, loaded or not
    F anon, file, ns                    after the last import
    R anon                              kB by the kernel's walk over the page tables, at S and again at F
    X kind, message, place, line        an import failed
    D name, distribution, version       where a loaded module comes from; "" where no RECORD lists it
    C count                             modules that had no bytecode
    Z                                   last line
"""

from __future__ import annotations

import os
import sys
from importlib import _bootstrap
from os import dup, dup2, getpid, pread, write
from time import perf_counter_ns

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would be measured
    from collections.abc import Iterator
    from types import CodeType, FrameType, ModuleType
    from typing import Any

    Owner = tuple[str, str]

MACHINERY: Any = _bootstrap
"""importlib's own functions, which no stub of the standard library describes."""

BUILTINS: Any = sys.modules["builtins"]
OUT = dup(1)
PID = getpid()
STATM = os.open("/proc/self/statm", os.O_RDONLY)
HERE = __file__
SKIPPED = ("<frozen importlib", "<frozen zipimport")
SLOTS = 4096
"""Repeated imports are told once, as far as this many remembered ones allow: a loop must not fill the output."""

FLUSH_BYTES = 32768
EXTRA_FRAMES = 3
"""The hooks deepen each nested import by so many Python frames, so the recursion limit grows with them."""


def clean(text: object) -> str:
    """Return text that cannot break a line or a field."""
    line = str(text)
    return line if line.isprintable() else "".join(one if one.isprintable() else "?" for one in line)


class Recorder:
    """Hooks the import system of this interpreter."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.names: list[str] = []
        self.thread = sys.modules["_thread"].get_ident()
        self.seen = memoryview(bytearray(8 * SLOTS)).cast("q")
        self.load = MACHINERY._load_unlocked
        self.import_ = BUILTINS.__import__
        self.gcd_import = MACHINERY._gcd_import

    def put(self, *fields: object) -> None:
        """Add a line; it leaves when enough have come."""
        if getpid() != PID:
            return
        self.buffer += ("\t".join(map(str, fields)) + "\n").encode("utf-8", "backslashreplace")
        if len(self.buffer) > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if getpid() == PID and self.buffer:
            write(OUT, self.buffer)
            self.buffer.clear()

    def mark(self, kind: str, *fields: object) -> None:
        """Add a line that begins with resident pages, anonymous and of files, and the clock."""
        words = pread(STATM, 128, 0).split()
        shared = int(words[2])
        self.put(kind, int(words[1]) - shared, shared, perf_counter_ns(), *fields)

    def load_recorded(self, spec: Any) -> Any:
        """Stand in for importlib._bootstrap._load_unlocked: the place where every module is executed."""
        name = clean(spec.name)
        frame = asking(sys._getframe(1))
        place, line = ("", 0) if frame.f_code.co_filename == HERE else (clean(frame.f_code.co_filename), frame.f_lineno)
        if sys.modules["_thread"].get_ident() != self.thread:
            self.mark("T", name, clean(spec.origin or ""), place, line)
            return self.load(spec)
        self.names.append(name)
        self.mark("B", name, clean(spec.origin or ""), place, line)
        self.flush()  # so that a crash or a standstill tells how far it came
        try:
            return self.load(spec)
        finally:
            self.mark("E", name)
            self.flush()
            self.names.pop()

    def import_recorded(
        self,
        name: str,
        globals: dict[str, Any] | None = None,  # noqa: A002  # named as the original names them
        locals: dict[str, Any] | None = None,  # noqa: A002
        fromlist: tuple[str, ...] = (),
        level: int = 0,
    ) -> Any:
        """Stand in for builtins.__import__: tells who needs what, also what is loaded already."""
        module = self.import_(name, globals, locals, fromlist, level)
        frame = sys._getframe(1)
        if is_between(frame.f_code):  # an extension module has no frame: the line that imports it stands for it
            frame = asking(frame)
        key = hash((self.names[-1] if self.names else "", name, level, frame.f_code.co_filename, frame.f_lineno))
        if self.seen[key % SLOTS] != key:
            self.seen[key % SLOTS] = key
            self.need(full_name(name, globals, level), fromlist, frame)
        return module

    def gcd_import_recorded(self, name: str, package: str | None = None, level: int = 0) -> Any:
        """Stand in for importlib._bootstrap._gcd_import, which importlib.import_module calls."""
        module = self.gcd_import(name, package, level)
        self.need(full_name(name, {"__package__": package}, level), (), asking(sys._getframe(1)))
        return module

    def need(self, name: str, fromlist: tuple[str, ...] | None, frame: FrameType) -> None:
        """Tell that the module on top of the stack needs this one and, if they are modules, names of it."""
        if sys.modules["_thread"].get_ident() != self.thread:
            return
        names = [one for one in fromlist or () if isinstance(one, str) and f"{name}.{one}" in sys.modules]
        place = "" if frame.f_code.co_filename == HERE else clean(frame.f_code.co_filename)
        self.put("I", clean(name), clean(",".join(names)), place, frame.f_lineno or 0)

    def hook(self) -> None:
        """Put the stand-ins in place."""
        sys.setrecursionlimit(sys.getrecursionlimit() * (EXTRA_FRAMES + 5) // 5)
        MACHINERY._load_unlocked = self.load_recorded
        MACHINERY._gcd_import = self.gcd_import_recorded
        BUILTINS.__import__ = self.import_recorded

    def unhook(self) -> None:
        """Put the originals back."""
        MACHINERY._load_unlocked = self.load
        MACHINERY._gcd_import = self.gcd_import
        BUILTINS.__import__ = self.import_


def full_name(name: str, globals_: dict[str, Any] | None, level: int) -> str:
    """Return the absolute name of an import, as importlib finds it."""
    if not level:
        return name
    space = globals_ or {}
    package = str(space.get("__package__") or "")
    if not package:
        package = str(space.get("__name__", ""))
        if "__path__" not in space:
            package = package.rpartition(".")[0]
    for _ in range(level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{name}" if name else package


def is_machinery(path: str) -> bool:
    """Tell whether a frame belongs to the import system or to this file."""
    return path == HERE or path.startswith(SKIPPED) or path.endswith("/importlib/__init__.py")


def is_between(code: CodeType) -> bool:
    """Tell whether a frame is not the line that asks: the import system, or a module's __getattr__ (PEP 562)."""
    return code.co_name == "__getattr__" or is_machinery(code.co_filename)


def asking(frame: FrameType) -> FrameType:
    """Return the innermost frame, from this one outward, whose line asks for a module; the outermost if none does."""
    while frame.f_back is not None and is_between(frame.f_code):
        frame = frame.f_back
    return frame


class Placeholder(type(sys)):  # type: ignore[misc]  # types.ModuleType, without an import
    """What stands in for a blocked module: any name that is asked of it is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class Blocker:
    """Finds a blocked module and all below it, before anybody else does, and loads next to nothing for them."""

    def __init__(self, blocked: list[str], is_missing: bool) -> None:
        self.blocked = blocked
        self.is_missing = is_missing

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:  # noqa: ARG002
        """Return a spec for what is blocked."""
        if not any(name == one or name.startswith(one + ".") for one in self.blocked):
            return None
        if self.is_missing:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked by airmem)", name=name)
        return MACHINERY.ModuleSpec(name, self, origin="blocked", is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        """Return the placeholder."""
        return Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is nothing to execute."""


def resident_anonymous_kb() -> int:
    """Return what the kernel counts as anonymous when it walks the page tables, exact, in kB; -1 where it will not."""
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Anonymous:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return -1


def modules_asked_for(request: dict[str, Any]) -> Iterator[str]:
    """Yield the names to import, in order; those of a start are found as it goes."""
    yield from request["modules"]
    start = request.get("start")
    if start:
        space: dict[str, Any] = {"__name__": "airmem_start"}
        with open(os.path.join(os.path.dirname(os.path.abspath(HERE)), start[0] + ".py"), "rb") as file:
            exec(compile(file.read(), start[0], "exec"), space)  # noqa: S102  # a payload of airmem's own
        yield from space["modules_of"](start[1])


def import_all(request: dict[str, Any], recorder: Recorder) -> None:
    """Import what was asked for; tell the first failure."""
    try:
        for name in modules_asked_for(request):
            recorder.put("N", clean(name))
            MACHINERY._gcd_import(name)
    except BaseException as problem:  # SystemExit and KeyboardInterrupt are findings here
        place, line = "", 0
        trace = problem.__traceback__
        while trace is not None:
            if not is_machinery(trace.tb_frame.f_code.co_filename):
                place, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
            trace = trace.tb_next
        recorder.put("X", type(problem).__name__, clean(problem)[:500], clean(place), line)


def measure(request: dict[str, Any], recorder: Recorder) -> None:
    """Import between two marks."""
    recorder.mark("S")
    recorder.buffer.clear()  # that was the first call, which allocates what later ones use again
    recorder.put("R", resident_anonymous_kb())
    if not request.get("is_plain"):
        recorder.hook()
    recorder.mark("S")
    import_all(request, recorder)
    recorder.mark("F")
    recorder.unhook()
    recorder.put("R", resident_anonymous_kb())


def main() -> None:
    """Do what the request, a JSON text in the first argument, asks for."""
    dup2(2, 1)
    request = parse(sys.argv[1])
    sys.argv[:] = ["-c"]
    if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(HERE)):
        sys.path[0] = ""
    for old, new in request.get("moved", ()):
        sys.path[:] = [new + one[len(old) :] if (one + "/").startswith(old + "/") else one for one in sys.path]
    if request.get("without"):
        sys.meta_path.insert(0, Blocker(request["without"], request.get("is_missing", False)))
    recorder = Recorder()
    version = ".".join(map(str, sys.version_info[:3]))
    recorder.put("")  # ends a line that something at the start of this Python left open
    recorder.put("H", version, clean(sys.executable), clean(sys.prefix), os.sysconf("SC_PAGE_SIZE"))
    recorder.flush()
    measure(request, recorder)
    recorder.flush()
    tell_origins(recorder)
    recorder.put("Z")
    recorder.flush()
    os._exit(0)  # threads and handlers that the modules left must not run now


def parse(text: str) -> dict[str, Any]:
    """Return the value of a JSON text that is also a Python literal but for true and false: json itself is measured."""
    value: dict[str, Any] = eval(text, {"__builtins__": {}}, {"true": True, "false": False, "null": None})  # noqa: S307  # our own text
    return value


def tell_origins(recorder: Recorder) -> None:
    """Tell, after the measure, which distribution each module is from, and how many had no bytecode."""
    recorder.unhook()
    listed = Distributions()
    bare = 0
    for name, module in sorted(sys.modules.items(), key=lambda one: str(one[0])):
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if not isinstance(origin, str):
            continue
        recorder.put("D", clean(name), *map(clean, listed.of(origin)))
        cached = getattr(spec, "cached", None)
        bare += isinstance(cached, str) and origin.endswith(".py") and not os.path.exists(cached)
    recorder.put("C", bare)


class Distributions:
    """What is installed in the folders of sys.path, by the RECORD files that pip leaves."""

    def __init__(self) -> None:
        self.standard = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
        self.folders: dict[str, tuple[dict[str, list[Owner]], dict[str, Owner]]] = {}
        self.editable: list[tuple[str, Owner]] = []
        for folder in dict.fromkeys(os.path.abspath(one or ".") for one in sys.path):
            try:
                entries = [one for one in os.listdir(folder) if one.endswith(".dist-info")]
            except OSError:
                continue
            if entries:
                self.folders[folder] = self.read_folder(folder, entries)

    def read_folder(self, folder: str, entries: list[str]) -> tuple[dict[str, list[Owner]], dict[str, Owner]]:
        """Return {first part of a path: [distribution]} and {path: distribution} for parts that several share."""
        tops: dict[str, list[Owner]] = {}
        files: dict[Owner, list[str]] = {}
        for entry in entries:
            name, _, version = entry[: -len(".dist-info")].partition("-")
            distribution = (name.replace("_", "-").lower(), version)
            lines = files[distribution] = read_lines(os.path.join(folder, entry, "RECORD"))
            for top in first_parts(lines):
                tops.setdefault(top, []).append(distribution)
            self.read_editable(os.path.join(folder, entry, "direct_url.json"), distribution)
        shared = {one for owners in tops.values() if len(owners) > 1 for one in owners}
        paths = {line.partition(",")[0]: one for one in shared for line in files[one]}
        return tops, paths

    def read_editable(self, path: str, distribution: Owner) -> None:
        """Keep the folder of a distribution that was installed with `pip install -e`."""
        text = "".join(read_lines(path)).replace(" ", "")
        if '"editable":true' in text and '"url":"file://' in text:
            self.editable.append((text.partition('"url":"file://')[2].partition('"')[0] + os.sep, distribution))

    def of(self, origin: str) -> Owner:
        """Return (name, version) of the distribution that installed a file."""
        for folder, (tops, paths) in self.folders.items():
            if origin.startswith(folder + os.sep):
                path = origin[len(folder) + 1 :]
                owners = tops.get(path.partition("/")[0], [])
                return owners[0] if len(owners) == 1 else paths.get(path, ("", ""))
        if origin in ("built-in", "frozen") or (
            origin.startswith(self.standard) and "-packages/" not in origin[len(self.standard) :]
        ):
            return "standard library", ""
        return next((one for folder, one in self.editable if origin.startswith(folder)), ("", ""))


def first_parts(lines: list[str]) -> set[str]:
    """Return the first parts of the paths of a RECORD, as far as modules are imported from there."""
    parts = {line.split("/", 1)[0] for line in lines}
    return {one.partition(",")[0] for one in parts} - {"..", "__pycache__", ""}


def read_lines(path: str) -> list[str]:
    """Return the lines of a text file, none if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main()
