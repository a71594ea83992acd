"""What the programs that look into a Python process can do here: py-spy, memray, gdb, lldb."""

from __future__ import annotations

from airmem.model.remedy import Remedy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.environment import Environment, TargetFacts

Judgement: TypeAlias = "tuple[str, str, str, Remedy]"

SUPPORTED = {"py-spy": ((3, 7), (3, 14)), "memray": ((3, 7), (3, 15))}
"""Program -> oldest and newest Python that it is known to work with (py-spy 0.4.3, memray 1.20)."""

YES: Judgement = ("yes", "", "", Remedy(advice=""))


def judge_stacks(environment: Environment, target: TargetFacts | None, contents: Judgement) -> Judgement:
    """Judge whether stacks can be seen: py-spy is there, may read the memory, and knows this Python."""
    if not environment.program("py-spy").is_found:
        return "no", "no_py_spy", "py-spy is not installed", Remedy(advice="Install it", line="pip install py-spy")
    return _by_version("py-spy", target) or contents


def judge_allocations(environment: Environment, target: TargetFacts | None, contents: Judgement) -> Judgement:
    """Judge whether allocations can be traced: memray is there, and a debugger to put it into the target."""
    if not environment.program("memray").is_found:
        return "no", "no_memray", "memray is not installed", Remedy(advice="Install it", line="pip install memray")
    if not any(environment.program(name).is_found for name in ("gdb", "lldb")):
        cause = "neither gdb nor lldb is installed; memray attaches through one of them (Python 3.14 needs none)"
        return "no", "no_debugger", cause, Remedy(advice="Install one", line="apt-get install gdb")
    if unsupported := _by_version("memray", target):
        return unsupported
    if contents[0] != "yes":
        return contents
    cause = "memray must be installed in the target's own environment as well, in the same version"
    return "partly", "needs_memray_in_target", cause, Remedy(advice="Install memray where the target runs")


def supports(program: str, python_version: str) -> bool | None:
    """Return whether a program works with a Python like 3.12; None when that is not known."""
    major, _, minor = python_version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        return None
    oldest, newest = SUPPORTED[program]
    version = (int(major), int(minor))
    return True if oldest <= version <= newest else False if version < oldest else None


def _by_version(program: str, target: TargetFacts | None) -> Judgement | None:
    if target is None or not target.may_read("smaps"):
        return None
    if not target.python_version:
        cause = "nothing that the process maps tells that it runs Python"
        return "no", "no_python", cause, Remedy(advice="Ask for a Python process; list them with: airmem ps --all")
    known = supports(program, target.python_version)
    if known:
        return None
    cause = f"the process runs Python {target.python_version}, which {program} is not known to support"
    return "no" if known is False else "partly", "python_version", cause, Remedy(advice=f"Try a newer {program}")
