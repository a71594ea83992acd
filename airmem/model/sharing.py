"""With whom memory is shared."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.memory import MemoryAccount


@noun
class Sharing:
    """With whom a process shares its resident bytes that are not its own.

    A page that its parent maps too counts under parent, else one that another process of the tree maps under
    siblings, else under outside. With the USS they add up to the RSS.
    """

    parent_bytes: int
    siblings_bytes: int
    outside_bytes: int


@noun
class TreeSharing:
    """The sharing of each process of a tree, in its order, and the tree's pages counted once.

    `by_process` pairs a process's sharing with the account read beside it, None where its page table or its
    parent's could not be read. `distinct_bytes` is the union of all pages, None where no page table could be read;
    `exclusive_bytes` those that nobody outside maps (None if not asked for). `unsettled` maps positions of processes
    that changed at every look to the bytes by which pages and RSS differ. `stray_bytes` are anonymous pages that a
    process other than the root shares with nobody who was found: the kernel moved them between two looks, or a
    process of the tree is missing.
    """

    by_process: tuple[tuple[Sharing | None, MemoryAccount] | None, ...]
    distinct_bytes: int | None
    exclusive_bytes: int | None
    unsettled: dict[int, int]
    stray_bytes: int
