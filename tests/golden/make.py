"""Write the golden files anew: python -m tests.golden.make; look at the difference before it is committed."""

from __future__ import annotations

from pathlib import Path

from airmem._version import __version__
from tests.golden.answers import answers

FOLDER = Path(__file__).parent / "pss"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for name, text in answers().items():
        (FOLDER / name).write_text(text.replace(f'"{__version__}"', '"VERSION"') + "\n", encoding="utf-8")
