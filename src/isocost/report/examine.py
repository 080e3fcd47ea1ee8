"""Reads what the doctor is given: one log, or the traces of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from isocost.errors import InputError, Problem
from isocost.measure.detect import KINETO, detect, named
from isocost.measure.log import read_log
from isocost.measure.readers import READERS
from isocost.measure.source import Source
from isocost.measure.summary import summarise
from isocost.measure.trace import read_trace
from isocost.report.doctor import Examination, LogExamination, TraceExamination
from isocost.report.prescription import PrescribedRun, prescribe


def diagnose(
    files: Sequence[str],
    *,
    format_of: str | None = None,
    columns: str | None = None,
    scenario: str | None = None,
    step_time: str | None = None,
    tokens_left: str | None = None,
    changes: Mapping[str, object] | None = None,
) -> Examination | PrescribedRun:
    """Return what files say and, given the run's scenario (a file, or keys of one), what to change in it."""
    if not files and step_time is None:
        fix = "give a file, or --step-time and --scenario"
        raise InputError([Problem("FILE", "is missing: there is nothing to read", fix=fix)])
    examined = examine(files, format_of=format_of, columns=columns) if files else None
    if examined is not None and scenario is None and not changes and step_time is None and tokens_left is None:
        return examined
    places = {key: f"--{key.replace('_', '-')}" for key in changes or {}}
    return prescribe(examined, step_time, scenario, changes or {}, places, tokens_left)


def examine(files: Sequence[str], *, format_of: str | None = None, columns: str | None = None) -> Examination:
    """Return what a log, or the traces of one or more ranks, say; InputError where nothing can be read."""
    mapped = _columns(columns)
    kind = named(format_of, [*READERS, KINETO]) if format_of else None
    if kind == KINETO or (kind is None and mapped is None and detect(Source(Path(files[0]))) == KINETO):
        return TraceExamination(read_trace(files))
    if len(files) > 1:
        message = "is one log too many: logs are read one at a time, only traces of several ranks together"
        raise InputError([Problem("FILE", message, files[1])])
    reading = read_log(files[0], kind, mapped)
    return LogExamination(files[0], reading, summarise(reading))


def _columns(given: str | None) -> dict[str, str] | None:
    """Return "step=it,step_ms=dt" as a mapping."""
    if given is None:
        return None
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    wrong = [key for key, equals, name in pairs if not equals or not name.strip()]
    if wrong or not pairs:
        raise InputError(
            [
                Problem("--columns", "is not KEY=NAME", key, fix="for example step=it,step_ms=dt")
                for key in wrong or [given]
            ]
        )
    return {key.strip(): name.strip() for key, _, name in pairs}
