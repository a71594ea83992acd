"""What pmap prints about a frozen tree here and now is answered as the tree itself is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.conftest import Start, ask, by_pid

PMAP = shutil.which("pmap")
CARRIED = {
    "-x": ("rss_bytes",),
    "-X": ("rss_bytes", "swap_bytes"),
    "-XX": ("rss_bytes", "swap_bytes", "private_dirty_bytes", "shared_dirty_bytes"),
}
PROCPS = PMAP is not None and "procps" in subprocess.run([PMAP, "--version"], stdout=-1, text=True, check=False).stdout


pytestmark = pytest.mark.skipif(not PROCPS, reason="needs pmap of procps")


@pytest.mark.parametrize("option", CARRIED)
def test_pmap_of_a_frozen_tree_is_the_tree(start: Start, tmp_path: Path, option: str):
    target = start(command=(sys.executable, "-m", "airmem", "demo", "--megabytes", "20")).freeze()
    live = by_pid(ask("pss", target.pid, "--depth", "mappings"))
    file = tmp_path / "output"
    with file.open("wb") as output:
        subprocess.run([PMAP or "", option, *map(str, target.tree)], stdout=output, check=True)
    told = by_pid(ask("pss", "--from", file))
    assert set(told) == set(live)
    for pid, row in live.items():
        facts = CARRIED[option]
        assert {fact: told[pid][fact] for fact in facts} == {fact: row[fact] for fact in facts}
        assert told[pid]["title"].split() == row["title"].split()
        if option == "-x":
            assert told[pid]["pss_bytes"] is None
        else:  # pmap itself maps the same libraries
            assert abs(told[pid]["pss_bytes"] - row["pss_bytes"]) <= 1 << 20


def test_each_mapping_of_a_frozen_tree_is_in_pmaps_output(start: Start, tmp_path: Path):
    target = start(command=(sys.executable, "-m", "airmem", "demo", "--megabytes", "20")).freeze()
    lines = ask("pss", target.pid, "--mappings")["mappings"]
    file = tmp_path / "output"
    with file.open("wb") as output:
        subprocess.run([PMAP or "", "-x", str(target.pid)], stdout=output, check=True)
    told = ask("pss", "--from", file, "--mappings")["mappings"]
    for line in lines:
        low, high = int(line["start_address"], 16), int(line["end_address"], 16)
        inside = [one for one in told if low <= int(one["start_address"], 16) < high]
        assert sum(one["rss_bytes"] for one in inside) == line["rss_bytes"]
        assert sum(one["size_bytes"] for one in inside) == line["size_bytes"]
