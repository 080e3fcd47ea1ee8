"""Sets of time as sorted, disjoint intervals: rows of (start, end)."""

from __future__ import annotations

import numpy as np

from isocost.measure.logs.records import Column


def union(starts: Column, ends: Column) -> Column:
    """Return the union of intervals."""
    kept = ends > starts
    starts, ends = starts[kept], ends[kept]
    if not len(starts):
        return np.zeros((0, 2))
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    first = np.concatenate([[True], starts[1:] > ends[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.column_stack([starts[first], ends[last]])


def length(intervals: Column) -> float:
    """Return the total length of disjoint intervals."""
    return float((intervals[:, 1] - intervals[:, 0]).sum())


def both(left: Column, right: Column) -> Column:
    """Return the union of two sets."""
    return union(np.concatenate([left[:, 0], right[:, 0]]), np.concatenate([left[:, 1], right[:, 1]]))


def gaps(intervals: Column, start: float, end: float) -> Column:
    """Return what is left of a window."""
    starts = np.concatenate([[start], intervals[:, 1]])
    ends = np.concatenate([intervals[:, 0], [end]])
    kept = ends > starts
    return np.column_stack([starts[kept], ends[kept]])


def covered(intervals: Column, times: Column) -> Column:
    """Return how much of a set lies before each time."""
    if not len(intervals):
        return np.zeros(len(times))
    before = np.concatenate([[0.0], np.cumsum(intervals[:, 1] - intervals[:, 0])])
    place = np.searchsorted(intervals[:, 0], times, side="right")
    over = np.maximum(intervals[np.maximum(place - 1, 0), 1] - times, 0.0)
    return np.asarray(before[place] - np.where(place > 0, over, 0.0))


def overlap(left: Column, right: Column) -> float:
    """Return the length of what two sets share."""
    return length(left) + length(right) - length(both(left, right))
