"""What gc.freeze saves, on modules whose memory is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from airmem.collect.freeze_trial import collect_freeze_trial
from airmem.errors import NotMeasurable, UsageProblem
from airmem.probes.runner import ProgramMissing
from airmem.questions.verify_freeze import answer_verify_freeze
from airmem.render import as_text
from airmem.views.document import Document
from airmem.views.freeze_trial import view_freeze_trial
from tests.live.conftest import Start, ask, run_airmem

SCHEMA = Path(__file__).parents[2] / "docs/schema/cow.json"
MIB = 1 << 20
COUNT = 150_000
MODULES = {
    "many_lists": f"held = [[None, None] for _ in range({COUNT})]\nprint('noise on standard output')",
    "leaves": "import sys; sys.exit('not today')",
    "dies": "import os; os._exit(7)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "hangs": "import time; time.sleep(3600)",
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()",
    "strange": "raise ValueError('\\x1b[2J' * 1000)",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)


def list_bytes(*options: str) -> int:
    """What the lists and their heads take, counted in a Python of its own by what it has to allocate."""
    script = (
        "import sys, tracemalloc; tracemalloc.start()\n"
        f"before = tracemalloc.get_traced_memory()[0]; held = [[] for _ in range({COUNT})]\n"
        "print(tracemalloc.get_traced_memory()[0] - before - sys.getsizeof(held))"
    )
    return int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def test_a_collection_copies_the_lists_and_freezing_saves_them():
    trial = answer_verify_freeze("many_lists")
    as_it_is, frozen, collected = trial.ways
    assert as_it_is.copied_bytes > list_bytes()
    assert frozen.copied_bytes < 2 * MIB
    assert collected.copied_bytes < 2 * MIB
    assert trial.saves_bytes == as_it_is.copied_bytes - frozen.copied_bytes
    assert (as_it_is.frozen_count, frozen.frozen_count > COUNT, collected.frozen_count > COUNT) == (0, True, True)
    assert trial.anonymous_bytes > as_it_is.copied_bytes
    assert trial.python_version == ".".join(map(str, sys.version_info[:3]))


def test_more_objects_save_more():
    assert answer_verify_freeze("many_lists").saves_bytes > answer_verify_freeze("os").saves_bytes + list_bytes() * 0.9


def test_a_thread_of_a_module_holds_nothing_up():
    assert answer_verify_freeze("threads").ways[0].copied_bytes > 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("leaves", "cannot import leaves: SystemExit: not today"),
        ("dies", "ended with status 7"),
        ("killed", "ended with signal 9"),
        ("no_such_module", "ModuleNotFoundError"),
        ("strange", "cannot import strange: ValueError"),
    ],
)
def test_an_import_that_fails_is_explained(name, told):
    with pytest.raises(NotMeasurable) as caught:
        answer_verify_freeze(name)
    assert told in caught.value.cause
    assert caught.value.remedy


def test_an_import_that_hangs_ends_at_the_deadline():
    with pytest.raises(NotMeasurable, match="not done after 2 s"):
        collect_freeze_trial(sys.executable, ["hangs"], deadline_seconds=2)


@pytest.mark.parametrize("preload", ["", " , ", "a b", "--version", "os,../etc", "x;y"])
def test_what_is_no_module_is_refused(preload):
    with pytest.raises(UsageProblem):
        answer_verify_freeze(preload)


def test_a_python_that_is_none_is_explained():
    with pytest.raises(ProgramMissing):
        answer_verify_freeze("os", "/no/such/python")
    with pytest.raises(NotMeasurable, match="ended with status"):
        answer_verify_freeze("os", "/bin/false")


def test_the_text_tells_the_same_figures():
    trial = answer_verify_freeze("many_lists")
    text = as_text.render(Document(blocks=view_freeze_trial(trial)))
    assert "many_lists imported" in text
    assert text.count("gc.freeze()") >= 2
    assert f"{trial.saves_bytes / MIB:.1f} MiB for each worker" in text
    assert json.dumps(trial.ways[1].frozen_count) in text.replace(",", "")


def test_the_command_proves_it_and_its_json_is_valid(tmp_path: Path):
    done = run_airmem("cow", "--verify-freeze", "--preload", "many_lists", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "importing many_lists in new processes" in done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
    assert document["root_pid"] is None
    copied = {one["name"]: one["copied_bytes"] for one in document["verify_freeze"]["ways"]}
    assert document["verify_freeze"]["saves_bytes"] == copied["as_it_is"] - copied["freeze"] > list_bytes() * 0.9


def test_with_a_target_both_are_told(tmp_path: Path, start: Start):
    target = start("resting")
    answer = ask("cow", target.pid, "--verify-freeze", "--preload", "json", cwd=tmp_path)
    assert answer["root_pid"] == target.pid
    assert answer["verify_freeze"]["modules"] == ["json"]
    text = run_airmem("cow", target.pid, "--verify-freeze", "--preload", "json", cwd=tmp_path).stdout
    assert "for each worker that collects" in text
    assert str(target.pid) in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("--verify-freeze",),
        ("--preload", "json"),
        ("--python", sys.executable),
        ("--verify-freeze", "--preload", "json", "--format", "csv"),
        ("--verify-freeze", "--preload", "json", "--every", "10"),
        ("--verify-freeze", "--preload", "a b"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments):
    assert run_airmem("cow", *arguments).returncode == 2
