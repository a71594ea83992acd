"""Reads what is installed in a folder of packages: the RECORD of each distribution (PEP 376, PEP 627)."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_BYTES = 64 << 20
SUFFIX = ".dist-info"


def read_records(folders: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return for each folder that can be read its files, by their path in it, and the distribution of each."""
    found = {folder: _read_folder(folder) for folder in folders}
    return {folder: files for folder, files in found.items() if files}


def parse_record(text: str) -> list[str]:
    """Return the paths of a RECORD that lie in the folder itself, without the distribution's own description."""
    paths = [
        line.partition(",")[0] if line[:1] != '"' else line[1 : line.find('"', 1)]
        for line in text.splitlines()
        if ".dist-info/" not in line
    ]
    return [path for path in paths if path and path[0] != "/" and path[:2] != ".."]


def _read_folder(folder: str) -> dict[str, str]:
    files: dict[str, str] = {}
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):
        return files
    for name in names:
        if name.endswith(SUFFIX):
            distribution = name.removesuffix(SUFFIX).rpartition("-")[0].replace("_", "-").lower()
            files.update(dict.fromkeys(parse_record(_read(f"{folder}/{name}/RECORD")), distribution))
    return files


def _read(path: str) -> str:
    """Return a file's text; empty when it is missing, or no regular file of a sensible size."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MOST_BYTES:
        os.close(file)
        return ""
    with open(file, "rb", buffering=0) as stream:
        return stream.read(MOST_BYTES).decode(errors="replace")
