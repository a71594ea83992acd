"""Runs under the user's Python: imports modules, forks with and without gc.freeze, measures what a collection copies.

Arguments: the modules. Prints one JSON object; what the modules print goes to standard error. Each way runs in a fork
of its own, the stage, which does what a service would do before it forks; the stage forks a worker, which collects.
What the worker copies is the growth of its own Private_Dirty (proc(5), smaps_rollup).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WAYS = ("as_it_is", "freeze", "collect_and_freeze")
PER_KB = 1024


def read_rollup() -> dict[str, int]:
    """Return the rows of this process's smaps_rollup in bytes."""
    descriptor = os.open("/proc/self/smaps_rollup", os.O_RDONLY)
    try:
        rows = [line.split() for line in os.read(descriptor, 1 << 16).splitlines()]
    finally:
        os.close(descriptor)
    return {row[0][:-1].decode(): int(row[1]) * PER_KB for row in rows if len(row) == 3 and row[2] == b"kB"}


def prepare(way: str) -> int:
    """Do before the fork what the way says; return how many objects are frozen."""
    gc.disable()
    if way == "collect_and_freeze":
        gc.collect()
    if way != "as_it_is":
        gc.freeze()
    return gc.get_freeze_count()


def collect() -> dict[str, int]:
    """Return what a full collection in this process copies."""
    read_rollup()  # the first one allocates
    before = read_rollup()["Private_Dirty"]
    gc.collect()
    return {"copied_bytes": read_rollup()["Private_Dirty"] - before}


def within_a_fork(work: Callable[..., dict[str, int]], *arguments: str) -> dict[str, int]:
    """Return what a function gives in a forked process. Errors: OSError when that process ends without an answer."""
    answers, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(answer, json.dumps(work(*arguments)).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(answer)
    text = b""
    while True:
        part = os.read(answers, 1 << 16)
        if not part:
            break
        text += part
    os.close(answers)
    _, status = os.waitpid(pid, 0)
    if not text:
        raise OSError(f"the forked process ended with wait status {status}")
    return dict(json.loads(text))


def stage(way: str) -> dict[str, int]:
    """Be what forks the worker."""
    frozen_count = prepare(way)
    return {"frozen_count": frozen_count, **within_a_fork(collect)}


def import_all(names: list[str]) -> None:
    """Import the modules; exits with what went wrong as the answer."""
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as problem:  # a module may raise SystemExit
            text = str(problem)[:500]
            answer({"failed": {"module": name, "kind": type(problem).__name__, "text": text}})


def answer(document: dict[str, object]) -> None:
    """Print the answer and leave at once: no thread, no exit handler of the modules may hold it up."""
    os.write(OUTPUT, json.dumps(document).encode())
    os._exit(0)


def main(names: list[str]) -> None:
    """Try every way on these modules."""
    document: dict[str, object] = {
        "implementation": sys.implementation.name,
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "is_free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
    }
    if not hasattr(gc, "freeze") or not os.path.exists("/proc/self/smaps_rollup"):
        answer({**document, "missing": "gc.freeze" if not hasattr(gc, "freeze") else "/proc/self/smaps_rollup"})
    import_all(names)
    document["anonymous_bytes"] = read_rollup()["Anonymous"]
    try:
        document["ways"] = [{"name": way, **within_a_fork(stage, way)} for way in WAYS]
    except OSError as problem:
        answer({**document, "missing": str(problem)})
    answer(document)


if __name__ == "__main__":
    OUTPUT = os.dup(1)
    os.dup2(2, 1)
    sys.path[0] = os.getcwd()  # as `python -c` and `python -m` do; it was the folder of this file
    main(sys.argv[1:])
