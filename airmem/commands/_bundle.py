"""An evidence bundle: verdict, raw facts, memory and control groups, as one compressed file or as a folder."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.model.report import PssReport
    from airmem.model.verdict import HangReport
    from airmem.questions.bundles import Evidence

RAW = ("raw/", "sources/", "airmem/")
"""What is left out of a bundle that would be too large; then it cannot be asked again."""

ARCHIVES = (".tar.gz", ".tgz")
CONTENTS = (
    ("verdict.", "verdict.txt verdict.html verdict.json", "why each process stands, or that it works"),
    ("problem.txt", "problem.txt", "why there is no verdict"),
    ("check.json", "check.json", "the check that failed"),
    ("pss", "pss*.txt pss*.json", "memory of each tree"),
    ("cgroup/", "cgroup/", "its control groups, as the kernel has them"),
    ("stacks/", "stacks/", "Python stacks, as py-spy printed them, without the values of variables"),
    ("raw/", "raw/", "/proc at each look"),
    ("sources/", "sources/", "source files that were looked at, without secrets"),
    ("airmem/", "airmem/hang.json", "all that no file tells"),
    ("versions.json", "versions.json", "of what took part"),
)
"""How the names of members begin, what to call them, and what they are."""

AGAIN = "\nAsk it again, also with a newer airmem or elsewhere: airmem hang-dump --from THIS\n"


def is_bundle(path: str | None, form: str) -> bool:
    """Whether an output is meant for a bundle: by its end, or as a folder where no other form was asked for."""
    if path is None or path == "-":
        return False
    return path.endswith((*ARCHIVES, "/")) or (form == "text" and not os.path.splitext(path)[1])


def raw_members_of(evidence: Evidence) -> dict[str, bytes]:
    """Return only the files that hold what was read, where there is no time for more."""
    from airmem.questions.bundles import pack  # noqa: PLC0415

    return {"problem.txt": (evidence.problem + "\n").encode(errors="backslashreplace"), **pack(evidence.record)}


def members_of(evidence: Evidence) -> dict[str, bytes]:
    """Return the files of a bundle by their names in it."""
    from airmem.questions.bundles import pack  # noqa: PLC0415  # only a bundle needs it

    members = {"versions.json": _json(evidence.surroundings.versions)}
    if evidence.report is not None:
        members.update(_verdict(evidence.report))
    if evidence.problem:
        members["problem.txt"] = (evidence.problem + "\n").encode(errors="backslashreplace")
    members.update(_memory(evidence.surroundings.memory))
    members.update({f"cgroup/{name}": raw for name, raw in evidence.surroundings.cgroup_files.items()})
    members.update(pack(evidence.record))
    return members


def with_contents(members: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with one in front that tells which there are."""
    there = [row for row in CONTENTS if any(name.startswith(row[0]) for name in members)]
    lines = "".join(f"{names:<40}{what}\n" for _, names, what in there)
    again = AGAIN if any(name.startswith("raw/") for name in members) else ""
    return {"README.txt": (lines + again).encode(), **members}


def _verdict(report: HangReport) -> dict[str, bytes]:
    from airmem.render import as_html, as_json, as_text  # noqa: PLC0415
    from airmem.views.hang import view_hang  # noqa: PLC0415

    document = view_hang(report, verbose=True)
    return {
        "verdict.txt": _text(as_text.render(document)),
        "verdict.html": _text(as_html.render_html(document, title="airmem hang-dump")),
        "verdict.json": _text(as_json.render(report)),
    }


def _memory(reports: tuple[PssReport, ...]) -> dict[str, bytes]:
    from airmem.render import as_json, as_text  # noqa: PLC0415
    from airmem.views.pss import view_pss  # noqa: PLC0415

    members = {}
    for report in reports:
        name = "pss" if len(reports) == 1 else f"pss-{report.tree.root_pid}"
        members[f"{name}.txt"] = _text(as_text.render(view_pss(report)))
        members[f"{name}.json"] = _text(as_json.render(report))
    return members


def _text(text: str) -> bytes:
    return (text + "\n").encode(errors="backslashreplace")


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode("ascii")


def write_bundle(evidence: Evidence, path: str, force: bool) -> None:
    """Write a bundle: a file where the name ends like an archive's, else a new folder. Errors: UsageProblem."""
    from airmem.commands._output import write_stream  # noqa: PLC0415
    from airmem.questions.bundles import archive, write_folder  # noqa: PLC0415

    members = with_contents(members_of(evidence))
    if path.endswith(ARCHIVES):
        packed = archive(members)

        def produce(write: Callable[[bytes], object]) -> None:
            write(packed)

        write_stream(produce, path, force)
    else:
        write_folder(members, path)


def check_bundle(path: str, force: bool) -> None:
    """Refuse the place of a bundle before any work is done. Errors: UsageProblem."""
    from airmem.commands._output import check_output  # noqa: PLC0415
    from airmem.errors import UsageProblem  # noqa: PLC0415

    if path.endswith(ARCHIVES):
        check_output(path, force)
    elif os.path.lexists(path.rstrip("/")):
        kind = ", and --force replaces files only" if force else ""
        raise UsageProblem(f"{path} exists{kind}", "Give a folder that does not exist yet, or a FILE.tar.gz.")
