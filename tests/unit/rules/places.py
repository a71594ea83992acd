"""Places and targets, made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airmem.model.environment import Environment, Identity, KernelFeatures, Place, Program, TargetFacts
from airmem.model.process import Process

ALL = (1 << 41) - 1
DOCKER = 0xA80425FB
FILES = ("status", "smaps_rollup", "smaps", "pagemap", "mem", "syscall")


def identity(user_id: int = 1000, group_id: int = 1000, effective: int = 0, **more: Any) -> Identity:
    fields = {
        "user_ids": (user_id,) * 4,
        "group_ids": (group_id,) * 4,
        "owner_uid": user_id,
        "effective_capabilities": effective,
        "permitted_capabilities": effective,
        "ambient_capabilities": 0,
        "bounding_capabilities": ALL,
        "no_new_privileges": False,
        "seccomp_mode": 0,
        "namespace_pids": (42,),
    }
    return Identity(**{**fields, **more})


PLACE = Place(
    kind="host",
    name="",
    container_id="",
    is_gvisor=False,
    is_first_user_namespace=True,
    user_namespace="user:[4026531837]",
    pid_namespace="pid:[4026531836]",
    hidepid="",
    ptrace_scope=None,
    has_setpriv=True,
    identity=identity(),
)
KERNEL = KernelFeatures(
    release="6.12.0",
    has_smaps_rollup=True,
    has_divided_pss=True,
    has_pagemap=True,
    has_page_frames=True,
    has_pagemap_scan=True,
    has_kpagecount=True,
    has_kpageflags=True,
    page_mapcount="exact",
    has_pressure=True,
    has_children=True,
)
PROGRAMS = tuple(
    Program(name=name, path=f"/bin/{name}", version="1") for name in ("py-spy", "memray", "numpy", "gdb", "lldb")
)


def place(kind: str = "host", own: Identity | None = None, **more: Any) -> Place:
    names = {"docker": "0123456789ab", "podman": "0123456789ab", "kubernetes": "scheduler-0", "systemd": "a.service"}
    return replace(PLACE, kind=kind, name=names.get(kind, ""), identity=own or identity(), **more)


def environment(where: Place = PLACE, missing: tuple[str, ...] = (), **kernel: Any) -> Environment:
    return Environment(
        kernel=replace(KERNEL, **kernel),
        place=where,
        programs=tuple(Program(name=one.name, path="", version="") if one.name in missing else one for one in PROGRAMS),
        cgroup_version=2,
        has_memory_account=True,
    )


def target(who: Identity | None = None, reason: str = "", refused: tuple[str, ...] = (), **more: Any) -> TargetFacts:
    process = Process(
        pid=42, parent_pid=1, start_ticks=7, command="python", state=more.pop("state", "S"), session_id=1,
        flags=more.pop("flags", 0), thread_count=1, rss_pages=1, arguments=("python", "-m", "service"),
    )  # fmt: skip
    outcome = more.pop("outcome", "EACCES")
    fields = {
        "pid": 42,
        "process": process,
        "identity": who or identity(),
        "container_id": "",
        "user_namespace": "",
        "pid_namespace": "",
        "files": {name: outcome if name in refused else "ok" for name in FILES},
        "reason": reason,
        "detail": f"because of {reason}" if reason else "",
        "python_version": "3.12",
        "python_evidence": "library",
    }
    return TargetFacts(**{**fields, **more})
