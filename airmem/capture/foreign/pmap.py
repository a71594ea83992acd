"""pmap's output, of one process or of several one after the other: lines in, processes out.

Each process is `PID:   COMMAND`, a heading (not of all), rows, and totals, against which the rows are checked. `-q`
leaves out heading and totals. A command may go over several lines.
"""

from __future__ import annotations

import re

from airmem.capture.foreign.facts import UNKNOWN, Obstacle, ToldProcess, ToldProcesses, malformed, shown
from airmem.capture.foreign.pmap_columns import ColumnTable, is_bare_row, is_heading
from airmem.capture.foreign.pmap_forms import Form, Row, find_form
from airmem.kernel.cmdline import redact
from airmem.kernel.smaps import account_of, sum_mappings
from airmem.model.mapping import Mapping
from airmem.model.memory import MemoryAccount

HEAD = re.compile(rb"(\d{1,10}): +(.*)", re.DOTALL)
RULE = re.compile(rb"[-=][-= ]*")
KB = 1024
PARTIAL = re.compile(rb" *[0-9a-f]{1,16}( .*)?|[ totalmped:-]*[0-9Kk ]*", re.DOTALL)
"""What a row or a total may begin with when the file ends inside it."""

AGAIN = "Save it again: pmap -X PID > FILE, or better cat /proc/PID/smaps > FILE"
NOTHING = (
    "no mapping is listed: a thread of the kernel, a zombie, a process that ended, or one that pmap was not allowed to"
    " read"
)


class _Block:
    """What the lines of one process have told so far."""

    def __init__(self, pid: int, title: bytes) -> None:
        self.pid = pid
        self.title = [title]
        self.form: Form | ColumnTable | None = None
        self.heading_at = 0
        self.rows: list[Row] = []
        self.totals: tuple[int | None, ...] | None = None
        self.ended_at = 0
        self.damage = ""
        self.whole_rss_bytes: int | None = None

    @property
    def is_begun(self) -> bool:
        """Whether the table has begun, so that no more of the title can come."""
        return bool(self.rows or self.heading_at or self.ended_at)


def is_pmap(lines: list[bytes]) -> bool:
    """Whether a text begins like pmap's output."""
    first = next((line for line in lines if line.strip()), b"")
    return bool(HEAD.fullmatch(first)) or _is_heading(first) or find_form(first) is not None or is_bare_row(first)


def parse_pmap(lines: list[bytes], name: str) -> ToldProcesses:
    """Return the processes in the order of the file; `name` is for messages. Errors: Malformed."""
    blocks: list[_Block] = []
    for number, line in enumerate(lines, 1):
        head = HEAD.fullmatch(line)
        if head:
            blocks.append(_Block(int(head[1]), head[2]))
        elif line.strip():
            if not blocks:
                blocks.append(_Block(0, b""))
            _take(blocks[-1], line, number, number == len(lines), name)
    if not any(block.rows for block in blocks):
        raise malformed(name, 1, NOTHING, "Run pmap as the process's own user, or as root.")
    _find_cuts(blocks, lines)
    forms = dict.fromkeys(block.form.name for block in blocks if block.form is not None)
    form = " and ".join(forms)
    return ToldProcesses(form=form, processes=tuple(_told(block, name) for block in blocks))


def _take(block: _Block, line: bytes, number: int, is_last: bool, name: str) -> None:
    """Take one line that is not a process's first. Errors: Malformed."""
    if _is_heading(line) and not block.is_begun:
        block.heading_at = number
        block.form = _table(line, number, name) if is_heading(line) else None
        return
    if block.form is None and is_bare_row(line):
        raise malformed(name, number, "pmap -Xq leaves out what its columns mean", "Save it without -q.")
    if block.form is None:
        block.form = find_form(line)
    if block.ended_at:
        raise malformed(name, number, f"after the totals comes {shown(line)}", AGAIN)
    row = block.form.parse_row(line) if block.form is not None else None
    if row is not None:
        if block.rows and row.address < block.rows[-1].address:
            raise malformed(name, number, "a mapping below the one before it: two processes, or changed lines", AGAIN)
        block.rows.append(row)
    elif _is_total(block, line):
        block.ended_at = number
    elif RULE.fullmatch(line.strip()) and block.is_begun:
        return
    elif not block.is_begun:
        block.title.append(line)
    elif is_last and PARTIAL.fullmatch(line):
        block.damage = "ends inside this line"
        block.ended_at = number
    else:
        raise malformed(name, number, f"no line of {_form_name(block)}: {shown(line)}", AGAIN)


def _table(heading: bytes, number: int, name: str) -> ColumnTable:
    try:
        return ColumnTable(heading)
    except ValueError as problem:
        raise malformed(name, number, f"not the columns of pmap -X or -XX: {shown(heading)}", AGAIN) from problem


def _is_heading(line: bytes) -> bool:
    return line.split()[:1] == [b"Address"] and (is_heading(line) or b"Kbytes" in line.split())


def _is_total(block: _Block, line: bytes) -> bool:
    if block.form is None:  # a process without mappings
        if line.split()[:1] not in ([b"total"], [b"mapped:"]):
            return False
        return not block.rows and not re.sub(rb"[^1-9]", b"", line)
    block.totals = block.form.parse_total(line)
    return block.totals is not None


def _form_name(block: _Block) -> str:
    return "pmap" if block.form is None else block.form.name


def _find_cuts(blocks: list[_Block], lines: list[bytes]) -> None:
    """Say of each table whether lines are missing; where no totals are printed, that cannot be told.

    The totals of procps' -X and -XX run on from one process to the next.
    """
    has_totals = any(block.totals is not None for block in blocks)
    before: tuple[int | None, ...] = ()
    for block in blocks:
        if block.damage or block.form is None or not block.rows:
            continue
        if block.totals is None:
            if block.heading_at or has_totals:
                block.damage = "ends here, without its totals"
                block.ended_at = len(lines)
            continue
        if _is_range(block):
            continue
        problem = _wrong_sum(block, block.form, block.totals)
        if problem and len(before) == len(block.totals):
            further = tuple((one or 0) - (old or 0) for one, old in zip(block.totals, before, strict=True))
            problem = _wrong_sum(block, block.form, further) and problem
        block.damage = problem
        before = block.totals


def _is_range(block: _Block) -> bool:
    """Find out whether only a range of addresses is listed (`pmap -x -A`): its total of RSS is the whole process's."""
    if not isinstance(block.form, Form) or block.form.name != "pmap -x" or block.totals is None:
        return False
    size, rss, _ = block.totals
    sizes, listed = (sum(row.sizes[key] for row in block.rows) for key in (b"Size", b"Rss"))
    if size != sizes or rss is None or rss <= listed:
        return False
    block.whole_rss_bytes = rss * KB
    return True


def _wrong_sum(block: _Block, form: Form | ColumnTable, totals: tuple[int | None, ...]) -> str:
    """Return which total the rows do not add up to, or an empty text.

    Of -X and -XX only the sizes are compared: procps reads smaps once for the totals and once more for the rows, and
    what is shared with others changes in between.
    """
    if isinstance(form, ColumnTable):
        at = form.summed.index(b"Size")
        sums, totals = [sum(row.sizes[b"Size"] for row in block.rows)], totals[at : at + 1]
    else:
        sums = [sum(map(one, block.rows)) for one in form.sums]
    for total, found in zip(totals, sums, strict=True):
        if total is not None and total != found:
            return f"says {total} in all, and the rows add up to {found}: lines are missing, or it changed meanwhile"
    return ""


def _told(block: _Block, name: str) -> ToldProcess:
    mappings = tuple(_mapping(row) for row in block.rows)
    account, obstacles = sum_mappings(mappings), []
    if not mappings:
        account, obstacles = UNKNOWN, [Obstacle(fact="memory", reason="not_in_format", detail=f"{name}: {NOTHING}")]
    elif block.damage:
        where = f"{name}, line {block.ended_at}: the table of process {block.pid or '?'} {block.damage}"
        account, obstacles = UNKNOWN, [Obstacle(fact="process", reason="file_cut", detail=where)]
    elif block.whole_rss_bytes is not None:
        account = MemoryAccount(rss_bytes=block.whole_rss_bytes)
        detail = f"{name} lists only a range of addresses (pmap -A); the RSS is that of the whole process"
        obstacles = [Obstacle(fact="mappings", reason="not_in_format", detail=detail)]
    elif block.totals is None:
        detail = f"{name} has no totals, as pmap -q prints it: whether it was cut cannot be told"
        obstacles = [Obstacle(fact="totals", reason="no_totals", detail=detail)]
    return ToldProcess(
        pid=block.pid,
        title=" ".join(redact((b" ".join(block.title).decode(errors="surrogateescape").strip(),))),
        depth="mappings" if mappings else "none",
        account=account,
        mappings=mappings,
        obstacles=tuple(obstacles),
    )


def _mapping(row: Row) -> Mapping:
    return Mapping(
        start_address=row.address,
        end_address=row.address + row.sizes[b"Size"] * KB,
        permissions=row.permissions,
        inode=row.inode,
        name=row.name.decode(errors="surrogateescape"),
        is_hugetlb=b"ht" in row.flags,
        account=account_of(row.sizes),
    )
