"""Rows of the pool as candidates: every figure that a report shows of a layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from isocost.catalog.records import rates_by_precision
from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.perf.intervals import Band, certainty_of
from isocost.perf.peak import MemoryBreakdown
from isocost.perf.step import StepTime
from isocost.search.intervals import peak_interval, run_ends, scaled, widened, with_time
from isocost.search.pool import LIMITS, Pool, ceiling
from isocost.search.question import Candidate, Range
from isocost.search.site import bill
from isocost.units import DAY_S, HOUR_S
from isocost.workload.flops import train_flop_per_token

T = TypeVar("T")

# Parts of a step by what would shorten them: faster chips, faster links, more micro-batches, a leaner host.
CAUSES = {
    "compute": (
        "gemm_s", "expert_s", "attention_s", "pointwise_s", "recompute_s", "head_s", "optimizer_s", "other_s"
    ),
    "network": ("tp_s", "cp_s", "ep_s", "pp_s", "dp_s"),
    "batch": ("bubble_s",),
    "host": ("host_s",),
}  # fmt: skip


def candidates(pool: Pool, rows: Sequence[int]) -> list[Candidate]:
    """Evaluate these rows once more, by part."""
    found: dict[int, Candidate] = {}
    places = [(row, *pool.place(row)) for row in rows]
    for number, result in enumerate(pool.results):
        here = [(row, layout) for row, of, layout in places if of == number]
        if not here:
            continue
        index = np.array([layout for _, layout in here], np.intp)
        memory, time = result.tables.memory(index), result.tables.time(index)
        for k, (row, _) in enumerate(here):
            found[row] = _candidate(pool, row, _one(memory, k, len(here)), _one(time, k, len(here)))
    return [found[row] for row in rows]


def _one(record: T, k: int, size: int) -> T:
    values: dict[str, Any] = {
        f.name: float(np.broadcast_to(getattr(record, f.name), (size,))[k])
        for f in fields(record)  # type: ignore[arg-type]
    }
    return type(record)(**values)


def _candidate(pool: Pool, row: int, memory: MemoryBreakdown, time: StepTime) -> Candidate:
    number, layout = pool.place(row)
    t, site, question = pool.results[number].tables, pool.sites[number], pool.question
    case = replace(t.case, layout=t.layouts.row(layout))
    gpus, batch = case.gpus, case.global_batch_seqs
    forecasts = pool.forecasts[number]
    peak = float(memory.total)
    if forecasts is not None and float(gpus) in forecasts.gpus:
        time = paced(time, float(forecasts.pace[forecasts.place(float(gpus))]))
    step_s = float(time.total_s)
    compute_s = pool.steps * step_s
    run_s = compute_s if forecasts is None or math.isnan(pool.run_s[row]) else float(pool.run_s[row])
    paid = bill(t.option, site, gpus, pool.steps, run_s / pool.steps)
    rates = rates_by_precision(t.option.accelerator)
    tokens_per_s = batch * question.seq_len / step_s / gpus
    flop_per_s = tokens_per_s * train_flop_per_token(question.architecture, question.seq_len, causal=False)
    rate, rate_16bit = rates[t.case.precision], rates["bf16"] or rates["fp16"]
    fits = peak <= ceiling(question, t)
    certainty = certainty_of(case, question.calibration)
    mfu, mfu_16bit = (flop_per_s / peak_rate if peak_rate else None for peak_rate in (rate, rate_16bit))
    gpu_s = gpus * run_s
    ends = run_ends(forecasts, gpus, certainty.band) if run_s != compute_s else run_ends(None, gpus, certainty.band)
    steps_band = Band(low=1.0, high=1.0) if question.measured_mfu else certainty.band
    energy = widened(paid.energy_j, ends.wall)
    intervals = with_time(
        steps_band, {"step_s": step_s}, {"tokens_per_s_per_gpu": tokens_per_s, "mfu": mfu, "mfu_16bit": mfu_16bit}
    )
    intervals |= with_time(ends.wall, {"run_s": run_s, "days": run_s / DAY_S, "gpu_hours": gpu_s / HOUR_S}, {})
    intervals["goodput"] = ends.goodput
    cost = widened(paid.cost_usd, ends.wall) if ends.cost is None else scaled(ends.cost, float(pool.cost[row]))
    intervals["peak_bytes"] = peak_interval(case, peak, recipe_assumed=question.recipe_assumed)
    if energy is not None:
        intervals["energy_j"] = Range(low=energy.low, high=energy.high)
    return Candidate(
        option=t.option, precision=t.case.precision, layout=case.layout, global_batch_seqs=batch,
        micro_batches=batch // (case.layout.dp * case.layout.micro_batch), steps=pool.steps, step_s=step_s, time=time,
        memory=memory, peak_bytes=peak, capacity_bytes=t.capacity_bytes, fits=fits,
        fits_probability=float(
            fits_probability(total_bytes=peak, capacity_bytes=t.capacity_bytes, sigma=FIT_SIGMA)
        ),
        mfu=mfu, mfu_16bit=mfu_16bit, tokens_per_s_per_gpu=tokens_per_s, compute_s=compute_s, run_s=run_s,
        gpu_s=gpu_s, goodput=ends.median_goodput,
        price_usd=widened(paid.price_usd, ends.wall), energy_j=None if energy is None else energy.median,
        energy_usd=widened(paid.energy_usd, ends.wall), cost_usd=cost,
        certainty=certainty, intervals=intervals,
        power_w=None if site.full_w is None else gpus * site.full_w, binds=largest_cause(time),
        limit=LIMITS[int(pool.limit[row])],
    )  # fmt: skip


def paced(time: StepTime, pace: float) -> StepTime:
    """Return a step with every part longer by a factor."""
    return StepTime(**{f.name: getattr(time, f.name) * pace for f in fields(time)})


def shares(time: StepTime) -> dict[str, float]:
    """Share of the step by cause."""
    total = float(time.total_s)
    return {cause: math.fsum(float(getattr(time, name)) for name in names) / total for cause, names in CAUSES.items()}


def largest_cause(time: StepTime) -> str:
    """Return the cause with the largest share."""
    by_cause = shares(time)
    return max(by_cause, key=lambda cause: by_cause[cause])
