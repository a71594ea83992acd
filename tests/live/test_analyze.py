"""`airmem analyze` on real captures of real programs whose allocations are known."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from airmem.collect.allocations import CaptureCollector, collect_states
from airmem.errors import NotMeasurable, UsageProblem
from airmem.questions.analyze import AnalyzeOptions, answer_analyze, preview_analyze

pytest.importorskip("memray")

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_SECONDS = 120
KIB, MIB = 1 << 10, 1 << 20
LEAK_BYTES = 4096 + 1  # a bytearray has room for a zero at its end


def record(capture, program, *arguments, options=(), **more):
    line = [sys.executable, "-m", "memray", "run", "-q", *options, "-o", str(capture), str(PROGRAMS / program)]
    return subprocess.run(
        [*line, *map(str, arguments)], capture_output=True, timeout=PATIENCE_SECONDS, check=False, **more
    )


def airmem(*words):
    return subprocess.run(
        [sys.executable, "-m", "airmem", "analyze", *map(str, words)],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def verdict_of(path):
    (document,) = [json.loads(airmem(path, "--format", "json").stdout)]
    return document["files"][0]["verdict"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("captures")


@pytest.fixture(scope="module")
def short(folder):
    record(folder / "short.bin", "leak_and_cache.py", 2000, 0.2)
    return folder / "short.bin"


@pytest.fixture(scope="module")
def long(folder):
    record(folder / "long.bin", "leak_and_cache.py", 6000, 1.5)
    return folder / "long.bin"


@pytest.fixture(scope="module")
def raw(folder):
    record(folder / "raw.bin", "leak_and_cache.py", 2000, 0.2, options=["--no-compress"])
    return folder / "raw.bin"


def line_of(program, text):
    lines = (PROGRAMS / program).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def frame_at(rows, line):
    return next(row for row in rows if row.place.line == line and row.place.file.endswith("leak_and_cache.py"))


def test_a_leak_and_a_cache_are_told_apart_on_their_lines(short, long):
    diff = answer_analyze([str(short)], AnalyzeOptions(other_paths=(str(long),))).diff
    leak = frame_at(diff.frames, line_of("leak_and_cache.py", "the leak's line"))
    cache = frame_at(diff.frames, line_of("leak_and_cache.py", "the cache's line"))
    assert leak.verdict == "grows"
    assert abs(leak.change_bytes - 4000 * LEAK_BYTES) <= 1 * MIB
    assert cache.verdict == "steady"
    assert abs(cache.change_bytes) <= 64 * KIB
    assert diff.frames[0] == leak


def test_the_order_of_the_two_sets_does_not_matter(short, long):
    one = answer_analyze([str(short)], AnalyzeOptions(other_paths=(str(long),))).diff
    other = answer_analyze([str(long)], AnalyzeOptions(other_paths=(str(short),))).diff
    assert one == other


def test_the_distributions_add_up_to_the_peak(short, long):
    for paths in ([str(short)], [str(short), str(long)]):
        report = answer_analyze(paths)
        assert sum(one.peak_bytes for one in report.by_distribution) == report.totals.peak_bytes
        assert sum(one.leaked_bytes for one in report.by_distribution) == report.totals.leaked_bytes
        assert sum(one.peak_bytes for one in report.by_application_frame) == report.totals.peak_bytes
        assert sum(one.size_bytes for one in report.allocators) == report.totals.peak_bytes


def test_installed_packages_are_named_by_their_records(tmp_path):
    path = tmp_path / "imports.bin"
    line = [sys.executable, "-m", "memray", "run", "-q", "--trace-python-allocators", "-o", str(path)]
    subprocess.run([*line, "-c", "import jsonschema, numpy"], check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    report = answer_analyze([str(path)])
    names = {one.distribution: one for one in report.by_distribution}
    assert {"numpy", "jsonschema"} <= set(names)
    assert names["numpy"].kind == "package"
    assert not names["jsonschema"].is_uncertain
    assert sum(one.peak_bytes for one in report.by_distribution) == report.totals.peak_bytes


@pytest.mark.parametrize(("how", "verdict"), [("_exit", "ended_early"), ("exit", "complete")])
def test_a_parent_and_its_workers_are_one_answer(tmp_path, how, verdict):
    record(tmp_path / "tree.bin", "traced_tree.py", 3, how, options=["--follow-fork"])
    paths = sorted(map(str, tmp_path.iterdir()))
    assert len(paths) == 4
    report = answer_analyze(paths)
    assert [(one.role, one.verdict) for one in report.files] == [("parent", "complete")] + 3 * [("worker", verdict)]
    assert report.totals.process_count == 4
    assert not report.totals.is_lower_bound
    held = {one.place.function: one.peak_bytes for one in report.top_functions}
    assert held["worker_holds"] == 3 * ((3 << 20) + 1)
    assert held["parent_holds"] == (8 << 20) + 1
    assert max(one.process_count for one in report.timeline) >= 1


TWICE = """
import memray, sys, time
for number, name in enumerate(sys.argv[1:]):
    with memray.Tracker(name):
        kept = bytearray((number + 1) << 20)
        time.sleep(0.1)
    time.sleep(0.1)
"""


def test_what_one_process_held_at_two_times_is_not_summed(tmp_path, short):
    one, other = tmp_path / "one.bin", tmp_path / "other.bin"
    subprocess.run([sys.executable, "-c", TWICE, str(one), str(other)], check=True, timeout=PATIENCE_SECONDS)
    done = airmem(other, one)
    assert done.returncode == 2
    assert f"airmem analyze {one} --diff {other}" in done.stderr
    assert airmem(one, "--diff", other).returncode == 0
    assert airmem(short, "--diff", one, other).returncode == 2
    assert answer_analyze([str(one), str(short)]).totals.process_count == 2


def test_names_may_tell_that_two_recordings_are_of_two_hosts(tmp_path):
    plain = [str(tmp_path / name) for name in ("one.bin", "other.bin")]
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid(), flush=True)\n" + TWICE, *plain],
        check=True, timeout=PATIENCE_SECONDS, capture_output=True, text=True,
    )  # fmt: skip
    paths = [tmp_path / f"worker-pod-{number}-{int(done.stdout)}-20261129T100000.bin" for number in (1, 2)]
    for path, name in zip(paths, plain, strict=True):
        path.write_bytes(Path(name).read_bytes())
    assert answer_analyze(list(map(str, paths))).totals.process_count == 2


def test_the_same_recording_under_two_names_counts_once(tmp_path, short):
    (tmp_path / "copy.bin").write_bytes(short.read_bytes())
    with pytest.raises(UsageProblem, match="same recording"):
        answer_analyze([str(short), str(tmp_path / "copy.bin")])


def test_a_killed_program(tmp_path):
    path = tmp_path / "killed.bin"
    line = [
        sys.executable,
        "-m",
        "memray",
        "run",
        "-q",
        "-o",
        str(path),
        str(PROGRAMS / "leak_and_cache.py"),
        "500",
        "60",
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    report = answer_analyze([str(path)])
    assert report.files[0].verdict == "killed"
    assert report.totals.is_lower_bound
    assert [one.code for one in report.findings][:1] == ["AM601"]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_copy_is_called_truncated(short, raw, tmp_path, part):
    for source in (short, raw):
        content = source.read_bytes().rstrip(b"\0") if source == raw else source.read_bytes()
        cut = tmp_path / "cut.bin"
        size = int(len(content) * part)
        cut.write_bytes(content[: size + (size % 4096 == 0)])
        states = collect_states([str(cut)])
        facts = CaptureCollector(["peak"]).collect(states)
        from airmem.analysis.capture_end import judge_end

        assert judge_end(facts[0], is_child=False)[0] == "truncated", (source, part)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_disk_is_told(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)], check=True)
    try:
        done = record(small / "full.bin", "leak_and_cache.py", 3000, 1.5)
        assert done.returncode == 0, "memray calls it a success"
        assert verdict_of(small / "full.bin") == "disk_full"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_an_aggregated_capture_has_no_churn(tmp_path):
    record(tmp_path / "sums.bin", "leak_and_cache.py", 500, 0.1, options=["--aggregate"])
    report = answer_analyze([str(tmp_path / "sums.bin")])
    assert report.files[0].verdict == "aggregated"
    assert report.totals.churn_bytes is None
    assert [one.reason for one in report.gaps] == ["aggregated"]


def test_another_memray_says_which_python_to_use(raw, tmp_path):
    content = bytearray(raw.read_bytes())
    content[7] = 12 if content[7] != 12 else 13
    (tmp_path / "other.bin").write_bytes(content)
    done = airmem(tmp_path / "other.bin")
    assert done.returncode == 5
    assert "other version, written by memray 1." in done.stderr
    assert f"--python {Path(sys.executable).parent}/python" in done.stderr


def test_what_is_no_capture_says_so(tmp_path, short):
    (tmp_path / "empty.bin").touch()
    (tmp_path / "tracker.bin").write_bytes(bytes.fromhex("04224d184040c000000000"))
    os.mkfifo(tmp_path / "fifo")
    paths = ["/dev/zero", "/etc/passwd", "/nowhere", str(tmp_path)]
    paths += [str(tmp_path / name) for name in ("empty.bin", "tracker.bin", "fifo")]
    with pytest.raises(NotMeasurable) as refused:
        answer_analyze(paths)
    assert len(refused.value.lines) == len(paths)
    report = answer_analyze([*paths, str(short)])
    assert [one.verdict for one in report.files] == [*["no_capture"] * len(paths), "complete"]
    assert report.totals.unread_count == len(paths)
    with pytest.raises(UsageProblem):
        answer_analyze([])


def test_csv_has_numbers_for_a_program(short):
    report = answer_analyze([str(short)])
    rows = list(csv.DictReader(airmem(short, "--format", "csv").stdout.splitlines()))
    assert [float(row["part_ratio"]) for row in rows] == [
        pytest.approx(one.peak_bytes / report.totals.peak_bytes, abs=1e-6) for one in report.by_distribution
    ]


def test_what_is_not_there_is_usage(short, tmp_path):
    for words in (("/nowhere",), ("/nowhere", "--preflight"), (short, "--diff", "/nowhere")):
        done = airmem(*words)
        assert done.returncode == 2, words
        assert "cannot read /nowhere: No such file or directory" in done.stderr


def test_a_python_without_memray_is_told(short, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    done = airmem(short, "--python", bare / "bin" / "python")
    assert done.returncode == 5
    assert "has no memray" in done.stderr
    assert airmem(short, "--python", "/nowhere/python").returncode == 2
    assert airmem(short, "--python", sys.executable).returncode == 0


def test_the_application_can_be_named(short):
    named = answer_analyze([str(short)], AnalyzeOptions(application=("/nothing/",)))
    assert {one.place.function for one in named.by_application_frame} == {""}
    named = answer_analyze([str(short)], AnalyzeOptions(application=(str(PROGRAMS),)))
    assert "handle" in {one.place.function for one in named.by_application_frame}


@pytest.mark.parametrize("number", range(6))
def test_a_damaged_file_loses_only_itself(raw, short, tmp_path, number):
    chance = random.Random(number)
    content = bytearray(raw.read_bytes())
    at = chance.randrange(200, len(content) - 100)
    content[at : at + 60] = chance.randbytes(60)
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(content)
    done = airmem(damaged, short, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    files = json.loads(done.stdout)["files"]
    assert [file["verdict"] for file in files[1:]] == ["complete"]


def test_names_of_the_target_are_inert(tmp_path):
    record(tmp_path / "names.bin", "hostile_names.py")
    for form in ("text", "json", "csv", "html"):
        printed = airmem(tmp_path / "names.bin", "--format", form, "--table", "frames", "--application", "/tmp/").stdout
        assert "script" in printed
        assert "\x1b" not in printed
        assert "\u202e" not in printed
        if form == "html":
            assert "<script>alert" not in printed


def test_the_document_is_valid_and_has_no_other_keys(short, long):
    document = json.loads(airmem(short, "--diff", long, "--format", "json").stdout)
    text = (ROOT / "docs/schema/analyze.json").read_text(encoding="utf-8")
    closed = json.loads(
        text,
        object_hook=lambda one: {**one, "additionalProperties": False} if {"properties", "type"} <= set(one) else one,
    )
    jsonschema.validate(document, closed, jsonschema.Draft202012Validator)
    assert document["diff"]["frames"][0]["verdict"] == "grows"


def test_the_page_and_its_flame_graph_are_private_files(short, tmp_path):
    page, graph = tmp_path / "page.html", tmp_path / "page.flamegraph.html"
    assert airmem(short, "--format", "html", "-o", page, "--flamegraph").returncode == 0
    assert {page.stat().st_mode & 0o777, graph.stat().st_mode & 0o777} == {0o600}
    text = page.read_text(encoding="utf-8")
    assert 'href="page.flamegraph.html"' in text
    assert "<polygon" in text
    assert "memray" in graph.read_text(encoding="utf-8")
    assert airmem(short, "--format", "html", "-o", page, "--flamegraph").returncode == 2
    page.unlink()
    assert airmem(short, "--format", "html", "-o", page, "--flamegraph").returncode == 2


def test_memory_follows_stacks_and_stays_below_its_bound(tmp_path):
    record(tmp_path / "stacks.bin", "many_stacks.py", 150_000)
    states = collect_states([str(tmp_path / "stacks.bin")])
    (facts,) = CaptureCollector(["peak", "leaked"]).collect(states)
    assert facts.views[0].stack_count >= 150_000
    assert facts.reader_peak_bytes <= 250_000_000
    assert facts.reader_peak_bytes <= preview_analyze([str(tmp_path / "stacks.bin")], False).memory_bytes


def test_a_reader_ends_with_airmem(folder):
    path = folder / "ends.bin"
    record(path, "many_stacks.py", 150_000)
    process = subprocess.Popen([sys.executable, "-m", "airmem", "analyze", str(path)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    readers = []
    while not readers and time.monotonic() < deadline:
        readers = _readers_of(process.pid)
        time.sleep(0.05)
    process.kill()
    process.wait()
    while any(_is_alive(one) for one in readers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert readers
    assert not any(_is_alive(one) for one in readers)


def _readers_of(pid):
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *_readers_of(int(child))]
    return found


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
