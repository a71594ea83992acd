"""What makes a class a noun: frozen, slotted, keyword-only fields.

A noun is a dataclass to all who ask (`dataclasses.fields`, `replace`, `asdict`), made without the standard library's
decorator: that writes and compiles the methods of each class and imports `inspect`, which costs a short command more
than its reading. Here the methods are the same for all.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_: bool) -> Callable[[Any], Any]:
        """Return the decorator as it is: what it says is for type checkers alone (PEP 681)."""
        return lambda decorator: decorator


class _Fields:
    """A noun's `__dataclass_fields__`, made when a function of `dataclasses` first asks for it."""

    def __get__(self, _: object, owner: Any) -> dict[str, Any]:
        from dataclasses import field, fields, make_dataclass  # noqa: PLC0415  # few ask

        defaults = owner.__field_defaults__
        wanted = [
            (name, kind, field(default=defaults[name]) if name in defaults else field())
            for name, kind in owner.__annotations__.items()
        ]
        made = {one.name: one for one in fields(make_dataclass(owner.__name__, wanted, kw_only=True))}
        owner.__dataclass_fields__ = made
        return made


@dataclass_transform(kw_only_default=True, frozen_default=True)
def noun(cls: type[T]) -> type[T]:
    """Return the class as a dataclass that is frozen, slotted, made by keywords, and compared by its fields.

    Its fields may have default values, not default factories; it inherits no fields.
    """
    names = tuple(cls.__annotations__)
    body = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__", *names)}
    body |= _METHODS
    body["__slots__"] = names
    body["__field_defaults__"] = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    made: Any = type(cls)(cls.__name__, cls.__bases__, body)  # type: ignore[misc]  # the metaclass makes a class
    made.__qualname__ = cls.__qualname__
    made.__field_setters__ = tuple([(name, made.__dict__[name].__set__) for name in names])
    return made  # type: ignore[no-any-return]


def replace(one: T, **changes: Any) -> T:
    """Return a copy of a noun with other values for some of its fields."""
    names: tuple[str, ...] = one.__slots__  # type: ignore[attr-defined]
    return type(one)(**{**{name: getattr(one, name) for name in names}, **changes})


def _init(self: Any, **values: Any) -> None:
    setters = self.__field_setters__
    if len(values) < len(setters):
        values = {**self.__field_defaults__, **values}
    try:
        for name, put in setters:
            put(self, values[name])
    except KeyError as missing:
        raise TypeError(f"{type(self).__name__} lacks {missing}") from None
    if len(values) > len(setters):
        raise TypeError(f"{type(self).__name__} has no {', '.join(values.keys() - set(self.__slots__))}")


def _refuse(self: Any, name: str, *_: Any) -> None:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415  # never, in a program without faults

    raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name}")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__slots__])


def _is_equal(self: Any, other: Any) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented  # type: ignore[no-any-return]
    return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)  # mostly ends at the first


def _hash(self: Any) -> int:
    return hash(_values(self))


def _show(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


_METHODS = {
    "__init__": _init,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__eq__": _is_equal,
    "__hash__": _hash,
    "__repr__": _show,
    "__dataclass_fields__": _Fields(),
}
