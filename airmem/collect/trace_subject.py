"""What must be known of a process before memray is put into it; nothing of it is disturbed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from airmem.collect import clock
from airmem.collect.access import explain_denial
from airmem.collect.place import collect_identity, read_link, read_or_empty
from airmem.collect.processes import read_process
from airmem.errors import Malformed, ProcessGone
from airmem.kernel.status import parse_status
from airmem.kernel.threads_run import parse_catches, parse_run_count
from airmem.model.trace import TraceSubject
from airmem.probes.programs import is_interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source

LOOK_SECONDS = 0.05
STANDING_SECONDS = 3.0
"""A process of which no thread has run for so long stands still: a scheduler, which ticks every second, does not."""

NAMESPACES = {"mnt": "mount", "net": "network", "pid": "pid"}
"""Those that target, debugger and memray must share: files, a socket on localhost, and pids."""

MAGIC = b"memray\0"
"""With which a capture begins while it is being written (memray 1.5 to 1.20)."""


def collect_trace_subject(reader: Source, pid: int) -> TraceSubject:
    """Watch a process for up to STANDING_SECONDS and return what was seen. Errors: ProcessGone."""
    try:
        with reader.process(pid) as files:
            process = read_process(files, with_arguments=True)
            identity = collect_identity(reader, pid)
            maps, reason, detail = _maps(reader, pid)
            has_run, watched = _watch(reader, pid)
            return TraceSubject(
                process=process,
                user_id=identity.user_id,
                group_id=identity.group_ids[1],
                is_dumpable=identity.is_dumpable,
                tracer_pid=tracer_pid(reader, pid),
                has_run=has_run,
                watched_seconds=watched,
                wait_channel=read_or_empty(reader, f"/proc/{pid}/wchan").decode(errors="replace"),
                recorded_into=_recorded_into(reader, pid, maps),
                foreign_namespaces=_foreign_namespaces(reader, pid),
                refusal_reason=reason,
                refusal_detail=detail,
                pythons=_pythons(
                    process.arguments,
                    maps,
                    read_link(reader, f"/proc/{pid}/exe"),
                    read_link(reader, f"/proc/{pid}/cwd"),
                ),
            )
    except (OSError, Malformed):
        raise ProcessGone(f"there is no process {pid}", "List what runs here with: airmem ps") from None


def tracer_pid(reader: Source, pid: int) -> int:
    """Return who traces a process, 0 if nobody does. Errors: OSError when it is gone."""
    value = parse_status(reader.read(f"/proc/{pid}/status")).get(b"TracerPid", b"0")
    return int(value) if value.isdigit() else 0


def collect_rival(reader: Source, pid: int) -> str:
    """Return who has a process just now, empty if nobody: a debugger that traces it, a capture it is recorded into."""
    try:
        tracer = tracer_pid(reader, pid)
        if tracer:
            return f"process {tracer} traces it just now"
        recorded = _recorded_into(reader, pid, _text(reader.read(f"/proc/{pid}/maps")))
    except OSError:
        return ""
    return f"memray records it into {recorded} just now" if recorded else ""


def catches(reader: Source, pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; False when it is gone."""
    return parse_catches(parse_status(read_or_empty(reader, f"/proc/{pid}/status")), number)


def holds_below(reader: Source, pid: int, folder: str) -> tuple[str, ...]:
    """Return the files below a folder that a process has mapped."""
    paths = (line.partition("/") for line in _text(read_or_empty(reader, f"/proc/{pid}/maps")).splitlines())
    return tuple({"/" + rest for _, found, rest in paths if found and ("/" + rest).startswith(folder + "/")})


def has_open(reader: Source, pid: int, path: str) -> bool:
    """Whether a process has a file mapped or open; False when it is gone."""
    if path in holds_below(reader, pid, os.path.dirname(path)):
        return True
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        return any(read_link(reader, f"{folder}/{name}") == path for name in reader.entries(folder))
    return False


def _maps(reader: Source, pid: int) -> tuple[str, str, str]:
    """Return what a process maps, and the reason and detail of a refusal."""
    try:
        maps = _text(reader.read(f"/proc/{pid}/maps"))
        reader.read_words(f"/proc/{pid}/mem", ((0, 0),), memoryview(b""))
    except PermissionError:
        return "", *explain_denial(reader, pid)
    except OSError:
        return "", "", ""
    return maps, "", ""


def _watch(reader: Source, pid: int) -> tuple[bool, float]:
    """Return whether a thread has run, as soon as one has, and for how long it was watched."""
    began = clock.monotonic_seconds()
    before = _run_counts(reader, pid)
    while (watched := clock.monotonic_seconds() - began) < STANDING_SECONDS:
        clock.pause_seconds(LOOK_SECONDS)
        if _run_counts(reader, pid) != before:
            return True, clock.monotonic_seconds() - began
    return False, watched


def _run_counts(reader: Source, pid: int) -> dict[str, bytes]:
    counts = {}
    for thread in reader.entries(f"/proc/{pid}/task"):
        with suppress(OSError):
            folder = f"/proc/{pid}/task/{thread}"
            counts[thread] = parse_run_count(
                read_or_empty(reader, f"{folder}/schedstat"), reader.read(f"{folder}/stat")
            )
    return counts


def _recorded_into(reader: Source, pid: int, maps: str) -> str:
    """Return the capture that memray in this process writes, empty if there is none."""
    if "/_memray." not in maps:
        return ""
    for line in maps.splitlines():
        permissions, separator, rest = line.partition("/")
        if separator and _is_shared_and_writable(permissions):
            path = "/" + rest
            if _begins_with_magic(reader, f"/proc/{pid}/root{path}") or path.endswith(".bin"):
                return path
    return ""


def _is_shared_and_writable(line: str) -> bool:
    """Whether a line of maps is of a file that is written through memory, as memray does: `-w-s`."""
    words = line.split()
    return len(words) > 1 and words[1][1:2] == "w" and words[1][3:4] == "s"


def _begins_with_magic(reader: Source, path: str) -> bool:
    words = bytearray(8)
    try:
        reader.read_words(path, ((0, 1),), memoryview(words))
    except OSError:
        return False
    return words.startswith(MAGIC)


def _foreign_namespaces(reader: Source, pid: int) -> tuple[str, ...]:
    own, other = "/proc/self/ns", f"/proc/{pid}/ns"
    return tuple(
        word
        for name, word in NAMESPACES.items()
        if (there := read_link(reader, f"{other}/{name}")) and there != read_link(reader, f"{own}/{name}")
    )


def _pythons(arguments: tuple[str, ...], maps: str, exe: str, folder: str) -> tuple[str, ...]:
    """Return where the target's Python may be, the likeliest first: titles are overwritten, mappings are not.

    An extension module below PREFIX/lib/pythonX.Y/site-packages tells the virtual environment. Where the command line
    tells nothing, airmem's own Python is the last, if it is the same program: it may be of the same environment.
    They will be run. So whatever is not called like an interpreter is left out: a `tee` would write over its arguments.
    """
    found: dict[str, None] = {}
    words = [os.path.normpath(os.path.join(folder, word)) if "/" in word else "" for word in arguments[:2]]
    if len(words) == 2 and "python" in os.path.basename(words[0]):
        found[words[0]] = None
    if len(words) == 2 and words[1]:
        found[os.path.join(os.path.dirname(words[1]), "python")] = None
    for line in maps.splitlines():
        path = "/" + line.partition("/")[2]
        prefix, lib, rest = path.partition("/lib/python")
        if lib and ("/site-packages/" in rest or "/dist-packages/" in rest):
            found[f"{prefix}/bin/python{rest.partition('/')[0]}"] = None
            found[f"{prefix}/bin/python3"] = None
    program = exe.removesuffix(" (deleted)")
    found[program] = None
    if "/" not in "".join(arguments[:1]) and os.path.realpath(sys.executable) == program:
        found[sys.executable] = None
    return tuple(one for one in found if is_interpreter(one))


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
