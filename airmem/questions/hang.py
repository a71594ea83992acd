"""Why does it stand still?"""

from __future__ import annotations

from airmem.analysis.waiting.answer import attribute_waits
from airmem.analysis.waiting.listening import SnapshotListeners
from airmem.collect import clock
from airmem.collect.looking_plan import LookingPlan
from airmem.model.report import Head
from airmem.model.verdict import HangReport
from airmem.rules.asking import repeat_command
from airmem.rules.hang import STUCK_AFTER_SECONDS, check_hang, find_root_causes, judge_process, judge_states
from airmem.rules.known_hangs import check_known
from airmem.services.detect import detect_roles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.answer import Waits
    from airmem.collect.hang_source import HangSource
    from airmem.model.gap import Gap
    from airmem.model.service import ServiceRole
    from airmem.model.task import ProcessLook
    from airmem.model.verdict import ProcessVerdict, ProfileRow
    from airmem.model.waiting import HangSnapshot

__all__ = ["LookingPlan", "answer_hang"]


def answer_hang(
    root_pids: tuple[int, ...],
    plan: LookingPlan,
    *,
    stuck_after_seconds: float | None = None,
    source: HangSource | None = None,
    with_values: bool = False,
    profile_seconds: float | None = None,
) -> HangReport:
    """Return why each process of one or several trees stands, or that it works.

    `source` is the running system by default, or a record of an earlier answer. A wait that has lasted for more than
    `stuck_after_seconds` (60, of a record what it was then) is called hung. `with_values` keeps values of
    variables, without secrets. `profile_seconds` adds where CPU time goes.
    Errors: ProcessGone when none of the processes is there.
    """
    from airmem.collect.hang_source import LiveHang, redact_value  # noqa: PLC0415  # brings subprocess
    from airmem.collect.stacks import collect_hang  # noqa: PLC0415

    began = clock.monotonic_seconds()
    reading = source or LiveHang(None, redact_value if with_values else None)
    stuck_after_seconds = _stuck_after(reading, stuck_after_seconds)
    snapshot = collect_hang(reading, root_pids, plan)
    profile = _profile(reading, snapshot, profile_seconds)
    waits = attribute_waits(snapshot, reading.memory, reading.sources)
    roles = detect_roles([one.process for one in snapshot.processes.values()], SnapshotListeners(snapshot))
    processes = _processes(waits, roles, stuck_after_seconds)
    root_causes = find_root_causes(waits, roles)
    return HangReport(
        head=Head(
            command="hang-dump",
            taken_at_seconds=snapshot.taken_at_seconds,
            took_seconds=clock.monotonic_seconds() - began,
            host=snapshot.host,
            origin=reading.origin,
        ),
        window_seconds=round(snapshot.window_seconds, 3),
        stuck_after_seconds=stuck_after_seconds,
        processes=processes,
        root_causes=root_causes,
        patterns=check_known(waits, roles),
        gaps=_advise(reading, snapshot.gaps, root_pids),
        findings=check_hang(processes, root_causes),
        profile=profile,
    )


def _profile(
    source: HangSource, snapshot: HangSnapshot, profile_seconds: float | None
) -> tuple[ProfileRow, ...] | None:
    """Return where CPU time goes, None where nobody asked, now or when the record was made."""
    seconds = source.told("profile asked", lambda: profile_seconds)
    if seconds is None:
        return None
    from airmem.analysis.profile import sum_profile  # noqa: PLC0415  # only with --profile
    from airmem.collect.profile import collect_profile  # noqa: PLC0415

    return sum_profile(*collect_profile(source, [*snapshot.stacks], float(seconds)))


def _stuck_after(source: HangSource, asked_seconds: float | None) -> float:
    told = source.told("stuck_after_seconds", lambda: STUCK_AFTER_SECONDS if asked_seconds is None else asked_seconds)
    return float(told) if asked_seconds is None else asked_seconds


def _processes(waits: Waits, roles: dict[int, ServiceRole], stuck_after_seconds: float) -> tuple[ProcessVerdict, ...]:
    snapshot = waits.scene.snapshot
    states = judge_states(waits, stuck_after_seconds)
    last = waits.scene.looks[-1].processes if waits.scene.looks else {}
    found = []
    for pid, one in snapshot.processes.items():
        seen = last.get(pid)
        paused_seconds = sum(dump.paused_seconds for dump in snapshot.stacks.get(pid, ()))
        state = _last_state(seen) if seen and seen.start_ticks == one.process.start_ticks else ""
        found.append(
            judge_process(one, waits, states, role=roles.get(pid), last=state, paused_seconds=round(paused_seconds, 6))
        )
    return tuple(found)


def _last_state(seen: ProcessLook) -> str:
    """Return the state of a process, which is that of its first thread; empty where that has ended and others live."""
    return "" if seen.state in "ZX" and any(task.state not in "ZX" for task in seen.tasks) else seen.state


def _advise(source: HangSource, gaps: tuple[Gap, ...], root_pids: tuple[int, ...]) -> tuple[Gap, ...]:
    if not gaps:
        return ()
    from airmem.questions.advice import advise_here  # noqa: PLC0415  # most answers have none

    again = repeat_command(not source.origin, "hang-dump", root_pids[0] if len(root_pids) == 1 else None)
    return advise_here(source.layer("facts"), gaps, again, root_pids[0] if root_pids else None)
