"""What a file tells of processes, as a source that answers at once and has no kernel files."""

from __future__ import annotations

import errno
import os

from airmem.capture.foreign.facts import ToldProcess, ToldProcesses
from airmem.errors import Malformed, ProcessGone, UsageProblem
from airmem.model.gap import Gap
from airmem.model.process import UNTOLD, Process
from airmem.model.snapshot import Host, ProcessSnapshot, TreeSnapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from airmem.kernel.source import ProcessFiles

NOWHERE = Host(boot_id="", hostname="", kernel="", pid_namespace="", container_id="")
ALL = 0
"""The pid that stands for all processes of a file, and for one whose pid the file does not tell."""

WORDS = {
    "rss_bytes": "RSS",
    "pss_bytes": "PSS",
    "private_dirty_bytes": "USS (private memory)",
    "shared_dirty_bytes": "shared memory",
    "pss_anon_bytes": "PSS by kind",
    "swap_bytes": "swap",
    "swap_pss_bytes": "SwapPSS",
    "hugetlb_bytes": "hugetlb pages",
}
"""Facts of an account that a format may lack, the gravest first, and what people call them."""


class ToldSource:
    """Implements kernel.source.Source: there is nothing to read, `snapshot` has all that is known."""

    origin = ""

    def __init__(self, told: ToldProcesses, name: str, taken_at_seconds: float | None) -> None:
        self._told = told
        self._name = name
        self._taken_at_seconds = taken_at_seconds
        pids = [one.pid for one in told.processes]
        for pid in pids:
            if pids.count(pid) > 1:
                cause = f"{name} tells of process {pid or '?'} {pids.count(pid)} times; only one look can be answered"
                raise Malformed(cause, "Give each look, or each process, a file of its own.")

    def snapshot(self, root_pid: int, depth: str, taken_at_seconds: float) -> TreeSnapshot:
        """Return what is known of a process, or of all (pid 0), whatever `depth`. Errors: ProcessGone."""
        chosen = [one for one in self._told.processes if root_pid in (one.pid, ALL)]
        if not chosen:
            pids = ", ".join(str(one.pid or "?") for one in self._told.processes)
            raise ProcessGone(f"{self._name} does not tell of process {root_pid}", f"It has: {pids}")
        gaps = [gap for one in chosen for gap in self._gaps_of(one, depth)]
        if depth in ("auto", "pages"):
            gaps.append(self._gap(None, "sharing", f"{self._told.form} has no page tables"))
        if depth == "mappings" and len(chosen) > 1:
            detail = "only the first process's are shown: who descends from whom is not told; name another by its pid"
            gaps.append(self._gap(None, "mappings", detail))
        return TreeSnapshot(
            processes=tuple(_process_snapshot(one) for one in chosen),
            host=NOWHERE,
            cgroup=None,
            remainder=None,
            page_tables=None,
            gaps=tuple(gaps),
            taken_at_seconds=taken_at_seconds,
        )

    def _gaps_of(self, one: ToldProcess, depth: str) -> list[Gap]:
        pid = one.pid or None
        gaps = [Gap(pid=pid, fact=it.fact, reason=it.reason, detail=it.detail) for it in one.obstacles]
        lacking = [fact for fact in WORDS if getattr(one.account, fact) is None]
        if lacking and not any(gap.fact in ("process", "memory", "pss_bytes") for gap in gaps):
            words = ", ".join(WORDS[fact] for fact in lacking)
            gaps.append(self._gap(pid, lacking[0], f"{self._told.form} does not tell {words}"))
        if depth == "mappings" and one.mappings is None:
            gaps.append(self._gap(pid, "mappings", f"{self._told.form} has no mappings"))
        return gaps

    def _gap(self, pid: int | None, fact: str, detail: str) -> Gap:
        return Gap(pid=pid, fact=fact, reason="not_in_format", detail=detail)

    @property
    def is_live(self) -> bool:
        """Return False."""
        return False

    @property
    def taken_at_seconds(self) -> float | None:
        """When the file was written, in seconds since 1970; None where that is not known."""
        return self._taken_at_seconds

    @property
    def took_seconds(self) -> float | None:
        """Return None: reading the file is all that there is."""
        return None

    @property
    def root_pids(self) -> tuple[int, ...]:
        """The one process that the file tells of; 0 for one without a pid, and for several together."""
        return (self._told.processes[0].pid if len(self._told.processes) == 1 else ALL,)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return none: they are in the snapshot."""
        return ()

    def read(self, path: str) -> bytes:
        """Raise FileNotFoundError, as do the others: no kernel file is here."""
        raise _absent(path)

    def link(self, path: str) -> str:
        """Raise FileNotFoundError."""
        raise _absent(path)

    def entries(self, path: str) -> list[str]:
        """Raise FileNotFoundError."""
        raise _absent(path)

    def exists(self, path: str) -> bool:  # noqa: ARG002  # the protocol's signature
        """Return False."""
        return False

    def read_words(self, path: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:  # noqa: ARG002
        """Raise FileNotFoundError."""
        raise _absent(path)

    def process_ids(self) -> NoReturn:
        """Refuse to list processes: who they are and who descends from whom is not told. Errors: UsageProblem."""
        cause = f"{self._name} tells of memory ({self._told.form}), not of services and their trees"
        raise UsageProblem(cause, f"Ask it: airmem pss --from {self._name} (with a pid where it has several)")

    def process(self, pid: int) -> ProcessFiles:
        """Raise FileNotFoundError."""
        raise _absent(f"/proc/{pid}")

    def has_process(self, pid: int) -> bool:
        """Whether the file tells of a process."""
        return any(one.pid == pid for one in self._told.processes)

    def has_tree(self, pid: int) -> bool:  # noqa: ARG002  # the protocol's signature
        """Return True: `snapshot` says what there is."""
        return True

    def frames_obstacle(self) -> tuple[str, str] | None:
        """Return that there are no page tables."""
        return "not_in_format", f"{self._told.form} has no page tables"

    def zero_frames(self) -> tuple[tuple[int, int], ...]:
        """Return none."""
        return ()

    def own_user_id(self) -> int:
        """Return the user that asks; nothing here belongs to anybody."""
        return os.geteuid()


def _absent(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _process_snapshot(one: ToldProcess) -> ProcessSnapshot:
    process = Process(
        pid=one.pid,
        parent_pid=0,
        start_ticks=0,
        command="?",
        state=UNTOLD,
        session_id=0,
        flags=0,
        thread_count=0,
        rss_pages=0,
        arguments=(one.title,) if one.title else (),
    )
    return ProcessSnapshot(process=process, depth=one.depth, account=one.account, mappings=one.mappings)
