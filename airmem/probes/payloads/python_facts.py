"""Tells which Python this is and which versions of some packages it has, as one line of JSON; imports none of them.

Runs in Python 3.8 or later, as the Python that a program uses.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = {"memray": "memray_version", "apache-airflow": "airflow_version"}


def main() -> None:
    """Print the facts."""
    facts = {"executable": sys.executable, "version": ".".join(map(str, sys.version_info[:3]))}
    for package, name in PACKAGES.items():
        try:
            facts[name] = version(package)
        except PackageNotFoundError:
            facts[name] = ""
    print(json.dumps(facts))


main()
