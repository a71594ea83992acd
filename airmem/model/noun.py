"""What makes a class a noun: frozen, slotted, keyword-only fields.

The standard library writes and compiles the methods of each dataclass, which takes half a millisecond for a frozen one,
and a short command needs a dozen of them. Here the methods are the same for all.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Callable[[Any], Any]:
        """Return the decorator as it is: what it says is for type checkers alone (PEP 681)."""
        return lambda decorator: decorator


T = TypeVar("T")

_set = object.__setattr__


@dataclass_transform(kw_only_default=True, frozen_default=True)
def noun(cls: type[T]) -> type[T]:
    """Return the class as a dataclass that is frozen, slotted, made by keywords, and compared by its fields.

    It works with the functions of `dataclasses`. Its fields may have default values, not default factories.
    """
    made: Any = dataclass(init=False, eq=False, repr=False, slots=True, kw_only=True)(cls)
    made.__init__ = _init
    made.__setattr__ = made.__delattr__ = _refuse
    made.__eq__ = _is_equal
    made.__hash__ = _hash
    made.__repr__ = _show
    return made  # type: ignore[no-any-return]


def _init(self: Any, **values: Any) -> None:
    names = self.__slots__
    if len(values) < len(names):
        fields = self.__dataclass_fields__
        defaults = {name: fields[name].default for name in names if fields[name].default is not MISSING}
        values = {**defaults, **values}
    try:
        for name in names:
            _set(self, name, values.pop(name))
    except KeyError as missing:
        raise TypeError(f"{type(self).__name__} lacks {missing}") from None
    if values:
        raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name}")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__slots__])


def _is_equal(self: Any, other: Any) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _show(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"
