"""The verb of a fleet: how many nodes of which offer, for which mix of workloads, and when."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


def fleet(
    fleet: Annotated[str, typer.Argument(metavar="FLEET.toml", help="[[workload]] and [[offer]] tables.")],
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Say how many nodes of which offer a mix of sweeps, large runs and inference needs, and when.

    Offers have GPUs from a date on, a lead time and a commitment; workloads have deadlines and priorities. The planner
    sizes every run. Leaves with 4 when not every workload finds a place, and says what would make room.

    \b
    [[workload]]                      [[offer]]
    name = "sweep"                    name = "one year"
    scenario = "run.toml"             accelerator = "h100-sxm5-80gb"
    count = 40                        term = "reserved_1y"
    deadline = "12 weeks"             available = 1024
                                      lead_time = "6 weeks"
    [[workload]]
    name = "assistant"                Times are durations from start (the first
    serve = "400 ktoken/s"            day; today if left out), or dates. All keys:
    model = "llama-3.1-70b"           docs/capacity.md
    efficiency = "15 %"
    until = "52 weeks"
    """
    from isocost import api
    from isocost.render.result import render

    form = chosen_format(format, output)
    with progress("planning", quiet=quiet):
        answer = api.fleet_of(fleet)
    emit(render(answer, form), output, quiet=quiet)
    if not answer.feasible:
        if form != "table" or output:
            typer.echo(f"isocost: {answer.sentence}", err=True)
        raise typer.Exit(4)
