"""Reads what the doctor is given: a log, the traces of a run, both, or two runs; alone or with the run's scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from isocost.errors import InputError, Problem
from isocost.measure.logs.detect import KINETO, detect, named
from isocost.measure.logs.log import read_log
from isocost.measure.logs.readers import READERS
from isocost.measure.logs.source import Source
from isocost.measure.logs.summary import summarise
from isocost.measure.traces.trace import RankTrace, read_ranks, summarise_ranks
from isocost.perf.constants import shipped
from isocost.scenario import load_tables
from isocost.search.question import Question
from isocost.units import parse
from isocost.verbs.doctor.against_scenario import checked_against, inferred_from_log
from isocost.verbs.doctor.answer import PrescribedRun, prescribe, run_of
from isocost.verbs.doctor.measured_answer import ReadRun, with_measured
from isocost.verbs.doctor.of_traces import Examination, LogExamination, RunExamination, TraceExamination
from isocost.verbs.doctor.two_runs import TwoRuns, compare_runs

Diagnosis = Examination | PrescribedRun | ReadRun | TwoRuns
_RANK_IN_NAME = re.compile(r"rank[_.-]?(\d+)", re.IGNORECASE)


def diagnose(
    files: Sequence[str],
    *,
    against: Sequence[str] = (),
    format_of: str | None = None,
    columns: str | None = None,
    scenario: str | None = None,
    step_time: str | None = None,
    tokens_left: str | None = None,
    changes: Mapping[str, object] | None = None,
) -> Diagnosis:
    """Return what files say and, given the run's scenario (a file, or keys of one), what to change in it.

    Two runs, ``against`` the old one or two logs in a row, are compared.
    """
    if not files and step_time is None:
        fix = "give a file, or --step-time and --scenario"
        raise InputError([Problem("FILE", "is missing: there is nothing to read", fix=fix)])
    runs = examine_runs(files, against, format_of=format_of, columns=columns) if files else ()
    changes = dict(changes or {})
    alone = scenario is None and not changes
    if len(runs) == 2:
        return _compared(runs, None if alone else _question(scenario, changes, tokens_left), tokens_left)
    if runs and alone and step_time is None and tokens_left is None:
        return runs[0]
    return _with_scenario(runs[0] if runs else None, scenario, step_time, tokens_left, changes)


def _compared(
    runs: Sequence[Examination], known: tuple[Question, float | None] | None, tokens_left: str | None
) -> TwoRuns:
    """Return what changed from the first run to the second."""
    tokens = None if known is None else known[1]
    if tokens_left is not None:
        tokens = float(parse(tokens_left, "token", "tokens_left"))
    old, new = (run if known is None else checked_against(run, known[0]) for run in runs)
    return compare_runs(old, new, tokens)


def _with_scenario(
    examined: Examination | None,
    scenario: str | None,
    step_time: str | None,
    tokens_left: str | None,
    changes: Mapping[str, object],
) -> Examination | PrescribedRun | ReadRun:
    """Return what to change, with what the files measured; without it where the scenario is of another run."""
    places: dict[str, str] = {}
    told: dict[str, float] = {}
    if examined is not None:
        given = (load_tables(scenario) if scenario else {}) | dict(changes)
        told = inferred_from_log(examined, given)
        changes = {**changes, **told}
        places |= {key: f"the log: {key}" for key in told}
        examined = checked_against(examined, _question(scenario, changes, tokens_left)[0])
        if examined.against:
            return examined
    found = prescribe(examined, step_time, scenario, changes, places, tokens_left)
    return found if examined is None else with_measured(found, examined, told, shipped())


def _question(
    scenario: str | None, changes: Mapping[str, object], tokens_left: str | None
) -> tuple[Question, float | None]:
    """Return the question of a scenario and its tokens; flags override its keys."""
    checked, _, question = run_of(scenario, changes, {}, tokens_left)
    return question, checked.tokens


def examine(files: Sequence[str], *, format_of: str | None = None, columns: str | None = None) -> Examination:
    """Return what a log, or the traces of one or more ranks, say; InputError where nothing can be read."""
    runs = examine_runs(files, (), format_of=format_of, columns=columns)
    if len(runs) > 1:
        raise InputError([Problem("FILE", "is of another run than the first", files[1])])
    return runs[0]


def examine_runs(
    files: Sequence[str], against: Sequence[str], *, format_of: str | None = None, columns: str | None = None
) -> tuple[Examination, ...]:
    """Return one run, or the old and the new one."""
    kind = named(format_of, [*READERS, KINETO]) if format_of else None
    mapped = _columns(columns)
    old = _read(against, kind, mapped)
    new = _read(files, kind, mapped)
    if old:
        return (_one(old, "against"), _one(new, "FILE"))
    logs = [found for found in new if isinstance(found, LogExamination)]
    traces = [found for found in new if isinstance(found, RankTrace)]
    if len(logs) == len(new) == 2:
        return tuple(logs)
    paths = dict.fromkeys(trace.path for trace in traces)
    if len(traces) == len(new) and len(paths) == 2 and not _one_run(traces):
        return tuple(TraceExamination(summarise_ranks([t for t in traces if t.path == path])) for path in paths)
    return (_one(new, "FILE"),)


def _read(files: Sequence[str], kind: str | None, mapped: Mapping[str, str] | None) -> list[LogExamination | RankTrace]:
    found: list[LogExamination | RankTrace] = []
    for file in files:
        if kind == KINETO or (kind is None and mapped is None and detect(Source(Path(file))) == KINETO):
            found += read_ranks(Path(file))
        else:
            reading = read_log(file, kind, mapped)
            found.append(LogExamination(file, reading, summarise(reading)))
    return found


def _one(found: Sequence[LogExamination | RankTrace], place: str) -> Examination:
    """Return files of one run as one examination: at most one log, and the traces of different ranks."""
    logs = [part for part in found if isinstance(part, LogExamination)]
    traces = [part for part in found if isinstance(part, RankTrace)]
    if len(logs) > 1:
        message = "is one log too many: a run has one; two logs alone are an old and a new run"
        raise InputError([Problem(place, message, logs[1].path, fix="give the old run with --against")])
    if len(traces) > 1 and not _one_run(traces):
        message = "is no other rank of the same run: the traces name the same rank, or different numbers of ranks"
        raise InputError([Problem(place, message, traces[1].path, fix="give the old run with --against")])
    if not traces:
        return logs[0]
    traced = TraceExamination(summarise_ranks(traces))
    return RunExamination(logs[0], traced) if logs else traced


def _one_run(traces: Sequence[RankTrace]) -> bool:
    """Whether traces are of different ranks of one run, by what they record; by their names where they do not."""
    if len({trace.world_size for trace in traces if trace.world_size is not None}) > 1:
        return False
    if len({trace.device for trace in traces if trace.device is not None}) > 1:
        return False
    if len({(trace.path, trace.gpu) for trace in traces}) < len(traces):
        return False  # a file twice
    traces = list({trace.path: trace for trace in traces}.values())  # the GPUs of a process are one rank
    if len(traces) == 1:
        return True
    ranks = [trace.rank for trace in traces]
    if any(rank is None for rank in ranks):
        names = [_RANK_IN_NAME.search(Path(trace.path).name) for trace in traces]
        ranks = [int(name.group(1)) if name else None for name in names]
    return None not in ranks and len(set(ranks)) == len(ranks)


def _columns(given: str | None) -> dict[str, str] | None:
    """Return "step=it,step_ms=dt" as a mapping."""
    if given is None:
        return None
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    wrong = [key for key, equals, name in pairs if not equals or not name.strip()]
    if wrong or not pairs:
        raise InputError(
            [
                Problem("columns", "is not KEY=NAME", key, fix="for example step=it,step_ms=dt")
                for key in wrong or [given]
            ]
        )
    return {key.strip(): name.strip() for key, _, name in pairs}
