"""The luck of a run: its stops fall when they fall, and take as long as they take, whatever their rates are."""

from __future__ import annotations

import dataclasses

import numpy as np

from isocost.goodput.buckets import BUCKETS, GoodputBreakdown
from isocost.goodput.inputs import GoodputInputs
from isocost.goodput.simulate import simulate

# Of all draws together. With thousands of stops a run they average out, and to draw them is slow.
MOST_STOPS = 3_000_000


def with_luck(inputs: GoodputInputs, expected: GoodputBreakdown, runs: int, seed: int) -> GoodputBreakdown:
    """Return what became of each of so many runs where ``expected`` is what can be expected of each."""
    stops = np.broadcast_to(expected.interruptions + expected.planned_stops, (runs,))
    if not float(np.sum(stops)) <= MOST_STOPS:
        return expected
    columns = simulate(inputs, runs, seed).columns
    names = ("wall_s", "interruptions", "planned_stops", *BUCKETS)
    return dataclasses.replace(expected, **{name: columns[name] for name in names})
