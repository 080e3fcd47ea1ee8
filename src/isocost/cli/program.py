"""The verb of the whole programme's bill."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


@flags.taking(
    flags.WHAT, flags.LIMITS, {"confidence": flags.Confidence}, flags.WHERE, flags.LAYOUT, flags.SWITCHES, flags.RESULT
)
def program(
    context: typer.Context,
    scenario: flags.Scenario = None,
    items: Annotated[
        str | None, typer.Option("--items", metavar="FILE.toml", help="Your own [[item]] tables; left out: shipped.")
    ] = None,
    people: Annotated[str | None, typer.Option("--people", metavar="N", help="People on the programme.")] = None,
    salary: Annotated[
        str | None, typer.Option("--salary", metavar="MONEY", help="Cost of one of them a year: '300 kUSD'.")
    ] = None,
    raised: Annotated[str | None, typer.Option("--raised", metavar="MONEY", help="Capital raised: '50 MUSD'.")] = None,
    **options: object,
) -> None:
    """Show the bill of the whole programme around a plan: small runs, failed runs, post-training, people."""
    from isocost import api
    from isocost.render.result import render
    from isocost.scenario import KEYS

    output, quiet = context.params["output"], context.params["quiet"]
    form = chosen_format(context.params["format"], output)
    changes = {key: context.params[key] for key in KEYS if context.params.get(key) is not None}
    places = {key: f"--{key.replace('_', '-')}" for key in changes}
    own = {"items": items, "people": people, "salary": salary, "raised": raised}
    places |= {key: f"--{key}" for key in own}
    with progress("searching", quiet=quiet):
        answer = api.ask_program(scenario, changes, places, **own)
    emit(render(answer, form), output, quiet=quiet)
    if not answer.feasible:
        raise typer.Exit(4)
