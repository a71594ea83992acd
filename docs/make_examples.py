"""Make docs/examples: what the pages show is what these commands printed.

    python docs/make_examples.py            write the examples
    python docs/make_examples.py --check    write nothing; fail where a stored example lacks words of real output

It starts `airmem demo` for each scenario and ends what it started. As root it shows all that airmem can, with the demo
in a control group of its own; otherwise the examples show gaps. It runs the airmem of the Python that runs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
EXAMPLES = DOCS / "examples"
SCHEMAS = DOCS / "schema"
PATIENCE_SECONDS = 60
LIMIT_BYTES = 1 << 30
GROUP = "airmem-demo"
MEMORY_GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))

AIRMEM = ("python3", "-m", "airmem")
SERVICE_USER = ("setpriv", "--reuid=50000", "--regid=50000", "--clear-groups")
"""As a container runs a service: a plain user without capabilities."""

ENVIRONMENT = {
    **os.environ,
    "COLUMNS": "96",
    "NO_COLOR": "1",
    "TERM": "xterm",
    "PYTHONUNBUFFERED": "1",
    "PYTHONPATH": os.pathsep.join((str(DOCS.parent), sysconfig.get_path("purelib"))),  # for SERVICE_USER's Python
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
}

SERVICE = """
import multiprocessing
def work():
    kept = [bytearray(1000) for _ in range(20000)]
if __name__ == "__main__":
    workers = [multiprocessing.get_context("fork").Process(target=work) for _ in range(2)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
"""

Prefix = tuple[str, ...]
Example = tuple[str, str]
"""File and text."""


@dataclass(frozen=True)
class Demo:
    """A running demo: its parent, its workers, what it has printed."""

    pid: int
    workers: tuple[int, ...]
    printed: str


@contextlib.contextmanager
def own_group() -> Iterator[Prefix]:
    """Make a control group with a limit, if that is permitted; yield what starts a command in it."""
    for root, limit_file in MEMORY_GROUPS:
        group = Path(root) / GROUP
        try:
            group.mkdir()
            (group / limit_file).write_text(str(LIMIT_BYTES))
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
            continue
        try:
            yield ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
        finally:
            remove_group(group)
        return
    yield ()


def remove_group(group: Path) -> None:
    """Remove a control group as soon as its processes have ended."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)


@contextlib.contextmanager
def demo(*options: str, prefix: Prefix = ()) -> Iterator[Demo]:
    """Run `airmem demo` until the block ends."""
    with own_group() as start:
        process = subprocess.Popen(
            [*start, *prefix, *AIRMEM, "demo", *options], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        try:
            yield read_demo(process)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def read_demo(process: subprocess.Popen[str]) -> Demo:
    """Return what the demo prints until it has said everything, and the pids that it names."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    printed = "".join(lines)
    parent = re.search(r"^pid (\d+)", printed, re.MULTILINE)
    workers = re.search(r"^workers: ([\d ]+)$", printed, re.MULTILINE)
    if parent is None or workers is None:
        raise SystemExit(f"the demo names no pids:\n{printed}")
    return Demo(int(parent[1]), tuple(int(word) for word in workers[1].split()), printed)


def run(*arguments: str, prefix: Prefix = ()) -> str:
    """Return what airmem prints for these arguments."""
    return run_any(*prefix, *AIRMEM, *arguments)


def at_terminal(
    arguments: tuple[str, ...],
    meanwhile: Callable[[], None] = lambda: None,
    folder: str | None = None,
    may_find: bool = False,
) -> str:
    """Return what a command prints at a terminal: text is wrapped there, and long titles are cut.

    It runs in `folder`. With `may_find` it may end with 1: it has found something.
    """
    screen, terminal = pty.openpty()
    with open(screen, "rb", buffering=0) as output:
        process = subprocess.Popen(arguments, stdout=terminal, stderr=terminal, env=ENVIRONMENT, cwd=folder)
        os.close(terminal)
        meanwhile()
        printed = b""
        with contextlib.suppress(OSError):  # the last one has left the terminal
            while block := output.read(1 << 16):
                printed += block
        status = process.wait(PATIENCE_SECONDS)
        if status and not (may_find and status == 1):
            raise SystemExit(f"{' '.join(arguments)}: status {status}\n{printed.decode()}")
    return printed.decode().replace("\r\n", "\n")


def run_any(*arguments: str) -> str:
    """Return what a command prints into a pipe."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=PATIENCE_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def console(*steps: tuple[str, str]) -> str:
    """Return commands and what they printed, as one block of a page."""
    body = "\n\n".join(f"$ {command}\n{printed.rstrip()}".rstrip() for command, printed in steps)
    return f"```console\n{body}\n```\n"


def show(pid: int, *options: str, prefix: Prefix = ()) -> tuple[str, str]:
    """Return a step that runs `airmem pss` on a demo."""
    arguments = ("pss", str(pid), *options)
    return " ".join(("airmem", *arguments)), at_terminal((*prefix, *AIRMEM, *arguments))


def show_cow(pid: int) -> tuple[str, str]:
    """Return a step that runs `airmem cow` on a demo."""
    return f"airmem cow {pid} --top 6", at_terminal((*AIRMEM, "cow", str(pid), "--top", "6"))


def make_verify_freeze() -> Iterator[Example]:
    """Show what gc.freeze saves on some modules of the standard library."""
    arguments = ("cow", "--verify-freeze", "--preload", "asyncio,sqlite3,unittest.mock", "--python", "python3")
    yield "cow-verify-freeze.txt", console((" ".join(("airmem", *arguments)), at_terminal((*AIRMEM, *arguments))))


def make_mixed() -> Iterator[Example]:
    """Show workers that do different things."""
    options = ("--mode", "mixed", "--workers", "4")
    with demo(*options) as tree:
        yield "demo.txt", console((" ".join(("airmem demo", *options)), tree.printed))
        yield "pss.txt", console(show(tree.pid))
        yield "cow.txt", console(show_cow(tree.pid))
        yield "pss-exclusive.txt", console(show(tree.pid, "--exclusive", "--sort", "uss", "--top", "2"))
        document = json.loads(run("pss", str(tree.pid), "--format", "json"))
        shown = json.dumps(document["tree"], indent=2)
        yield "pss-tree-json.txt", console((f"airmem pss {tree.pid} --format json | jq .tree", shown))


def make_watch() -> Iterator[Example]:
    """Show what a worker's end does to its siblings."""
    with demo("--mode", "none", "--workers", "3") as tree:
        arguments = ("pss", str(tree.pid), "--depth", "rollup", "--every", "4", "--for", "6")

        def end_a_worker() -> None:
            time.sleep(2)
            os.kill(tree.workers[-1], signal.SIGKILL)

        printed = at_terminal((*AIRMEM, *arguments), end_a_worker)
        yield "every.txt", console((" ".join(("airmem", *arguments)), printed))


def make_tutorial(folder: str) -> Iterator[Example]:
    """Show a fresh tree, the same after a collection, and with gc.freeze()."""
    before = f"{folder}/before.json"
    with demo("--mode", "none", "--workers", "4") as tree:
        yield "tutorial-fresh.txt", console(show(tree.pid))
    with demo("--mode", "gc", "--workers", "4") as tree:
        yield "tutorial-gc.txt", console(show(tree.pid))
        yield "tutorial-mappings.txt", console(show(tree.pid, "--mappings", "--top", "3"))
        run("pss", str(tree.pid), "--format", "json", "-o", before)
    with demo("--mode", "frozen", "--workers", "4") as tree:
        printed = at_terminal((*AIRMEM, "pss", str(tree.pid), "--diff", before))
        yield "diff.txt", console((f"airmem pss {tree.pid} --diff before.json", printed))
    with demo("--mode", "parent", "--workers", "4") as tree:
        yield "tutorial-parent.txt", console(show(tree.pid))


def make_pod() -> Iterator[Example]:
    """Show what a service's own user sees."""
    prefix = SERVICE_USER if os.geteuid() == 0 else ()
    with demo("--mode", "gc", "--workers", "4", prefix=prefix) as tree:
        user = ("id -u", run_any(*prefix, "id", "-u"))
        yield "as-user.txt", console(user, show(tree.pid, prefix=prefix))


def make_doctor() -> Iterator[Example]:
    """Show what a user may learn of a service that runs as somebody else."""
    prefix = SERVICE_USER if os.geteuid() == 0 else ()
    with demo("--mode", "none", "--workers", "2") as tree:
        printed = at_terminal((*prefix, *AIRMEM, "doctor", str(tree.pid)))
        printed = re.sub(r"^(kernel +[\d.]+)[^;]*", r"\1", printed, flags=re.MULTILINE)
        yield "doctor.txt", console((" ".join(("airmem doctor", str(tree.pid))), printed))


def make_heap() -> Iterator[Example]:
    """Show the objects of a tree by type, and where some of them lie."""
    with demo("--mode", "data", "--workers", "2") as tree:
        for name, options in (("heap.txt", ("--top", "8")), ("heap-type.txt", ("--type", "dict"))):
            arguments = ("heap", str(tree.pid), *options)
            yield name, console((" ".join(("airmem", *arguments)), at_terminal((*AIRMEM, *arguments))))


def make_analyze(folder: str) -> Iterator[Example]:
    """Show what a program's captures hold, and how two of different length tell a leak from a cache."""
    for name, requests, seconds in (("short", "2000", "0.5"), ("long", "6000", "2")):
        shutil.copy(DOCS.parent / "tests/live/programs/leak_and_cache.py", folder)
        program = ("leak_and_cache.py", requests, seconds)
        run_in(folder, "python3", "-m", "memray", "run", "-q", "-o", f"{name}.bin", *program)
    for name, words in (("analyze.txt", ("short.bin",)), ("analyze-diff.txt", ("short.bin", "--diff", "long.bin"))):
        arguments = ("analyze", *words, "--top", "4")
        yield name, console((" ".join(("airmem", *arguments)), run_in(folder, *AIRMEM, *arguments)))


def run_in(folder: str, *arguments: str) -> str:
    """Return what a command prints in a folder."""
    return run_any("env", f"--chdir={folder}", *arguments)


def make_hang() -> Iterator[Example]:
    """Show a scheduler that stands still: the tutorial's own program."""
    program = EXAMPLES / "stuck-scheduler.py"
    with subprocess.Popen([sys.executable, str(program)], stdin=subprocess.DEVNULL, cwd=EXAMPLES) as process:
        try:
            time.sleep(4)
            printed = at_terminal((*AIRMEM, "hang-dump", str(process.pid)))
        finally:
            process.terminate()
    yield "hang.txt", console((f"airmem hang-dump {process.pid}", printed))


def make_imports(folder: str) -> Iterator[Example]:
    """Show what a module of somebody's DAGs costs: in full, with a module blocked, by allocation, over its budget."""
    dags = Path(folder) / "my_dags"
    dags.mkdir()
    (dags / "__init__.py").write_text("")
    (dags / "common.py").write_text("import json\n\nimport jsonschema\nimport numpy\n\nLIMITS = list(range(200_000))\n")
    run_any("python3", "-m", "compileall", "-q", folder)
    for name, options in (
        ("imports.txt", ("--workers", "32", "--top", "4")),
        ("imports-without.txt", ("--without", "numpy", "--top", "2")),
        ("imports-explain.txt", ("--explain", "my_dags.common", "--top", "2")),
        ("imports-budget.txt", ("--budget", "20M", "--top", "2")),
    ):
        arguments = ("imports", "my_dags.common", *options)
        printed = at_terminal((*AIRMEM, *arguments), folder=folder, may_find=True)
        printed = printed.replace(sys.prefix, "/srv/venv").replace(os.path.realpath(folder), "/srv/dags")
        printed = re.sub(r"^importing .*\n", "", printed)
        yield name, console((" ".join(("airmem", *arguments)), printed))


def make_trace(folder: str) -> Iterator[Example]:
    """Show what a recording leaves."""
    source = Path(folder) / "service.py"
    source.write_text(SERVICE)
    line = ("trace", "--yes", "--no-analyze", "-o", f"{folder}/traces", "--", sys.executable, str(source))
    shown = run(*line).replace(f"{folder}/", "")
    listed = run("trace", "--list", "-o", f"{folder}/traces").replace(f"{folder}/", "")
    began = ("airmem trace --yes --no-analyze -o traces -- python service.py", shown.replace(sys.executable, "python"))
    yield "trace.txt", console(began, ("airmem trace --list -o traces", listed))


def make_keys() -> Iterator[Example]:
    """Make a table of the keys of each schema."""
    for path in sorted(SCHEMAS.glob("*.json")):
        yield f"{path.stem}-keys.md", tabulate(json.loads(path.read_text(encoding="utf-8")))


def tabulate(schema: dict[str, Any]) -> str:
    """Return a table of all keys of a schema."""
    lines = ["| key | type | meaning |", "| --- | --- | --- |"]
    for name, node in walk(schema, schema):
        lines.append(f"| `{name}` | {type_of(node, schema)} | {node.get('description', '')} |")
    return "\n".join(lines) + "\n"


def walk(node: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk over the keys of a schema, references followed: `tree.cgroup.path`, `processes[].pid`."""
    for name, child in node.get("properties", {}).items():
        place = f"{path}{name}"
        yield place, child
        resolved = resolve(child, schema)
        if "items" in resolved:
            yield from walk(resolve(resolved["items"], schema), schema, f"{place}[].")
        yield from walk(resolved, schema, f"{place}.")


def resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a node says, its reference or its alternative to null followed."""
    for option in node.get("oneOf", ()):
        if option.get("type") != "null":
            return resolve(option, schema)
    if "$ref" in node:
        return {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}
    return node


def type_of(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the type of a key in words."""
    resolved = resolve(node, schema)
    values = resolved.get("enum", [resolved["const"]] if "const" in resolved else [])
    kind = resolved.get("type", "integer" if values and isinstance(values[0], int) else "string")
    kinds = list(kind) if isinstance(kind, list) else [kind]
    if any(option.get("type") == "null" for option in node.get("oneOf", ())):
        kinds.append("null")
    names = {"string": "text", "array": "list", "boolean": "true, false"}
    return " or ".join(names.get(one, one) for one in kinds)


def make_all() -> Iterator[Example]:
    """Make every example."""
    yield from make_keys()
    yield from make_mixed()
    yield from make_watch()
    yield from make_pod()
    yield from make_doctor()
    yield from make_heap()
    yield from make_hang()
    yield from make_verify_freeze()
    with tempfile.TemporaryDirectory() as folder:
        yield from make_tutorial(folder)
        yield from make_analyze(folder)
        yield from make_trace(folder)

    with tempfile.TemporaryDirectory() as folder:
        yield from make_imports(folder)


def words_of(text: str) -> set[str]:
    """Return the words of an example without its figures and addresses, which change with every run."""
    text = re.sub(r"\b[0-9a-f]{12}-[0-9a-f]{12}\b|\[heap\]", "", text)
    return {word for word in re.split(r"[^A-Za-z_-]+", text) if len(word) > 3}


def main() -> int:
    """Write the examples, or compare stored ones with real output."""
    is_check = "--check" in sys.argv[1:]
    EXAMPLES.mkdir(exist_ok=True)
    stale = []
    for name, text in make_all():
        path = EXAMPLES / name
        if not is_check:
            path.write_text(text, encoding="utf-8")
            print(f"docs/examples/{name}")
        elif words := words_of(path.read_text(encoding="utf-8") if path.exists() else "") ^ words_of(text):
            stale.append(f"{name}: {' '.join(sorted(words))}")
    for line in stale:
        print(f"not what airmem prints now: docs/examples/{line}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
