"""What can be measured here, per command: yes, no or partly, the true cause, and what would help."""

from __future__ import annotations

from airmem.model.capability import DAC_OVERRIDE, DAC_READ_SEARCH, SYS_PTRACE
from airmem.model.environment import Ability
from airmem.model.finding import Finding
from airmem.model.noun import replace
from airmem.model.remedy import Remedy
from airmem.rules.gaps import REMEDIES
from airmem.rules.programs import judge_allocations, judge_stacks
from airmem.rules.remedies import remedy_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.environment import Environment, TargetFacts

Judgement: TypeAlias = "tuple[str, str, str, Remedy]"
"""(possible, reason, cause, remedy)."""

NONE = Remedy(advice="")
YES: Judgement = ("yes", "", "", NONE)
NO_NUMPY: Judgement = (
    "no",
    "no_numpy",
    "numpy, which compares page tables, is not installed",
    Remedy(advice="Install it", line="pip install numpy"),
)


def check_abilities(environment: Environment, target: TargetFacts | None) -> tuple[Ability, ...]:
    """Return what works here, for one process or, without a target, for processes in general."""
    judge = _Judge(environment, target)
    rollup, mappings, pages = judge.rollup(), judge.mappings(), judge.pages()
    contents = judge.contents()
    stacks = judge_stacks(environment, target, contents)
    allocations = judge_allocations(environment, target, contents)
    commands = (
        ("ps", None, judge.listing()),
        ("pss", "status", judge.status()),
        ("pss", "rollup", rollup),
        ("pss", "mappings", mappings),
        ("pss", "pages", pages),
        ("pss", "exclusive", judge.exclusive(pages)),
        ("cow", None, judge.copies(contents)),
        ("heap", None, judge.objects(contents)),
        ("hang-dump", None, judge.waits(stacks)),
        ("trace", "attach", allocations),
        ("capture", None, judge.capture(rollup)),
        ("demo", None, YES),
    )
    capabilities = (
        ("control_group", judge.control_group()),
        ("exact_page_counts", judge.exact_page_counts()),
        ("page_flags", judge.page_flags()),
        ("page_scan", judge.page_scan()),
        ("memory_contents", contents),
        ("system_calls", judge.system_calls()),
        ("stacks", stacks),
        ("allocations", allocations),
    )
    return (
        *(_ability(command, depth, None, judgement) for command, depth, judgement in commands),
        *(_ability(None, None, name, judgement) for name, judgement in capabilities),
    )


def limit_abilities(
    abilities: tuple[Ability, ...], below: tuple[Ability, ...], refused_count: int, descendant_count: int
) -> tuple[Ability, ...]:
    """Return what works for a process, as `partly` where some of its descendants refuse it.

    `below` is what works for the first of those that refuse.
    """
    limited = []
    for own, other in zip(abilities, below, strict=True):
        if own.possible == "yes" and other.possible == "no":
            cause = f"{refused_count} of {descendant_count} descendants refuse it: {other.cause}"
            limited.append(replace(other, possible="partly", cause=cause))
        else:
            limited.append(own)
    return tuple(limited)


def check_target(target: TargetFacts | None, abilities: tuple[Ability, ...]) -> tuple[Finding, ...]:
    """Return AM901 when the PSS of the process asked for cannot be read."""
    rollup = next(one for one in abilities if one.depth == "rollup")
    if target is None or rollup.possible != "no":
        return ()
    return (
        Finding(
            code="AM901",
            severity="warning",
            pid=target.pid,
            summary=f"The PSS of process {target.pid} cannot be read from here",
            evidence=rollup.reason,
            remedy=rollup.remedy.advice,
        ),
    )


def _ability(command: str | None, depth: str | None, capability: str | None, judgement: Judgement) -> Ability:
    possible, word, cause, remedy = judgement
    return Ability(
        command=command,
        depth=depth,
        capability=capability,
        possible=possible,
        reason=word,
        cause=cause,
        remedy=remedy,
    )


class _Judge:
    """Judges one thing after the other, knowing the place and the target."""

    def __init__(self, environment: Environment, target: TargetFacts | None) -> None:
        self._environment = environment
        self._kernel = environment.kernel
        self._place = environment.place
        self._target = target

    def listing(self) -> Judgement:
        """Whether every process can be listed."""
        if self._place.hidepid:
            cause = f"/proc is mounted with hidepid={self._place.hidepid}: processes of other users may not show"
            return "partly", "hidepid", cause, self._remedy("hidepid", "airmem ps")
        return YES

    def status(self) -> Judgement:
        """Whether RSS and swap can be read."""
        return YES if self._target is None else self._opened("status", "")

    def rollup(self) -> Judgement:
        """Whether PSS and USS can be read."""
        if empty := self._empty():
            return empty
        if self._place.is_gvisor:
            cause = "gVisor's smaps says that every page is private: PSS and USS are not known here"
            return "no", "gvisor", cause, Remedy(advice=REMEDIES["gvisor"])
        name = "smaps_rollup" if self._kernel.has_smaps_rollup else "smaps"
        judgement = self._opened(name, " --depth rollup")
        if judgement[0] == "yes" and name == "smaps":
            cause = "this kernel has no smaps_rollup: PSS is summed over mappings, each rounded down to whole KiB"
            return "partly", "no_smaps_rollup", cause, Remedy(advice=REMEDIES["no_smaps_rollup"])
        return judgement

    def mappings(self) -> Judgement:
        """Whether each mapping's account can be read."""
        return self._opened("smaps", " --depth mappings")

    def pages(self) -> Judgement:
        """Whether page tables can be compared: with whom memory is shared."""
        if empty := self._empty():
            return empty
        if not self._kernel.has_page_frames:
            cause = "page frame numbers are hidden: they need CAP_SYS_ADMIN in the first user namespace"
            return "no", "no_page_frames", cause, self._remedy("no_page_frames", self._again(" --depth pages"))
        if not self._environment.program("numpy").is_found:
            return NO_NUMPY
        accounts = self._opened("smaps_rollup", " --depth pages")
        if accounts[0] == "no" or self._target is None or self._target.may_read("pagemap"):
            return accounts
        return self._opened("pagemap", " --depth pages")

    def exclusive(self, pages: Judgement) -> Judgement:
        """Whether it can be told what ending the tree frees."""
        if pages[0] == "no" or self._kernel.has_kpagecount:
            return pages
        again = self._again(" --exclusive")
        return "no", "no_kpagecount", "/proc/kpagecount cannot be read", self._remedy("no_kpagecount", again)

    def copies(self, contents: Judgement) -> Judgement:
        """Whether it can be told who copied which pages, and why."""
        objects = self.objects(contents)
        if objects[0] != "yes" or self._kernel.has_page_frames:
            return objects
        cause = "page frame numbers are hidden: what was copied and why is told, who wrote is inferred"
        return "partly", "no_page_frames", cause, self._remedy("no_page_frames", self._again(None))

    def objects(self, contents: Judgement) -> Judgement:
        """Whether the objects in memory can be told."""
        if empty := self._empty():
            return empty
        return contents if self._environment.program("numpy").is_found else NO_NUMPY

    def waits(self, stacks: Judgement) -> Judgement:
        """Whether it can be told what threads wait for: without stacks only what /proc tells."""
        return stacks if stacks[0] != "no" or self._is_hidden() else ("partly", *stacks[1:])

    def capture(self, rollup: Judgement) -> Judgement:
        """Whether a capture holds all that pss can make use of."""
        return rollup if rollup[0] != "no" or self._is_hidden() else ("partly", *rollup[1:])

    def control_group(self) -> Judgement:
        """Whether the limit and the charges of a memory control group show."""
        if self._environment.has_memory_account:
            return YES
        cause = "airmem's own control group has no memory account that shows here"
        return "partly", "no_memory_account", cause, Remedy(advice=REMEDIES["cgroup_not_mounted"])

    def exact_page_counts(self) -> Judgement:
        """Whether PSS counts the sharers of each page rather than the average of a large folio."""
        if self._kernel.page_mapcount == "exact":
            return YES
        if self._kernel.page_mapcount == "averaged":
            cause = "the kernel is built with CONFIG_NO_PAGE_MAPCOUNT: PSS and USS of huge pages are estimates"
            return "no", "averaged", cause, Remedy(advice="None; it matters only where AnonHugePages is large")
        cause = "neither /proc/config.gz nor /boot/config tells how the kernel is built"
        return "partly", "unknown_configuration", cause, Remedy(advice="None; kernels before 6.15 are exact")

    def page_flags(self) -> Judgement:
        """Whether it can be told which page frames are huge, zero or swap cache."""
        if self._kernel.has_kpageflags and self._kernel.has_page_frames:
            return YES
        cause = "/proc/kpageflags cannot be read, or page frame numbers are hidden"
        return "no", "no_kpageflags", cause, self._remedy("no_kpagecount", self._again(None))

    def page_scan(self) -> Judgement:
        """Whether the kernel can be asked for the pages of one kind."""
        if self._kernel.has_pagemap_scan:
            return YES
        cause = "this kernel has no PAGEMAP_SCAN (6.7 and later do); page tables are read whole"
        return "no", "no_pagemap_scan", cause, Remedy(advice="None is needed: it only costs more")

    def contents(self) -> Judgement:
        """Whether the memory itself can be read, as a debugger does."""
        judgement = self._opened("mem", None)
        scope = self._place.ptrace_scope or 0
        is_refused = judgement[0] == "no" and not self._empty()
        if is_refused and self._target is not None and self._target.may_read("smaps") and scope > 0:
            cause = (
                f"Yama (kernel.yama.ptrace_scope={scope}) lets no process read another's memory without CAP_SYS_PTRACE"
            )
            return "no", "yama", cause, self._remedy("denied", self._again(None))
        return judgement

    def system_calls(self) -> Judgement:
        """Whether it can be seen in which system call a process waits."""
        return self._opened("syscall", None)

    def _opened(self, name: str, options: str | None) -> Judgement:
        """Judge by whether the target's file could be opened; without a target, by whose files can be."""
        if self._target is None:
            return self._in_general(options)
        if empty := self._empty():
            return empty
        outcome = self._target.files.get(name, "ENOENT")
        if outcome == "ok":
            return YES
        if outcome in ("EACCES", "EPERM") and self._is_guarded_by_mode():
            cause = f"{name} is open to uid {self._owner()} alone; to others only with CAP_DAC_READ_SEARCH"
            return self._refused("file_mode", cause, options)
        if self._is_hidden() or outcome in ("EACCES", "EPERM"):
            return self._refused(self._target.reason, self._target.detail, options)
        return "no", "unreadable", f"{name} cannot be opened: {outcome}", Remedy(advice=REMEDIES["unreadable"])

    def _empty(self) -> Judgement | None:
        """Judge a process that certainly has no memory: nothing that is read of memory can be had of it."""
        why = self._target.process.why_empty if self._target and self._target.process else None
        return None if why is None else ("no", *why, Remedy(advice=REMEDIES[why[0]]))

    def _in_general(self, options: str | None) -> Judgement:
        own = self._place.identity
        if own.may(SYS_PTRACE):
            return YES
        cause = (
            f"without CAP_SYS_PTRACE only processes of uid {own.user_id} and gid {own.group_ids[1]} that are"
            " dumpable and hold no more capabilities can be read"
        )
        return "partly", "own_processes", cause, self._remedy("denied", self._again(options))

    def _refused(self, word: str, cause: str, options: str | None) -> Judgement:
        return "no", word, cause, self._remedy(word, self._again(options))

    def _remedy(self, word: str, again: str) -> Remedy:
        subject = self._target.identity if self._target else None
        return remedy_for(word, again, self._place, subject) or Remedy(advice=REMEDIES.get(word, ""))

    def _again(self, options: str | None) -> str:
        """Return the command to run again: pss with options, or doctor where no command makes use of it yet."""
        pid = self._target.pid if self._target else "PID"
        return f"airmem doctor {pid}" if options is None else f"airmem pss {pid}{options}"

    def _is_hidden(self) -> bool:
        return self._target is not None and self._target.identity is None

    def _is_guarded_by_mode(self) -> bool:
        """Whether the permission to trace is there, so that it must be the file's mode (0400) that refuses."""
        own = self._place.identity
        reads_any = own.may(DAC_OVERRIDE) or own.may(DAC_READ_SEARCH)
        traces = own.may(SYS_PTRACE) and self._target is not None and self._target.may_read("smaps")
        return traces and not reads_any and own.user_id != self._owner()

    def _owner(self) -> int | None:
        return self._target.identity.owner_uid if self._target and self._target.identity else None
