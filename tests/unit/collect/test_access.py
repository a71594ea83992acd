"""Why something is refused, told from a copy of the kernel's files, and of a process that has just ended."""

from __future__ import annotations

import subprocess
import time

import pytest

from airmem.collect.access import explain_denial, explain_memory_denial
from airmem.collect.processes import read_process
from airmem.kernel.reader import KernelReader


def make_place(tmp_path, scope, has_maps):
    yama = tmp_path / "proc/sys/kernel/yama"
    yama.mkdir(parents=True)
    (tmp_path / "proc/42").mkdir()
    if scope is not None:
        (yama / "ptrace_scope").write_text(f"{scope}\n")
    if has_maps:
        (tmp_path / "proc/42/maps").write_text("")
    return KernelReader(str(tmp_path))


@pytest.mark.parametrize("scope", [1, 2, 3])
def test_yama_is_the_cause_where_only_the_memory_is_refused(tmp_path, scope):
    reason, detail = explain_memory_denial(make_place(tmp_path, scope, has_maps=True), 42)
    assert reason == "yama"
    assert f"ptrace_scope={scope}" in detail


@pytest.mark.parametrize(("scope", "has_maps"), [(0, True), (None, True), (1, False)])
def test_it_is_not_where_it_is_off_or_more_is_refused(tmp_path, scope, has_maps):
    assert explain_memory_denial(make_place(tmp_path, scope, has_maps), 42)[0] != "yama"


def test_who_has_let_go_of_its_memory_is_not_called_protected():
    """The kernel refuses it as one that is not dumpable, whoever asks: its files are root's."""
    reader = KernelReader()
    with subprocess.Popen(["true"]) as child:
        with reader.process(child.pid) as files:
            while not read_process(files, with_arguments=False).is_ending:
                time.sleep(0.01)
        assert explain_denial(reader, child.pid) == ("gone", f"process {child.pid} ended while it was read")
