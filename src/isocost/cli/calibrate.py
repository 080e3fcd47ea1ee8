"""The verb that fits the user's own stack and site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


def calibrate(
    runs: Annotated[
        str | None,
        typer.Argument(metavar="RUNS.csv", help="Your runs: see docs/evidence-format.md.", show_default=False),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="FILE", help="The log of a run; may be repeated.", show_default=False),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            metavar="RUN.toml",
            help="What the log's run was, whole: one for each log in their order, or one for all.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE.toml", help="Write the calibration here.")
    ] = None,
    rows_out: Annotated[
        str | None,
        typer.Option("--rows-out", metavar="FILE.csv", help="Write all runs here, as a RUNS.csv; a new file."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="What to narrow: a scenario, or a plan in JSON."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Left out: that of the file.")] = None,
    format: flags.Format = None,
    quiet: flags.Quiet = False,
) -> None:
    """Fit your own stack and site on a handful of your runs: error before and after, and what to measure next."""
    from isocost import api_measured
    from isocost.render.result import render

    form = chosen_format(format, None)
    logs = _pairs(log or [], scenario or [])
    if rows_out is not None:
        _refuse_to_replace(rows_out)
    with progress("calibrating", quiet=quiet):
        result = api_measured.calibrated(runs, output, logs=logs, plan=plan, name=name)
    if rows_out is not None:
        emit(result.runs_csv(), rows_out, quiet=quiet)
    emit(render(result, form), None, quiet=quiet)
    if output is None and not quiet and sys.stderr.isatty():
        typer.echo("isocost: nothing was written; add -o my_site.toml to keep it", err=True)


def _pairs(logs: list[str], scenarios: list[str]) -> list[tuple[str, str]]:
    """Return each log with its scenario."""
    from isocost.errors import InputError, Problem

    if scenarios and not logs:
        fix = "name the log of its run with --log; what the next runs are for is --plan"
        raise InputError([Problem("--scenario", "has no log", ", ".join(scenarios), fix=fix)])
    if len(scenarios) == 1:
        scenarios = scenarios * len(logs)
    if len(scenarios) != len(logs):
        message = f"is given {len(scenarios)} times for {len(logs)} {'log' if len(logs) == 1 else 'logs'}"
        fix = "give one --scenario for each --log, in their order, or one for all"
        raise InputError([Problem("--scenario", message, fix=fix)])
    return list(zip(logs, scenarios, strict=True))


def _refuse_to_replace(path: str) -> None:
    from isocost.errors import InputError, Problem

    if Path(path).is_file():
        fix = "name a new file: rows that could not be read are not in it"
        raise InputError([Problem("--rows-out", "exists, and is left as it is", path, fix=fix)])
