"""How grave a finding is; apart from it, since options name severities before anything is measured."""

from __future__ import annotations

SEVERITIES = ("note", "warning", "critical")
