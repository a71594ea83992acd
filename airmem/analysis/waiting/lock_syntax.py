"""What the source says of locks: which a line takes, which are held there, which functions lend one."""

from __future__ import annotations

import ast
import re

from airmem.analysis.waiting.syntax import Syntax
from airmem.analysis.waiting.syntax_nodes import below, last_name, own_nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.syntax_nodes import Function

DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
TAKES = frozenset({"acquire", "__enter__"})


class LockSyntax(Syntax):
    """One source file, asked for its locks. A lock is named by its text there, `self.lock`."""

    def __init__(self, text: str | None) -> None:
        super().__init__(text)
        self._held: dict[tuple[int, str, bool], frozenset[str]] = {}
        self._exact: dict[tuple[int, str], bool] = {}

    def wanted_locks(self, line: int) -> list[str]:
        """Return the locks that a line may be taking, in its order: X and Y of `with X, Y:`, X of `X.acquire()`.

        A call among others (`with open(path) as file, X:`) is no lock.
        """
        items = [item.context_expr for node in self._withs for item in node.items if _spans(item.context_expr, line)]
        calls = [call.func for call in self._calls_at(line) if isinstance(call.func, ast.Attribute)]
        taken = [one.value for one in calls if one.attr in TAKES]
        plain = [one for one in items if not isinstance(one, ast.Call)]
        chosen = sorted([*plain, *taken] or items, key=lambda one: (one.lineno, one.col_offset))
        return [ast.unparse(one) for one in chosen]

    def is_with(self, line: int) -> bool:
        """Whether a line enters a `with` block."""
        return any(_spans(item.context_expr, line) for node in self._withs for item in node.items)

    def held_locks(self, line: int, inner: str, is_entering: bool) -> frozenset[str]:
        """Return what a frame at this line holds: X of each `with X:` around it, of each `X.acquire()` before it.

        `inner` is the function it is calling, empty where that is C code. `is_entering` tells that the frame itself is
        just taking a lock, so that the `with` at this very line is not held yet.
        """
        name = (line, inner, is_entering)
        if name not in self._held:
            self._held[name] = frozenset(self._find_held(line, inner, is_entering))
        return self._held[name]

    def _find_held(self, line: int, inner: str, is_entering: bool) -> set[str]:
        held = set()
        for node in self._withs:
            first, last = node.body[0].lineno, node.body[-1].end_lineno or 0
            is_within = first <= line <= last and (line > node.lineno or not is_entering)
            if is_within and not (is_entering and any(_spans(item.context_expr, line) for item in node.items)):
                held |= {ast.unparse(item.context_expr) for item in node.items}
        return held | self._acquired(line, inner, is_entering)

    def entered_locks(self, line: int) -> list[str]:
        """Return what a frame may hold that is taking one of several locks at this line: all but the last."""
        return self.wanted_locks(line)[:-1]

    def acquirers(self, lock: str) -> set[str]:
        """Return the functions that take a lock and give it to their caller still taken: `acquire` or `with: yield`."""
        found = set()
        for node in self._functions():
            lends = any(isinstance(inner, ast.With) and _lends(inner, lock) for inner in below(node))
            yields = any(isinstance(inner, ast.Yield) for inner in own_nodes(node))
            if lends or _last_verb(node, lock, before=yields) == "acquire":
                found.add(node.name)
        return found

    def releasers(self, lock: str) -> set[str]:
        """Return the functions that only give a lock back."""
        return {
            node.name for node in self._functions() if _last_verb(node, lock) == "release" and not _takes(node, lock)
        }

    def taken_by_calls(self, line: int, inner: str, takers: set[str], givers: set[str]) -> set[str]:
        """Return on what (`self.pool` of `self.pool.take()`, empty for `take()`) takers were called, no giver since.

        Also where a taker's `with` is around the line. `inner` as for held_locks.
        """
        last: dict[str, tuple[int, int, bool]] = {}
        for node in own_nodes(self.function_at(line)):
            is_meant = isinstance(node, ast.Call) and last_name(node.func) in takers | givers
            if isinstance(node, ast.Call) and is_meant and self._is_past(node, line, inner):
                place = (node.lineno, node.col_offset, last_name(node.func) in takers)
                last[_receiver(node)] = max(last.get(_receiver(node), place), place)
        around = {
            _receiver(item.context_expr)
            for node in self._withs
            for item in node.items
            if node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0)
            and isinstance(item.context_expr, ast.Call)
            and last_name(item.context_expr.func) in takers
        }
        return around | {on for on, (_, _, is_taken) in last.items() if is_taken}

    def receiver(self, line: int, name: str) -> str:
        """Return on what a function is called at a line: `self.pool` of `self.pool.take()`, empty for none."""
        calls = [node for node in self._calls_at(line) if last_name(node.func) == name]
        return _receiver(calls[0]) if calls else ""

    def releases(self, line: int, lock: str) -> bool:
        """Whether the function around a line gives a lock back, there or further on, that it has not taken."""
        function = self.function_at(line)
        later = [one for one, verb in _verbs(function, lock) if verb == "release" and one >= line]
        return bool(later) and not _takes(function, lock)

    def is_exact(self, line: int, lock: str) -> bool:
        """Whether a text always means the same object at a line: a dotted name that begins with a global one.

        `LOCKS[key]` does not, nor does a variable of the function or of one around it: each call has its own.
        """
        name = (line, lock)
        if name not in self._exact:
            self._exact[name] = self.is_dotted(lock) and not self._is_local(line, lock.partition(".")[0])
        return self._exact[name]

    def is_dotted(self, lock: str) -> bool:
        """Whether a text is a name with attributes, so that its first name's object and the rest mean one object."""
        return bool(DOTTED.fullmatch(lock))

    def _is_local(self, line: int, name: str) -> bool:
        """Whether a name is a variable of a function around a line."""
        for node in self._functions():
            if not node.lineno <= line <= (node.end_lineno or 0):
                continue
            inside = own_nodes(node)
            if any(isinstance(one, ast.Global) and name in one.names for one in inside):
                return False
            arguments = {one.arg for one in below(node.args) if isinstance(one, ast.arg)}
            stored = {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
            if name in arguments | stored:
                return True
        return False

    def _functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [node for node in self._nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def _acquired(self, line: int, inner: str, is_entering: bool) -> set[str]:
        """Return the locks on which `acquire` was called before in this function, and not `release` since."""
        last: dict[str, tuple[int, int, str]] = {}
        for node in own_nodes(self.function_at(line)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            is_past = node.lineno < line if is_entering else self._is_past(node, line, inner)
            if is_past and node.func.attr in ("acquire", "release"):
                lock, place = ast.unparse(node.func.value), (node.lineno, node.col_offset, node.func.attr)
                last[lock] = max(last.get(lock, place), place)
        return {lock for lock, (_, _, verb) in last.items() if verb == "acquire"} | self._lent_to_stacks(line, inner)

    def _lent_to_stacks(self, line: int, inner: str) -> set[str]:
        """Return the locks that were given to the contextlib.ExitStack of a `with` around the line."""
        around = [node for node in self._withs if node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0)]
        stacks = {ast.unparse(item.optional_vars) for node in around for item in node.items if item.optional_vars}
        given = [
            node
            for node in own_nodes(self.function_at(line))
            if isinstance(node, ast.Call) and last_name(node.func) == "enter_context" and _receiver(node) in stacks
        ]
        return {ast.unparse(one.args[0]) for one in given if one.args and self._is_past(one, line, inner)}


def _spans(node: ast.expr, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or line)


def _receiver(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""


def _verbs(function: Function, lock: str) -> list[tuple[int, str]]:
    """Return (line, verb) of each `lock.acquire()` and `lock.release()` of a function."""
    return sorted(
        (node.lineno, node.func.attr)
        for node in own_nodes(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("acquire", "release")
        and ast.unparse(node.func.value) == lock
    )


def _last_verb(function: Function, lock: str, before: bool = False) -> str:
    """Return the last of `acquire` and `release` in a function; `before` its first `yield`, which lends the lock."""
    verbs = _verbs(function, lock)
    if before:
        first = min(node.lineno for node in own_nodes(function) if isinstance(node, ast.Yield))
        verbs = [one for one in verbs if one[0] < first]
    return verbs[-1][1] if verbs else ""


def _takes(function: Function, lock: str) -> bool:
    """Whether a function takes a lock in any way."""
    items = [item for node in own_nodes(function) if isinstance(node, ast.With) for item in node.items]
    is_acquired = any(verb == "acquire" for _, verb in _verbs(function, lock))
    return is_acquired or any(ast.unparse(item.context_expr) == lock for item in items)


def _lends(node: ast.With, lock: str) -> bool:
    """Whether this is `with lock: ... yield`, the body of a context manager."""
    return any(ast.unparse(item.context_expr) == lock for item in node.items) and any(
        isinstance(inner, ast.Yield) for statement in node.body for inner in below(statement)
    )
