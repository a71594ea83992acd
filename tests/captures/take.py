"""Copy stat and cmdline of process trees into a capture folder, as /proc shows them: take.py FOLDER PID...

Of processes that listen on TCP it also copies the links of their sockets and the listening lines of net/tcp. Never
environ, never memory. Look through the command lines before a capture is committed.
"""

from __future__ import annotations

import os
import shutil
import sys


def main() -> None:
    """Capture each named process with its descendants, and the parent of each as the kernel shows it."""
    folder, roots = sys.argv[1], {int(word) for word in sys.argv[2:]}
    parents = {int(name): parent_pid(name) for name in os.listdir("/proc") if name.isdecimal()}
    wanted = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    for pid in sorted(wanted):
        try:
            copy(folder, pid)
        except (FileNotFoundError, ProcessLookupError):
            shutil.rmtree(f"{folder}/proc/{pid}")  # it ended meanwhile


def parent_pid(name: str) -> int:
    """Return the parent of a process, 0 when it is gone."""
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def copy(folder: str, pid: int) -> None:
    """Copy one process's files."""
    place = f"{folder}/proc/{pid}"
    os.makedirs(place, exist_ok=True)
    for name in ("stat", "cmdline"):
        with open(f"/proc/{pid}/{name}", "rb") as source, open(f"{place}/{name}", "wb") as target:
            target.write(source.read())
    links = {name: os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    sockets = {name: link for name, link in links.items() if link.startswith("socket:")}
    if not sockets:
        return
    os.makedirs(place + "/net", exist_ok=True)
    os.makedirs(place + "/fd", exist_ok=True)
    for name, link in sockets.items():
        os.symlink(link, f"{place}/fd/{name}")
    own = {link[8:-1].encode() for link in sockets.values()}
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}", "rb") as source, open(f"{place}/net/{name}", "wb") as target:
            header = source.readline()
            target.writelines([header, *(line for line in source if line.split()[9] in own)])


if __name__ == "__main__":
    main()
