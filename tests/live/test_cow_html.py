"""The map of `airmem cow --format html`, opened in a real browser."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.browser import look_at
from tests.live.conftest import Start, ask, run_airmem

DEMO = (sys.executable, "-m", "airmem", "demo", "--workers", "2", "--megabytes", "20", "--mode", "mixed")
COUNT_CELLS = """
const found = {};
document.querySelectorAll("canvas").forEach((canvas, at) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  for (let y = 0; y < canvas.height; y += TALL) for (let x = 0; x < canvas.width; x += CELL) {
    const place = (y * canvas.width + x) * 4;
    if (pixels[place + 3]) {
      const color = "#" + [0, 1, 2].map(part => pixels[place + part].toString(16).padStart(2, "0")).join("");
      found[at + color] = (found[at + color] || 0) + 1;
    }
  }
});
document.documentElement.dataset.cells = JSON.stringify(found);
"""
POINT = """
const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect();
const seen = new Set();
for (let y = 1; y < box.height; y += 2) for (let x = 1; x < box.width; x += 9) {
  canvas.dispatchEvent(new MouseEvent("mousemove", {clientX: box.left + x, clientY: box.top + y}));
  if (hover.style.display === "block") seen.add(hover.textContent);
}
document.documentElement.dataset.seen = [...seen].join(" | ");
"""
GC, DATA = "#d55e00", "#0072b2"


def test_the_map_shows_what_the_answer_says(start: Start, tmp_path: Path) -> None:
    target = start(command=[*DEMO]).freeze()
    page = run_airmem("cow", target.pid, "--format", "html").stdout
    answer = ask("cow", target.pid)
    dom = look_at(page, tmp_path, COUNT_CELLS + POINT)
    assert "data-error" not in dom
    cells = {key: int(count) for key, count in re.findall(r"&quot;(\d#\w{6})&quot;:(\d+)", dom)}
    for at, worker in enumerate(answer["workers"]):
        assert cells.get(f"{at}{GC}", 0) * 4096 == worker["causes"]["gc_bytes"]
        assert cells.get(f"{at}{DATA}", 0) * 4096 == worker["causes"]["data_bytes"]
    seen = re.search(r'data-seen="([^"]*)"', dom)
    assert seen is not None
    assert "copied: garbage collector" in seen[1]
    assert re.search(r"written there: (builtins|airmem\.demo\.heap)\.\w+", seen[1])
    assert "[heap]" in seen[1]
    assert "https://" not in page
    assert "http://" not in page
