"""Make docs/examples: what the pages show is what these commands printed.

    python docs/make_examples.py            write the examples
    python docs/make_examples.py --check    write nothing; fail where a stored example no longer has the shape of real output

It starts `airmem demo` for each scenario and ends what it started. As root it shows all that airmem can; without, the
examples show gaps. Needs airmem on PATH, or beside the Python that runs this.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
EXAMPLES = DOCS / "examples"
SCHEMAS = DOCS / "schema"
WIDTH = 110
PATIENCE_SECONDS = 60


def find_airmem() -> str:
    """Return the airmem to run."""
    beside = Path(sys.executable).with_name("airmem")
    return str(beside) if beside.exists() else shutil.which("airmem") or sys.exit("airmem is not installed")


AIRMEM = find_airmem()
PLAIN = {**os.environ, "NO_COLOR": "1", "COLUMNS": str(WIDTH), "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class Demo:
    """A running demo: its first pid and what it has printed."""

    pid: int
    printed: str


@contextlib.contextmanager
def demo(*options: str) -> Iterator[Demo]:
    """Run `airmem demo` until the block ends."""
    process = subprocess.Popen([AIRMEM, "demo", *options], stdout=subprocess.PIPE, text=True, env=PLAIN)
    try:
        yield read_demo(process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()


def read_demo(process: subprocess.Popen[str]) -> Demo:
    """Return what the demo prints until it has said everything, and the pid that it names."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), True)
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    printed = "".join(lines)
    found = re.search(r"\bpid\D{0,12}(\d+)|airmem pss (\d+)", printed)
    if found is None:
        sys.exit(f"the demo names no pid:\n{printed}")
    return Demo(pid=int(found.group(1) or found.group(2)), printed=printed)


def run(*arguments: str, prefix: tuple[str, ...] = (), expected: int = 0) -> str:
    """Return what airmem prints for these arguments."""
    done = subprocess.run(
        [*prefix, AIRMEM, *arguments], capture_output=True, text=True, env=PLAIN, timeout=PATIENCE_SECONDS, check=False
    )
    if done.returncode != expected:
        sys.exit(f"airmem {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def console(*steps: tuple[str, str]) -> str:
    """Return commands and what they printed, as one block of a page."""
    parts = [f"$ {command}\n{printed.rstrip()}" for command, printed in steps]
    body = "\n\n".join(parts)
    return f"```console\n{body}\n```\n"


def show(pid: int, *options: str, prefix: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return a step that runs `airmem pss` on a demo."""
    arguments = ("pss", str(pid), *options)
    shown = " ".join((*prefix, "airmem", *arguments))
    return shown, run(*arguments, prefix=prefix)


def make_mixed() -> Iterator[tuple[str, str]]:
    """Workers that each do something else."""
    with demo("--workers", "4", "--mode", "mixed") as tree:
        yield "demo.txt", console(("airmem demo --workers 4 --mode mixed", tree.printed))
        yield "pss.txt", console(show(tree.pid))
        document = json.loads(run("pss", str(tree.pid), "--format", "json"))
        shown = json.dumps(document["tree"], indent=2)
        yield "pss-tree-json.txt", console((f"airmem pss {tree.pid} --format json | jq .tree", shown))
        yield "every.txt", console(show(tree.pid, "--every", "3", "--for", "7s"))


def make_before_and_after(folder: str) -> Iterator[tuple[str, str]]:
    """The same work with and without gc.freeze()."""
    before = f"{folder}/before.json"
    with demo("--workers", "4", "--mode", "none") as tree:
        yield "tutorial-fresh.txt", console(show(tree.pid))
    with demo("--workers", "4", "--mode", "gc") as tree:
        yield "tutorial-gc.txt", console(show(tree.pid))
        yield "tutorial-mappings.txt", console(show(tree.pid, "--mappings", "--top", "6"))
        if os.geteuid() == 0:
            prefix = ("setpriv", "--bounding-set", "-sys_admin,-sys_ptrace,-perfmon", "--inh-caps", "-all")
            yield "tutorial-rollup.txt", console(show(tree.pid, "--depth", "rollup", prefix=()))
            del prefix
        run("pss", str(tree.pid), "--format", "json", "-o", before)
    with demo("--workers", "4", "--mode", "frozen") as tree:
        printed = run("pss", str(tree.pid), "--diff", before)
        yield "diff.txt", console((f"airmem pss {tree.pid} --diff before.json", printed.replace(before, "before.json")))


def make_keys() -> Iterator[tuple[str, str]]:
    """Tables of the keys of each schema."""
    for path in sorted(SCHEMAS.glob("*.json")):
        yield f"{path.stem}-keys.md", tabulate(json.loads(path.read_text(encoding="utf-8")))


def tabulate(schema: dict[str, Any]) -> str:
    """Return a table of all keys of a schema, with their place."""
    lines = ["| key | type | meaning |", "| --- | --- | --- |"]
    for name, node in walk(schema, schema):
        lines.append(f"| `{name}` | {type_of(node, schema)} | {node.get('description', '')} |")
    return "\n".join(lines) + "\n"


def walk(node: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk over the keys of a schema, references followed."""
    for name, child in node.get("properties", {}).items():
        place = f"{path}{name}"
        yield place, child
        resolved = resolve(child, schema)
        if "items" in resolved:
            yield from walk(resolve(resolved["items"], schema), schema, f"{place}[].")
        yield from walk(resolved, schema, f"{place}.")


def resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a node says, with its reference or its alternative to null followed."""
    for option in node.get("oneOf", ()):
        if option.get("type") != "null":
            return resolve(option, schema)
    if "$ref" in node:
        return {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}
    return node


def type_of(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the type of a key in words."""
    resolved = resolve(node, schema)
    kind = resolved.get("type", "text" if "enum" in resolved else type(resolved.get("const", "")).__name__)
    kinds = kind if isinstance(kind, list) else [kind]
    if any(option.get("type") == "null" for option in node.get("oneOf", ())):
        kinds = [*kinds, "null"]
    names = {"string": "text", "str": "text", "int": "integer", "array": "list"}
    return " or ".join(names.get(one, one) for one in kinds)


def make_all() -> Iterator[tuple[str, str]]:
    """Make every example: its file and its text."""
    yield from make_keys()
    yield from make_mixed()
    with tempfile.TemporaryDirectory() as folder:
        yield from make_before_and_after(folder)


def shape_of(text: str) -> set[str]:
    """Return the words of an example without its figures: those change with every run."""
    return {word for word in re.split(r"[\s\d?.,:=+%/()-]+", text) if len(word) > 3}


def main() -> int:
    """Write the examples, or compare their shape with stored ones."""
    is_check = "--check" in sys.argv[1:]
    EXAMPLES.mkdir(exist_ok=True)
    stale = []
    for name, text in make_all():
        path = EXAMPLES / name
        if not is_check:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(DOCS.parent))
        elif not path.exists() or shape_of(path.read_text(encoding="utf-8")) != shape_of(text):
            stale.append(name)
    for name in stale:
        print(f"docs/examples/{name} is not what airmem prints now", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
