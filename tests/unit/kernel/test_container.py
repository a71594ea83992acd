"""Container ids from control groups and mounts."""

from __future__ import annotations

import pytest

from airmem.kernel.container import parse_container_id

ID = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/kubepods/burstable/pod12345678-1234-1234-1234-123456789abc/{ID}",
        f"/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope",
        f"/kubepods.slice/x.slice/crio-{ID}.scope/container",
        f"/machine.slice/libpod-{ID}.scope/container",
    ],
)
def test_the_control_group_names_it(path):
    assert parse_container_id(f"0::{path}\n".encode()) == ID
    assert parse_container_id(f"4:cpu:/\n3:memory:{path}\n".encode()) == ID


@pytest.mark.parametrize("word", [ID[:-1], ID + "0", ID[:-1] + "g", ID.upper(), "", "docker"])
def test_other_words_are_no_id(word):
    assert parse_container_id(f"0::/docker/{word}\n".encode()) == ""


def test_a_private_namespace_shows_it_in_the_mounts():
    mounts = (
        f"600 500 0:50 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/x/{OTHER}/diff\n"
        f"615 600 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n"
    )
    assert parse_container_id(b"0::/\n", mounts.encode()) == ID


def test_a_host_that_runs_containers_is_none():
    mounts = (
        f"9 8 0:60 / /var/lib/docker/overlay2/{OTHER}/merged rw - overlay overlay rw\n"
        f"9 8 0:60 / /run/containerd/io.containerd.runtime.v2.task/k8s.io/{OTHER}/rootfs rw - overlay overlay rw\n"
    )
    assert parse_container_id(b"0::/user.slice\n", mounts.encode()) == ""
