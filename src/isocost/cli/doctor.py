"""The verb that reads logs and traces; like the other verbs it holds no logic."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


def doctor(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="A log, or the traces of one or more ranks.")],
    format_of: Annotated[
        str | None,
        typer.Option("--format-of", metavar="NAME", help="Format of the file; left out: it is found."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="KEY=NAME,...", help="Columns of a table: step=it,step_ms=dt."),
    ] = None,
    events: Annotated[
        str | None, typer.Option("--events", metavar="FILE.csv", help="Write pauses, restarts and slow periods here.")
    ] = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Read a log or a trace of a run: step time, throughput, what was not used and why, where the time went."""
    from isocost.report.examine import examine
    from isocost.report.result import render

    form = chosen_format(format, output)
    with progress("reading", quiet=quiet):
        result = examine(files, format_of=format_of, columns=columns)
        table = result.events_csv() if events else ""
    emit(render(result, form), output, quiet=quiet)
    if events:
        emit(table, events, quiet=quiet)
