"""Which container a process runs in, as far as its control groups and mounts tell."""

from __future__ import annotations

ID_LENGTH = 64


OWN_MOUNTS = frozenset({b"/etc/hostname", b"/etc/hosts", b"/etc/resolv.conf"})
"""What a container engine mounts from the container's own folder. Other mounts, such as overlay's on a host that
runs Docker, name layers by 64 digits too."""


def parse_container_id(cgroup: bytes, mountinfo: bytes = b"") -> str:
    """Return the 64 hexadecimal digits of a container's id, or an empty text.

    Docker, containerd, CRI-O and podman write it into the path of the control group; inside a private cgroup
    namespace only the mounts of /etc/hostname and its like still show it (under containerd, the pod sandbox's).
    """
    found = _first_id(cgroup)
    for line in [] if found else mountinfo.split(b"\n"):
        fields = line.split(b" ")
        if len(fields) > 4 and fields[4] in OWN_MOUNTS and not found:
            found = _first_id(fields[3])
    return found


def _first_id(path: bytes) -> str:
    for separator in (b"-", b".", b":", b" ", b"\n"):
        path = path.replace(separator, b"/")
    for word in path.split(b"/"):
        if len(word) == ID_LENGTH and not word.strip(b"0123456789abcdef"):
            return word.decode("ascii")
    return ""
