"""memray's script for gdb, and what is changed in it."""

from __future__ import annotations

from pathlib import Path

import memray.commands.attach
import pytest

from airmem.probes.payloads.attach_memray import mend

SCRIPT = Path(memray.commands.attach.GDB_SCRIPT).read_text()


def test_nothing_is_allocated_in_the_target_before_a_breakpoint():
    mended = mend(SCRIPT)
    assert sorted(mended.splitlines()) == sorted(SCRIPT.splitlines())  # moved, and nothing else
    before, _, after = mended.partition("b malloc")
    assert "$libpath" not in before
    assert after.index("delete breakpoints") < after.index("access($libpath") < after.index("dlopen($libpath")


@pytest.mark.parametrize("script", ["", "b malloc\ncommands 1-10\n    delete breakpoints\nend\ncontinue\n"])
def test_another_form_stays_as_it_is(script):
    assert mend(script) == script
    assert mend(mend(SCRIPT)) == mend(SCRIPT)
