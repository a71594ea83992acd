"""How much memory a process maps, by the kernel's own count."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class MemoryAccount:
    """The bytes of one process, from smaps_rollup, smaps or status (Documentation/filesystems/proc.rst).

    None is unknown, never zero. RSS counts every mapped page whole, PSS each page divided by the number of its
    mappings. Neither counts the zero page or hugetlb pages; the latter stand apart in `hugetlb_bytes`.
    """

    rss_bytes: int | None = None
    pss_bytes: int | None = None
    private_clean_bytes: int | None = None
    private_dirty_bytes: int | None = None
    shared_clean_bytes: int | None = None
    shared_dirty_bytes: int | None = None
    pss_anon_bytes: int | None = None
    pss_file_bytes: int | None = None
    pss_shmem_bytes: int | None = None
    swap_bytes: int | None = None
    swap_pss_bytes: int | None = None
    hugetlb_bytes: int | None = None

    @property
    def uss_bytes(self) -> int | None:
        """Unique set size: the bytes that nobody else maps, private clean and dirty together."""
        if self.private_clean_bytes is None or self.private_dirty_bytes is None:
            return None
        return self.private_clean_bytes + self.private_dirty_bytes
