"""The verb that compares: two offers for one run, or a plan with the log of its run."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


def compare(
    a: Annotated[str, typer.Argument(metavar="A.toml|PLAN.json", help="An offer for a run; or a plan, for its log.")],
    b: Annotated[str, typer.Argument(metavar="B.toml|LOG", help="Another offer for the same run; or the log.")],
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Compare two offers for one run (days, dollars, what makes the difference), or a plan with the run's log."""
    from isocost import api
    from isocost.render.result import render

    form = chosen_format(format, output)
    with progress("comparing", quiet=quiet):
        found = api.compare(a, b)
    emit(render(found, form), output, quiet=quiet)
