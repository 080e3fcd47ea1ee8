"""What a reading says of its run: step time, throughput, MFU, and where the other time went, as events and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.measure.logs import steady
from isocost.measure.logs.efficiency import Definition, printed_flop_per_token, printed_peak_flop_per_s
from isocost.measure.logs.events import Event, buckets_of, clock, events_csv, find_events, healthy_s
from isocost.measure.logs.records import Column, Reading
from isocost.measure.logs.steady import REASONS, Sorted, sort_steps
from isocost.measure.logs.step_times import Known
from isocost.stats.quantiles import QUANTILES, Interval

MEAN_OF_RUN: Final = "the log has no time of single steps: the step time is the mean of the whole run, warm-up included"
DERIVED: Final = (
    "no line has a step time: it is derived from a rate of the log and what was said of the run, and as right as that"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunSummary:
    """Statistics of a run; what the log does not say is None."""

    steps_seen: int
    steps_used: int
    dropped: Mapping[str, int]
    timed_by: str
    derived: bool = False  # no step was timed: the step time is from a rate and what was said of the run, or a mean
    first_step: int | None = None  # of the steady window
    last_step: int | None = None
    step_s: Interval | None = None  # these are p05, p50 and p95 of the steady steps
    tokens_per_s_per_gpu: Interval | None = None
    tflops_per_gpu: Interval | None = None
    printed_mfu: Interval | None = None
    mfu: float | None = None  # under ``definition``
    hfu: float | None = None
    definition: str | None = None
    printed_peak_flop_per_s: float | None = None  # that the printed MFU divides by
    printed_flop_per_token: float | None = None  # that the printed rate counts
    data_s: Interval | None = None  # of a step: waiting for data
    power_w: Interval | None = None  # of a GPU
    global_batch: float | None = None  # samples of the last step
    memory_bytes: float | None = None
    wall_s: float | None = None  # from the first line to the last; without a clock, the sum of the buckets
    drift_frac: float | None = None  # last third over first third of the steady step times, less one
    restarts: int = 0
    skipped: float = 0.0
    nan: float = 0.0
    buckets: Mapping[str, float]
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()

    def events_csv(self) -> str:
        """Return the events as CSV: evidence of the user's own pauses and stops, as goodput reads it."""
        return events_csv(self.events)


def summarise(
    reading: Reading,
    *,
    definition: Definition | None = None,
    peak_flop_per_s: float | None = None,
    tokens_per_step: float | None = None,
    gpus: float | None = None,
) -> RunSummary:
    """Return the statistics of a run.

    ``peak_flop_per_s`` drops rows that are faster than the GPU; ``tokens_per_step`` with the GPU count gives throughput
    where the log has only step times; ``definition`` gives MFU and HFU.
    """
    peak = definition.peak_flop_per_s if definition is not None and peak_flop_per_s is None else peak_flop_per_s
    known = Known(
        tokens_per_step=tokens_per_step,
        gpus=gpus,
        peak_flop_per_s=peak,
        flop_per_token=definition.model_flop_per_token if definition else None,
    )
    rows = sort_steps(reading, known)
    usual = _interval(rows, rows.step_s)
    timed_by, derived, notes = rows.timed_by, rows.derived, [DERIVED] if rows.derived else []
    if usual is None and (mean := _mean_of_run(reading, known)) is not None:
        usual, timed_by, derived = Interval(low=mean, median=mean, high=mean), "mean of the run", True
        notes.append(MEAN_OF_RUN)
    rate = _throughput(reading, rows, usual, known)
    steady_steps = rows.steps.column("step")[rows.steady]
    return RunSummary(
        steps_seen=reading.steps_seen,
        steps_used=int(rows.steady.sum()),
        dropped=_dropped(reading, rows),
        timed_by=f"{timed_by}, derived" if derived else timed_by,
        derived=derived,
        first_step=int(steady_steps[0]) if len(steady_steps) else None,
        last_step=int(steady_steps[-1]) if len(steady_steps) else None,
        step_s=usual,
        tokens_per_s_per_gpu=rate,
        data_s=_interval(rows, rows.steps.column("data_s")),
        power_w=_interval(rows, rows.steps.column("power_w")),
        global_batch=_last(rows.steps.column("global_batch")),
        memory_bytes=_greatest(rows.steps.column("memory_bytes")) or reading.facts.get("memory_bytes"),
        notes=tuple(notes),
        **_efficiency(rows, rate, definition),
        **_events_and_buckets(reading, rows, usual),
    )


def _efficiency(rows: Sorted, rate: Interval | None, definition: Definition | None) -> dict[str, Any]:
    """Return the printed efficiency, what it counts, and MFU and HFU under the definition."""
    tflops, mfu = (_interval(rows, rows.steps.column(name)) for name in ("tflops_per_gpu", "mfu"))
    return {
        "tflops_per_gpu": tflops,
        "printed_mfu": mfu,
        "mfu": definition.mfu(rate.median) if definition and rate else None,
        "hfu": definition.hfu(rate.median) if definition and rate else None,
        "definition": definition.name if definition else None,
        "printed_peak_flop_per_s": printed_peak_flop_per_s(tflops.median, mfu.median) if tflops and mfu else None,
        "printed_flop_per_token": printed_flop_per_token(tflops.median, rate.median) if tflops and rate else None,
    }


def _events_and_buckets(reading: Reading, rows: Sorted, usual: Interval | None) -> dict[str, Any]:
    """Return what was no healthy step, and how much of it."""
    drift = _drift(rows)
    found: dict[str, Any] = {
        "drift_frac": drift,
        "restarts": int(rows.segment[-1]) if len(rows.segment) else 0,
        "skipped": float(np.nansum(rows.steps.column("skipped"))),
        "nan": float(np.nansum(rows.steps.column("nan"))),
        "buckets": {},
    }
    if usual is None:
        return found
    events = find_events(reading, rows, usual.median, drift)
    buckets = buckets_of(rows, healthy_s(rows, usual.median, drift), events)
    stamps = clock(rows)
    dated = bool(np.isfinite(rows.steps.column("time_stamp")).any())
    first = float(np.nan_to_num(rows.step_s[:1] * rows.span[:1]).sum())
    wall = float(np.nanmax(stamps) - np.nanmin(stamps)) + first if dated else sum(buckets.values())
    return found | {"events": events, "buckets": buckets, "wall_s": wall}


def _interval(rows: Sorted, values: Column) -> Interval | None:
    """Return percentiles over the steady steps; a row counts for the iterations that it is the mean of."""
    known = rows.steady & np.isfinite(values)
    if not known.any():
        return None
    order = np.argsort(values[known], kind="stable")
    sorted_values, weight = values[known][order], rows.span[known][order]
    middle = (np.cumsum(weight) - weight / 2.0) / weight.sum()
    low, median, high = np.interp(QUANTILES, middle, sorted_values).tolist()
    return Interval(low=low, median=median, high=high)


def _mean_of_run(reading: Reading, known: Known) -> float | None:
    facts = reading.facts
    if "train_runtime_s" in facts and facts.get("total_steps"):
        return (facts["train_runtime_s"] - facts.get("evaluation_s", 0.0)) / facts["total_steps"]
    if facts.get("steps_per_s"):
        return 1.0 / facts["steps_per_s"]
    if facts.get("tokens_per_s") and known.tokens_per_step:
        return known.tokens_per_step / facts["tokens_per_s"]
    return None


def _throughput(reading: Reading, rows: Sorted, usual: Interval | None, known: Known) -> Interval | None:
    """Return printed tokens per second per GPU, or those of the step time."""
    printed = _interval(rows, rows.steps.column("tokens_per_s_per_gpu"))
    gpus = known.gpus or reading.facts.get("gpus")
    if printed is not None or gpus is None:
        return printed
    whole = _interval(rows, rows.steps.column("tokens_per_s") / gpus)
    tokens = known.tokens_per_step or reading.facts.get("global_batch", 0.0) * reading.facts.get("seq_len", 0.0)
    if whole is not None or usual is None or not tokens:
        return whole
    low, median, high = (tokens / gpus / time for time in (usual.high, usual.median, usual.low))
    return Interval(low=low, median=median, high=high)


def _dropped(reading: Reading, rows: Sorted) -> dict[str, int]:
    own = {name: int(rows.because(name).sum()) for name in REASONS}
    dropped = dict(reading.dropped)
    for name, count in (*rows.dropped.items(), *own.items()):
        if count:
            dropped[name] = dropped.get(name, 0) + count
    return dropped


def _last(values: Column) -> float | None:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else None


def _greatest(values: Column) -> float | None:
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def _drift(rows: Sorted) -> float | None:
    times = rows.step_s[rows.steady]
    third = len(times) // 3
    if third < steady.WINDOW:
        return None
    return float(np.median(times[-third:]) / np.median(times[:third]) - 1.0)
