"""The Pythons of this machine: the one that runs the tests, those of AIRMEM_PYTHONS, on PATH, and pyenv's."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

ASK = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
OLDEST, NEWEST = 10, 15


def find_pythons() -> dict[str, str]:
    """Return one interpreter with a GIL for each version from 3.10 on: version -> path."""
    places = [sys.executable, *os.environ.get("AIRMEM_PYTHONS", "").split(":")]
    places += [shutil.which(f"python3.{minor}") or "" for minor in range(OLDEST, NEWEST + 1)]
    places += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python")))
    found: dict[str, str] = {}
    for path in filter(None, places):
        version, is_free_threaded = _ask(path)
        if version and not is_free_threaded and int(version.partition(".")[2]) >= OLDEST:
            found.setdefault(version, path)
    return dict(sorted(found.items()))


def find_too_old() -> dict[str, str]:
    """Return the interpreters of Python 3 before 3.10 that are here: version -> path."""
    places = [shutil.which(f"python3.{minor}") or "" for minor in range(6, OLDEST)]
    places += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.[6-9].*/bin/python")))
    return dict(sorted((version, path) for path in filter(None, places) for version in _ask(path)[:1] if version))


def _ask(path: str) -> tuple[str, bool]:
    try:
        done = subprocess.run([path, "-c", ASK], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return "", False
    words = done.stdout.split()
    return (words[0], words[1] != "0") if done.returncode == 0 and len(words) == 2 else ("", False)


PYTHONS = find_pythons()
