"""The memory of one process, by the deepest file that the kernel lets us read."""

from __future__ import annotations

from errno import ENODATA

from airmem.collect.gaps import gap
from airmem.collect.processes import living_thread
from airmem.errors import Malformed
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup, sum_mappings
from airmem.model.memory import MemoryAccount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.gap import Gap
    from airmem.model.mapping import Mapping
    from airmem.model.process import Process

Reading: TypeAlias = "tuple[str, MemoryAccount, tuple[Mapping, ...] | None, tuple[Gap, ...]]"
"""(depth reached, account, mappings if they were read, gaps)."""

UNKNOWN = MemoryAccount()


def read_memory(  # noqa: PLR0911  # a line for each thing that a process can be
    reader: Source, files: ProcessFiles, process: Process, depth: str
) -> Reading:
    """Return the account of a process at a depth (status, rollup or mappings), or at the next one that works.

    Errors: OSError only when the process ends meanwhile.
    """
    if process.why_empty:
        return "none", UNKNOWN, None, (gap(process.pid, "memory", *process.why_empty),)
    if depth == "status":
        return _read_status(files, ())
    try:
        return _read_smaps(reader, files, process, depth)
    except PermissionError:
        from airmem.collect.access import explain_denial  # noqa: PLC0415  # only when something is refused

        reason, detail = explain_denial(reader, process.pid)
        return _read_status(files, (gap(process.pid, "pss_bytes", reason, detail),))
    except Malformed as problem:
        return _read_status(files, (gap(process.pid, "pss_bytes", "malformed", problem.cause),))
    except OSError as problem:
        if problem.errno != ENODATA:
            raise
        if depth == "mappings":
            return _without_mappings(read_memory(reader, files, process, "rollup"), process)
        return _read_rest(files, gap(process.pid, "pss_bytes", "not_captured", f"smaps is {problem.strerror}"))


def _without_mappings(reading: Reading, process: Process) -> Reading:
    reached, account, _, gaps = reading
    return reached, account, None, (*gaps, gap(process.pid, "mappings", "not_captured", "the capture has no smaps"))


def _read_rest(files: ProcessFiles, missing: Gap) -> Reading:
    """Return what status tells of a process whose memory was not captured, if that was."""
    try:
        return _read_status(files, (missing,))
    except OSError as problem:
        if problem.errno != ENODATA:
            raise
        return "none", UNKNOWN, None, (missing,)


def _read_smaps(reader: Source, files: ProcessFiles, process: Process, depth: str) -> Reading:
    if depth == "rollup":
        try:
            return "rollup", parse_smaps_rollup(files.read(_prefix(files, process) + "smaps_rollup")), None, ()
        except FileNotFoundError:
            files.read("stat")  # raises if it is the process that is gone, not the file
    mappings = parse_smaps(files.read(_prefix(files, process) + "smaps"))
    account = sum_mappings(mappings)
    if _is_gvisor(reader):
        detail = "gVisor's smaps says that every page is private: PSS and USS are not known here"
        missing = gap(process.pid, "pss_bytes", "gvisor", detail)
        return (
            "mappings",
            MemoryAccount(rss_bytes=account.rss_bytes, swap_bytes=account.swap_bytes),
            mappings,
            (missing,),
        )
    if depth == "mappings":
        account = _with_divided_pss(files, process, account)
    return "mappings", account, mappings, _rollup_gap(process, depth)


def _with_divided_pss(files: ProcessFiles, process: Process, account: MemoryAccount) -> MemoryAccount:
    """Return the kernel's own sum where there is one: it divides PSS by kind and does not round each mapping."""
    try:
        return parse_smaps_rollup(files.read(_prefix(files, process) + "smaps_rollup"))
    except FileNotFoundError:
        return account


def _rollup_gap(process: Process, depth: str) -> tuple[Gap, ...]:
    if depth != "rollup":
        return ()
    detail = "there is no smaps_rollup: PSS is summed over mappings, each rounded down to whole KiB"
    return (gap(process.pid, "pss_anon_bytes", "no_smaps_rollup", detail),)


def _prefix(files: ProcessFiles, process: Process) -> str:
    """Return where the memory of a process shows: its first thread may have ended while others run on."""
    thread = living_thread(files, process)
    return "" if thread == process.pid else f"task/{thread}/"


def _read_status(files: ProcessFiles, gaps: tuple[Gap, ...]) -> Reading:
    from airmem.kernel.status import parse_status, parse_status_account  # noqa: PLC0415  # the last resort

    return "status", parse_status_account(parse_status(files.read("status"))), None, gaps


def _is_gvisor(reader: Source) -> bool:
    return reader.exists("/proc/sentry-meminfo")
