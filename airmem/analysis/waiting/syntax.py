"""What the source says at a line: which calls, and whether it is in a loop.

Lines are those of code objects. A file that cannot be read or parsed answers nothing, which is no proof of anything.
"""

from __future__ import annotations

import ast

from airmem.analysis.waiting.syntax_nodes import below, last_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from airmem.analysis.waiting.syntax_nodes import Function

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
    """One source file, parsed once and asked often. `is_known` is False for one that could not be read or parsed."""

    def __init__(self, text: str | None) -> None:
        try:
            self._tree = ast.parse(text if text and len(text) < MOST_BYTES else "")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self._tree = ast.parse("")
        self.is_known = bool(self._tree.body)
        self._nodes = tuple(below(self._tree))
        self._withs = [node for node in self._nodes if isinstance(node, ast.With | ast.AsyncWith)]
        self._calls = [node for node in self._nodes if isinstance(node, ast.Call)]

    def call_text(self, line: int, inner: str) -> str | None:
        """Return what is called at a line (`activity.put`): the call of the function `inner` if it is there.

        `inner` is the name of the next frame, empty where that is C code; then the innermost call is meant, which runs
        first.
        """
        chosen = self._current_calls(line, inner)
        return ast.unparse(_outer_link(max(chosen, key=_depth_of), chosen).func) if chosen else None

    def calls(self, line: int) -> set[str]:
        """Return the names of all functions that are called at a line: `get` for `q.get(1)`."""
        found = {last_name(node.func) for node in self._calls_at(line)}
        for node in self._calls_at(line):
            if last_name(node.func) == "iter" and len(node.args) == 2:  # iter(queue.get, None) calls it again and again
                found.add(last_name(node.args[0]))
        return found

    def in_endless_loop(self, line: int) -> bool:
        """Whether the line stands in an endless loop of its own function: a worker that takes thing after thing."""
        function = self.function_at(line)
        nodes = below(function) if function is not self._tree else self._nodes
        return any(_is_endless(node) and node.lineno <= line <= (node.end_lineno or 0) for node in nodes)

    def iterates(self, line: int) -> bool:
        """Whether the head of a `for` loop stands at the line."""
        loops = [node for node in self._nodes if isinstance(node, ast.For)]
        return any(node.iter.lineno <= line <= (node.iter.end_lineno or line) for node in loops)

    def is_coroutine(self, line: int) -> bool:
        """Whether the innermost function around a line is `async def`."""
        return isinstance(self.function_at(line), ast.AsyncFunctionDef)

    def function_at(self, line: int) -> Function:
        """Return the innermost function around a line, the module where there is none."""
        around = [
            node
            for node in self._nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.lineno <= line <= (node.end_lineno or 0)
        ]
        return max(around, key=lambda node: node.lineno) if around else self._tree

    def _current_calls(self, line: int, inner: str) -> list[ast.Call]:
        """Return the calls of a line of which one is going on."""
        calls = [node for node in self._calls_at(line) if _is_plain(node.func)]
        named = [node for node in calls if inner and last_name(node.func) == inner]
        blocking = [node for node in calls if not inner and last_name(node.func) in BLOCKING_CALLS]
        return named or blocking or calls

    def _is_past(self, node: ast.expr, line: int, inner: str) -> bool:
        """Whether a frame at a line has run a part of its function: on a line before, or left of the call it is in.

        Of several calls that it may be in, the last one is meant.
        """
        if (node.end_lineno or 0) < line:
            return True
        current = self._current_calls(line, inner) if node.end_lineno == line else []
        end = (node.end_lineno or 0, node.end_col_offset or 0)
        return bool(current) and end <= max((one.lineno, one.col_offset) for one in current)

    def _calls_at(self, line: int) -> list[ast.Call]:
        spanning = [node for node in self._calls if node.lineno <= line <= (node.end_lineno or line)]
        exact = [node for node in spanning if line in (node.lineno, _name_line(node))]
        return exact or spanning


def _is_endless(node: ast.AST) -> TypeGuard[ast.While | ast.For]:
    """Whether this is `while` or `for ... in iter(call, sentinel)`."""
    is_iter = isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and last_name(node.iter.func) == "iter"
    return isinstance(node, ast.While) or is_iter


def _name_line(node: ast.Call) -> int:
    """Return the line on which the called name ends: where a call over several lines is, for the interpreter."""
    return node.func.end_lineno or node.lineno


def _is_plain(node: ast.expr) -> bool:
    """Whether it can be written as a name: no call of a call."""
    return bool(last_name(node))


def _outer_link(node: ast.Call, chosen: list[ast.Call]) -> ast.Call:
    """Return the last link of a chain of calls: `connect(...).execute` waits more often than `connect`."""
    for other in chosen:
        if other is not node and any(below is node for below in below(other.func)):
            return _outer_link(other, chosen)
    return node


def _depth_of(node: ast.Call) -> tuple[int, int]:
    """Order calls so that the one that runs first, the innermost, is greatest."""
    return (node.lineno, -((node.end_col_offset or 0) - node.col_offset))
