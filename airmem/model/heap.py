"""Objects by type: what a heap holds, and how it changed."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.report import Head


@noun
class HeapType:
    """The live objects of one type, told apart by module: `type` is its qualified name.

    `shallow_bytes` are basic sizes and items (text of str, digits of int), without what the objects refer to, the
    tables of dict, set and list, and the collector's heads. `tracked_count`: how many of them the garbage collector
    tracks, None for types it does not know. `count` equals it for types whose instances are always tracked.
    """

    type: str
    count: int
    shallow_bytes: int
    tracked_count: int | None


@noun
class HeapProcess:
    """What one process of the tree holds: `own_*` in pages that it has for itself or had before its children, and
    `inherited_*` in pages that it still shares with its parent, or with a sibling since the parent wrote its own.

    Counts are objects. `types` are the largest of its own. None: it could not be read.
    """

    process: Process
    role: str
    component: str | None
    own_count: int | None
    own_bytes: int | None
    inherited_count: int | None
    inherited_bytes: int | None
    types: tuple[HeapType, ...]


@noun
class HeapPlace:
    """Where objects of a type lie: a mapping of the process, how many are there, and on how many of its pages."""

    start_address: int
    end_address: int
    permissions: str
    name: str
    count: int
    shallow_bytes: int
    page_count: int


@noun
class HeapAccuracy:
    """How sure the counts are. `tracked_count`: objects whose neighbors in the collector's lists point back at them.
    `loose_count`: live objects of always tracked types that are on no list (just made, or being freed).
    `assumed_count`: so many were on no list that they were counted all the same: a collection was running, which takes
    the lists apart, or the process changed faster than it was read; `tracked_count` includes them. `walked_count`:
    those that only the lists led to. `unread_page_count`: pages that went away meanwhile."""

    tracked_count: int
    loose_count: int
    assumed_count: int
    walked_count: int
    unread_page_count: int


@noun
class EarlierHeap:
    """An earlier answer, as far as it is compared with."""

    taken_at_seconds: float
    hostname: str
    root_pid: int
    types: tuple[HeapType, ...]


@noun
class HeapGrowth:
    """One type before and after; 0 where it had no objects."""

    type: str
    before_count: int
    after_count: int
    before_bytes: int
    after_bytes: int


@noun
class HeapChange:
    """What changed since an earlier answer, the types that grew most first; unchanged ones are left out."""

    before_taken_at_seconds: float
    before_hostname: str
    before_pid: int
    types: tuple[HeapGrowth, ...]


@noun
class HeapReport:
    """The answer to "which objects hold it?": `types` are those of the process that was asked for, the largest first.

    `scanned_bytes` is how much memory was looked at, of all processes together; `heap_bytes` the sum of
    `shallow_bytes`, of which shares are taken. `static_type_count`: type objects of programs and libraries, which are
    no objects of the heap. `python_version` is what the process itself says, None if it cannot be found. `places` and
    `change` are None unless asked for.
    """

    head: Head
    root_pid: int
    component: str | None
    python_version: str | None
    scanned_bytes: int
    heap_bytes: int
    object_count: int
    static_type_count: int
    types: tuple[HeapType, ...]
    processes: tuple[HeapProcess, ...]
    accuracy: HeapAccuracy
    duty_ratio: float | None
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    places: tuple[HeapPlace, ...] | None = None
    change: HeapChange | None = None
