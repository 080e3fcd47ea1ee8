"""Logs and traces of runs as they were: steps, statistics, where the time went."""

from isocost.measure.logs.efficiency import Definition
from isocost.measure.logs.events import Event
from isocost.measure.logs.log import read_log
from isocost.measure.logs.records import Mark, Reading, StepRecord, Steps
from isocost.measure.logs.summary import RunSummary, summarise
from isocost.measure.traces.collectives import Collective
from isocost.measure.traces.trace import RankTrace, TraceSummary, read_trace
from isocost.stats.quantiles import Interval

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
