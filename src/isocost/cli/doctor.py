"""The verb that reads logs and traces; like the other verbs it holds no logic."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress

_RUN = "The run"


Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="A log, traces of one or more ranks, both; or an old and a new log."),
]
Against = Annotated[
    list[str] | None,
    typer.Option("--against", metavar="FILE", help="The old run, to compare with: log or traces. Repeatable."),
]
FormatOf = Annotated[
    str | None, typer.Option("--format-of", metavar="NAME", help="Format of the file; left out: it is found.")
]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="KEY=NAME,...", help="Columns of a table: step=it,step_ms=dt.")
]
EventsOut = Annotated[
    str | None,
    typer.Option("--events-out", metavar="FILE.csv", help="Write pauses, restarts, slow periods: goodput reads it."),
]
Run = Annotated[
    str | None,
    typer.Option("--scenario", metavar="RUN.toml", help="The run: flags override its keys.", rich_help_panel=_RUN),
]
StepTime = Annotated[
    str | None,
    typer.Option("--step-time", metavar="TIME", help="Of the run, without a log: 11.2.", rich_help_panel=_RUN),
]
TokensLeft = Annotated[
    str | None,
    typer.Option(
        "--tokens-left", metavar="AMOUNT", help="To train on; left out: all of the scenario.", rich_help_panel=_RUN
    ),
]


@flags.taking(flags.WHAT, flags.WHERE, flags.LAYOUT, flags.SWITCHES, flags.RESULT)
def doctor(
    context: typer.Context,
    files: Files = None,
    against: Against = None,
    format_of: FormatOf = None,
    columns: Columns = None,
    events_out: EventsOut = None,
    scenario: Run = None,
    step_time: StepTime = None,
    tokens_left: TokensLeft = None,
    **options: object,
) -> None:
    """Read a log or a trace: step time, where the time went; with the run's scenario: MFU, and what would raise it."""
    from isocost.render.result import render
    from isocost.scenario import KEYS
    from isocost.verbs.doctor.examine import diagnose

    output, quiet = context.params["output"], context.params["quiet"]
    form = chosen_format(context.params["format"], output)
    changes = {key: context.params[key] for key in KEYS if context.params.get(key) is not None}
    with progress("reading", quiet=quiet):
        result = diagnose(
            files or [], against=against or [], format_of=format_of, columns=columns, scenario=scenario,
            step_time=step_time, tokens_left=tokens_left, changes=changes,
        )  # fmt: skip
        table = result.events_csv() if events_out else ""
    emit(render(result, form), output, quiet=quiet)
    if events_out:
        emit(table, events_out, quiet=quiet)
