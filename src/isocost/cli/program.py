"""The verb of the whole programme's bill."""

from __future__ import annotations

from typing import Annotated

import typer

from isocost.cli import flags
from isocost.cli.output import chosen_format, emit, progress


def program(
    context: typer.Context,
    scenario: flags.Scenario = None,
    model: flags.Model = None,
    tokens: flags.Tokens = None,
    seq_len: flags.SeqLen = None,
    global_batch: flags.GlobalBatch = None,
    deadline: flags.Deadline = None,
    budget: flags.Budget = None,
    power_cap: flags.PowerCap = None,
    on: flags.On = None,
    gpus: flags.Gpus = None,
    fabric: flags.Fabric = None,
    term: flags.Term = None,
    catalog: flags.Catalog = None,
    stack: flags.Stack = None,
    calibration: flags.Calibration = None,
    precision: flags.Precision = None,
    tp: flags.Tp = None,
    pp: flags.Pp = None,
    vp: flags.Vp = None,
    cp: flags.Cp = None,
    ep: flags.Ep = None,
    micro_batch: flags.MicroBatch = None,
    recompute: flags.Recompute = None,
    sharding: flags.Sharding = None,
    schedule: flags.Schedule = None,
    attention_kernel: flags.AttentionKernel = None,
    norm_kernel: flags.NormKernel = None,
    gradient_precision: flags.GradientPrecision = None,
    compiled: flags.Compiled = None,
    cuda_graphs: flags.CudaGraphs = None,
    tp_overlap: flags.TpOverlap = None,
    confidence: flags.Confidence = None,
    items: Annotated[
        str | None, typer.Option("--items", metavar="FILE.toml", help="Your own [[item]] tables; left out: shipped.")
    ] = None,
    people: Annotated[str | None, typer.Option("--people", metavar="N", help="People on the programme.")] = None,
    salary: Annotated[
        str | None, typer.Option("--salary", metavar="MONEY", help="Cost of one of them a year: '300 kUSD'.")
    ] = None,
    raised: Annotated[str | None, typer.Option("--raised", metavar="MONEY", help="Capital raised: '50 MUSD'.")] = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show the bill of the whole programme around a plan: small runs, failed runs, post-training, people."""
    from isocost import api
    from isocost.report.result import render
    from isocost.scenario import KEYS

    form = chosen_format(format, output)
    changes = {key: context.params[key] for key in KEYS if context.params.get(key) is not None}
    places = {key: f"--{key.replace('_', '-')}" for key in changes}
    own = {"items": items, "people": people, "salary": salary, "raised": raised}
    places |= {key: f"--{key}" for key in own}
    with progress("searching", quiet=quiet):
        answer = api.ask_program(scenario, changes, places, **own)
    emit(render(answer, form), output, quiet=quiet)
    if not answer.feasible:
        raise typer.Exit(4)
