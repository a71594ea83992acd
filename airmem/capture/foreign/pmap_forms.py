"""The tables that pmap prints, of procps (3.3 and 4.0) and of busybox: the shape of their rows and of their totals.

A table is known by the shape of its rows, never by the options or the version that made it. `-X` and `-XX`, whose
columns are the kernel's, are in pmap_columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = rb"(?P<address>[0-9a-f]{8,16}) +"
NUMBER = rb"(\d{1,15})"
PROCPS_MODE = rb"(?P<mode>[r-][w-][x-][s-][R-])"
BUSYBOX_MODE = rb"(?P<mode>[r-][w-][x-][ps])"
NAME = rb"(?: (?P<name>.*))?"
OWN_NAME = re.compile(rb"  (\[ (?:anon|stack|shmid=0x[0-9a-f]+) \])")
"""What procps calls a mapping that is no file. It cannot be told from the heap or the vdso, which it calls the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Row:
    """One mapping. `sizes` are in KiB, by the kernel's key, or the table's own word (Dirty) where it has none.

    `inode` is 0 and `flags` (VmFlags) empty where the table has none.
    """

    address: int
    permissions: str
    name: bytes
    sizes: dict[bytes, int]
    inode: int = 0
    flags: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Form:
    """One kind of table: `columns` are the numbers of a row, `sums` what its totals add up, each in their order."""

    name: str
    row: re.Pattern[bytes]
    columns: tuple[bytes, ...]
    total: re.Pattern[bytes]
    sums: tuple[Callable[[Row], int], ...]

    def parse_row(self, line: bytes) -> Row | None:
        """Return the mapping that a line is, None if it is none of this kind."""
        found = self.row.fullmatch(line)
        if found is None:
            return None
        numbers = found.groups()[1 : 1 + len(self.columns)]
        return Row(
            address=int(found["address"], 16),
            permissions=_permissions(found["mode"]),
            name=_name(found["name"] or b""),
            sizes={key: int(number) for key, number in zip(self.columns, numbers, strict=True)},
        )

    def parse_total(self, line: bytes) -> tuple[int | None, ...] | None:
        """Return the totals in KiB, in the order of `sums`, None if the line is another."""
        found = self.total.fullmatch(line)
        return None if found is None else tuple(int(one) if one.isdigit() else None for one in found.groups())


def _permissions(mode: bytes) -> str:
    """Return the kernel's four letters: procps prints `-` for private, and a fifth letter that is never set."""
    text = mode.decode("ascii")
    return text[:3] + ("s" if text[3] == "s" else "p")


def _name(raw: bytes) -> bytes:
    own = OWN_NAME.fullmatch(raw)
    return own[1] if own else raw


def _sum_of(key: bytes) -> Callable[[Row], int]:
    return lambda row: row.sizes[key]


def _private_writable(row: Row) -> int:
    return row.sizes[b"Size"] if row.permissions[1] == "w" and row.permissions[3] == "p" else 0


def _shared(row: Row) -> int:
    return row.sizes[b"Size"] if row.permissions[3] == "s" else 0


SIZE, RSS, DIRTY = _sum_of(b"Size"), _sum_of(b"Rss"), _sum_of(b"Dirty")
FORMS = (
    Form(
        name="pmap -x",
        row=re.compile(ADDRESS + NUMBER + rb" +" + NUMBER + rb" +" + NUMBER + rb" +" + PROCPS_MODE + NAME, re.DOTALL),
        columns=(b"Size", b"Rss", b"Dirty"),
        total=re.compile(rb"total kB +" + NUMBER + rb" +(\d{1,15}|-) +(\d{1,15}|-) *"),
        sums=(SIZE, RSS, DIRTY),
    ),
    Form(
        name="pmap",
        row=re.compile(ADDRESS + NUMBER + rb"K " + PROCPS_MODE + NAME, re.DOTALL),
        columns=(b"Size",),
        total=re.compile(rb" total +" + NUMBER + rb"K *"),
        sums=(SIZE,),
    ),
    Form(
        name="pmap -d",
        row=re.compile(
            ADDRESS + NUMBER + rb" +" + PROCPS_MODE + rb" [0-9a-f]{8,16} [0-9a-f]+:[0-9a-f]+" + NAME, re.DOTALL
        ),
        columns=(b"Size",),
        total=re.compile(
            rb"mapped: " + NUMBER + rb"K +writeable/private: " + NUMBER + rb"K +shared: " + NUMBER + rb"K *"
        ),
        sums=(SIZE, _private_writable, _shared),
    ),
    Form(
        name="busybox pmap -x",
        row=re.compile(
            ADDRESS + rb" +".join([NUMBER] * 4) + rb" +" + BUSYBOX_MODE + rb" ?" + NAME,
            re.DOTALL,
        ),
        columns=(b"Size", b"Pss", b"Dirty", b"Swap"),
        total=re.compile(rb"total\s+" + rb" +".join([NUMBER] * 4) + rb" *"),
        sums=(SIZE, _sum_of(b"Pss"), DIRTY, _sum_of(b"Swap")),
    ),
    Form(
        name="busybox pmap",
        row=re.compile(ADDRESS + NUMBER + rb"K " + BUSYBOX_MODE + rb" ?" + NAME, re.DOTALL),
        columns=(b"Size",),
        total=re.compile(rb"mapped: " + NUMBER + rb"K *"),
        sums=(SIZE,),
    ),
)


def find_form(line: bytes) -> Form | None:
    """Return the kind of table that a row belongs to, None if the line is no row."""
    return next((form for form in FORMS if form.row.fullmatch(line)), None)
