"""On which TCP ports a process listens: asked only about the few processes that nothing else tells apart."""

from __future__ import annotations

from airmem.collect.gaps import gap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.gap import Gap
    from airmem.model.process import Process


class LiveListeners:
    """Reads the sockets of a process when asked; `gaps` tells of which processes that failed."""

    def __init__(self, reader: Source) -> None:
        self._reader = reader
        self.gaps: list[Gap] = []

    def ports(self, process: Process) -> tuple[int, ...] | None:
        """Return the TCP ports, ascending, None if they cannot be read. A process that has ended has none."""
        try:
            with self._reader.process(process.pid) as files:
                return _ports(files)
        except PermissionError:
            from airmem.collect.access import explain_denial  # noqa: PLC0415  # only when something is refused

            reason, detail = explain_denial(self._reader, process.pid)
            self.gaps.append(gap(process.pid, "role", reason, f"whether it listens on a port is hidden: {detail}"))
        except (FileNotFoundError, ProcessLookupError):
            return ()
        except OSError as problem:
            self.gaps.append(gap(process.pid, "role", "unreadable", f"its sockets: {problem}"))
        return None


def _ports(files: ProcessFiles) -> tuple[int, ...]:
    from airmem.kernel.net import parse_listeners, parse_socket_link  # noqa: PLC0415  # seldom asked

    own: set[int] = set()
    for name in files.entries("fd"):
        try:
            inode = parse_socket_link(files.link(f"fd/{name}"))
        except FileNotFoundError:
            continue  # closed meanwhile
        if inode is not None:
            own.add(inode)
    if not own:
        return ()
    listening = parse_listeners(files.read("net/tcp"))
    try:
        listening.update(parse_listeners(files.read("net/tcp6")))
    except FileNotFoundError:
        pass  # a kernel without IPv6
    return tuple(sorted({port for inode, port in listening.items() if inode in own}))
