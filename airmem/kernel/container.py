"""Which container a process runs in, as far as its control groups and mounts tell."""

from __future__ import annotations

ID_LENGTH = 64


def parse_container_id(cgroup: bytes, mountinfo: bytes = b"") -> str:
    """Return the 64 hexadecimal digits of a container's id, or an empty text.

    Docker, containerd, CRI-O and podman write it into the path of the control group; inside a private cgroup
    namespace only the mounts of /etc/hostname and its like still show it.
    """
    for raw in (cgroup, mountinfo):
        for word in raw.replace(b"-", b"/").replace(b".", b"/").replace(b":", b"/").replace(b" ", b"/").split(b"/"):
            if len(word) == ID_LENGTH and not word.strip(b"0123456789abcdef"):
                return word.decode("ascii")
    return ""
