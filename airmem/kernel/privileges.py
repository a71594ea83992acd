"""What a process may do beyond its user, and where ids are mapped: parts of /proc/PID/status and uid_map."""

from __future__ import annotations

from airmem.kernel.status import parse_credentials
from airmem.model.environment import Identity


def parse_identity(fields: dict[bytes, bytes], owner_uid: int) -> Identity:
    """Return who the process is from the fields of its status. Errors: ValueError without user and group ids."""
    base = parse_credentials(fields, owner_uid)
    if len(base.user_ids) < 3 or len(base.group_ids) < 3:
        raise ValueError("status names no user and group ids")
    return Identity(
        user_ids=base.user_ids,
        group_ids=base.group_ids,
        owner_uid=owner_uid,
        effective_capabilities=base.effective_capabilities,
        permitted_capabilities=base.permitted_capabilities,
        ambient_capabilities=int(fields.get(b"CapAmb", b"0"), 16),
        bounding_capabilities=int(fields.get(b"CapBnd", b"0"), 16),
        no_new_privileges=fields.get(b"NoNewPrivs", b"0") == b"1",
        seccomp_mode=base.seccomp_mode,
        namespace_pids=base.namespace_pids,
    )


def parse_is_mapped(uid_map: bytes, user_id: int) -> bool:
    """Whether a user id, as seen inside a user namespace, stands for a user there (user_namespaces(7))."""
    for line in uid_map.splitlines():
        words = line.split()
        if len(words) == 3 and all(word.isdigit() for word in words):
            first, count = int(words[0]), int(words[2])
            if first <= user_id < first + count:
                return True
    return False
