"""Logs and traces of runs as they were: steps, statistics, where the time went."""

from isocost.measure.collectives import Collective
from isocost.measure.efficiency import Definition
from isocost.measure.events import Event
from isocost.measure.log import read_log
from isocost.measure.records import Mark, Reading, StepRecord, Steps
from isocost.measure.summary import Interval, RunSummary, summarise
from isocost.measure.trace import RankTrace, TraceSummary, read_trace

__all__ = [
    "Collective",
    "Definition",
    "Event",
    "Interval",
    "Mark",
    "RankTrace",
    "Reading",
    "RunSummary",
    "StepRecord",
    "Steps",
    "TraceSummary",
    "read_log",
    "read_trace",
    "summarise",
]
