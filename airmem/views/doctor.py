"""`airmem doctor` as a document: the place, what works in it, and why the rest does not."""

from __future__ import annotations

from airmem.model.capability import NAMES, capability_names
from airmem.rules.programs import SUPPORTED, supports
from airmem.views.document import Column, Document, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps
from airmem.views.title import cut_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.environment import Ability, DoctorReport, Environment, Identity, KernelFeatures, TargetFacts

COMMAND = Column(name="command", header="COMMAND", kind="text", meaning="a command and its depth")
CAPABILITY = Column(name="capability", header="CAPABILITY", kind="text", meaning="what a later command needs")
POSSIBLE = Column(name="possible", header="WORKS", kind="text", meaning="yes, no or partly")
REASON = Column(name="reason", header="REASON", kind="text", meaning="one word, explained below the table")
TELLS = Column(name="tells", header="WHAT FOR", kind="title", meaning="what one learns by it")

TOLD = {
    "ps": "which services run here",
    "pss status": "RSS and swap",
    "pss rollup": "PSS, USS",
    "pss mappings": "each mapping",
    "pss pages": "with whom memory is shared",
    "pss exclusive": "what ending the tree frees",
    "cow": "who copied what, and why",
    "heap": "objects by type",
    "hang-dump": "why it stands still",
    "trace attach": "who allocates, from now on",
    "capture": "a file to analyze elsewhere",
    "demo": "a tree to try it on",
    "control_group": "its limit and charges",
    "exact_page_counts": "exact PSS of huge pages",
    "page_flags": "kinds of page frames",
    "page_scan": "pages of one kind, quickly",
    "memory_contents": "objects of the interpreter",
    "system_calls": "in which call it waits",
    "stacks": "Python stacks",
    "allocations": "where memory was allocated",
}
"""Command and depth, or capability -> what one learns by it."""

KINDS = {
    "host": "a host or virtual machine",
    "systemd": "a systemd unit",
    "docker": "a Docker container",
    "podman": "a podman container",
    "kubernetes": "a Kubernetes pod",
    "container": "a container",
}
ALL_CAPABILITIES = (1 << len(NAMES)) - 1
SECCOMP = ("off", "strict", "a filter")


def view_doctor(report: DoctorReport, verbose: bool = False) -> Document:
    """Return the document; `verbose` adds every fact and what makes a remedy last."""
    lines = [*_place(report.environment, verbose), *([] if report.target is None else _target(report.target))]
    width = 2 + max(len(name) for name, _ in lines)
    return Document(
        blocks=(
            *(_line(name, text, width) for name, text in lines),
            _table("commands", tuple(one for one in report.abilities if one.command)),
            _table("capabilities", tuple(one for one in report.abilities if one.capability)),
            *_reasons(report.abilities, verbose),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
        )
    )


def name_of(ability: Ability) -> str:
    """Return how an ability is called: `pss rollup`, `stacks`."""
    return " ".join(part for part in (ability.command, ability.depth, ability.capability) if part)


def _line(name: str, text: str, width: int) -> Paragraph:
    return Paragraph(text=f"{name:<{width}}{text}", hang=width)


def _table(name: str, abilities: tuple[Ability, ...]) -> Table:
    rows = tuple(
        Row(cells=(name_of(one), one.possible, one.reason, TOLD[name_of(one)]), style="strong" * (one.possible == "no"))
        for one in abilities
    )
    first = COMMAND if name == "commands" else CAPABILITY
    return Table(name=name, columns=(first, POSSIBLE, REASON, TELLS), rows=rows)


def _reasons(abilities: tuple[Ability, ...], verbose: bool) -> list[Paragraph]:
    """Return each cause with its remedies once, and which abilities it concerns."""
    groups: dict[tuple[str, str, str], list[Ability]] = {}
    for one in abilities:
        if one.reason:
            groups.setdefault((one.reason, one.cause, one.remedy.advice), []).append(one)
    paragraphs = []
    lasting: dict[str, None] = {}
    for (reason, cause, advice), group in groups.items():
        names = ", ".join(name_of(one) for one in group)
        paragraphs.append(Paragraph(text=f"{reason}: {cause} ({names}).", style="strong", hang=2))
        paragraphs.append(Paragraph(text=f"  {advice}{':' if group[0].remedy.line else '.'}", hang=2))
        if group[0].remedy.line:
            paragraphs.append(Paragraph(text=f"    {group[0].remedy.line}", is_whole=True))
        lasting.update({one.remedy.lasting: None for one in group if one.remedy.lasting})
    for snippet in lasting if verbose else ():
        paragraphs += [Paragraph(text=""), Paragraph(text="To measure again and again:", style="faint")]
        paragraphs += [Paragraph(text=f"    {line}", is_whole=True) for line in snippet.split("\n")]
    return paragraphs


def _place(environment: Environment, verbose: bool) -> list[tuple[str, str]]:
    place, kernel = environment.place, environment.kernel
    lines = [
        ("place", KINDS[place.kind] + (f" ({place.name})" if place.name else "") + ", gVisor" * place.is_gvisor),
        ("kernel", f"{kernel.release}; {_features(kernel)}"),
        ("airmem", _identity(place.identity, verbose)),
    ]
    if verbose or place.is_first_user_namespace is not True:
        first = {True: "the first one", False: "a child: root here is nobody outside", None: "unknown"}
        lines.append(("user namespace", first[place.is_first_user_namespace]))
    lines += [
        ("ptrace", "Yama is absent" if place.ptrace_scope is None else f"Yama ptrace_scope {place.ptrace_scope}"),
        ("/proc", f"hidepid={place.hidepid}" if place.hidepid else "hides no process"),
        ("control group", _cgroup(environment)),
        ("programs", ", ".join(_programs(environment))),
    ]
    if verbose:
        lines.append(("pid namespace", place.pid_namespace))
    return lines


def _features(kernel: KernelFeatures) -> str:
    features = {
        "smaps_rollup": kernel.has_smaps_rollup,
        "PSS by kind": kernel.has_divided_pss,
        "pagemap": kernel.has_pagemap,
        "page frames": kernel.has_page_frames,
        "PAGEMAP_SCAN": kernel.has_pagemap_scan,
        "kpagecount": kernel.has_kpagecount,
        "kpageflags": kernel.has_kpageflags,
        "pressure": kernel.has_pressure,
        "children": kernel.has_children,
    }
    there = [name for name, has in features.items() if has]
    missing = [name for name, has in features.items() if not has]
    without = f"; not {', '.join(missing)}" if missing else ""
    return f"{', '.join(there)}{without}; page counts {kernel.page_mapcount}"


def _identity(identity: Identity, verbose: bool) -> str:
    shown = _capabilities(identity.effective_capabilities)
    for kind in ("permitted", "ambient", "bounding") if verbose else ():
        shown += f"; {kind}: {_capabilities(getattr(identity, f'{kind}_capabilities'))}"
    extra = ", no_new_privs" * identity.no_new_privileges
    if identity.seccomp_mode:
        extra += f", seccomp {SECCOMP[identity.seccomp_mode % len(SECCOMP)]}"
    return f"uid {identity.user_id}, gid {identity.group_ids[1]}, {shown}{extra}"


def _capabilities(mask: int) -> str:
    """Return the capabilities of a mask, as those that are missing where that is shorter."""
    held, missing = capability_names(mask), capability_names(ALL_CAPABILITIES & ~mask)
    if len(missing) < len(held):
        return f"all capabilities but {', '.join(missing)}" if missing else "all capabilities"
    return ", ".join(held) or "no capabilities"


def _cgroup(environment: Environment) -> str:
    if environment.cgroup_version is None:
        return "none that counts memory"
    shown = "shows" if environment.has_memory_account else "does not show here"
    return f"version {environment.cgroup_version}; the memory account {shown}"


def _programs(environment: Environment) -> list[str]:
    return [
        f"{one.name} {one.version or 'found'}" if one.is_found else f"{one.name} not found"
        for one in environment.programs
    ]


def _target(target: TargetFacts) -> list[tuple[str, str]]:
    if target.identity is None or target.process is None:
        return [("target", f"{target.pid}, hidden by /proc")]
    identity = target.identity
    dumpable = {True: "dumpable", False: "not dumpable", None: ""}[identity.is_dumpable]
    holds = _capabilities(identity.permitted_capabilities)
    ids = f"uid {'/'.join(str(one) for one in dict.fromkeys(identity.user_ids[:3]))}, gid {identity.group_ids[1]}"
    lines = [
        ("target", f"{target.pid}, {cut_title(target.process.title)}"),
        ("", ", ".join(part for part in (ids, holds, dumpable) if part)),
    ]
    if target.python_version:
        known = [f"{name} {_support(supports(name, target.python_version))}" for name in SUPPORTED]
        lines.append(("", f"Python {target.python_version} (told by its {target.python_evidence}): {', '.join(known)}"))
    return lines


def _support(known: bool | None) -> str:
    return {True: "supports it", False: "does not support it", None: "may not know it yet"}[known]
