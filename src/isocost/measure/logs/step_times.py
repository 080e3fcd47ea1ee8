"""Where the time of a step comes from: printed, from rates, from the clock of the lines, or derived."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.measure.logs.records import Column, Reading, Steps

RESOLUTION_STEPS: Final = 20.0  # an interval is at least this many units of the clock that printed its ends
BY_TOKENS: Final = "tokens of a step over tokens per second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a run beside its log."""

    tokens_per_step: float | None = None
    gpus: float | None = None
    peak_flop_per_s: float | None = None
    flop_per_token: float | None = None  # that the printed TFLOP/s and MFU are taken to count


def step_times(
    reading: Reading, steps: Steps, span: Column, segment: Column, known: Known
) -> tuple[Column, Column, str, bool]:
    """Return the time of a step on each row, the pause before it, where times are from, and whether they are derived.

    The best there is counts: a printed time, then rates with what the log says of the run, the clock of the lines, and
    last rates with what is known beside the log: that may be another run's.
    """
    stamps = steps.column("time_stamp")
    between = np.concatenate([[np.nan], np.diff(stamps)]) if len(stamps) else stamps
    between[np.concatenate([[True], np.diff(segment) > 0])[: len(between)]] = np.nan
    for name, times in _printed_times(reading, steps):
        if np.isfinite(times).any():
            return times, between - times * span, name, False
    clock = _between_stamps(between, span)
    if not np.isfinite(clock).any():
        for name, times in _derived_times(reading, steps, known):
            if np.isfinite(times).any():
                return times, between - times * span, name, True
    return clock, np.full(len(steps), np.nan), "time between lines", False


def _printed_times(reading: Reading, steps: Steps) -> Iterator[tuple[str, Column]]:
    """Yield step times that the log alone tells."""
    facts = reading.facts
    yield "printed", steps.column("step_s")
    batch = steps.column("global_batch")
    batch = np.where(np.isnan(batch), facts.get("global_batch", np.nan), batch)
    yield "global batch over samples per second", _over(batch, steps.column("samples_per_s"))
    tokens = facts.get("global_batch", np.nan) * facts.get("seq_len", np.nan)
    yield BY_TOKENS, _over(tokens, _tokens_per_s(steps, facts.get("gpus", np.nan)))


def _derived_times(reading: Reading, steps: Steps, known: Known) -> Iterator[tuple[str, Column]]:
    """Yield step times from a rate of the log and what is known beside it."""
    tokens = known.tokens_per_step or np.nan
    gpus = reading.facts.get("gpus") or known.gpus or np.nan
    yield BY_TOKENS, _over(tokens, _tokens_per_s(steps, gpus))
    flop = tokens * (known.flop_per_token or np.nan) / gpus
    yield "model FLOPs of a step over TFLOP/s", _over(flop, steps.column("tflops_per_gpu") * 1e12)
    yield "model FLOPs of a step over MFU", _over(flop, steps.column("mfu") * (known.peak_flop_per_s or np.nan))


def _tokens_per_s(steps: Steps, gpus: float) -> Column:
    """Return tokens per second of the whole job."""
    rate = steps.column("tokens_per_s_per_gpu") * gpus
    return np.where(np.isnan(rate), steps.column("tokens_per_s"), rate)


def _over(amount: Column | float, rate: Column) -> Column:
    """Return amounts over rates; a rate of zero tells nothing."""
    return np.asarray(amount / np.where(rate > 0.0, rate, np.nan))


def _between_stamps(between: Column, span: Column) -> Column:
    """Return time over iterations; where the clock is coarse, over as many rows as it needs to tell."""
    known = between[np.isfinite(between)]
    if not len(known):
        return np.full(len(between), np.nan)
    coarse = bool(np.all(known == np.round(known)))
    rows = max(int(np.ceil(RESOLUTION_STEPS / max(float(np.mean(known)), 1e-3))), 1) if coarse else 1
    if rows == 1:
        return np.divide(between, span)
    time, iterations = np.nan_to_num(between), np.where(np.isnan(between), 0.0, span)
    starts = np.arange(0, len(between), rows)
    pooled = np.divide(np.add.reduceat(time, starts), np.maximum(np.add.reduceat(iterations, starts), 1.0))
    result = np.repeat(pooled, rows)[: len(between)]
    result[np.isnan(between)] = np.nan
    if len(starts) > 1 and len(between) - starts[-1] < rows:
        result[starts[-1] :] = pooled[-2]  # a short rest is too coarse by itself
    return result


def median(values: Column) -> float:
    """Return the median of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
