"""The collector as text, to be sent where airmem is not installed."""

from __future__ import annotations

from importlib.resources import files


def read_collector(with_pages: bool = False) -> str:
    """Return the collector's source, with what page tables need in front of it if they are asked for."""
    folder = files("airmem.capture")
    parts = ["frames.py"] * with_pages + ["collector.py"]
    return "\n\n".join(folder.joinpath(part).read_text(encoding="utf-8").rstrip("\n") for part in parts)
