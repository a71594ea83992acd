"""Hangs that others had before: one rule for each, with the story's address."""

from __future__ import annotations

from airmem.analysis.waiting.caller import asker_name
from airmem.model.verdict import KnownPattern
from airmem.services.databases import blocker_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.analysis.waiting.answer import Waits
    from airmem.analysis.waiting.scene import Thread
    from airmem.model.service import ServiceRole
    from airmem.model.verdict import Wait, Waiter

AIRFLOW = "https://github.com/apache/airflow/issues"
AIRFLOW_PULLS = "https://github.com/apache/airflow/pull"
HTTP_CLIENTS = ("/urllib3/", "/requests/", "/kubernetes/", "/boto", "/http/client.py", "/httpx/", "/httpcore/")
PARSE_LIMIT_SECONDS = 50.0
"""[dag_processor] dag_file_processor_timeout, by default."""

SETTLED_SECONDS = 2.0
"""A supervisor whose task has just ended is woken at once; one that lingers polls every five seconds."""

PARSE_WARNING_RATIO = 0.8


def check_known(waits: Waits, roles: dict[int, ServiceRole]) -> tuple[KnownPattern, ...]:
    """Return the known hangs that this tree shows, each once."""
    return tuple(pattern for rule in RULES for pattern in rule(waits, roles))


def check_two_pipes(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:
    """R1: the LocalExecutor and its workers write into full pipes, each waiting for the other to read."""
    writers = [key for key in _of(waits, "ipc_cycle") if "put" in _functions(waits.threads[key])]
    parents = {waits.threads[key].process.process.parent_pid for key in writers}
    both = [key for key in writers if key[0] in parents and _is_executor(waits, roles, key)]
    if not both:
        return []
    return [
        KnownPattern(
            code="R1",
            summary=f"LocalExecutor's two-pipe deadlock: scheduler {both[0][0]} puts work, its workers put results",
            remedy="End the scheduler with SIGKILL, its workers too, and start it again; run fewer tasks at once",
            link=f"{AIRFLOW}/70526",
        )
    ]


def check_fork_lock(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:  # noqa: ARG001
    """R2: a lock that another thread held when the process was forked is never released in the child."""
    found = _of(waits, "fork_lock")
    if not found:
        return []
    wait = waits.waits[found[0]]
    return [
        KnownPattern(
            code="R2",
            summary=f"A lock was inherited across fork: process {found[0][0]} waits for {wait.evidence.get('lock')}",
            remedy="End the child; start processes before threads, or with spawn or forkserver",
            link=f"{AIRFLOW_PULLS}/70690",
        )
    ]


def check_pool_shutdown(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:  # noqa: ARG001
    """R3: a parent joins children that wait for a queue's lock whose holder is dead."""
    orphans = {key[0] for key in _of(waits, "mp_lock_orphaned")}
    joins = [key for key in _of(waits, "child_wait") if {pid for pid, _ in waits.waits[key].needs} & orphans]
    if not joins:
        return []
    return [
        KnownPattern(
            code="R3",
            summary=f"Process {joins[0][0]} joins a child that waits for an orphaned queue lock",
            remedy="End the child with SIGKILL; replace the pool instead of the one worker",
            link=f"{AIRFLOW_PULLS}/15989",
        )
    ]


def check_blocked_loop(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:
    """R4: a synchronous call blocks an event loop; a triggerer's parent goes on with its heartbeat."""
    found = _of(waits, "asyncio_blocked")
    if not found:
        return []
    role = roles.get(found[0][0])
    is_triggerer = role is not None and role.component == "triggerer"
    lies = " The triggerer's heartbeat stays fresh before 3.2.2: health checks do not see it." if is_triggerer else ""
    coroutine = waits.waits[found[0]].evidence.get("coroutine")
    return [
        KnownPattern(
            code="R4",
            summary=f"A synchronous call in {coroutine} blocks the event loop of process {found[0][0]}",
            remedy=f"Call it with asyncio.to_thread, or use an asynchronous client.{lies}",
            link=f"{AIRFLOW}/65286" if is_triggerer else "https://docs.python.org/3/library/asyncio-dev.html",
        )
    ]


def check_no_timeout(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:  # noqa: ARG001
    """R5: an HTTP client (kubernetes, boto, requests) waits for a server, and nobody gave a timeout."""
    for key, wait in waits.waits.items():
        is_socket = wait.category == "socket_recv" or wait.evidence.get("blocked_by") == "socket_recv"
        if not is_socket or wait.evidence.get("timeout_s") is not None:
            continue
        thread = waits.threads[key]
        if not any(part in frame.file for frame in thread.frames[:20] for part in HTTP_CLIENTS):
            continue
        is_kubernetes = any("/kubernetes/" in frame.file for frame in thread.frames)
        who = "Kubernetes API" if is_kubernetes else "HTTP server"
        give = "_request_timeout=(10, 60)" if is_kubernetes else "timeout="
        return [
            KnownPattern(
                code="R5",
                summary=f"No timeout on the {who}: {asker_name(thread.frames)} waits for {wait.evidence.get('remote')}",
                remedy=f"Give the client a timeout ({give}) and let TCP keepalive find dead connections",
                link=f"{AIRFLOW}/12644",
            )
        ]
    return []


def check_database(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:  # noqa: ARG001
    """R6: the database has not answered: who holds the lock is to be asked there."""
    for key in _of(waits, "db_wait"):
        evidence = waits.waits[key].evidence
        database, port = str(evidence.get("db")), evidence.get("local_port")
        query = blocker_query(database, port if isinstance(port, int) else None)
        if not query:
            continue
        return [
            KnownPattern(
                code="R6",
                summary=f"Process {key[0]} waits for an answer of {database}",
                remedy=f"Ask the database who blocks it: {query}",
                link=f"{AIRFLOW}/68101",
            )
        ]
    return []


def check_lingering(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:
    """R7: a task's supervisor selects on, though its task has ended."""
    processes = waits.scene.snapshot.processes
    for key, thread in waits.threads.items():
        if not any("supervisor.py" in frame.file and "airflow" in frame.file for frame in thread.frames):
            continue
        if not any(
            frame.short_function in ("wait", "_monitor_subprocess", "_service_subprocess") for frame in thread.frames
        ):
            continue
        children = [one.process for one in processes.values() if one.process.parent_pid == key[0]]
        role = roles.get(key[0])
        is_supervisor = role is not None and role.role in ("supervisor", "worker", "parent") and role.activity
        rests = waits.waits[key].category == "idle" and (thread.since_seconds or 0.0) > SETTLED_SECONDS
        if is_supervisor and rests and all(child.is_zombie for child in children):
            return [
                KnownPattern(
                    code="R7",
                    summary=f"Supervisor {key[0]} goes on without a living task",
                    remedy="End it; from 3.0.3 on [workers] socket_cleanup_timeout does",
                    link=f"{AIRFLOW}/50500",
                )
            ]
    return []


def check_slow_parser(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:
    """R8: a parser is about to be killed for taking too long."""
    snapshot = waits.scene.snapshot
    for pid, one in snapshot.processes.items():
        role = roles.get(pid)
        if role is None or role.role != "parser":
            continue
        age_seconds = snapshot.boot_seconds - one.process.start_ticks / snapshot.ticks_per_second_count
        if age_seconds > PARSE_WARNING_RATIO * PARSE_LIMIT_SECONDS:
            return [
                KnownPattern(
                    code="R8",
                    summary=f"Parser {pid} runs for {age_seconds:.0f} s; at {PARSE_LIMIT_SECONDS:.0f} s it is killed",
                    remedy="See in its verdict which line of the DAG file waits; move it out of the top level",
                    link=f"{AIRFLOW}/56959",
                )
            ]
    return []


def check_orphaned_queue(waits: Waits, roles: dict[int, ServiceRole]) -> list[KnownPattern]:
    """R9: the worker that read the executor's queue was killed and took the queue's read lock with it."""
    found = [
        key
        for key in _of(waits, "mp_lock_orphaned")
        if "get" in _functions(waits.threads[key]) and _is_executor(waits, roles, key)
    ]
    if not found:
        return []
    return [
        KnownPattern(
            code="R9",
            summary=f"An idle worker was killed with the queue's read lock in its hands: {len(found)} workers starve",
            remedy="Restart the scheduler: health checks stay green, and no task starts until then",
            link="https://docs.python.org/3/library/multiprocessing.html#multiprocessing.Process.terminate",
        )
    ]


RULES: tuple[Callable[[Waits, dict[int, ServiceRole]], list[KnownPattern]], ...] = (
    check_two_pipes,
    check_fork_lock,
    check_pool_shutdown,
    check_blocked_loop,
    check_no_timeout,
    check_database,
    check_lingering,
    check_slow_parser,
    check_orphaned_queue,
)


def _of(waits: Waits, category: str) -> list[Waiter]:
    return [key for key, wait in waits.waits.items() if _is(wait, category)]


def _is(wait: Wait, category: str) -> bool:
    return wait.category == category


def _functions(thread: Thread) -> set[str]:
    return {frame.short_function for frame in thread.frames}


def _is_executor(waits: Waits, roles: dict[int, ServiceRole], key: Waiter) -> bool:
    """Whether a thread is a LocalExecutor's, or its scheduler's."""
    role = roles.get(key[0])
    in_executor = any("executors/local_executor.py" in frame.file for frame in waits.threads[key].frames)
    return in_executor or (role is not None and role.component == "scheduler")
