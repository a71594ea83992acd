"""Who a process is, as far as permissions go."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class Credentials:
    """Who a process is and how it was made readable, from /proc/PID/status and the owner of /proc/PID.

    User ids are real, effective, saved, file-system (proc(5)). `owner_uid` owns the files in /proc/PID: root's for a
    process that is not dumpable, whoever runs it (ptrace(2), PR_SET_DUMPABLE). Capabilities are bit masks.
    """

    user_ids: tuple[int, ...]
    group_ids: tuple[int, ...]
    permitted_capabilities: int
    effective_capabilities: int
    owner_uid: int
    seccomp_mode: int
    namespace_pids: tuple[int, ...]

    def may(self, capability: int) -> bool:
        """Whether the capability with this number (capabilities(7)) is effective."""
        return bool(self.effective_capabilities >> capability & 1)
