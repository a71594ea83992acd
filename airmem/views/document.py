"""What a document is made of. A view fills it, a renderer shows it; neither knows the other."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Cell: TypeAlias = "int | float | str | None"
"""A raw value: renderers format it by the kind of its column, and show None as unknown."""


@noun
class Column:
    """One number, described once for all formats.

    `name` is the model's word and CSV's header, `header` the short one for text, `meaning` a sentence for the docs.
    `kind` is text, title (may be cut), count, bytes, change (bytes with a sign), seconds, ratio, or part (a ratio
    in percent). Those that are `is_spare` are left away, the first of them first, where a terminal is too narrow for
    all.
    """

    name: str
    header: str
    kind: str
    meaning: str
    is_spare: bool = False


@noun
class Row:
    """The cells of one line; `indent` is its depth in a tree, `style` empty, strong, faint or alarm."""

    cells: tuple[Cell, ...]
    indent: int = 0
    style: str = ""


@noun
class Table:
    """Rows under columns. `name` is what CSV and tests call it; `caption` stands above it."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""


@noun
class Facts:
    """Lines of name, value and a remark."""

    lines: tuple[tuple[str, str, str], ...]


@noun
class Paragraph:
    """Prose; `hang` indents all lines but the first. One that `is_whole` is never wrapped: a line to copy."""

    text: str
    style: str = ""
    hang: int = 0
    is_whole: bool = False


Block: TypeAlias = "Table | Facts | Paragraph"


@noun
class Document:
    """Blocks from top to bottom."""

    blocks: tuple[Block, ...]
