"""What analysis may look up in a target: handed to it live, from a bundle, or recorded into one."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Memory(Protocol):
    """Looks up a few bytes of a process, following its pointers. A process is (pid, start in clock ticks)."""

    def read(self, key: tuple[int, int], address_bytes: int, size_bytes: int) -> bytes:
        """Return the bytes at an address: fewer where they end at an unreadable page, none where nothing is mapped."""

    def find(
        self, key: tuple[int, int], word: bytes, ranges: Sequence[tuple[int, int]], limit_bytes: int
    ) -> tuple[int, ...]:
        """Return the addresses, multiples of 8, at which 8 bytes stand in ranges (address, size in bytes).

        At most `limit_bytes` are searched; what cannot be read is passed over. For a pointer: pack it first.
        """


class Sources(Protocol):
    """Reads source files as a process sees them."""

    def text(self, key: tuple[int, int], path: str) -> str | None:
        """Return a source file of a process, by the path in its code objects; None if it cannot be read."""
