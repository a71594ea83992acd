"""Who waits for whom: threads that can never go on, knots among them, and the ends of chains.

A wait that needs all (a lock's holder, a thread to join) is stuck when one of them is; a wait that needs any (who
writes into a pipe) when all of them are. The largest set in which every member is stuck for members of the set is what
can never go on: a cycle, through whatever processes, and all that waits for it.
"""

from __future__ import annotations

from airmem.model.noun import replace
from airmem.model.verdict import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.verdict import Target, Wait, Waiter

HEALTHY = frozenset({"idle", "running"})
THREAD_LOCKS = frozenset({"lock_wait"})
CHANNELS = frozenset({"pipe_read", "pipe_write", "unix_recv", "mp_lock_wait"})
LOCK_LIKE = (
    "lock_deadlock", "file_lock", "db_wait", "import_lock", "ipc_cycle", "asyncio_blocked", "child_wait", "join_wait",
    "shutdown_wait",
)  # fmt: skip
"""Which member of a knot tells most about it."""

ENDS_ALONE = frozenset({"self_deadlock", "fork_lock", "mp_lock_orphaned", "pool_exhausted"})
"""Waits that are a root cause although no other thread waits for this one: their end is dead, or themselves."""


class Graph:
    """The waits of all threads; what it finds out is in `waits`, `stuck` and `chains()`."""

    def __init__(self, waits: Mapping[Waiter, Wait]) -> None:
        self.waits = dict(waits)
        self._threads: dict[int, list[Waiter]] = {}
        for waiter in self.waits:
            self._threads.setdefault(waiter[0], []).append(waiter)
        self.stuck = self._find_stuck()
        for waiter in self.stuck:
            self.waits[waiter] = _in_knot(self.waits[waiter])

    def chains(self) -> list[Chain]:
        """Return knots and the ends of chains, those that block most processes first."""
        found = [*self._knots(), *self._ends()]
        return sorted(found, key=lambda one: (-len(one.blocked), one.end))

    def targets(self, waiter: Waiter) -> list[Waiter]:
        """Return the threads that a thread waits for; of a process the one to look at."""
        wait = self.waits[waiter]
        found: list[Waiter] = []
        for pid, tid in wait.needs:
            if tid is not None:
                found += [(pid, tid)] if (pid, tid) in self.waits else []
            elif waiter in self.stuck and wait.category not in ("child_wait",):
                found += self._serving(pid)
            else:
                found += self._first(pid)
        return found

    def _find_stuck(self) -> set[Waiter]:
        stuck = {waiter for waiter, wait in self.waits.items() if wait.needs and not _ends_by_itself(wait)}
        changed = True
        while changed:
            changed = False
            for waiter in list(stuck):
                wait = self.waits[waiter]
                dead = [self._is_dead(wait, target, stuck) for target in wait.needs]
                if not (any(dead) if wait.needs_all else all(dead)):
                    stuck.discard(waiter)
                    changed = True
        return stuck

    def _is_dead(self, wait: Wait, target: Target, stuck: set[Waiter]) -> bool:
        pid, tid = target
        if tid is not None:
            return (pid, tid) in stuck
        if wait.category == "child_wait":
            return (pid, pid) in stuck
        serving = self._serving(pid)
        return bool(serving) and all(one in stuck for one in serving)

    def _serving(self, pid: int) -> list[Waiter]:
        """Return the threads of a process that could do something for others: not those that only serve a library."""
        threads = self._threads.get(pid, [])
        return [one for one in threads if not (self.waits[one].place and one[0] != one[1])] or threads

    def _first(self, pid: int) -> list[Waiter]:
        threads = self._threads.get(pid, [])
        return [(pid, pid)] if (pid, pid) in self.waits else threads[:1]

    def _knots(self) -> list[Chain]:
        """Return the cycles at which the stuck threads end."""
        edges = {one: [each for each in self.targets(one) if each in self.stuck] for one in self.stuck}
        found = []
        for group in _components(edges):
            members = set(group)
            leaves = any(target not in members for one in group for target in edges[one])
            if leaves or (len(group) == 1 and group[0] not in edges[group[0]]):
                continue
            end = min(group, key=self._rank)
            blocked, links = self._blocked(end, members, edges)
            found.append(Chain(end=end, knot=tuple(sorted(group)), blocked=blocked, links=links))
        return found

    def _rank(self, waiter: Waiter) -> tuple[int, Waiter]:
        category = self.waits[waiter].category
        return (LOCK_LIKE.index(category) if category in LOCK_LIKE else len(LOCK_LIKE)), waiter

    def _ends(self) -> list[Chain]:
        """Return the threads outside of knots that others wait for and that wait for nothing inside."""
        edges = {one: self._followed(one) for one in self.waits if one not in self.stuck}
        found: list[Chain] = []
        for one, wait in self.waits.items():
            if one in self.stuck or wait.category in HEALTHY or edges[one]:
                continue
            blocked, links = self._blocked(one, {one}, edges)
            waiters = len(links) > 1
            if waiters or wait.category in ENDS_ALONE or (wait.nobody and wait.category in ("lock_wait", "pipe_read")):
                found.append(Chain(end=one, knot=(), blocked=blocked, links=links))
        return self._merged(found)

    def _merged(self, chains: list[Chain]) -> list[Chain]:
        """Put together those that wait for the same dead holder: one semaphore, one lock."""
        merged: dict[tuple[object, ...], Chain] = {}
        for one in chains:
            wait = self.waits[one.end]
            is_same = wait.category in ("mp_lock_orphaned", "pool_exhausted")
            pid = one.end[0] if wait.category == "pool_exhausted" else 0
            name = (wait.category, wait.evidence.get("semlock") if is_same else one.end, pid)
            old = merged.get(name)
            if old is None:
                merged[name] = one
                continue
            links = max(old.links, one.links, key=len)
            blocked = tuple(sorted({*old.blocked, *one.blocked}))
            merged[name] = Chain(end=links[-1], knot=(), blocked=blocked, links=links)
        return list(merged.values())

    def _followed(self, waiter: Waiter) -> list[Waiter]:
        """Return whom to follow from a waiter: whom it waits for and who stands itself."""
        wait = self.waits[waiter]
        if wait.category in HEALTHY:
            return []
        targets = [one for one in self.targets(waiter) if one != waiter]
        standing = [one for one in targets if self.waits[one].category not in HEALTHY]
        if not wait.needs_all:
            return standing[:1] if len(standing) >= len(wait.needs) else []
        return standing

    def _blocked(
        self, end: Waiter, members: set[Waiter], edges: dict[Waiter, list[Waiter]]
    ) -> tuple[tuple[int, ...], tuple[Waiter, ...]]:
        """Return the processes with a thread that waits for these, and the longest way of those found to the end."""
        every = {**{one: self._followed(one) for one in self.waits}, **edges}
        sources: dict[Waiter, list[Waiter]] = {}
        for one, targets in every.items():
            for target in targets:
                sources.setdefault(target, []).append(one)
        way: dict[Waiter, Waiter | None] = {end: None}
        todo = [end]
        for one in todo:
            for source in sources.get(one, ()):
                if source not in way and self.waits[source].category not in HEALTHY:
                    way[source] = one
                    todo.append(source)
        pids = {one[0] for one in way if one != end} | {one[0] for one in members if len(members) > 1}
        is_alone = len(way) == 1 and len(members) == 1
        links: list[Waiter] = []
        step: Waiter | None = todo[-1]
        while step is not None:
            links.append(step)
            step = way[step]
        return tuple(sorted(pids or ({end[0]} if is_alone else set()))), tuple(links)


def _ends_by_itself(wait: Wait) -> bool:
    return wait.is_timed or isinstance(wait.evidence.get("timeout_s"), int | float)


def _in_knot(wait: Wait) -> Wait:
    """Return a wait as a member of a knot: locks become deadlocks, channels cycles, others are marked."""
    if wait.category in THREAD_LOCKS:
        return replace(wait, category="lock_deadlock", is_deadlocked=True)
    is_channel = wait.category in CHANNELS or (wait.category == "idle" and bool(wait.needs))
    if is_channel:
        evidence = {key: value for key, value in wait.evidence.items() if key != "mechanism"}
        return replace(wait, category="ipc_cycle", evidence=evidence, is_deadlocked=True, place="")
    return replace(wait, evidence={**wait.evidence, "deadlock": True}, is_deadlocked=True)


def _components(edges: dict[Waiter, list[Waiter]]) -> list[list[Waiter]]:
    """Return the strongly connected components (Tarjan, without recursion)."""
    index: dict[Waiter, int] = {}
    low: dict[Waiter, int] = {}
    stack: list[Waiter] = []
    on_stack: set[Waiter] = set()
    found: list[list[Waiter]] = []
    for start in edges:
        if start in index:
            continue
        work: list[tuple[Waiter, int]] = [(start, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            for at in range(position, len(edges[node])):
                target = edges[node][at]
                if target not in index:
                    work += [(node, at + 1), (target, 0)]
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                if low[node] == index[node]:
                    group = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        group.append(member)
                        if member == node:
                            break
                    found.append(group)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return found
