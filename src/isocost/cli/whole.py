"""The verb about where the time of a whole run goes."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress

Interval = Annotated[
    str | None,
    typer.Option("--checkpoint-interval", metavar="TIME", help="'10 min', or auto: that of least loss."),
]
Events = Annotated[
    str | None, typer.Option("--events", metavar="FILE.csv", help="Your own stops: start, end, node, cause.")
]
Nodes = Annotated[str | None, typer.Option("--watched-nodes", metavar="N", help="Nodes on which they were counted.")]
Watched = Annotated[str | None, typer.Option("--watched", metavar="TIME", help="For how long: '70 d'.")]


def goodput(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO.toml", help="A scenario.")],
    checkpoint_interval: Interval = None,
    events: Events = None,
    watched_nodes: Nodes = None,
    watched: Watched = None,
    gpus: flags.Gpus = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show where the time of the chosen plan goes: every loss a bucket, and how often to save."""
    from isocost import api
    from isocost.render.result import render

    form = chosen_format(format, output)
    with progress("searching", quiet=quiet):
        found = api.goodput_of(
            scenario, checkpoint_interval=checkpoint_interval, events=events, watched_nodes=watched_nodes,
            watched=watched, gpus=gpus,
        )  # fmt: skip
    emit(render(found, form), output, quiet=quiet)
