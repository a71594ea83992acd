"""Write the golden files anew: python -m tests.golden.make; look at the difference before it is committed."""

from __future__ import annotations

from pathlib import Path

from airmem._version import __version__
from tests.golden.answers import answers
from tests.golden.other_tools import answers_of_files

FOLDER = Path(__file__).parent / "pss"
FOLDER_OF_FILES = Path(__file__).parent / "from"

if __name__ == "__main__":
    for folder, found in ((FOLDER, answers()), (FOLDER_OF_FILES, answers_of_files())):
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, text in found.items():
            (folder / name).write_text(text.replace(f'"{__version__}"', '"VERSION"') + "\n", encoding="utf-8")
