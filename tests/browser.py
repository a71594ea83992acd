"""A real browser without a screen, to see what a page does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
ERRORS = (
    '<script>window.addEventListener("error", e => { document.documentElement.dataset.error = e.message; });</script>'
)


def look_at(page: str, folder: Path, script: str = "") -> str:
    """Return the page's DOM after its scripts and `script` ran; a script that fails leaves data-error in it.

    Skips where there is no Chromium.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium (Debian's package chromium), to open a page")
    path = folder / "page.html"
    page = page.replace("<head>", "<head>" + ERRORS, 1)
    path.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    done = subprocess.run(
        [
            browser,
            *OPTIONS,
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1200,900",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout
