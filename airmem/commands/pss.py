"""`airmem pss`: whose memory is it, and with whom is it shared."""

from __future__ import annotations

import click

from airmem.codec import encode_pss
from airmem.collect.tree import DEPTHS
from airmem.commands._output import write
from airmem.kernel.reader import KernelReader
from airmem.questions.pss import answer_pss
from airmem.render import as_json


@click.command("pss")
@click.argument("target", required=False)
@click.option("--depth", type=click.Choice(DEPTHS), default="auto")
@click.option("--exclusive", is_flag=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("-o", "--output")
def command(target: str | None, depth: str, exclusive: bool, form: str, output: str | None) -> int:
    """Whose memory is it."""
    report = answer_pss(KernelReader(), int(target or 0), depth, exclusive)
    write(as_json.render(encode_pss(report)), output)
    return 0
