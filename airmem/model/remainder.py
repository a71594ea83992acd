"""What bounds the memory of processes that cannot be read."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class CgroupRemainder:
    """What a control group holds beyond the tree's readable processes, to bound the unreadable ones.

    `outsiders_pss_bytes` is the anonymous and shared memory of the group's readable processes outside the tree, as
    PSS. `obstacles` names each precondition of the bound that fails (none: the bound holds).
    """

    outsiders_pss_bytes: int
    obstacles: tuple[str, ...]
