"""Why memory itself is refused where page tables are not, told from a copy of the kernel's files."""

from __future__ import annotations

import pytest

from airmem.collect.access import explain_memory_denial
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
