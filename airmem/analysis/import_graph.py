"""Who needs whom among the modules of one child, and what nobody needs any more when some of them are gone.

An edge says: while this module was loaded, a line asked for that one, whether it was loaded already or not. Needing
`a.b` is needing `a`, too. Node 0 is the program, which asks for what the user named.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.import_cost import ImportNeed, ImportRecord

ROOT = 0

Edges: TypeAlias = "list[set[int]]"
"""Node -> the nodes that it needs."""


class ImportGraph:
    """The graph of one record. `names[0]` is empty: the program."""

    def __init__(self, record: ImportRecord) -> None:
        self.names = ["", *dict.fromkeys(load.name for load in record.loads)]
        self.nodes = {name: node for node, name in enumerate(self.names)}
        self._by_name: dict[str, tuple[int, ...]] = {}
        self._by_need: dict[tuple[str, tuple[str, ...]], frozenset[int]] = {}
        found: list[set[int]] = [set() for _ in self.names]
        for need in record.needs:
            importer = self.nodes.get(need[0])
            if importer is not None:
                found[importer].update(self.targets(need))
        for load in record.loads:
            found[self.nodes.get(load.parent, ROOT)].add(self.nodes[load.name])
        self.edges: Edges = found
        self.families = self._find_families()
        self._all = set(range(len(self.names)))
        self._gone: dict[str, set[int]] = {}

    def targets(self, need: ImportNeed) -> frozenset[int]:
        """Return the nodes that a line needs: the module, those above it, and the names of it that are modules."""
        _, name, below, _, _ = need
        found = self._by_need.get((name, below))
        if found is None:  # eight lines in nine need what another one needs
            nodes = set(self._of_name(name))
            for one in below:
                nodes.update(self._of_name(f"{name}.{one}"))
            found = self._by_need[name, below] = frozenset(nodes)
        return found

    def _of_name(self, name: str) -> tuple[int, ...]:
        known = self._by_name.get(name)
        if known is None:
            known = tuple(self.nodes[part] for part in self_and_above(name) if part in self.nodes)
            self._by_name[name] = known
        return known

    def family(self, name: str) -> set[int]:
        """Return a module and all below it."""
        return self.families.get(name) or {self.nodes[name]}

    def gone_with(self, name: str) -> set[int]:
        """Return what the program cannot reach any more without a module and all below it, those included."""
        if name not in self._gone:
            removed = self.family(name)
            seen = set(removed)
            new = {ROOT}
            while new:
                seen |= new
                new = set().union(*(self.edges[node] for node in new)) - seen
            self._gone[name] = self._all - seen | removed
        return self._gone[name]

    def dominators(self) -> list[int]:
        """Return each node's immediate dominator: the last module that every path to it leads through.

        The program's is itself; so is that of what no path leads to. The algorithm is that of Cooper, Harvey and
        Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
        """
        order = self._postorder()
        number = {node: position for position, node in enumerate(order)}
        sources: list[list[int]] = [[] for _ in self.names]
        for source in order:
            for target in self.edges[source] - {source}:
                sources[target].append(source)
        parents: dict[int, int] = {ROOT: ROOT}
        changed = True
        while changed:
            changed = False
            for node in reversed(order[:-1]):
                known = [source for source in sources[node] if source in parents]
                best = known[0]
                for other in known[1:]:
                    best = _meet(best, other, parents, number)
                if parents.get(node) != best:
                    parents[node] = best
                    changed = True
        return [parents.get(node, ROOT) for node in range(len(self.names))]

    def _find_families(self) -> dict[str, set[int]]:
        """Return every module that has modules below it, with all of them."""
        families: dict[str, set[int]] = {}
        for node, name in enumerate(self.names):
            above = name.rpartition(".")[0]
            while above:
                if above in self.nodes:
                    families.setdefault(above, {self.nodes[above]}).add(node)
                above = above.rpartition(".")[0]
        return families

    def _postorder(self) -> list[int]:
        order: list[int] = []
        seen = bytearray(len(self.names))
        seen[ROOT] = 1
        path = [(ROOT, iter(self.edges[ROOT]))]
        while path:
            node, targets = path[-1]
            following = next((target for target in targets if not seen[target]), None)
            if following is None:
                order.append(node)
                path.pop()
            else:
                seen[following] = 1
                path.append((following, iter(self.edges[following])))
        return order


def self_and_above(name: str) -> list[str]:
    """Return the packages that a module is in, and itself: `a`, `a.b`, `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _meet(one: int, other: int, parents: dict[int, int], number: dict[int, int]) -> int:
    while one != other:
        while number[one] < number[other]:
            one = parents[one]
        while number[other] < number[one]:
            other = parents[other]
    return one
