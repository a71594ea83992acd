"""Every module can be imported: a name that is only there for type checkers fails here, not at three in the morning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "airmem"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py" and path.parent.name != "payloads"  # these run in a target's Python, by their files
)


def test_every_module_imports_alone():
    assert len(MODULES) > 100
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", program, *MODULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
