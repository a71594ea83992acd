"""The tables of `pmap -X` and `-XX` (procps): the kernel's own rows of smaps as columns, under the kernel's names."""

from __future__ import annotations

from airmem.capture.foreign.pmap_forms import Row

FIRST = (b"Address", b"Perm", b"Offset", b"Device", b"Inode")
UNSUMMED = (*FIRST, b"VmFlags", b"Mapping")


class ColumnTable:
    """One table, known by its heading: a column's words stand in its order, and the name from where `Mapping` begins.

    Errors: ValueError when the heading lacks what is needed.
    """

    def __init__(self, heading: bytes) -> None:
        self.columns = heading.split()
        if self.columns[-1:] != [b"Mapping"] or self.columns[:5] != [*FIRST] or b"Size" not in self.columns:
            raise ValueError(heading)
        self.name = "pmap -XX" if b"VmFlags" in self.columns else "pmap -X"
        self.summed = tuple(one for one in self.columns if one not in UNSUMMED)
        self._name_at = heading.rindex(b"Mapping")

    def parse_row(self, line: bytes) -> Row | None:
        """Return the mapping that a line is, None if it is none."""
        words = line[: self._name_at].split()
        if b"VmFlags" in self.columns:
            at = self.columns.index(b"VmFlags")
            end = len(words) - (len(self.columns) - at - 2)
            flags = tuple(words[at:end])
            words[at:end] = [b""]
        else:
            flags = ()
        is_whole = len(line) >= self._name_at - 1 and line[self._name_at - 1 : self._name_at] in (b" ", b"")
        if len(words) != len(self.columns) - 1 or not is_whole:
            return None
        cells = dict(zip(self.columns, words, strict=False))
        try:
            return Row(
                address=_hexadecimal(cells[b"Address"]),
                permissions=_permissions(cells[b"Perm"]),
                name=line[self._name_at :],
                sizes={key: _decimal(cells[key]) for key in self.summed},
                inode=_decimal(cells[b"Inode"]),
                flags=flags,
            )
        except ValueError:
            return None

    def parse_total(self, line: bytes) -> tuple[int | None, ...] | None:
        """Return the totals in the order of `summed`, None if the line is another."""
        words = line.split()
        if words[-1:] != [b"KB"] or not all(word.isdigit() and len(word) < 16 for word in words[:-1]):
            return None
        return tuple(int(word) for word in words[:-1]) if len(words) == len(self.summed) + 1 else None


def is_heading(line: bytes) -> bool:
    """Whether a line is the heading of such a table."""
    return line.split()[:2] == [b"Address", b"Perm"]


def is_bare_row(line: bytes) -> bool:
    """Whether a line looks like a row: without its heading (`pmap -Xq`) nobody can say what its numbers are."""
    words = line.split()
    if len(words) < 6 or len(words[1]) != 4 or words[1].strip(b"rwxsp-") or words[3].count(b":") != 1:
        return False
    return not any(word.strip(b"0123456789abcdef") for word in (words[0], words[2]))


def _permissions(word: bytes) -> str:
    if len(word) != 4 or word.strip(b"rwxsp-"):
        raise ValueError(word)
    return word.decode("ascii")


def _hexadecimal(word: bytes) -> int:
    if len(word) > 16 or word.strip(b"0123456789abcdef"):
        raise ValueError(word)
    return int(word, 16)


def _decimal(word: bytes) -> int:
    if not word.isdigit() or len(word) > 15 + 5:
        raise ValueError(word)
    return int(word)
