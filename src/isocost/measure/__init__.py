"""Logs and traces of runs as they were: steps, statistics, where the time went."""

from isocost.measure.efficiency import Definition
from isocost.measure.log import read_log
from isocost.measure.records import Mark, Reading, StepRecord, Steps
from isocost.measure.summary import Event, Interval, RunSummary, summarise

__all__ = [
    "Definition",
    "Event",
    "Interval",
    "Mark",
    "Reading",
    "RunSummary",
    "StepRecord",
    "Steps",
    "read_log",
    "summarise",
]
