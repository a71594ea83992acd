"""Whether a thread or a process is hung, how sure that is, and what a person should be told."""

from __future__ import annotations

from airmem.analysis.waiting.waits import handles_signals
from airmem.model.finding import Finding
from airmem.model.verdict import Link, ProcessVerdict, RootCause, ThreadVerdict
from airmem.rules.hang_words import describe_wait, describe_who, join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.answer import Waits
    from airmem.model.service import ServiceRole
    from airmem.model.verdict import Chain, Wait, Waiter
    from airmem.model.waiting import HangProcess

STUCK_AFTER_SECONDS = 60.0
"""A wait that has lasted longer, outside of the places where waiting is somebody's life, is called hung."""

STANDING = frozenset({"stopped", "traced", "frozen"})
BUSY = frozenset({"running", "cpu_python", "cpu_native", "cpu_native_gil"})
BY_TIME = frozenset(
    {"socket_recv", "socket_connect", "unix_recv", "pipe_read", "pipe_write", "file_lock", "db_wait", "lock_wait",
     "fork_lock", "import_lock", "mp_lock_wait", "asyncio_blocked", "gil_held_blocked", "dstate", "fs_hang",
     "memory_stall", "pool_exhausted"}
)  # fmt: skip
"""Waits that should have ended when they have lasted for long."""

READS = frozenset({"socket_recv", "unix_recv", "pipe_read"})
"""What programs that are not Python do all their life: nobody knows what they wait for."""

DEPENDENT = frozenset({"child_wait", "join_wait", "shutdown_wait", "gil_wait"})
"""Waits that are as sick as what they wait for."""

MOST_NAMED = 6

MOST_ZOMBIES = 3
"""More ended children that nobody has waited for than this are told of: a parent that never reaps them."""


def judge_states(waits: Waits, stuck_after_seconds: float) -> dict[Waiter, str]:
    """Return hung, waiting, idle or busy for each thread."""
    states = {key: _own_state(key, wait, waits, stuck_after_seconds) for key, wait in waits.waits.items()}
    for key, wait in waits.waits.items():
        if states[key] == "hung" and key not in waits.doomed and _has_healthy_writers(wait, states):
            states[key] = "waiting"
    changed = True
    while changed:
        changed = False
        for key, wait in waits.waits.items():
            if states[key] == "hung" or wait.category not in DEPENDENT:
                continue
            found = _of_targets(wait, states)
            if found != states[key]:
                states[key], changed = found, True
    return states


def _own_state(key: Waiter, wait: Wait, waits: Waits, stuck_after_seconds: float) -> str:
    if wait.category in ("idle", "exited"):
        return "idle"
    if wait.category in BUSY:
        return "busy"
    if key in waits.doomed:
        return "hung"
    is_long = wait.since_seconds is not None and wait.since_seconds > stuck_after_seconds
    is_own_life = wait.category in READS and not waits.threads[key].frames
    return "hung" if is_long and wait.category in BY_TIME and not is_own_life else "waiting"


def _has_healthy_writers(wait: Wait, states: dict[Waiter, str]) -> bool:
    """Whether a pipe is silent because those who write to it have nothing to say: each is idle, or busy.

    Who forwards what a child prints, or waits for its parent's end on a pipe, waits for days.
    """
    writers = [states.get((pid, pid)) for pid, _ in wait.needs]
    return wait.category == "pipe_read" and bool(writers) and all(one in ("idle", "busy") for one in writers)


def _of_targets(wait: Wait, states: dict[Waiter, str]) -> str:
    targets = [target if target[1] is not None else (target[0], target[0]) for target in wait.needs]
    known = [states.get((pid, tid or pid), "waiting") for pid, tid in targets]
    if not known:
        return "waiting"
    if any(one == "hung" for one in known) if wait.needs_all else all(one == "hung" for one in known):
        return "hung"
    is_well = wait.category != "gil_wait" and all(one in ("idle", "busy") for one in known)
    return "idle" if is_well else "waiting"


def judge_confidence(wait: Wait) -> str:
    """Return certain for what was read, likely for what was inferred from the source, possible for the rest."""
    if wait.is_sure:
        return "certain"
    return "likely" if wait.evidence.get("holder") or wait.evidence.get("holder_pid") or wait.nobody else "possible"


def judge_thread(key: Waiter, waits: Waits, state: str) -> ThreadVerdict:
    """Return the verdict on one thread."""
    thread, wait = waits.threads[key], waits.waits[key]
    return ThreadVerdict(
        tid=key[1],
        name=thread.name if thread.stack is not None or thread.is_main else None,
        category=wait.category,
        state=state,
        confidence=judge_confidence(wait),
        since_seconds=None if wait.since_seconds is None else round(wait.since_seconds, 3),
        evidence=wait.evidence,
        frames=thread.frames,
    )


def judge_process(
    one: HangProcess,
    waits: Waits,
    states: dict[Waiter, str],
    *,
    role: ServiceRole | None,
    last: str,
    paused_seconds: float,
) -> ProcessVerdict:
    """Return the verdict on one process.

    `last` is its state at the last look; empty if it was gone, or if its first thread alone had ended.
    """
    process = one.process
    keys = [key for key in waits.waits if key[0] == process.pid]
    if process.is_zombie or last in ("Z", "X"):
        keys, state = [], "zombie"
    elif not keys:
        state = "exited"
    else:
        state = _process_state(keys, waits, states)
    return ProcessVerdict(
        pid=process.pid,
        parent_pid=process.parent_pid,
        role=role.role if role else "process",
        component=role.component if role else None,
        title=process.title,
        state=state,
        paused_seconds=paused_seconds,
        threads=tuple(judge_thread(key, waits, states[key]) for key in keys),
    )


def _process_state(keys: list[Waiter], waits: Waits, states: dict[Waiter, str]) -> str:
    """Return the state of a living process: its main thread's, unless another one is hung for good.

    Where the main thread has ended (pthread_exit), the first of the others stands for it.
    """
    alive = [key for key in keys if waits.waits[key].category != "exited"] or keys
    main = next((key for key in alive if key[0] == key[1]), alive[0])
    categories = {waits.waits[key].category for key in keys}
    if waits.waits[main].category in STANDING:
        return "stopped"
    if categories == {"unreadable"}:
        return "unreadable"
    needed = {(pid, tid) for key in keys for pid, tid in waits.waits[key].needs}
    for key in keys:
        if states[key] == "hung" and (key == main or key in waits.doomed or key in needed):
            return "hung"
    if any(states[key] == "busy" for key in keys):
        return "busy"
    if states[main] == "waiting" and _waits_for_a_signal(waits, main):
        return "idle"
    return states[main]


def _waits_for_a_signal(waits: Waits, main: Waiter) -> bool:
    """Whether the main thread waits for an event that a signal handler may set: the usual end of a daemon's main."""
    return waits.waits[main].category == "event_wait" and handles_signals(waits.threads[main])


def find_root_causes(waits: Waits, roles: dict[int, ServiceRole]) -> tuple[RootCause, ...]:
    """Return the ends of chains and the knots, in words."""
    return tuple(_root_cause(chain, waits, roles) for chain in waits.chains)


def _root_cause(chain: Chain, waits: Waits, roles: dict[int, ServiceRole]) -> RootCause:
    wait, thread = waits.waits[chain.end], waits.threads[chain.end]
    who = describe_who(thread.process.process, roles.get(chain.end[0]), thread)
    phrase = describe_wait(wait.category, wait.evidence, thread.frames)
    count = len(chain.blocked)
    others = len([pid for pid in chain.blocked if pid != chain.end[0]])
    if chain.knot:
        pids = sorted({pid for pid, _ in chain.knot})
        where = f"process {pids[0]}" if len(pids) == 1 else f"processes {_name_pids(pids)}"
        what = f"{len(chain.knot)} threads of {where} wait for each other and nothing can end it"
        summary = f"{what}: {who} {phrase}"
        summary += f"; {count} processes wait for it in all" if count > len(pids) else ""
    elif wait.category == "mp_lock_orphaned" and _alike_count(chain, waits) > 1:
        alike = _alike_count(chain, waits)
        summary = f"{alike} processes wait for one lock, and {others + 1} in all: {who} {phrase}"
    elif others:
        waiting = f"{others} process{'es' if others > 1 else ''} wait{'' if others > 1 else 's'}"
        summary = f"{waiting}; {'all ' if others > 1 else ''}because {who} {phrase}"
    else:
        summary = f"{who} {phrase}"
        summary += "; other threads of that process wait for it" if len(chain.links) > 1 else ""
    return RootCause(
        summary=summary,
        category=wait.category,
        pid=chain.end[0],
        tid=chain.end[1],
        blocked=chain.blocked,
        chain=tuple(_link(key, waits) for key in chain.links),
    )


def _alike_count(chain: Chain, waits: Waits) -> int:
    """Return how many of the blocked processes wait for the same dead holder as the end itself."""
    semlock = waits.waits[chain.end].evidence.get("semlock")
    orphans = [one for one in waits.waits.values() if one.category == "mp_lock_orphaned"]
    same = {one.pid for one in orphans if one.evidence.get("semlock") == semlock}
    return len(same & {chain.end[0], *chain.blocked})


def _name_pids(pids: list[int]) -> str:
    """Return the first pids, and how many more there are."""
    more = [f"{len(pids) - MOST_NAMED} more"] if len(pids) > MOST_NAMED else []
    return join_words([*map(str, pids[:MOST_NAMED]), *more])


def _link(key: Waiter, waits: Waits) -> Link:
    thread = waits.threads[key]
    function = thread.frames[0].short_function if thread.frames else ""
    return Link(pid=key[0], tid=key[1], category=waits.waits[key].category, function=function)


def check_hang(processes: tuple[ProcessVerdict, ...], root_causes: tuple[RootCause, ...]) -> tuple[Finding, ...]:
    """Return the findings about a tree, the gravest first."""
    found = [*check_hung(processes, root_causes), *check_standing(processes), *check_zombies(processes)]
    return tuple(sorted(found, key=lambda one: ("critical", "warning", "note").index(one.severity)))


def check_hung(processes: tuple[ProcessVerdict, ...], root_causes: tuple[RootCause, ...]) -> list[Finding]:
    """AM501: processes are hung: nothing can end their wait, or it has lasted too long."""
    hung = [one for one in processes if one.state == "hung"]
    if not hung:
        return []
    pids = {one.pid for one in hung}
    causes = [one.summary for one in root_causes if one.pid in pids or pids & set(one.blocked)]
    named = _name_pids([one.pid for one in hung])
    told = next((one for one in hung[0].threads if one.state == "hung"), None)
    alone = describe_wait(told.category, told.evidence, told.frames) if told else "see its threads"
    return [
        Finding(
            code="AM501",
            severity="critical",
            pid=hung[0].pid,
            summary=f"{len(hung)} process{'es are' if len(hung) > 1 else ' is'} hung",
            evidence=f"{named}: {causes[0] if causes else alone}",
            remedy="Keep this answer before anything is restarted; end what the root cause names, not who waits",
        )
    ]


def check_standing(processes: tuple[ProcessVerdict, ...]) -> list[Finding]:
    """AM502: processes are stopped by a signal, a debugger or the freezer."""
    standing = [one for one in processes if one.state == "stopped"]
    if not standing:
        return []
    first, count = standing[0].threads[0], len(standing)
    remedies = {
        "stopped": f"Let it go on with: kill -CONT {standing[0].pid}",
        "traced": f"End or detach the tracer {first.evidence.get('tracer') or ''}".rstrip(),
        "frozen": f"Thaw its control group {first.evidence.get('cgroup') or ''}".rstrip(),
    }
    return [
        Finding(
            code="AM502",
            severity="critical",
            pid=standing[0].pid,
            summary=f"{count} process{'es are' if count > 1 else ' is'} held by {HELD_BY[first.category]}",
            evidence=_name_pids([one.pid for one in standing]),
            remedy=remedies[first.category],
        )
    ]


HELD_BY = {"stopped": "a stop signal", "traced": "a debugger", "frozen": "the freezer of their control group"}


def check_zombies(processes: tuple[ProcessVerdict, ...]) -> list[Finding]:
    """AM503: a parent does not reap its children."""
    parents: dict[int, list[int]] = {}
    for one in processes:
        if one.state == "zombie":
            parents.setdefault(one.parent_pid, []).append(one.pid)
    return [
        Finding(
            code="AM503",
            severity="warning",
            pid=parent,
            summary=f"Process {parent} has {len(pids)} ended children that it never waited for",
            evidence=f"zombies {_name_pids(pids)}",
            remedy="See what the parent waits for instead; zombies go with their parent",
        )
        for parent, pids in parents.items()
        if len(pids) > MOST_ZOMBIES
    ]
