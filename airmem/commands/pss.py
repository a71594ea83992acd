"""`airmem pss`: whose memory is it, and with whom is it shared."""

from __future__ import annotations

import click

from airmem.commands._options import Size, answer_options, repeat_options, target_options
from airmem.commands._pss import FORMS, SORTS, answer
from airmem.questions.pss import DEPTHS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\b
Examples:
  airmem pss scheduler                  the scheduler and its workers
  airmem pss 4242 --mappings            where the workers' own memory lies
  airmem pss 4242 --sort uss --top 5    the five with most of their own
  airmem pss gunicorn --every 10 --for 5m
  airmem pss scheduler --format json -o before.json
  airmem pss scheduler --diff before.json
  airmem pss --from scheduler.airmem
  airmem pss --from pmap.txt            what somebody sent: pmap, smaps, a copy of /proc
"""


@click.command("pss", short_help="Whose memory it is, and with whom it is shared.", epilog=EPILOG)
@target_options
@click.option("--depth", type=click.Choice(DEPTHS), default="auto", show_default=True, help="How closely to look.")
@click.option("--exclusive", is_flag=True, help="Add what ending the whole tree frees (needs /proc/kpagecount).")
@click.option("--mappings", is_flag=True, help="Line each mapping of the parent up with its workers'.")
@click.option("--role", help="Only processes of this role or component.")
@click.option("--name", metavar="TEXT", help="Only processes with this in their title.")
@click.option("--user", help="Only processes of this user, by name or id.")
@click.option("--min-pss", type=Size(), metavar="SIZE", help="Only processes with at least this PSS (10M, 1.5G).")
@click.option("--sort", type=click.Choice(SORTS), help="Largest first; otherwise in the tree's order.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the first N processes (or mappings).")
@repeat_options
@click.option("--diff", "earlier", type=click.File("rb"), metavar="FILE", help="Compare with an earlier JSON answer.")
@answer_options(*FORMS)
@click.option("-v", "--verbose", is_flag=True, help="Every column; with --mappings, a line for each worker.")
def command(**options: Any) -> int:
    """Show whose memory it is: a process and its descendants, and with whom they share.

    TARGET is a pid, a component (scheduler, celery-worker, gunicorn ...), or nothing where there is one obvious tree.
    Reads /proc only: nothing is stopped, changed or sent. RSS counts shared pages in full, PSS divides them, USS
    counts what one process alone maps.
    """
    return answer(**options)
