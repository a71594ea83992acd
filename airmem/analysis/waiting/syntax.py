"""What the source says at a line: which calls, which lock is taken, which locks are held, whether it is in a loop.

Lines are those of code objects. A file that cannot be read or parsed answers nothing, which is no proof of anything.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.Module"
MOST_BYTES = 4 << 20
"""A generated module larger than this is not parsed: it would take seconds."""


BLOCKING_CALLS = frozenset(
    {"accept", "acquire", "commit", "communicate", "connect", "do_handshake", "execute", "executemany", "fetchall",
     "fetchone", "flock", "get", "getaddrinfo", "join", "listdir", "lockf", "open", "poll", "put", "read", "readinto",
     "readline", "recv", "recv_into", "recvfrom", "recvmsg", "result", "scandir", "select", "send", "sendall",
     "sendto", "sleep", "stat", "wait", "wait4", "waitid", "waitpid", "write"}
)  # fmt: skip
"""Functions written in C that wait: of several calls in a line, one of these."""


class Syntax:
    """One source file, parsed once and asked often."""

    def __init__(self, text: str | None) -> None:
        try:
            self._tree = ast.parse(text if text and len(text) < MOST_BYTES else "")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self._tree = ast.parse("")
        self._nodes = tuple(_below(self._tree))
        self._withs = [node for node in self._nodes if isinstance(node, ast.With | ast.AsyncWith)]
        self._calls = [node for node in self._nodes if isinstance(node, ast.Call)]

    def call_text(self, line: int, inner: str) -> str | None:
        """Return what is called at a line (`activity.put`): the call of the function `inner` if it is there.

        `inner` is the name of the next frame, empty where that is C code; then the innermost call is meant, which runs
        first.
        """
        calls = [node for node in self._calls_at(line) if _is_plain(node.func)]
        named = [node for node in calls if inner and _last_name(node.func) == inner]
        blocking = [node for node in calls if not inner and _last_name(node.func) in BLOCKING_CALLS]
        chosen = named or blocking or calls
        return ast.unparse(_outer_link(max(chosen, key=_depth_of), chosen).func) if chosen else None

    def calls(self, line: int) -> set[str]:
        """Return the names of all functions that are called at a line: `get` for `q.get(1)`."""
        found = {_last_name(node.func) for node in self._calls_at(line)}
        for node in self._calls_at(line):
            if (
                _last_name(node.func) == "iter" and len(node.args) == 2
            ):  # iter(queue.get, None) calls it again and again
                found.add(_last_name(node.args[0]))
        return found

    def wanted_lock(self, line: int) -> str | None:
        """Return the lock that a line takes: X of `with X:` or of `X.acquire()`, None if it takes none."""
        for node in self._withs:
            for item in node.items:
                if item.context_expr.lineno <= line <= (item.context_expr.end_lineno or line):
                    return ast.unparse(item.context_expr)
        for call in self._calls_at(line):
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("acquire", "__enter__"):
                return ast.unparse(call.func.value)
        return None

    def held_locks(self, line: int, is_entering: bool) -> set[str]:
        """Return what a frame at this line holds: X of each `with X:` around it, of each `X.acquire()` before it.

        `is_entering` tells that the frame itself is just taking a lock, so that the `with` at this very line is not
        held yet.
        """
        held = set()
        for node in self._withs:
            first, last = node.body[0].lineno, node.body[-1].end_lineno or 0
            is_within = first <= line <= last and (line > node.lineno or not is_entering)
            if is_within and not (is_entering and self._is_taken_at(node, line)):
                held |= {ast.unparse(item.context_expr) for item in node.items}
        return held | self._acquired(line)

    def in_endless_loop(self, line: int) -> bool:
        """Whether the line stands in an endless loop of its own function: a worker that takes thing after thing."""
        function = self.function_at(line)
        nodes = _below(function) if function is not self._tree else self._nodes
        return any(_is_endless(node) and node.lineno <= line <= (node.end_lineno or 0) for node in nodes)

    def is_coroutine(self, line: int) -> bool:
        """Whether the innermost function around a line is `async def`."""
        return isinstance(self.function_at(line), ast.AsyncFunctionDef)

    def acquirers(self, lock: str) -> set[str]:
        """Return the functions that take a lock and give it to their caller still taken: `acquire` or `with: yield`."""
        found = set()
        for node in self._nodes:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for inner in _below(node):
                is_taken = isinstance(inner, ast.Call) and _is_acquire(inner, lock)
                is_lent = isinstance(inner, ast.With) and _lends(inner, lock)
                if is_taken or is_lent:
                    found.add(node.name)
        return found

    def has_called(self, line: int, names: set[str]) -> bool:
        """Whether the function at this line called one of these before the line, or in a `with` around it."""
        function = self.function_at(line)
        for node in _below(function):
            if isinstance(node, ast.Call) and _last_name(node.func) in names and (node.end_lineno or 0) < line:
                return True
        return any(
            node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0)
            and any(isinstance(one, ast.Call) and _last_name(one.func) in names for one in map(_expression, node.items))
            for node in self._withs
        )

    def function_at(self, line: int) -> Function:
        """Return the innermost function around a line, the module where there is none."""
        around = [
            node
            for node in self._nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.lineno <= line <= (node.end_lineno or 0)
        ]
        return max(around, key=lambda node: node.lineno) if around else self._tree

    def _calls_at(self, line: int) -> list[ast.Call]:
        spanning = [node for node in self._calls if node.lineno <= line <= (node.end_lineno or line)]
        exact = [node for node in spanning if line in (node.lineno, _name_line(node))]
        return exact or spanning

    def _acquired(self, line: int) -> set[str]:
        """Return the locks on which `acquire` was called before the line in this function, and not `release` since."""
        last: dict[str, tuple[int, str]] = {}
        for node in _own_nodes(self.function_at(line)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)) or node.lineno >= line:
                continue
            if node.func.attr in ("acquire", "release"):
                lock = ast.unparse(node.func.value)
                last[lock] = max(last.get(lock, (0, "")), (node.lineno, node.func.attr))
        return {lock for lock, (_, verb) in last.items() if verb == "acquire"}

    def _is_taken_at(self, node: ast.With | ast.AsyncWith, line: int) -> bool:
        return any(item.context_expr.lineno <= line <= (item.context_expr.end_lineno or line) for item in node.items)


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it, as ast.walk does."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(ast.iter_child_nodes(one))


def _own_nodes(function: Function) -> list[ast.AST]:
    """Return the nodes of a function without those of functions defined in it."""
    found: list[ast.AST] = []
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        found.append(node)
        todo.extend(ast.iter_child_nodes(node))
    return found


def _is_endless(node: ast.AST) -> TypeGuard[ast.While | ast.For]:
    """Whether this is `while` or `for ... in iter(call, sentinel)`."""
    is_iter = isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and _last_name(node.iter.func) == "iter"
    return isinstance(node, ast.While) or is_iter


def _expression(item: ast.withitem) -> ast.expr:
    return item.context_expr


def _is_acquire(node: ast.Call, lock: str) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == "acquire" and ast.unparse(node.func.value) == lock


def _lends(node: ast.With, lock: str) -> bool:
    """Whether this is `with lock: ... yield`, the body of a context manager."""
    return any(ast.unparse(item.context_expr) == lock for item in node.items) and any(
        isinstance(inner, ast.Yield) for statement in node.body for inner in _below(statement)
    )


def _name_line(node: ast.Call) -> int:
    """Return the line on which the called name ends: where a call over several lines is, for the interpreter."""
    return node.func.end_lineno or node.lineno


def _is_plain(node: ast.expr) -> bool:
    """Whether it can be written as a name: no call of a call."""
    return bool(_last_name(node))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _outer_link(node: ast.Call, chosen: list[ast.Call]) -> ast.Call:
    """Return the last link of a chain of calls: `connect(...).execute` waits more often than `connect`."""
    for other in chosen:
        if other is not node and any(below is node for below in _below(other.func)):
            return _outer_link(other, chosen)
    return node


def _depth_of(node: ast.Call) -> tuple[int, int]:
    """Order calls so that the one that runs first, the innermost, is greatest."""
    return (node.lineno, -((node.end_col_offset or 0) - node.col_offset))
