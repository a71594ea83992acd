"""A file that is another than the command wants: what it is, and which command takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Start, run_airmem


@pytest.fixture
def files(start: Start, tmp_path: Path) -> dict[str, Path]:
    """One of each: a capture, a bundle as a file and as a folder, an answer, garbage."""
    target = start("ground_truth", "disjoint")
    names = {"capture": "a.airmem", "bundle": "b.tar.gz", "folder": "bundle", "answer": "c.json", "garbage": "d.bin"}
    paths = {kind: tmp_path / name for kind, name in names.items()}
    for words in (
        ("capture", target.pid, "--no-pages", "-o", paths["capture"]),
        ("hang-dump", target.pid, "-o", paths["bundle"]),
        ("hang-dump", target.pid, "-o", paths["folder"]),
        ("pss", target.pid, "--format", "json", "-o", paths["answer"]),
    ):
        assert run_airmem(*words).returncode == 0
    paths["garbage"].write_bytes(bytes(range(1, 256)) * 10)
    return {"pid": Path(str(target.pid)), **paths}


def test_each_is_told_for_what_it_is_and_whom_to_ask(files: dict[str, Path]) -> None:
    wrong = [
        (("hang-dump", "--from", files["garbage"]), 5, "Make one with: airmem hang-dump"),
        (("hang-dump", "--from", files["capture"]), 5, f"airmem pss --from {files['capture']}"),
        (("pss", "--from", files["bundle"]), 5, f"airmem hang-dump --from {files['bundle']}"),
        (("pss", "--from", files["folder"]), 5, f"airmem hang-dump --from {files['folder']}"),
        (("cow", "--from", files["answer"]), 5, "is an answer of airmem"),
        (("heap", files["pid"], "--diff", files["garbage"]), 2, "--format json -o before.json"),
        (("heap", files["pid"], "--diff", files["garbage"].with_name("no.json")), 2, "no such file"),
    ]
    for words, status, said in wrong:
        done = run_airmem(*words)
        assert (done.returncode, said in done.stderr) == (status, True), (words, done.stderr)


def test_a_refusal_has_the_same_remedy_in_every_command(
    start: Start, private_airmem: list[str], superuser: None
) -> None:
    target = start("zombie")
    user = ["setpriv", "--reuid=50000", "--regid=50000", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    said = []
    for words in (("pss", target.pid), ("capture", target.pid)):
        done = run_airmem(*words, command=[*user, *private_airmem], errors="replace")
        assert done.returncode == 4, done.stderr
        said.append([line for line in done.stderr.splitlines() if "uid" in line or "Run airmem" in line])
    assert said[0] == [line.replace("capture", "pss").replace(" -o FILE", "") for line in said[1]]
