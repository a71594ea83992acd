"""Which processes may be asked for their stacks by a signal, and asking them."""

from __future__ import annotations

from dataclasses import dataclass

from airmem.services.signal_stacks import may_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Signaled:
    """A process that was asked, and where its standard output goes; or why it was not."""

    pid: int
    component: str
    output: str
    problem: str


def signal_stacks(root_pids: tuple[int, ...], source: Source | None = None) -> tuple[Signaled, ...]:
    """Send SIGQUIT to every process of the trees that prints its stacks on it; the others are left alone.

    Looked at immediately before: the role by its detector, the handler in SigCgt.
    """
    from airmem.collect.signal_stacks import ask_for_stacks, collect_caught_signals  # noqa: PLC0415
    from airmem.collect.sockets import LiveListeners  # noqa: PLC0415
    from airmem.collect.source import open_source  # noqa: PLC0415
    from airmem.collect.tree import collect_tree  # noqa: PLC0415
    from airmem.services.detect import detect_roles  # noqa: PLC0415

    reader = source or open_source()
    found = []
    for root in root_pids:
        processes = [one.process for one in collect_tree(reader, root, "status").processes]  # with their titles
        roles = detect_roles(processes, LiveListeners(reader))
        for process in processes:
            role = roles.get(process.pid)
            mask, output = collect_caught_signals(reader, process.pid)
            if role is not None and may_signal(role, mask):
                problem = ask_for_stacks(process.pid)
                found.append(Signaled(pid=process.pid, component=role.component, output=output, problem=problem))
    return tuple(found)
