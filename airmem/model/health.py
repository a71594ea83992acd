"""What a service answers to a question about its health."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class HealthAnswer:
    """An answer over HTTP; `status` 0 and a reason in `problem` where nothing came back."""

    status: int
    body: bytes
    problem: str
