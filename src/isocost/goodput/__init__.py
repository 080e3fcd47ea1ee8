"""Goodput: what interruptions, saves, stragglers and the facility leave of the time of a run."""

from isocost.goodput.buckets import BUCKETS, GoodputBreakdown
from isocost.goodput.engine import goodput
from isocost.goodput.facility import Facility
from isocost.goodput.inputs import Cause, GoodputInputs
from isocost.goodput.plan import Planned, from_plan
from isocost.goodput.simulate import Simulated, simulate

__all__ = [
    "BUCKETS",
    "Cause",
    "Facility",
    "GoodputBreakdown",
    "GoodputInputs",
    "Planned",
    "Simulated",
    "from_plan",
    "goodput",
    "simulate",
]
