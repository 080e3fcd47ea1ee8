"""Time of a run that was no healthy step: events with bucket, cause and date, buckets, and a file for goodput."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.measure.logs import steady
from isocost.measure.logs.records import Column, Mark, Reading
from isocost.measure.logs.steady import Sorted

# Buckets are those of the goodput vocabulary, and two more: what loss scaling skips, and what a log cannot tell.
SKIPPED_S: Final = "skipped_s"
UNEXPLAINED: Final = "unexplained_s"
RESTART: Final = "restart_s"
DRIFT: Final = "drift: steps grew slower over the run"
_BUCKET_OF_MARK: Final = {"checkpoint": "checkpoint_stall_s", "evaluation": "evaluation_s"}
_START: Final = datetime.datetime(1970, 1, 1)
# The columns of goodput's file of events, and what else is known; rows of other buckets than restarts are no stops.
COLUMNS: Final = ("start", "end", "node", "cause", "bucket", "what", "step", "duration_s", "line")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Time that was not a healthy step: its bucket, its cause as far as the log tells, where and how long."""

    bucket: str
    cause: str
    step: int
    duration_s: float
    line: int
    time_stamp: float | None = None  # of the line; where no line has one, seconds of steps before it


def events_csv(events: Iterable[Event]) -> str:
    """Return events as CSV, a file of events for goodput; an event ends when its line was printed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for event in events:
        end = event.time_stamp or 0.0
        dates = (_date(end - event.duration_s), _date(end))
        writer.writerow([*dates, "", "", event.bucket, event.cause, event.step, event.duration_s, event.line])
    return out.getvalue()


def _date(stamp: float) -> str:
    try:
        return (_START + datetime.timedelta(seconds=stamp)).isoformat()
    except OverflowError:  # a stamp that is no time
        return ""


def healthy_s(rows: Sorted, usual_s: float, drift_frac: float | None) -> float:
    """Return the time of a healthy step: the usual one, or that of the first third where steps grew slower."""
    if drift_frac is None or drift_frac <= steady.DRIFT_FRAC:
        return usual_s
    times = rows.step_s[rows.steady]
    return float(np.median(times[: len(times) // 3]))


def normal_s(rows: Sorted, healthy: float) -> Column:
    """Return what a healthy step takes on each row: while the batch grows, the usual time of its own batch."""
    normal = np.full(len(rows.steps), healthy)
    other = steady.another_batch(rows.steps) & np.isfinite(rows.step_s)
    times = rows.step_s[other]
    _, size, counts = np.unique(steady.batches(rows.steps)[other], return_inverse=True, return_counts=True)
    ordered = times[np.lexsort((times, size))]
    starts = np.cumsum(counts) - counts
    usual = (ordered[starts + counts // 2] + ordered[starts + (counts - 1) // 2]) / 2.0
    normal[other] = usual[size]
    return normal


def _held_up(rows: Sorted, excess: Column, healthy: float) -> tuple[Column, Column]:
    """Masks of rows that are no steady steps for another reason and held more than a step: at the start, and later."""
    odd = rows.because(steady.SKIPPED) | rows.because(steady.NAN) | rows.because(steady.RAMP_UP)
    long = odd & (excess > steady.PAUSE_FRAC * healthy)
    begun = np.cumsum(rows.step_s > 0.0) > 1
    return long & ~begun, long & begun


def clock(rows: Sorted) -> Column:
    """Return when each line was printed: its stamp, or where no line has one, the time of the steps up to it."""
    stamps = rows.steps.column("time_stamp")
    if np.isfinite(stamps).any():
        return stamps
    return np.cumsum(np.nan_to_num(np.where(rows.step_s > steady.LONGEST_S, np.nan, rows.step_s)) * rows.span)


def find_events(reading: Reading, rows: Sorted, usual_s: float, drift_frac: float | None) -> tuple[Event, ...]:
    """Return the events of a run in the order of its lines."""
    if not len(rows.steps):
        return ()
    healthy = healthy_s(rows, usual_s, drift_frac)
    stamps = clock(rows)
    times = np.where(rows.step_s > steady.LONGEST_S, np.nan, rows.step_s)
    excess = np.nan_to_num(times - normal_s(rows, healthy)) * rows.span
    found = [
        *_stretches_of(rows, stamps, times, excess, healthy),
        *_pauses(reading, rows, stamps, healthy, excess),
        *_restarts(rows, stamps, times, usual_s),
    ]
    if healthy < usual_s:
        slower = float(np.maximum(excess[rows.steady], 0.0).sum())
        found.append(_event(rows, stamps, int(np.flatnonzero(rows.steady)[-1]), "straggler_s", DRIFT, slower))
    return tuple(sorted(found, key=lambda event: (event.line, event.bucket)))


def _stretches_of(rows: Sorted, stamps: Column, times: Column, excess: Column, healthy: float) -> Iterator[Event]:
    """Yield runs of rows with the same reason, each as one event at its last row."""
    skipped = np.minimum(np.nan_to_num(rows.steps.column("skipped")), rows.span) * healthy
    first = rows.because(steady.WARM_UP) | _held_up(rows, excess, healthy)[0]
    groups = (
        (first, "start_up_s", "first steps and compilation", excess),
        (rows.because(steady.AFTER_RESTART), "warm_up_s", "first steps after a restart", excess),
        (rows.because(steady.SLOW), "straggler_s", "slow period: straggler or throttling", excess),
        (
            rows.because(steady.THROWN_AWAY),
            "lost_work_s",
            "steps run again after a restart",
            np.nan_to_num(times) * rows.span,
        ),
        (rows.because(steady.SKIPPED), SKIPPED_S, "skipped iterations", skipped),
    )
    for where, bucket, cause, seconds in groups:
        for start, end in _stretches(where):
            lasting = float(seconds[start:end].sum())
            if lasting > 0.0:
                yield _event(rows, stamps, end - 1, bucket, cause, lasting)


def _pauses(reading: Reading, rows: Sorted, stamps: Column, usual_s: float, excess: Column) -> Iterator[Event]:
    """Yield pauses inside steps and between them, with the mark that explains each."""
    lines = rows.steps.columns["line"]
    between = np.nan_to_num(rows.pause_s)
    marks = sorted(reading.marks, key=lambda mark: mark.line)
    marked = np.array([mark.line for mark in marks])
    held = rows.because(steady.PAUSE) | _held_up(rows, excess, usual_s)[1]
    for row in np.flatnonzero(held | (between > steady.PAUSE_FRAC * usual_s)).tolist():
        inside = float(excess[row]) if held[row] else 0.0
        lasting = inside + max(float(between[row]), 0.0)
        before = int(lines[row - 1]) if row else 0
        first, last = np.searchsorted(marked, [before, int(lines[row]) + 1]).tolist()
        kinds = dict.fromkeys(mark.kind for mark in marks[first:last])
        bucket = _BUCKET_OF_MARK[next(iter(kinds))] if len(kinds) == 1 else UNEXPLAINED
        yield _event(rows, stamps, row, bucket, " and ".join(kinds) or "unknown pause", lasting)
    if not np.isfinite(rows.pause_s).any():
        yield from _marked(reading.marks, rows)


def _restarts(rows: Sorted, stamps: Column, times: Column, usual_s: float) -> Iterator[Event]:
    """Yield restarts: from the last line before to the start of the first step after; no length without a clock."""
    known = np.isfinite(rows.steps.column("time_stamp")).any()
    for row in np.flatnonzero(np.diff(rows.segment) > 0).tolist():
        first = times[row + 1] if np.isfinite(times[row + 1]) else usual_s
        gap = float(stamps[row + 1] - stamps[row] - first * rows.span[row + 1]) if known else 0.0
        cause = "restart" if known else "restart; the log has no clock that tells how long it took"
        if gap >= 0.0:
            yield _event(rows, stamps, row + 1, RESTART, cause, gap, before_s=float(first * rows.span[row + 1]))


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
                bucket=_BUCKET_OF_MARK[mark.kind],
                cause=mark.kind,
                step=step,
                duration_s=mark.duration_s,
                line=mark.line,
                time_stamp=mark.time_stamp,
            )


def _event(
    rows: Sorted, stamps: Column, row: int, bucket: str, cause: str, duration_s: float, before_s: float = 0.0
) -> Event:
    """Return an event that ended with a row, or some time before it."""
    record = rows.steps[row]
    stamp = float(stamps[row]) - before_s
    return Event(
        bucket=bucket,
        cause=cause,
        step=record.step,
        duration_s=duration_s,
        line=record.line,
        time_stamp=stamp if np.isfinite(stamp) else None,
    )


def _stretches(where: Column) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], where.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def buckets_of(rows: Sorted, healthy: float, events: Iterable[Event]) -> dict[str, float]:
    """Return seconds by bucket: kept steps at the healthy speed, and the events."""
    kept = ~rows.because(steady.THROWN_AWAY)
    skipped = np.minimum(np.nan_to_num(rows.steps.column("skipped")), rows.span)
    useful = ((rows.span - skipped) * normal_s(rows, healthy))[kept].sum()
    buckets = {"useful_s": float(useful)}
    for event in events:
        if event.duration_s > 0.0:
            buckets[event.bucket] = buckets.get(event.bucket, 0.0) + event.duration_s
    return buckets
