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


def parse_place(cgroup: bytes, mountinfo: bytes) -> str:
    """Return which engine a process is in: kubernetes, podman, docker, container (another), systemd or host.

    From the paths of its control groups, and from what engines mount; systemd means a unit of its own.
    """
    roots = b"\n".join(fields[3] for fields in _mounts(mountinfo) if fields[4] in OWN_MOUNTS)
    points = {fields[4] for fields in _mounts(mountinfo)}
    if b"kubepods" in cgroup or b"/kubelet/pods/" in roots or points & KUBERNETES_MOUNTS:
        return "kubernetes"
    if b"libpod" in cgroup or b"/overlay-containers/" in roots or b"/run/.containerenv" in points:
        return "podman"
    if b"/docker-" in cgroup or b"/docker/" in cgroup or b"/docker/containers/" in roots:
        return "docker"
    if b"/lxc/" in cgroup or b"/lxc.payload" in cgroup or parse_container_id(cgroup, mountinfo):
        return "container"
    return "systemd" if parse_unit(cgroup) else "host"


def parse_unit(cgroup: bytes) -> str:
    """Return the systemd service that a process is in, empty for a login session or a user's own services."""
    for line in cgroup.split(b"\n"):
        path = line.split(b":", 2)[-1]
        last = path.rpartition(b"/")[2]
        if last.endswith(b".service") and b"/user.slice/" not in path:
            return last.decode(errors="surrogateescape")
    return ""


KUBERNETES_MOUNTS = frozenset({b"/dev/termination-log", b"/var/run/secrets/kubernetes.io/serviceaccount",
                               b"/run/secrets/kubernetes.io/serviceaccount"})  # fmt: skip


def _mounts(mountinfo: bytes) -> list[list[bytes]]:
    lines = [line.split(b" ") for line in mountinfo.split(b"\n")]
    return [fields for fields in lines if len(fields) > 4]
