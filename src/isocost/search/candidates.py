"""Rows of the pool as candidates: every figure that a report shows of a layout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from isocost.catalog.records import rates_by_precision
from isocost.forecast import Forecast
from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.perf.intervals import Band, certainty_of
from isocost.perf.peak import MemoryBreakdown
from isocost.perf.step import StepTime
from isocost.search.intervals import of_forecast, of_lines, of_steps, peak_interval, widened, with_time
from isocost.search.pool import LIMITS, Evaluations, ceiling
from isocost.search.question import Candidate, Range
from isocost.search.site import charged, rent_of
from isocost.units import DAY_S, HOUR_S
from isocost.workload.flops import train_flop_per_token

T = TypeVar("T")

# Parts of a step by what would shorten them: faster chips, faster links, more micro-batches, a leaner host.
CAUSES = {
    "compute": ("gemm_s", "expert_s", "attention_s", "pointwise_s", "recompute_s", "head_s", "optimizer_s", "other_s"),
    "network": ("tp_s", "cp_s", "ep_s", "pp_s", "dp_s"),
    "batch": ("bubble_s",),
    "host": ("host_s",),
}


def candidates(
    pool: Evaluations, rows: Sequence[int], forecasts: Mapping[int, Forecast] | None = None
) -> list[Candidate]:
    """Evaluate these rows once more, by part; those that have a forecast are as it says, the others as they compare."""
    found: dict[int, Candidate] = {}
    places = [(row, *pool.place(row)) for row in rows]
    for number, result in enumerate(pool.results):
        here = [(row, layout) for row, of, layout in places if of == number]
        if not here:
            continue
        index = np.array([layout for _, layout in here], np.intp)
        memory, time = result.tables.memory(index), result.tables.time(index)
        for k, (row, _) in enumerate(here):
            known = (forecasts or {}).get(row)
            found[row] = _candidate(pool, row, _one(memory, k, len(here)), _one(time, k, len(here)), known)
    return [found[row] for row in rows]


def _one(record: T, k: int, size: int) -> T:
    values: dict[str, Any] = {
        f.name: float(np.broadcast_to(getattr(record, f.name), (size,))[k])
        for f in fields(record)  # type: ignore[arg-type]
    }
    return type(record)(**values)


def _candidate(
    pool: Evaluations, row: int, memory: MemoryBreakdown, time: StepTime, forecast: Forecast | None
) -> Candidate:
    number, layout = pool.place(row)
    t, site, question = pool.results[number].tables, pool.sites[number], pool.question
    case = replace(t.case, layout=t.layouts.row(layout))
    gpus, batch = case.gpus, case.global_batch_seqs
    forecasts = pool.forecasts[number]
    peak = float(memory.total)
    if forecasts is not None and float(gpus) in forecasts.gpus:
        time = at_measured_speed(time, float(forecasts.measured_over_predicted[forecasts.place(float(gpus))]))
    step_s = float(time.total_s)
    compute_s = pool.steps * step_s
    rates = rates_by_precision(t.option.accelerator)
    tokens_per_s = batch * question.seq_len / step_s / gpus
    flop_per_s = tokens_per_s * train_flop_per_token(question.architecture, question.seq_len, causal=False)
    rate, rate_16bit = rates[t.case.precision], rates["bf16"] or rates["fp16"]
    fits = peak <= ceiling(question, t)
    certainty = certainty_of(case, question.calibration)
    mfu, mfu_16bit = (flop_per_s / peak_rate if peak_rate else None for peak_rate in (rate, rate_16bit))
    if forecast is not None:
        run = of_forecast(forecast)
    elif forecasts is None or math.isnan(pool.run_s[row]):
        run = of_steps(compute_s, certainty.band)
    else:
        run = of_lines(forecasts, gpus, float(pool.run_s[row]), float(pool.cost[row]))
    run_s, gpu_s = run.run_s, gpus * run.run_s
    rent, used = rent_of(t.option, gpus, run_s), site.energy(gpus, run_s)
    steps_band = Band(low=1.0, high=1.0) if question.measured_mfu else certainty.band
    energy = None if used is None else widened(used.energy_j, run.wall)
    intervals = with_time(
        steps_band, {"step_s": step_s}, {"tokens_per_s_per_gpu": tokens_per_s, "mfu": mfu, "mfu_16bit": mfu_16bit}
    )
    intervals |= with_time(run.wall, {"run_s": run_s, "days": run_s / DAY_S, "gpu_hours": gpu_s / HOUR_S}, {})
    intervals["goodput"] = Range(low=run.goodput.low, high=run.goodput.high)
    cost = run.cost_usd or widened(charged(t.option, rent, used), run.wall)
    intervals["peak_bytes"] = peak_interval(case, peak, recipe_assumed=question.recipe_assumed)
    if energy is not None:
        intervals["energy_j"] = Range(low=energy.low, high=energy.high)
    return Candidate(
        option=t.option,
        precision=t.case.precision,
        layout=case.layout,
        global_batch_seqs=batch,
        micro_batches=batch // (case.layout.dp * case.layout.micro_batch),
        steps=pool.steps,
        step_s=step_s,
        time=time,
        memory=memory,
        peak_bytes=peak,
        capacity_bytes=t.capacity_bytes,
        fits=fits,
        fits_probability=float(fits_probability(total_bytes=peak, capacity_bytes=t.capacity_bytes, sigma=FIT_SIGMA)),
        mfu=mfu,
        mfu_16bit=mfu_16bit,
        tokens_per_s_per_gpu=tokens_per_s,
        compute_s=compute_s,
        run_s=run_s,
        gpu_s=gpu_s,
        goodput=run.goodput.median,
        price_usd=widened(rent, run.wall),
        energy_j=None if energy is None else energy.median,
        energy_usd=None if used is None else widened(used.energy_usd, run.wall),
        cost_usd=cost,
        certainty=certainty,
        intervals=intervals,
        power_w=None if site.full_w is None else gpus * site.full_w,
        binds=largest_cause(time),
        limit=LIMITS[int(pool.limit[row])],
    )


def at_measured_speed(time: StepTime, measured_over_predicted: float) -> StepTime:
    """Return a step with every part longer by a factor."""
    return StepTime(**{f.name: getattr(time, f.name) * measured_over_predicted for f in fields(time)})


def shares(time: StepTime) -> dict[str, float]:
    """Share of the step by cause."""
    total = float(time.total_s)
    return {cause: math.fsum(float(getattr(time, name)) for name in names) / total for cause, names in CAUSES.items()}


def largest_cause(time: StepTime) -> str:
    """Return the cause with the largest share."""
    by_cause = shares(time)
    return max(by_cause, key=lambda cause: by_cause[cause])
