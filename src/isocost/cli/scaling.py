"""The verbs of scaling laws: list, show, fit, optimum. Like the other verbs they hold no logic."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress

scaling = typer.Typer(
    name="scaling",
    help="Scaling laws: what to train on an amount of arithmetic, and the fit of a law to your own runs.",
    epilog="Example: isocost scaling optimum --flop 1e24 --law besiroglu,hoffmann,llama3",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@scaling.command("list", epilog="Example: isocost scaling list")
def scaling_list(format: flags.Format = None, output: flags.Output = None, quiet: flags.Quiet = False) -> None:
    """List the shipped laws, with their reach and grade."""
    from isocost.render.result import render
    from isocost.verbs.scaling import answer as report

    form = chosen_format(format, output)
    emit(render(report.listing(), form), output, quiet=quiet)


@scaling.command("show", epilog="Example: isocost scaling show besiroglu")
def scaling_show(
    law: Annotated[str, typer.Argument(metavar="LAW|FILE.toml", help="A law that 'isocost scaling list' shows.")],
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show one law: parameters with their uncertainty, corpus, range of validity, source."""
    from isocost.render.result import render
    from isocost.verbs.scaling import answer as report

    form = chosen_format(format, output)
    emit(render(report.entry(law), form), output, quiet=quiet)


@scaling.command("fit", epilog="Example: isocost scaling fit my_runs.csv -o my_law.toml")
def scaling_fit(
    runs: Annotated[str, typer.Argument(metavar="RUNS.csv", help="Columns params, tokens (or flop), loss.")],
    name: Annotated[str, typer.Option("--name", metavar="ID", help="Name of the law.")] = "my_law",
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Fit E + A/N^alpha + B/D^beta to your own runs; '-o my_law.toml' writes the law for '--law my_law.toml'."""
    from isocost.render.result import render
    from isocost.verbs.scaling import answer as report

    as_law = format is None and output is not None and output.endswith(".toml")
    form = "table" if as_law else chosen_format(format, output)
    with progress("fitting", quiet=quiet):
        found = report.fitted(runs, name, "--name")
    if as_law:
        emit(found.toml, output, quiet=quiet)
    emit(render(found, form), None if as_law else output, quiet=quiet)


@scaling.command("optimum", epilog="Example: isocost scaling optimum --law besiroglu --flop 1e24 --format json")
def scaling_optimum(
    flop: Annotated[str, typer.Option("--flop", metavar="FLOP", help="Arithmetic of the run, 6 N D: '1e24'.")],
    law: Annotated[
        str, typer.Option("--law", metavar="LAW,...", help="Laws, or files of laws; the first is the answer.")
    ] = "besiroglu",
    data: Annotated[
        str | None, typer.Option("--data", metavar="AMOUNT", help="Unique tokens there are: '3 T'.")
    ] = None,
    serve: Annotated[
        str | None, typer.Option("--serve", metavar="AMOUNT", help="Tokens served over the life of the model: '5 T'.")
    ] = None,
    serving_cost: Annotated[
        str | None,
        typer.Option("--serving-cost", metavar="RATIO", help="Cost of a FLOP that serves over one that trains; 1."),
    ] = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Say how large a model on how many tokens makes the least loss for an amount of arithmetic."""
    from isocost.render.result import render
    from isocost.verbs.scaling.optimum import best

    form = chosen_format(format, output)
    places = {name: f"--{name.replace('_', '-')}" for name in ("flop", "law", "data", "serve", "serving_cost")}
    emit(render(best(flop, law, data, serve, serving_cost, places), form), output, quiet=quiet)
