"""What would help."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class Remedy:
    """What to do about a refusal in the place where it happened.

    `advice` is for reading, `line` for copying to a shell (empty if there is none), `lasting` a snippet of
    configuration for those who measure again and again (empty if there is none).
    """

    advice: str
    line: str = ""
    lasting: str = ""

    @property
    def text(self) -> str:
        """Advice and line as one text; the line is what follows the last colon and space of the advice."""
        return f"{self.advice}: {self.line}" if self.line else self.advice
