"""click, imported without two modules that it loads and a command line like this one never uses.

`inspect`, and `platform` by way of `uuid`, take a quarter of the time in which a short command starts. While click is
imported, stand-ins take their places: they answer the one question that click asks of each, in the same way, and load
the module for any other.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def clean_line(text: str) -> str:
    """Return what `inspect.cleandoc` makes of a text, which for a single line is little."""
    if "\n" in text or "\t" in text:
        cleaned: str = import_module("inspect").cleandoc(text)
        return cleaned
    return text.lstrip(" ")


STAND_INS: dict[str, tuple[str, Callable[..., str]]] = {
    "inspect": ("cleandoc", clean_line),
    "platform": ("system", lambda: os.uname().sysname),
}
"""Module -> what is asked of it and who answers. The help of each option is cleaned; uuid asks for the system."""


class StandIn(ModuleType):
    """A module that is loaded when something of it is used that the stand-in has not."""

    def __getattr__(self, name: str) -> Any:
        """Return what the module itself has of this name."""
        return getattr(import_module(self.__name__), name)


@contextmanager
def stand_in() -> Iterator[None]:
    """Put stand-ins where modules are not loaded yet, and take them out again."""
    absent = [name for name in STAND_INS if name not in sys.modules]
    for name in absent:
        answer, function = STAND_INS[name]
        module = StandIn(name)
        setattr(module, answer, function)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with stand_in():
    import click

__all__ = ["click"]
