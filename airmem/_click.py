"""click, imported without modules that it loads and a command line like this one never uses.

`inspect`, `datetime`, `gettext`, `uuid` and, by way of that, `platform` take a fifth of what a short command executes.
While click is imported, stand-ins take their places: they answer what click asks of each, in the same way, and load the
module for all else.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def clean_line(text: str) -> str:
    """Return what `inspect.cleandoc` makes of a text, which for a single line is little."""
    if "\n" in text or "\t" in text:
        cleaned: str = import_module("inspect").cleandoc(text)
        return cleaned
    return text.lstrip(" ")


def same_text(text: str) -> str:
    """Return what `gettext.gettext` makes of a text where no catalog is bound, as none is here."""
    return text


def same_number(one: str, many: str, count: int) -> str:
    """Return what `gettext.ngettext` chooses where no catalog is bound."""
    return one if count == 1 else many


class Deferred(type):
    """The type of a class that stands for another one, whose module is loaded when somebody makes use of it."""

    def _meant(cls) -> Any:
        return getattr(import_module(cls.__module__), cls.__name__)

    def __getattr__(cls, name: str) -> Any:
        """Return what the class that is meant has of this name."""
        return getattr(cls._meant(), name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return an object of the class that is meant."""
        return cls._meant()(*args, **kwargs)

    def __instancecheck__(cls, one: Any) -> bool:
        """Tell whether an object is one of the class that is meant; there is none before its module is loaded."""
        return cls.__module__ in sys.modules and isinstance(one, cls._meant())


STAND_INS: dict[str, dict[str, Any]] = {
    "inspect": {"cleandoc": clean_line},
    "gettext": {"gettext": same_text, "ngettext": same_number},
    "datetime": {"datetime": Deferred("datetime", (), {"__module__": "datetime"})},
    "uuid": {"UUID": Deferred("UUID", (), {"__module__": "uuid"})},
}
"""Module -> what click asks of it at once. Of datetime and uuid it names one class each, in types of options."""


class StandIn(ModuleType):
    """A module that is loaded when something of it is used that the stand-in has not."""

    def __getattr__(self, name: str) -> Any:
        """Return what the module itself has of this name; what the import system asks a module, this one has not."""
        if name.startswith("__"):
            raise AttributeError(name)
        self.step_aside()
        return getattr(import_module(self.__name__), name)

    def step_aside(self) -> None:
        """Leave the place to the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


@contextmanager
def stand_in() -> Iterator[None]:
    """Put stand-ins where modules are not loaded yet, and take them out again."""
    absent = [StandIn(name) for name in STAND_INS if name not in sys.modules]
    for module in absent:
        vars(module).update(STAND_INS[module.__name__])
        sys.modules[module.__name__] = module
    try:
        yield
    finally:
        for module in absent:
            module.step_aside()


with stand_in():
    import click

__all__ = ["click"]
