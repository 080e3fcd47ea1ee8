"""The verb that chooses what to train."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress

_OWN = ("data", "serve", "serving_cost", "token_price", "licence", "experts", "family", "loss_of")


@flags.taking(
    flags.LIMITS, {"confidence": flags.Confidence, "top": flags.Top}, flags.WHERE, flags.LAYOUT,
    {"seq_len": flags.SeqLen, "global_batch": flags.GlobalBatch}, flags.SWITCHES, flags.RESULT,
)  # fmt: skip
def frontier(
    context: typer.Context,
    scenario: flags.Scenario = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="AMOUNT", help="Unique tokens there are: '3 T'.")
    ] = None,
    serve: Annotated[
        str | None, typer.Option("--serve", metavar="AMOUNT", help="Tokens served over the life of the model: '50 T'.")
    ] = None,
    serving_cost: Annotated[
        str | None,
        typer.Option("--serving-cost", metavar="RATIO", help="Cost of a FLOP that serves over one that trains; 1."),
    ] = None,
    token_price: Annotated[
        str | None, typer.Option("--token-price", metavar="MONEY", help="Of a billion unique tokens: '500 USD'.")
    ] = None,
    law: Annotated[
        str | None,
        typer.Option("--law", metavar="LAW,...", help="Laws, or files of laws; the first is the answer. [besiroglu]"),
    ] = None,
    loss_of: Annotated[
        str | None, typer.Option("--loss-of", metavar="QUALITY", help="Cheapest way to it: '70 B on 1.4 T', or a loss.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", metavar="MONEY", help="Of the data, whatever their amount: '300 kUSD'.")
    ] = None,
    experts: Annotated[
        str | None, typer.Option("--experts", metavar="K/N", help="Mixtures of experts: '8/128', '8/256+1'.")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="MODEL,...", help="Choose among these models or configurations.")
    ] = None,
    **options: object,
) -> None:
    """Choose what to train: the model, tokens and cluster of least loss for a budget, a deadline and data.

    '-o next.toml' writes the recommended model as a scenario for 'isocost plan next.toml'.
    """
    from isocost.render.result import render
    from isocost.scenario import KEYS
    from isocost.verbs.frontier.question import ask_file  # not isocost.api: it reads in all that other verbs need

    output, quiet = context.params["output"], context.params["quiet"]
    as_scenario = context.params["format"] is None and output is not None and output.endswith(".toml")
    form = "table" if as_scenario else chosen_format(context.params["format"], output)
    changes = {key: context.params[key] for key in KEYS if context.params.get(key) is not None}
    own = {"laws": law} | {key: context.params[key] for key in _OWN}
    places = {key: f"--{key.replace('_', '-')}" for key in (*changes, *_OWN)} | {"laws": "--law"}
    with progress("searching", quiet=quiet):
        answer = ask_file(scenario, changes, places, own)
    if as_scenario and answer.feasible:
        emit(answer.toml, output, quiet=quiet)
    emit(render(answer, form), None if as_scenario else output, quiet=quiet)
    if not answer.feasible:
        if form != "table" or (output and not as_scenario):
            typer.echo(f"isocost: {answer.sentence}", err=True)
        raise typer.Exit(4)
