"""Bundles of evidence: packed for a file, and opened to ask them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airmem.collect import clock

if TYPE_CHECKING:
    from airmem.collect.hang_source import HangRecord, KeptHang


def pack(record: HangRecord) -> dict[str, bytes]:
    """Return the files of a bundle that hold what was read, by their names in it."""
    from airmem.capture.hang_bundle import pack_record  # noqa: PLC0415  # brings readers that most commands do without

    return pack_record(record)


def open_hang(path: str) -> KeptHang:
    """Return what hang-dump read then, as a source to ask again (`answer_hang(..., source=)`).

    Errors: UsageProblem when it cannot be read, Malformed when it is no bundle.
    """
    from airmem.capture.hang_bundle import open_bundle  # noqa: PLC0415
    from airmem.collect.hang_source import KeptHang  # noqa: PLC0415

    return KeptHang(open_bundle(path))


def archive(members: dict[str, bytes]) -> bytes:
    """Return the files of a bundle as one compressed tar."""
    from airmem.capture.pack import pack_archive  # noqa: PLC0415

    return pack_archive(members, clock.now_seconds())


def write_folder(members: dict[str, bytes], path: str) -> None:
    """Write the files of a bundle into a new folder that only its owner can read. Errors: UsageProblem."""
    from airmem.capture import pack as packing  # noqa: PLC0415

    packing.write_folder(members, path)


class EvidenceFolder:
    """The folder that guard keeps its bundles in: bounded, and one bundle at a time."""

    def __init__(self, given: str | None) -> None:
        """Find a folder that can be written. Errors: UsageProblem."""
        from airmem.capture import evidence_folder  # noqa: PLC0415  # only when a check has failed

        self._store = evidence_folder
        self.path = evidence_folder.find_folder(given)
        self.most_bytes = evidence_folder.MOST_BYTES

    def seconds_since_last(self) -> float | None:
        """Return how old the newest bundle is, None if there is none; what is from the future is new."""
        at_seconds = self._store.last_written_at(self.path)
        return None if at_seconds is None else max(0.0, clock.now_seconds() - at_seconds)

    def lock(self) -> bool:
        """Return whether this is the only guard that writes now, and until airmem ends. Errors: UsageProblem."""
        return self._store.lock(self.path) is not None

    def add(self, packed: bytes, keep_count: int) -> str:
        """Write a bundle, so that with it at most so many are there; return its path. Errors: UsageProblem."""
        self._store.keep_newest(self.path, keep_count - 1)
        return self._store.write_bundle(self.path, packed, clock.stamp())
