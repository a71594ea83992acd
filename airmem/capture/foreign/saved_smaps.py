"""A saved /proc/PID/smaps or smaps_rollup: bytes in, one process out, whose pid the file does not tell."""

from __future__ import annotations

import re
from itertools import pairwise

from airmem.capture.foreign.facts import UNKNOWN, Obstacle, ToldProcess, ToldProcesses, malformed, shown
from airmem.errors import Malformed
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup, sum_mappings
from airmem.model.mapping import Mapping
from airmem.model.memory import MemoryAccount

HEAD = re.compile(
    rb"[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-][ps] [0-9a-f]{8,} [0-9a-f]+:[0-9a-f]+ \d+( .*)?", re.DOTALL
)
ROLLUP = re.compile(rb".* \[rollup\] *", re.DOTALL)
AGAIN = "Save it again: cat /proc/PID/smaps > FILE"


def is_smaps(lines: list[bytes]) -> bool:
    """Whether a text begins like smaps, smaps_rollup or maps."""
    return bool(lines) and HEAD.fullmatch(lines[0]) is not None


def parse_saved(lines: list[bytes], name: str, pid: int = 0, title: str = "") -> ToldProcesses:
    """Return the one process, with what is known of it otherwise; `name` is for messages. Errors: Malformed."""
    if ROLLUP.fullmatch(lines[0]):
        return _told("smaps_rollup", _rollup(lines, name, pid, title))
    heads = [number for number, line in enumerate(lines) if HEAD.fullmatch(line)]
    if len(lines) > 1 and heads[1:2] == [1]:
        raise malformed(name, 1, "that is maps, which tells no sizes of memory", AGAIN)
    keys = [_keys(lines[first + 1 : end]) for first, end in pairwise([*heads, len(lines)])]
    lacking = sorted(set.intersection(*keys[:-1]) - keys[-1]) if len(keys) > 1 else []
    cut = f"{name}, line {len(lines)}: it ends inside a mapping, without its {shown(lacking[0])}" if lacking else ""
    mappings = _parse(lines[: heads[-1]] if cut else lines, name)
    for position, (before, after) in enumerate(pairwise(mappings), 1):
        if after.start_address < before.end_address:
            raise malformed(
                name, heads[position] + 1, "a mapping below the one before it: several processes in one file", AGAIN
            )
    return _told("smaps", _process(mappings, cut, pid, title))


def _told(form: str, process: ToldProcess) -> ToldProcesses:
    return ToldProcesses(form=form, processes=(process,))


def _keys(rows: list[bytes]) -> set[bytes]:
    """Return the keys of rows that are whole: a number without its unit was cut."""
    return {
        line.partition(b":")[0]
        for line in rows
        if line.endswith(b" kB")
        or (b":" in line and line.startswith((b"THPeligible", b"ProtectionKey")))
        or (line.startswith(b"VmFlags: ") and line.endswith(b" "))  # the kernel puts a space after each flag
    }


def _parse(lines: list[bytes], name: str) -> tuple[Mapping, ...]:
    try:
        return parse_smaps(b"\n".join(lines))
    except Malformed as problem:
        raise Malformed(f"{name}: {problem.cause}", problem.remedy or AGAIN) from problem


def _rollup(lines: list[bytes], name: str, pid: int, title: str) -> ToldProcess:
    try:
        account = parse_smaps_rollup(b"\n".join(lines))
    except Malformed as problem:
        raise malformed(name, len(lines), "it ends before Rss and Pss, or is no smaps_rollup", AGAIN) from problem
    known = _keys(lines[1:])
    obstacles = []
    if b"Swap" not in known or b"Private_Dirty" not in known:
        where = f"{name}, line {len(lines)}: smaps_rollup ends here, before its last rows"
        obstacles.append(Obstacle(fact="process", reason="file_cut", detail=where))
    return ToldProcess(pid=pid, title=title, depth="rollup", account=account, mappings=None, obstacles=tuple(obstacles))


def _process(mappings: tuple[Mapping, ...], cut: str, pid: int, title: str) -> ToldProcess:
    account, obstacles = sum_mappings(mappings), []
    if cut:
        account, obstacles = UNKNOWN, [Obstacle(fact="process", reason="file_cut", detail=cut)]
    elif is_from_gvisor(mappings):
        account = MemoryAccount(rss_bytes=account.rss_bytes, swap_bytes=account.swap_bytes)
        detail = (
            "every page is private, and there is no [vdso], as in gVisor's smaps: PSS and USS are not known from it"
        )
        obstacles = [Obstacle(fact="pss_bytes", reason="gvisor", detail=detail)]
    elif not any(one.name == "[stack]" for one in mappings):
        detail = "there is no [stack], which nearly every process has near the end: whether it was cut cannot be told"
        obstacles = [Obstacle(fact="totals", reason="no_totals", detail=detail)]
    return ToldProcess(
        pid=pid, title=title, depth="mappings", account=account, mappings=mappings, obstacles=tuple(obstacles)
    )


def is_from_gvisor(mappings: tuple[Mapping, ...]) -> bool:
    """Whether nothing is shared with anybody and the kernel's [vdso] is missing: gVisor's sign.

    Linux maps [vdso] into every process, and all of them share its pages.
    """
    if any(one.name == "[vdso]" for one in mappings):
        return False
    return len(mappings) > 1 and all(
        one.account.pss_bytes == one.account.rss_bytes
        and not one.account.shared_clean_bytes
        and not one.account.shared_dirty_bytes
        for one in mappings
    )
