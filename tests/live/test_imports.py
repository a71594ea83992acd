"""`airmem imports` on modules whose cost is known, on real packages, and on modules that do not want to be imported."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.live.conftest import ask, run_airmem
from tests.live.pythons import find_too_old

MIB = 1 << 20
SMALL = MIB // 4
"""What the import system, a bytearray's own page and the allocator's pools add to a known size."""

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/imports.json").read_text(encoding="utf-8"))
PLAIN = """
import resource
def anonymous():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
before = anonymous()
import {modules}
print(anonymous() - before)
"""

TREE = {
    "app.py": "import heavy\nimport alone\nfrom pack import sub\nimport lib\n",
    "heavy.py": "import both\nHELD = bytearray(8 << 20)\n",
    "alone.py": "import both\nimport deep\nHELD = bytearray(2 << 20)\n",
    "both.py": "HELD = bytearray(4 << 20)\n",
    "deep.py": "HELD = bytearray(3 << 20)\n",
    "pack/__init__.py": "",
    "pack/sub.py": "HELD = bytearray(5 << 20)\n",
    "lib.py": "def late():\n    import late_one\n    return late_one\nlate()\n",
    "late_one.py": "HELD = bytearray(1 << 20)\n",
}
"""`both` is needed by two, `deep` by one, `pack` only for its submodule, `late_one` from a function."""


def lay_out(folder: Path, files: dict[str, str]) -> Path:
    """Write modules and their bytecode."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
    return folder


def measure(folder: Path, *arguments: object, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the answer, valid by its schema, and its modules by name."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    answer = ask("imports", *arguments, cwd=folder, env=environment, **more)
    jsonschema.validate(answer, SCHEMA, jsonschema.Draft202012Validator)
    return answer, {module["name"]: module for module in answer["modules"]}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("tree"), TREE)


@pytest.fixture(scope="module")
def known(tree: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return measure(tree, "app", "--workers", "4")


@pytest.mark.parametrize(
    ("name", "own", "inclusive", "retained"),
    [
        ("heavy", 8, 12, 8),
        ("both", 4, 4, 4),
        ("alone", 2, 5, 5),
        ("deep", 3, 3, 3),
        ("pack", 0, 0, 5),
        ("pack.sub", 5, 5, 5),
        ("lib", 0, 1, 1),
        ("late_one", 1, 1, 1),
        ("app", 0, 23, 23),
    ],
)
def test_the_known_truth(known, name: str, own: int, inclusive: int, retained: int) -> None:
    module = known[1][name]
    assert module["own_bytes"] == pytest.approx(own * MIB, abs=SMALL)
    assert module["inclusive_bytes"] == pytest.approx(inclusive * MIB, abs=SMALL)
    assert module["retained_bytes"] == pytest.approx(retained * MIB, abs=SMALL)


def test_who_imports_whom(known, tree: Path) -> None:
    modules = known[1]
    place = {name: (one["importer"], Path(one["importer_path"]).name, one["line"]) for name, one in modules.items()}
    assert place["app"] == ("", "", 0)
    assert place["heavy"] == ("app", "app.py", 1)
    assert place["pack.sub"] == ("app", "app.py", 3)
    assert place["late_one"] == ("lib", "lib.py", 2)
    lines = {(line["importer"], Path(line["path"]).name, line["line"]) for line in modules["both"]["lines"]}
    assert lines == {("heavy", "heavy.py", 1), ("alone", "alone.py", 1)}
    assert modules["alone"]["retained_count"] == 2
    assert modules["both"]["retained_count"] == 1


def test_the_sums_hold(known) -> None:
    answer, modules = known
    totals = answer["totals"]
    assert totals["own_sum_bytes"] == sum(one["own_bytes"] for one in modules.values())
    assert totals["own_sum_bytes"] == sum(one["own_bytes"] for one in answer["distributions"])
    assert totals["own_sum_bytes"] + totals["machinery_bytes"] == totals["growth_bytes"]
    assert totals["copied_bytes"] == 5 * totals["growth_bytes"]
    assert totals["growth_bytes"] == pytest.approx(totals["walked_growth_bytes"], rel=0.03)
    assert answer["gaps"] == []


@pytest.mark.parametrize("modules", ["numpy", "jsonschema, rich.console", "hypothesis"])
def test_own_adds_up_to_what_a_plain_import_costs(tmp_path: Path, modules: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    plain = [
        int(subprocess.check_output([sys.executable, "-c", PLAIN.format(modules=modules)], env=environment)) * 1024
        for _ in range(3)
    ]
    answer, _ = measure(tmp_path, *modules.split(", "))
    assert answer["totals"]["own_sum_bytes"] == pytest.approx(sorted(plain)[1], rel=0.03)
    assert answer["totals"]["own_sum_bytes"] == pytest.approx(answer["totals"]["walked_growth_bytes"], rel=0.03)


def test_runs_agree(tmp_path: Path) -> None:
    runs = [measure(tmp_path, "numpy", "jsonschema")[1] for _ in range(4)]
    for key in ("own_bytes", "inclusive_bytes", "retained_bytes"):
        for name in runs[0]:
            figures = [run[name][key] for run in runs]
            if max(figures) >= 1_000_000:
                assert max(figures) - min(figures) <= 100_000, (name, key, figures)


def test_distributions(tmp_path: Path) -> None:
    answer, modules = measure(tmp_path, "numpy", "jsonschema")
    assert modules["numpy.linalg"]["distribution"] == "numpy"
    assert modules["attr"]["distribution"] == modules["attrs"]["distribution"] == "attrs"
    assert modules["json"]["distribution"] == "standard library"
    assert {one["distribution"] for one in answer["distributions"]} >= {"numpy", "jsonschema", "standard library"}


def test_blocking_saves_what_was_predicted(tmp_path: Path) -> None:
    lay_out(tmp_path, {"app.py": "import jsonschema\nimport numpy\n"})
    answer, _ = measure(tmp_path, "app", "--without", "numpy", "--without", "jsonschema")
    for one in answer["without"]:
        assert one["way"] == "placeholder"
        assert one["saved_bytes"] == pytest.approx(one["predicted_bytes"], rel=0.2), one["name"]
        assert one["saved_count"] == pytest.approx(one["predicted_count"], abs=3)


def test_what_cannot_be_blocked_is_a_gap(tmp_path: Path) -> None:
    lay_out(tmp_path, {"app.py": "import needed\nassert needed.VALUE == 3\n", "needed.py": "VALUE = 3\n"})
    answer, _ = measure(tmp_path, "app", "--without", "needed")
    assert answer["without"][0]["saved_bytes"] is None
    assert [gap["reason"] for gap in answer["gaps"]] == ["not_verifiable"]


def test_what_is_optional_is_blocked_as_missing(tmp_path: Path) -> None:
    text = "try:\n    import extra\nexcept ImportError:\n    extra = None\nassert extra is None or extra.VALUE == 1\n"
    lay_out(tmp_path, {"app.py": text, "extra.py": "VALUE = 1\nHELD = bytearray(3 << 20)\n"})
    answer, _ = measure(tmp_path, "app", "--without", "extra")
    assert answer["without"][0]["way"] == "missing"
    assert answer["without"][0]["saved_bytes"] == pytest.approx(3 * MIB, abs=SMALL)


def test_a_module_is_explained_by_its_lines(tmp_path: Path) -> None:
    pytest.importorskip("memray")
    files = {
        "app.py": "import held\n",
        "held.py": "TEXTS = [str(n) * 3 for n in range(30_000)]\nBLOCK = bytearray(3 << 20)\n",
    }
    lay_out(tmp_path, files)
    answer, modules = measure(tmp_path, "app", "--explain", "held")
    explained = answer["explanation"]
    truth = _sizes_of_held()
    found = {site["line"]: site["size_bytes"] for site in explained["sites"] if site["size_bytes"] > 100_000}
    assert found.keys() == truth.keys()
    for line, size_bytes in truth.items():
        assert found[line] == pytest.approx(size_bytes, rel=0.05)
    assert explained["own_bytes"] == pytest.approx(modules["held"]["own_bytes"], rel=0.1)


def _sizes_of_held() -> dict[int, int]:
    texts = [str(number) * 3 for number in range(30_000)]
    return {1: sum(map(sys.getsizeof, texts)) + sys.getsizeof(texts), 2: 3 << 20}


def test_two_modules_are_compared(tree: Path) -> None:
    answer, _ = measure(tree, "--compare", "both", "heavy")
    compare = answer["compare"]
    assert (compare["kind"], compare["before_name"], compare["after_name"]) == ("module", "both", "heavy")
    change = compare["after"]["growth_bytes"] - compare["before"]["growth_bytes"]
    assert change == pytest.approx(8 * MIB, abs=SMALL)
    assert answer["asked"] == ["heavy"]


def test_two_interpreters_are_compared(tree: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    answer, _ = measure(tree, "app", "--compare", sys.executable, tmp_path / "bare")
    assert answer["compare"]["kind"] == "python"
    assert answer["python"]["executable"] == str(tmp_path / "bare/bin/python")
    assert answer["compare"]["after"]["growth_bytes"] == pytest.approx(23 * MIB, abs=MIB)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose second commit, and an uncommitted line, bring more."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (tmp_path / "work").mkdir()
    folder = tmp_path / "work"
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(tmp_path)}

    def git(*words: str, **more: str) -> None:
        options = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *options, *words], cwd=folder, env={**environment, **more}, check=True)

    lay_out(folder, {"src/app.py": "import old\n", "src/old.py": "HELD = bytearray(2 << 20)\n"})
    (folder / ".gitignore").write_text("__pycache__\n")
    lay_out(folder, {"src/new.py": "HELD = bytearray(4 << 20)\n", "src/newest.py": "HELD = bytearray(6 << 20)\n"})
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one", GIT_AUTHOR_DATE="2020-01-01T00:00:00Z")
    lay_out(folder, {"src/app.py": "import old\nimport new\n"})
    git("commit", "--quiet", "-a", "-m", "two", GIT_AUTHOR_DATE="2024-01-01T00:00:00Z")
    lay_out(folder, {"src/app.py": "import old\nimport new\nimport newest\n"})
    return folder


def test_the_lines_of_an_explanation_add_up_to_what_it_says(tmp_path: Path) -> None:
    lines = "".join(f"KEPT_{number} = bytearray({100_000 + number})\n" for number in range(40))
    lay_out(tmp_path, {"many.py": lines, "app.py": "import many\n"})
    for options, row_count in (((), 21), (("-v",), 40)):
        done = run_airmem("imports", "app", "--explain", "many", *options, cwd=tmp_path, env=_environment())
        assert done.returncode == 0, done.stderr
        table = done.stdout.partition("by allocation: ")[2].partition("\n\n")[0].splitlines()
        told = float(table[0].split()[0])
        held = [float(line.split()[0]) for line in table[2:]]
        assert len(held) >= row_count
        assert sum(held) == pytest.approx(told, abs=0.05 * len(held))
        assert ("(all other lines)" in table[-1]) >= (not options)


def test_a_repository_that_git_does_not_read_is_told_in_its_words(repository: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give the repository to somebody else")
    for path in (repository, repository / ".git"):
        os.chown(path, 50000, 0)
    done = run_airmem("imports", "app", "--compare", "HEAD~1", "HEAD", cwd=repository / "src")
    assert done.returncode == 2
    assert "git says: detected dubious ownership" in done.stderr


def test_two_revisions_are_compared(repository: Path) -> None:
    before = sorted(path for path in repository.rglob("*") if ".git/" not in str(path))
    answer, modules = measure(repository / "src", "app", "--compare", "HEAD~1", "HEAD")
    compare = answer["compare"]
    assert compare["kind"] == "revision"
    assert compare["before"]["growth_bytes"] == pytest.approx(2 * MIB, abs=SMALL)
    assert compare["after"]["growth_bytes"] == pytest.approx(6 * MIB, abs=SMALL)
    assert modules["new"]["importer_path"] == "HEAD:src/app.py"
    assert sorted(path for path in repository.rglob("*") if ".git/" not in str(path)) == before
    status = subprocess.check_output(["git", "status", "--porcelain"], cwd=repository, text=True)
    assert status.split() == ["M", "src/app.py"]


def test_a_budget_is_exceeded_by_the_newest(repository: Path) -> None:
    answer, _ = measure(repository / "src", "app", "--budget", "5M", status=1)
    heavy = answer["budget"]["heavy"]
    assert answer["budget"]["is_exceeded"] is True
    assert [one["name"] for one in heavy] == ["newest", "new", "old"]
    assert [one["since_seconds"] for one in heavy[1:]] == [1704067200, 1577836800]
    assert heavy[0]["since_evidence"] == "not committed yet"
    assert {finding["code"] for finding in answer["findings"]} == {"AM612", "AM611"}


def test_a_budget_is_kept(tree: Path) -> None:
    answer, _ = measure(tree, "app", "--budget", "40M")
    assert answer["budget"]["is_exceeded"] is False


def test_the_newest_heavy_import_comes_first(repository: Path) -> None:
    lay_out(repository, {"src/app.py": "import jsonschema\n"})
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qam", "three"],
        cwd=repository, env={**os.environ, "GIT_AUTHOR_DATE": "2021-06-01T00:00:00Z"}, check=True,
    )  # fmt: skip
    lay_out(repository, {"src/app.py": "import jsonschema\nimport numpy\n"})
    answer, _ = measure(repository / "src", "app", "--budget", "5M", status=1)
    names = [one["name"] for one in answer["budget"]["heavy"]]
    assert names[0] == "numpy"
    by_name = {one["name"]: one for one in answer["budget"]["heavy"]}
    assert by_name["numpy"]["since_evidence"] == "not committed yet"
    assert by_name["jsonschema"]["since_seconds"] == 1622505600
    assert by_name["jsonschema"]["since_evidence"].startswith("commit ")
    lazy = {one["summary"].split()[0] for one in answer["findings"] if one["code"] == "AM611"}
    assert {"numpy", "jsonschema"} <= lazy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise RuntimeError('no \\x1b[31m')", ["RuntimeError: no ?[31m", "app.py:1"]),
        ("import sys\nsys.exit(3)", ["SystemExit: 3"]),
        ("import os\nos._exit(7)", ["ended with status 7", "while it loaded app"]),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", ["killed by signal 11", "while it loaded app"]),
        ("import missing_one", ["No module named 'missing_one'", "--python"]),
        ("raise KeyboardInterrupt", ["KeyboardInterrupt"]),
        ("def", ["SyntaxError", "app.py"]),
        ("import gone", ["No module named 'gone'"]),
    ],
)
def test_a_module_that_cannot_be_imported(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "app.py").write_text(text + "\n")
    done = run_airmem("imports", "app", cwd=tmp_path, env=_environment())
    assert done.returncode == 5
    assert [word for word in words if word not in done.stderr] == []
    assert done.stdout == ""


def test_one_that_stands_still_is_ended_and_named(tmp_path: Path) -> None:
    lay_out(tmp_path, {"app.py": "import slow\n", "slow.py": "import time\ntime.sleep(3600)\n"})
    done = run_airmem("imports", "app", "--deadline", "3", cwd=tmp_path, env=_environment())
    assert done.returncode == 5
    assert "while it loaded app > slow" in done.stderr


def test_what_modules_print_start_and_fork_is_kept_away(tmp_path: Path) -> None:
    text = (
        "import os, sys, threading\n"
        "print('Z\\nH\\tlies')\n"
        "os.write(1, b'Z\\n')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    import csv\n    print('child')\nelse:\n    os.waitpid(pid, 0)\n"
        "threading.Thread(target=lambda: __import__('wave')).start()\n"
        "import late\n"
        "import atexit\natexit.register(print, 'atexit')\n"
        "HELD = bytearray(5 << 20)\n"
    )
    lay_out(tmp_path, {"app.py": text, "late.py": "import time\ntime.sleep(0.5)\n"})
    answer, modules = measure(tmp_path, "app")
    assert modules["app"]["own_bytes"] == pytest.approx(5 * MIB, abs=SMALL)
    assert "csv" not in modules
    assert modules["wave"]["in_thread"] is True
    assert "imported_in_thread" in {gap["reason"] for gap in answer["gaps"]}


def test_a_thousand_modules_of_equal_code(tmp_path: Path) -> None:
    files = {f"pack/m{number}.py": "import shared\n" for number in range(1000)}
    files["pack/__init__.py"] = "".join(f"from pack import m{number}\n" for number in range(1000))
    lay_out(tmp_path, {**files, "shared.py": "HELD = bytearray(1 << 20)\n"})
    _, modules = measure(tmp_path, "pack")
    assert len(modules) == 1002
    assert len(modules["shared"]["lines"]) == 1000


@pytest.mark.parametrize("count", [120])
def test_a_chain_that_python_can_import_airmem_can_too(tmp_path: Path, count: int) -> None:
    files = {f"link{number}.py": f"import link{number + 1}\n" for number in range(count)}
    lay_out(tmp_path, {**files, f"link{count}.py": ""})
    subprocess.run([sys.executable, "-c", "import link0"], cwd=tmp_path, check=True)
    _, modules = measure(tmp_path, "link0")
    assert len(modules) == count + 1


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_other_interpreters_measure_the_same(tree: Path, version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], check=False).returncode:
        pytest.skip(f"needs a python{version} in PATH")
    answer, modules = measure(tree, "app", "--python", python)
    assert answer["python"]["version"].startswith(version)
    assert modules["heavy"]["own_bytes"] == pytest.approx(8 * MIB, abs=SMALL)
    assert modules["alone"]["retained_bytes"] == pytest.approx(5 * MIB, abs=SMALL)
    assert answer["totals"]["own_sum_bytes"] == pytest.approx(answer["totals"]["walked_growth_bytes"], rel=0.03)
    lines = {(line["importer"], line["line"]) for line in modules["both"]["lines"]}
    assert lines == {("heavy", 1), ("alone", 1)}


def test_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import other\n")
    (tmp_path / "other.py").write_text("HELD = 1\n")
    answer, _ = measure(tmp_path, "app")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.py", "other.py"]
    assert [gap["reason"] for gap in answer["gaps"]] == ["no_bytecode"]


def test_what_is_loaded_already_is_nothing_new(tmp_path: Path) -> None:
    answer, _ = measure(tmp_path, "os.path")
    assert answer["modules"] == []
    text = run_airmem("imports", "os.path", cwd=tmp_path, env=_environment()).stdout
    assert "Nothing new" in text


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_one_module_is_one_module_and_little_time_is_told(tmp_path: Path) -> None:
    lay_out(tmp_path, {"single.py": "HELD = bytearray(1 << 20)\n"})
    done = run_airmem("imports", "single", cwd=tmp_path, env=_environment())
    assert done.stdout.startswith("single: 1 module, "), done.stdout
    assert re.match(r"\d+ ms$|[1-9][\d.]* s$", done.stdout.splitlines()[0].rpartition(", ")[2])


def test_what_is_no_python(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "folder/bin").mkdir(parents=True)
    (tmp_path / "folder/bin/python").symlink_to("/nonexistent/python")
    (tmp_path / "script").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "script").chmod(0o755)
    for python, status, word in (
        (tmp_path / "notes.txt", 5, "Permission denied"),
        (tmp_path / "none", 5, "No such file"),
        (tmp_path / "folder", 2, "has no bin/python"),
        (tmp_path, 2, "has no bin/python"),
        (tmp_path / "script", 5, "ended with status 3"),
        (shutil.which("ls"), 5, "is no Python"),
    ):
        done = run_airmem("imports", "json", "--python", python, env=_environment())
        assert (done.returncode, word in done.stderr) == (status, True), done.stderr


@pytest.mark.skipif(not find_too_old(), reason="needs a Python 3.6 to 3.9")
def test_a_python_that_is_too_old_gives_no_figures() -> None:
    for version, python in find_too_old().items():
        done = run_airmem("imports", "json", "--python", python, env=_environment())
        assert (done.returncode, done.stdout) == (5, ""), version
        assert "3.10 or newer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        ([], 2, "nothing to import"),
        (["json", "--component", "scheduler"], 2, "two questions"),
        (["--component", "nonsense"], 2, "is none of scheduler"),
        (["json.py"], 2, "without .py"),
        (["a/b"], 2, "no name of a module"),
        (["json", "--without", "jsn"], 2, "Did you mean json"),
        (["json", "--without", "json"], 2, "is what was asked for"),
        (["json", "--explain", "jsn"], 2, "is not imported"),
        (["json", "--compare", "nowhere", "noplace"], 2, "neither an interpreter"),
        (["json", "--budget", "lots"], 2, "is not a size"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: list[str], status: int, word: str) -> None:
    done = run_airmem("imports", *arguments, cwd=tmp_path, env=_environment())
    assert (done.returncode, word in done.stderr) == (status, True), done.stderr


def test_csv_has_every_module(tree: Path) -> None:
    done = run_airmem("imports", "app", "--format", "csv", cwd=tree, env=_environment())
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert int(rows["heavy"]["own_bytes"]) == pytest.approx(8 * MIB, abs=SMALL)
    assert rows["heavy"]["importer"] == "app"


def test_every_key_is_in_the_schema(tree: Path, tmp_path: Path) -> None:
    def close(node: dict[str, Any]) -> dict[str, Any]:
        return {**node, "additionalProperties": False} if "properties" in node and "type" in node else node

    closed = json.loads(json.dumps(SCHEMA), object_hook=close)
    lay_out(tmp_path, {"app.py": "import jsonschema\n"})
    for arguments in (("app", "--workers", "2", "--without", "jsonschema"), ("--compare", "json", "app")):
        answer, _ = measure(tmp_path, *arguments, "--budget", "1M", status=1)
        jsonschema.validate(answer, closed, jsonschema.Draft202012Validator)
