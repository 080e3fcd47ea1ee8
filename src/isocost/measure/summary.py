"""What a reading says of its run: step time, throughput, MFU, and where the other time went, as events and buckets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.measure import steady
from isocost.measure.efficiency import Definition, printed_flop_per_token, printed_peak_flop_per_s
from isocost.measure.records import Column, Mark, Reading
from isocost.measure.steady import REASONS, Sorted, sort_steps

DRIFT_FRAC: Final = 0.02  # the noise floor of a comparison between steady periods
# Buckets are those of the goodput vocabulary, and two more: what loss scaling skips, and what a log cannot tell.
SKIPPED_S: Final = "skipped_s"
UNEXPLAINED: Final = "unexplained_s"
_BUCKET_OF_MARK: Final = {"checkpoint": "checkpoint_stall_s", "evaluation": "evaluation_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Median with the fifth and ninety-fifth percentile of the steady steps."""

    p05: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Time that was not a healthy step: its bucket, its cause as far as the log tells, where and how long."""

    bucket: str
    cause: str
    step: int
    duration_s: float
    line: int
    time_stamp: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunSummary:
    """Statistics of a run; what the log does not say is None."""

    steps_seen: int
    steps_used: int
    dropped: Mapping[str, int]
    timed_by: str
    first_step: int | None = None  # of the steady window
    last_step: int | None = None
    step_s: Interval | None = None
    tokens_per_s_per_gpu: Interval | None = None
    tflops_per_gpu: Interval | None = None
    printed_mfu: Interval | None = None
    mfu: float | None = None  # under ``definition``
    hfu: float | None = None
    definition: str | None = None
    printed_peak_flop_per_s: float | None = None  # that the printed MFU divides by
    printed_flop_per_token: float | None = None  # that the printed rate counts
    memory_bytes: float | None = None
    drift_frac: float | None = None  # last third over first third of the steady step times, less one
    restarts: int = 0
    skipped: float = 0.0
    nan: float = 0.0
    buckets: Mapping[str, float]
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()

    def events_csv(self) -> str:
        """Return the events as CSV, evidence of the user's own failures and pauses."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["bucket", "cause", "step", "time_stamp", "duration_s", "line"])
        for event in self.events:
            stamp = "" if event.time_stamp is None else event.time_stamp
            writer.writerow([event.bucket, event.cause, event.step, stamp, event.duration_s, event.line])
        return out.getvalue()


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
    rows = sort_steps(reading, peak_flop_per_s=peak, tokens_per_step=tokens_per_step)
    gpus = gpus or reading.facts.get("gpus")
    usual = _interval(rows, rows.step_s)
    notes: tuple[str, ...] = ()
    if usual is None and (mean := _mean_of_run(reading)) is not None:
        usual = Interval(p05=mean, p50=mean, p95=mean)
        notes = ("the log has no time of single steps; the step time is the mean of the whole run, warm-up included",)
    rate = _throughput(reading, rows, usual, tokens_per_step, gpus)
    tflops, mfu = (_interval(rows, rows.steps.column(name)) for name in ("tflops_per_gpu", "mfu"))
    events = tuple(sorted(_events(reading, rows, usual), key=lambda event: (event.line, event.bucket)))
    steady_steps = rows.steps.column("step")[rows.steady]
    return RunSummary(
        steps_seen=reading.steps_seen,
        steps_used=int(rows.steady.sum()),
        dropped=_dropped(reading, rows),
        timed_by=rows.timed_by if not notes else "mean of the run",
        first_step=int(steady_steps[0]) if len(steady_steps) else None,
        last_step=int(steady_steps[-1]) if len(steady_steps) else None,
        step_s=usual,
        tokens_per_s_per_gpu=rate,
        tflops_per_gpu=tflops,
        printed_mfu=mfu,
        mfu=definition.mfu(rate.p50) if definition and rate else None,
        hfu=definition.hfu(rate.p50) if definition and rate else None,
        definition=definition.name if definition else None,
        printed_peak_flop_per_s=printed_peak_flop_per_s(tflops.p50, mfu.p50) if tflops and mfu else None,
        printed_flop_per_token=printed_flop_per_token(tflops.p50, rate.p50) if tflops and rate else None,
        memory_bytes=_greatest(rows.steps.column("memory_bytes")),
        drift_frac=_drift(rows),
        restarts=int(rows.segment[-1]) if len(rows.segment) else 0,
        skipped=float(np.nansum(rows.steps.column("skipped"))),
        nan=float(np.nansum(rows.steps.column("nan"))),
        buckets=_buckets(rows, usual, events),
        events=events,
        notes=notes,
    )


def _interval(rows: Sorted, values: Column) -> Interval | None:
    """Return percentiles over the steady steps; a row counts for the iterations that it is the mean of."""
    known = rows.steady & np.isfinite(values)
    if not known.any():
        return None
    order = np.argsort(values[known], kind="stable")
    sorted_values, weight = values[known][order], rows.span[known][order]
    middle = (np.cumsum(weight) - weight / 2.0) / weight.sum()
    p05, p50, p95 = np.interp([0.05, 0.5, 0.95], middle, sorted_values)
    return Interval(p05=float(p05), p50=float(p50), p95=float(p95))


def _mean_of_run(reading: Reading) -> float | None:
    facts = reading.facts
    if "train_runtime_s" in facts and facts.get("total_steps"):
        return (facts["train_runtime_s"] - facts.get("evaluation_s", 0.0)) / facts["total_steps"]
    return 1.0 / facts["steps_per_s"] if facts.get("steps_per_s") else None


def _throughput(
    reading: Reading, rows: Sorted, usual: Interval | None, tokens_per_step: float | None, gpus: float | None
) -> Interval | None:
    """Return printed tokens per second per GPU, or those of the step time."""
    printed = _interval(rows, rows.steps.column("tokens_per_s_per_gpu"))
    if printed is not None or gpus is None:
        return printed
    whole = _interval(rows, rows.steps.column("tokens_per_s") / gpus)
    tokens = tokens_per_step or reading.facts.get("global_batch", 0.0) * reading.facts.get("seq_len", 0.0)
    if whole is not None or usual is None or not tokens:
        return whole
    p05, p50, p95 = (tokens / gpus / time for time in (usual.p95, usual.p50, usual.p05))
    return Interval(p05=p05, p50=p50, p95=p95)


def _dropped(reading: Reading, rows: Sorted) -> dict[str, int]:
    own = {name: int(rows.because(name).sum()) for name in REASONS}
    dropped = dict(reading.dropped)
    for name, count in (*rows.dropped.items(), *own.items()):
        if count:
            dropped[name] = dropped.get(name, 0) + count
    return dropped


def _greatest(values: Column) -> float | None:
    return float(np.nanmax(values)) if np.isfinite(values).any() else None


def _drift(rows: Sorted) -> float | None:
    times = rows.step_s[rows.steady]
    third = len(times) // 3
    if third < steady.WINDOW:
        return None
    return float(np.median(times[-third:]) / np.median(times[:third]) - 1.0)


def _events(reading: Reading, rows: Sorted, usual: Interval | None) -> Iterator[Event]:
    if usual is None or not len(rows.steps):
        return
    excess = np.nan_to_num(rows.step_s - usual.p50) * rows.span
    groups = (
        (steady.WARM_UP, "start_up_s", "first steps and compilation", excess),
        (steady.AFTER_RESTART, "warm_up_s", "first steps after a restart", excess),
        (steady.SLOW, "straggler_s", "slow period: straggler or throttling", excess),
        (steady.THROWN_AWAY, "lost_work_s", "steps run again after a restart", np.nan_to_num(rows.step_s) * rows.span),
        (steady.SKIPPED, SKIPPED_S, "skipped iterations", _skipped_s(rows, usual)),
    )
    for reason, bucket, cause, seconds in groups:
        for start, end in _stretches(rows.because(reason)):
            lasting = float(seconds[start:end].sum())
            if lasting > 0.0:
                yield _event(rows, start, bucket, cause, lasting)
    yield from _pauses(reading, rows, usual, excess)


def _skipped_s(rows: Sorted, usual: Interval) -> Column:
    return np.asarray(np.minimum(np.nan_to_num(rows.steps.column("skipped")), rows.span) * usual.p50)


def _pauses(reading: Reading, rows: Sorted, usual: Interval, excess: Column) -> Iterator[Event]:
    """Yield pauses inside steps and between them, with the mark that explains each."""
    lines = rows.steps.columns["line"]
    between = np.nan_to_num(rows.pause_s)
    marks = sorted(reading.marks, key=lambda mark: mark.line)
    marked = np.array([mark.line for mark in marks])
    for row in np.flatnonzero(rows.because(steady.PAUSE) | (between > steady.PAUSE_FRAC * usual.p50)).tolist():
        inside = float(excess[row]) if rows.because(steady.PAUSE)[row] else 0.0
        lasting = inside + max(float(between[row]), 0.0)
        before = int(lines[row - 1]) if row else 0
        first, last = np.searchsorted(marked, [before, int(lines[row]) + 1]).tolist()
        kinds = dict.fromkeys(mark.kind for mark in marks[first:last])
        bucket = _BUCKET_OF_MARK[next(iter(kinds))] if len(kinds) == 1 else UNEXPLAINED
        yield _event(rows, row, bucket, " and ".join(kinds) or "unknown pause", lasting)
    if not np.isfinite(rows.pause_s).any():
        yield from _marked(reading.marks, rows)
    stamps = rows.steps.column("time_stamp")
    for row in np.flatnonzero(np.diff(rows.segment) > 0).tolist():
        gap = stamps[row + 1] - stamps[row]
        if gap > 0.0:
            yield _event(rows, row + 1, "restart_s", "restart", float(gap))


def _marked(marks: tuple[Mark, ...], rows: Sorted) -> Iterator[Event]:
    """Yield pauses that only their own lines tell of."""
    lines = rows.steps.columns["line"]
    pauses = set(lines[rows.because(steady.PAUSE)].tolist())
    for mark in marks:
        near = int(np.searchsorted(lines, mark.line))
        told = near < len(lines) and int(lines[near]) in pauses
        if mark.duration_s is not None and not told:
            step = mark.step if mark.step is not None else int(rows.steps.columns["step"][max(near - 1, 0)])
            yield Event(
                bucket=_BUCKET_OF_MARK[mark.kind], cause=mark.kind, step=step, duration_s=mark.duration_s,
                line=mark.line, time_stamp=mark.time_stamp,
            )  # fmt: skip


def _event(rows: Sorted, row: int, bucket: str, cause: str, duration_s: float) -> Event:
    record = rows.steps[row]
    return Event(
        bucket=bucket, cause=cause, step=record.step, duration_s=duration_s, line=record.line,
        time_stamp=record.time_stamp,
    )  # fmt: skip


def _stretches(where: Column) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], where.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _buckets(rows: Sorted, usual: Interval | None, events: tuple[Event, ...]) -> dict[str, float]:
    """Return seconds by bucket: kept steps at the steady speed, and the events."""
    if usual is None:
        return {}
    kept = ~rows.because(steady.THROWN_AWAY)
    useful = float(rows.span[kept].sum() - np.nan_to_num(rows.steps.column("skipped"))[kept].sum())
    buckets = {"useful_s": max(useful, 0.0) * usual.p50}
    for event in events:
        buckets[event.bucket] = buckets.get(event.bucket, 0.0) + event.duration_s
    return buckets
