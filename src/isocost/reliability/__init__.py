"""Goodput: what interruptions, saves, stragglers and the facility leave of the time of a run."""

from isocost.reliability.buckets import BUCKETS, GoodputBreakdown
from isocost.reliability.closed_form import goodput
from isocost.reliability.conditions import Conditions
from isocost.reliability.defaults import Planned, inputs_of
from isocost.reliability.facility import Facility
from isocost.reliability.facts import uncertain
from isocost.reliability.inputs import Cause, GoodputInputs
from isocost.reliability.monte_carlo import Simulated, simulate
from isocost.reliability.shape import RunShape

__all__ = [
    "BUCKETS",
    "Cause",
    "Conditions",
    "Facility",
    "GoodputBreakdown",
    "GoodputInputs",
    "Planned",
    "RunShape",
    "Simulated",
    "goodput",
    "inputs_of",
    "simulate",
    "uncertain",
]
