"""Nodes of a parsed source file: those below one, those of one function, what a call is named."""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.Module"


def below(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it, as ast.walk does."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(ast.iter_child_nodes(one))


def own_nodes(function: Function) -> list[ast.AST]:
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


def last_name(node: ast.expr) -> str:
    """Return the name that a call is known by: `get` of `jobs.get`, empty for a call of a call."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
