"""Goodput: what interruptions, saves, stragglers and the facility leave of the time of a run."""

from isocost.reliability.buckets import BUCKETS, GoodputBreakdown
from isocost.reliability.closed_form import goodput
from isocost.reliability.defaults import Planned, from_plan
from isocost.reliability.facility import Facility
from isocost.reliability.inputs import Cause, GoodputInputs
from isocost.reliability.monte_carlo import Simulated, simulate

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
