"""Statistics of a run: which rows are its steady steps, why each other row is not, and what they say.

Every row gets one reason or none; rows without a reason are the steady window. The order of the tests is that of
``REASONS``: a row that is impossible is not also slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from isocost.measure.logs.records import NO_RANK, Column, Reading, Steps
from isocost.measure.logs.step_times import Known, median, step_times
from isocost.units import DAY_S

WARM_UP_FRAC: Final = 0.01  # slower than steady by more than this, or by more than the noise, is warm-up
PAUSE_FRAC: Final = 0.5  # of a step: a shorter delay of a row, or gap between rows, is no pause
SLOW_FRAC: Final = 0.05  # a period this much slower is a slow one
DRIFT_FRAC: Final = 0.02  # the noise floor of a comparison between steady periods
LONGEST_S: Final = DAY_S  # a watchdog stops a job that hangs within the hour: a longer step is no measurement
WINDOW: Final = 5  # rows of a rolling median
MIXED_FRAC: Final = 0.2  # of rows whose step does not grow: ranks without a name on one file
_FEWEST: Final = 3  # rows of a segment that can have a warm-up
_NOISE: Final = 3.0  # median absolute deviations of the rolling median
_MEDIAN_OF_WINDOW: Final = np.sqrt(np.pi / 2.0 / WINDOW)  # standard error of a median of five, in standard deviations
_SIGMA: Final = 1.4826  # median absolute deviation of a normal distribution to its standard deviation

OTHER_RANK: Final = "another rank"
REPEATED: Final = "same step printed twice"
THROWN_AWAY: Final = "thrown away by a restart"
NO_TIME: Final = "no step time on or between the lines"
TOO_LONG: Final = "longer than a day"
IMPOSSIBLE: Final = "faster than the GPU can be"
SKIPPED: Final = "skipped iterations"
NAN: Final = "NaN"
RAMP_UP: Final = "batch ramp-up"
WARM_UP: Final = "warm-up"
AFTER_RESTART: Final = "warm-up after a restart"
PAUSE: Final = "pause in the step"
SLOW: Final = "slow period"
REASONS: Final = (
    OTHER_RANK,
    REPEATED,
    THROWN_AWAY,
    NO_TIME,
    TOO_LONG,
    IMPOSSIBLE,
    NAN,
    SKIPPED,
    RAMP_UP,
    WARM_UP,
    AFTER_RESTART,
    PAUSE,
    SLOW,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sorted:
    """The rows of one rank in order, with their times and the reason against each."""

    steps: Steps
    span: Column  # iterations that a row stands for
    step_s: Column
    pause_s: Column  # between the row before and this one, outside the steps; NaN where the log does not say
    segment: Column  # number of restarts before the row
    reason: Column  # index into REASONS, -1 for a steady row
    dropped: dict[str, int]  # rows of other ranks and repeated ones, which are not here
    timed_by: str  # where step times come from
    derived: bool = False  # from a rate and what somebody says of the run, not from a time in the log

    @property
    def steady(self) -> Column:
        """Mask of the steady rows."""
        return np.asarray(self.reason < 0)

    def because(self, reason: str) -> Column:
        """Mask of the rows with a reason."""
        return np.asarray(self.reason == REASONS.index(reason))


def sort_steps(reading: Reading, known: Known) -> Sorted:
    """Return the rows of the rank that printed most, each with its reason not to be steady, if any."""
    steps, dropped = _one_rank(reading.records)
    number = steps.column("step")
    segment = np.concatenate([[0], np.cumsum(np.diff(number) < 0.0)]).astype(np.int32) if len(steps) else np.zeros(0)
    span = _spans(number, segment)
    step_s, pause_s, timed_by, derived = step_times(reading, steps, span, segment, known)
    reason = np.full(len(steps), -1, dtype=np.int8)

    def mark(where: Column, name: str) -> None:
        reason[where & (reason < 0)] = REASONS.index(name)

    mark(_superseded(number, segment), THROWN_AWAY)
    mark(~(np.isfinite(step_s) & (step_s > 0.0)), NO_TIME)
    mark(step_s > LONGEST_S, TOO_LONG)
    mark(_impossible(steps, known.peak_flop_per_s), IMPOSSIBLE)
    mark(steps.column("nan") > 0.0, NAN)
    mark(steps.column("skipped") > 0.0, SKIPPED)
    mark(another_batch(steps), RAMP_UP)
    warm = _warm_up(np.where(reason < 0, step_s, np.nan), segment)
    mark(warm & (segment == 0), WARM_UP)
    mark(warm, AFTER_RESTART)
    usual = median(step_s[reason < 0])
    slow = _slow(np.where(reason < 0, step_s, np.nan), usual)
    mark(_paused(step_s, span, usual, reason < 0) & ~slow, PAUSE)
    mark(slow, SLOW)
    return Sorted(
        steps=steps,
        span=span,
        step_s=step_s,
        pause_s=pause_s,
        segment=segment,
        reason=reason,
        dropped=dropped,
        timed_by=timed_by,
        derived=derived,
    )


def _one_rank(steps: Steps) -> tuple[Steps, dict[str, int]]:
    """Return the rows of the rank with most, a step once; where ranks are mixed without names, the first of each."""
    dropped: dict[str, int] = {}
    ranks, counts = np.unique(steps.columns["rank"], return_counts=True)
    if len(ranks) > 1:
        named = ranks != NO_RANK
        lead = ranks[named][np.argmax(counts[named])]
        kept = steps.columns["rank"] == lead
        dropped[OTHER_RANK] = int(len(steps) - kept.sum())
        steps = steps.take(kept)
    number = steps.columns["step"]
    grows = np.diff(number) > 0
    if len(number) > WINDOW and np.mean(~grows) > MIXED_FRAC:
        kept = np.unique(number, return_index=True)[1]
        dropped[OTHER_RANK] = dropped.get(OTHER_RANK, 0) + len(number) - len(kept)
        return steps.take(kept), dropped
    again = np.concatenate([[False], np.diff(number) == 0])
    if again.any():
        dropped[REPEATED] = int(again.sum())
        steps = steps.take(~again)
    return steps, dropped


def _spans(number: Column, segment: Column) -> Column:
    """Return the iterations from the row before; for the first row of a segment, the usual number.

    The first row of all has no more behind it than its own number says: loggers of every tenth step print step 1 too.
    """
    if not len(number):
        return number
    span = np.concatenate([[np.nan], np.diff(number)])
    span[np.concatenate([[True], np.diff(segment) > 0])] = np.nan
    usual = median(span)
    span[0] = min(max(number[0], 1.0), usual) if np.isfinite(usual) else 1.0
    return np.where(np.isnan(span), usual if np.isfinite(usual) else 1.0, span)


def _superseded(number: Column, segment: Column) -> Column:
    """Mask of rows whose step a later segment ran again."""
    if not len(number):
        return np.zeros(0, dtype=bool)
    least = np.minimum.reduceat(number, _starts(segment))
    later = np.concatenate([np.minimum.accumulate(least[::-1])[::-1][1:], [np.inf]])
    return np.asarray(number >= later[segment.astype(np.intp)])


def _starts(segment: Column) -> Column:
    """Return where each segment begins; segments are numbered in order."""
    return np.concatenate([[0], np.flatnonzero(np.diff(segment) > 0) + 1])


def _impossible(steps: Steps, peak_flop_per_s: float | None) -> Column:
    """Mask of rows above the physical bound: an MFU over one, or more FLOP/s than the peak."""
    over = steps.column("mfu") > 1.0
    if peak_flop_per_s is not None:
        over |= steps.column("tflops_per_gpu") * 1e12 > peak_flop_per_s
    return over


def batches(steps: Steps) -> Column:
    """Return the size of the batch on each row, in samples or in tokens."""
    return steps.column("global_batch" if steps.has("global_batch") else "batch_tokens")


def another_batch(steps: Steps) -> Column:
    """Mask of rows with another batch than the last; a batch that is never held is padding, and no ramp-up."""
    batch = batches(steps)
    known = batch[np.isfinite(batch)]
    if not len(known) or len(known) < WINDOW * (1 + np.count_nonzero(np.diff(known))):
        return np.zeros(len(batch), dtype=bool)
    return np.asarray(np.isfinite(batch) & (batch != known[-1]))


def _warm_up(step_s: Column, segment: Column) -> Column:
    """Mask of rows at the start of a segment while its rolling median is slower than the later half."""
    warm = np.zeros(len(step_s), dtype=bool)
    known = np.flatnonzero(np.isfinite(step_s))
    if not len(known):
        return warm
    bounds = [*_starts(segment[known]).tolist(), len(known)]
    for begin, end in pairwise(bounds):
        times = step_s[known[begin:end]]
        if len(times) >= _FEWEST:
            warm[known[begin : begin + _warm_rows(times)]] = True
    return warm


def _warm_rows(times: Column) -> int:
    """Return the number of rows at the start that are warm-up."""
    half = len(times) // 2
    steady = median(times[half:])
    noise = _SIGMA * median(np.abs(times[half:] - steady)) / steady
    bound = max(WARM_UP_FRAC, _NOISE * _MEDIAN_OF_WINDOW * noise)
    healthy = ~_rolling_over(times[: half + WINDOW], steady * (1.0 + bound))[: half + 1]
    end = int(np.argmax(healthy)) if healthy.any() else half
    single = max(WARM_UP_FRAC, 2.0 * _NOISE * noise)
    while end < half and times[end] > steady * (1.0 + single):
        end += 1
    return end


def _rolling_over(values: Column, bound: float) -> Column:
    """Mask of the windows whose median is over a bound: more than half of the window is; the last ones are shorter."""
    over = np.concatenate([[0], np.cumsum(values > bound)])
    starts = np.arange(len(values))
    ends = np.minimum(starts + WINDOW, len(values))
    return np.asarray(2 * (over[ends] - over[starts]) > ends - starts)


def _paused(step_s: Column, span: Column, usual: float, among: Column) -> Column:
    """Mask of rows that hold a pause: half a step in all, and far outside the noise of a row."""
    noise = _SIGMA * median(np.abs(step_s[among] - usual)) / usual
    over = step_s / usual - 1.0
    return np.asarray((over * span > PAUSE_FRAC) & (over > max(SLOW_FRAC, 2.0 * _NOISE * noise)))


def _slow(step_s: Column, usual: float) -> Column:
    """Mask of runs of at least five rows whose rolling median is slower than the usual by more than the noise."""
    slow = np.zeros(len(step_s), dtype=bool)
    known = np.flatnonzero(np.isfinite(step_s))
    if len(known) < 2 * WINDOW:
        return slow
    times = step_s[known]
    noise = _SIGMA * median(np.abs(times - usual)) / usual
    off = _rolling_over(times, usual * (1.0 + max(SLOW_FRAC, _NOISE * noise)))
    off[len(off) - WINDOW + 1 :] = False  # windows that are not whole
    count = np.concatenate([[0], np.cumsum(off)])
    rows = np.arange(len(times))
    covered = count[rows + 1] > count[np.maximum(rows - WINDOW + 1, 0)]
    slow[known] = covered & (times > usual * (1.0 + SLOW_FRAC / 2.0))
    return slow
