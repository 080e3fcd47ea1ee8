"""The verb of every way to pay."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


def tco(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO.toml", help="A scenario.")],
    years: Annotated[
        str, typer.Option("--years", metavar="N,...", help="Years until owned servers are sold.")
    ] = "1,3,5",
    wait: Annotated[
        str | None,
        typer.Option("--wait", metavar="TIME", help="Train now, or wait so long ('6 months') for the next chip?"),
    ] = None,
    late: Annotated[
        str | None, typer.Option("--late", metavar="TIME", help="How much later it may come; left out: as long again.")
    ] = None,
    next_chip: Annotated[
        str | None, typer.Option("--next-chip", metavar="NAME", help="That chip; left out: the next generation.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="NAME,...", help="Energy and carbon there: us-tx,no,de.")
    ] = None,
    gpus: flags.Gpus = None,
    on: flags.On = None,
    term: flags.Term = None,
    catalog: flags.Catalog = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show every way to pay for the chosen plan, where owning breaks even, whether to wait, energy and carbon."""
    from isocost import api
    from isocost.errors import InputError, Problem
    from isocost.render.result import render

    form = chosen_format(format, output)
    try:
        horizons = [float(part) for part in years.split(",")]
    except ValueError:
        raise InputError([Problem("--years", "is not a list of years", years, fix="write 1,3,5")]) from None
    places = [part.strip() for part in (region or "").split(",") if part.strip()]
    with progress("searching", quiet=quiet):
        found = api.tco(
            scenario, years=horizons, regions=places, wait=wait, late=late, next_chip=next_chip, gpus=gpus, on=on,
            term=term, catalog=catalog,
        )  # fmt: skip
    emit(render(found, form), output, quiet=quiet)
