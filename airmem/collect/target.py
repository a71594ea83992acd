"""What one process lets us see: each file that commands need is opened, and nothing of it is read that costs."""

from __future__ import annotations

import errno
from contextlib import suppress

from airmem.collect.access import explain_denial
from airmem.collect.host import collect_container_id
from airmem.collect.place import collect_identity, read_link
from airmem.collect.processes import collect_tree_processes, hidepid_level, read_process
from airmem.errors import ProcessGone
from airmem.kernel.python import parse_python_version
from airmem.model.environment import READABLE, TargetFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.process import Process

FILES = {"status": 1, "smaps_rollup": 0, "smaps": 0, "pagemap": 0, "mem": 0, "syscall": 64, "fd": 0}
"""File -> how many bytes are read of it. The kernel decides about most when they are opened; `syscall` at the read."""


def collect_target(reader: Source, pid: int) -> TargetFacts:
    """Return what a process lets us see; one that /proc hides has no identity. Errors: ProcessGone."""
    try:
        with reader.process(pid) as files:
            return _collect(reader, files, read_process(files, with_arguments=True))
    except (FileNotFoundError, ProcessLookupError):
        if hidepid_level(reader) and reader.has_process(pid):
            return _hidden(reader, pid)
        raise ProcessGone(f"there is no process {pid}", "List what runs here with: airmem ps") from None
    except PermissionError:
        return _hidden(reader, pid)


def collect_refused(reader: Source, root_pid: int) -> tuple[TargetFacts | None, int, int]:
    """Return what the first descendant lets us see that refuses its memory, how many refuse, and how many there are.

    A tree can be readable at its root and not below: Airflow's workers are not dumpable once they have run a task.
    """
    refused: list[int] = []
    tree = collect_tree_processes(reader, root_pid)[1:]
    for process in tree:
        with suppress(OSError), reader.process(process.pid) as files:
            if _try(files, "smaps_rollup", 0) in ("EACCES", "EPERM"):
                refused.append(process.pid)
    for pid in refused:
        with suppress(ProcessGone):
            return collect_target(reader, pid), len(refused), len(tree)
    return None, 0, len(tree)


def _collect(reader: Source, files: ProcessFiles, process: Process) -> TargetFacts:
    pid = process.pid
    opened = {name: _try(files, name, limit) for name, limit in FILES.items()}
    refused = [name for name, outcome in opened.items() if outcome in ("EACCES", "EPERM")]
    reason, detail = explain_denial(reader, pid) if refused else ("", "")
    version, evidence = _python(files)
    return TargetFacts(
        pid=pid,
        process=process,
        identity=collect_identity(reader, pid),
        container_id=collect_container_id(reader, pid),
        user_namespace=read_link(reader, f"/proc/{pid}/ns/user"),
        pid_namespace=read_link(reader, f"/proc/{pid}/ns/pid"),
        files=opened,
        reason=reason,
        detail=detail,
        python_version=version,
        python_evidence=evidence,
    )


def _try(files: ProcessFiles, name: str, limit_bytes: int) -> str:
    """Return ok, or the name of the error with which the kernel refuses a file: EACCES, EPERM, ENOENT ..."""
    try:
        if name == "fd":
            files.entries(name)
        else:
            files.read(name, limit_bytes)
    except OSError as problem:
        return errno.errorcode.get(problem.errno or 0, "EIO")
    return READABLE


def _python(files: ProcessFiles) -> tuple[str, str]:
    try:
        exe = files.link("exe").encode(errors="surrogateescape")
        return parse_python_version(files.read("maps"), exe)
    except OSError:
        return "", ""


def _hidden(reader: Source, pid: int) -> TargetFacts:
    level = hidepid_level(reader)
    hides = f"process {pid} exists, and /proc, mounted with hidepid={level}, hides it"
    return TargetFacts(
        pid=pid,
        process=None,
        identity=None,
        container_id="",
        user_namespace="",
        pid_namespace="",
        files=dict.fromkeys(FILES, "ENOENT"),
        reason="hidepid" if level else "denied",
        detail=hides if level else f"the kernel does not even let airmem open the folder of process {pid}",
        python_version="",
        python_evidence="",
    )
