"""Bundles of evidence: packed for a file, and opened to ask them again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from airmem.collect import clock
from airmem.errors import AirmemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.hang_source import HangRecord, KeptHang
    from airmem.collect.looking_plan import LookingPlan
    from airmem.model.report import PssReport
    from airmem.model.verdict import HangReport

LEAST_PSS_SECONDS = 1.5
"""Memory is left out where less time than this is left."""

PSS_SECONDS = 30.0
"""So long each tree's memory may take where there is no deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What belongs to a verdict: memory of each tree, files of control groups, versions of what took part."""

    memory: tuple[PssReport, ...] = ()
    cgroup_files: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a bundle is made of. `report` is None where nothing could be judged: `problem` says why."""

    record: HangRecord
    report: HangReport | None
    surroundings: Surroundings
    problem: str = ""


def gather(
    root_pids: tuple[int, ...],
    plan: LookingPlan,
    stuck_after_seconds: float | None,
    with_values: bool = False,
    profile_seconds: float | None = None,
) -> Evidence:
    """Return why each process of the trees stands, and all facts that this is from. Errors: those of answer_hang."""
    from airmem.collect.hang_source import HangRecord, LiveHang, redact_value  # noqa: PLC0415
    from airmem.questions.hang import answer_hang  # noqa: PLC0415

    record = HangRecord()
    source = LiveHang(record, redact_value if with_values else None)
    report = answer_hang(
        root_pids, plan, stuck_after_seconds=stuck_after_seconds, source=source, profile_seconds=profile_seconds
    )
    return Evidence(record=record, report=report, surroundings=collect_surroundings(root_pids))


def collect_surroundings(root_pids: tuple[int, ...], until_seconds: float | None = None) -> Surroundings:
    """Return what is around the trees; memory only as long as there is time (of the monotonic clock)."""
    from airmem.collect.evidence import collect_cgroup_files, collect_versions  # noqa: PLC0415
    from airmem.collect.source import open_source  # noqa: PLC0415

    return Surroundings(
        memory=_memory(root_pids, until_seconds),
        cgroup_files=collect_cgroup_files(open_source(), root_pids),
        versions=collect_versions(),
    )


def _memory(roots: tuple[int, ...], until: float | None) -> tuple[PssReport, ...]:
    """Return the memory of each tree, as far as there is time.

    A process that is stuck in the kernel while it changes its address space lets nobody read its memory maps: that is
    given up after a while, and no signal could end it sooner.
    """
    from airmem.collect.patience import within  # noqa: PLC0415
    from airmem.questions.pss import answer_pss  # noqa: PLC0415

    found = []
    for root in roots:
        left = PSS_SECONDS if until is None else until - clock.monotonic_seconds()
        if left < LEAST_PSS_SECONDS:
            break
        with suppress(AirmemError, TimeoutError):  # it has ended, nobody may look, or it is stuck: the verdict says so
            found.append(within(left, lambda root=root: answer_pss(root, "rollup")))  # type: ignore[misc]
    return tuple(found)


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

    return KeptHang(open_bundle(path), path)


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
