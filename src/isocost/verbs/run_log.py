"""A log beside what it should be a log of: whether the two agree, and the run as a row of evidence."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from isocost.catalog import Catalog
from isocost.errors import InputError, Problem
from isocost.evidence.assume import Assumed, assume
from isocost.evidence.contradictions import Peaks, contradictions
from isocost.evidence.rows import run_of
from isocost.evidence.run import MeasuredRun
from isocost.measure.logs.detect import KINETO, detect
from isocost.measure.logs.log import read_log
from isocost.measure.logs.records import Reading
from isocost.measure.logs.source import Source
from isocost.measure.logs.summary import RunSummary, summarise
from isocost.perf.case import Case
from isocost.perf.constants import shipped
from isocost.perf.predict import step_times
from isocost.scenario import Scenario, load_tables, read_scenario
from isocost.scenario.question import question_of
from isocost.stats.quantiles import Interval
from isocost.verbs.doctor.run import examined_run
from isocost.workload.params import parameter_count

TOKENS_FRAC: Final = 0.02  # tokens a step of log and run that differ by more are of two runs
PARAMETERS_FRAC: Final = 0.05  # of what frameworks count: some leave out embeddings of positions, or padding
LOST_FRAC: Final = 0.005  # of the predicted step: what the evidence format may lose without a word
# What a run must say of itself to be evidence: key of a scenario -> example. Others are asked of some layouts only.
_NEEDED: Final[Mapping[str, str]] = {
    "on": 'on = "h100-sxm5-80gb"',
    "gpus": "gpus = 64",
    "stack": 'stack = "megatron-core"',
    "precision": 'precision = "bf16"',
    "seq_len": "seq_len = 8192",
    "global_batch": "global_batch = 512",
    "tp": "tp = 8",
    "pp": "pp = 1",
    "cp": "cp = 1",
    "micro_batch": "micro_batch = 1",
    "recompute": 'recompute = "none"',
    "sharding": 'sharding = "zero1"',
}
_OF_PIPELINES: Final[Mapping[str, str]] = {"vp": "vp = 1", "schedule": 'schedule = "1f1b"'}
_OF_EXPERTS: Final[Mapping[str, str]] = {"ep": "ep = 8"}
# What the memory that a log prints counts: torchtitan and Megatron the most reserved, DeepSpeed the most allocated.
_MEMORY: Final[Mapping[str, str]] = {
    "torchtitan": "reserved",
    "megatron": "reserved",
    "megatron_bridge": "reserved",
    "deepspeed": "allocated",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timed:
    """A log with a step time."""

    path: str
    reading: Reading
    summary: RunSummary
    step_s: Interval


def read_timed(path: str) -> Timed:
    """Return a log and its statistics; a trace, or a log without step times, is an error."""
    if detect(Source(Path(path))) == KINETO:
        raise InputError(
            [Problem(path, "is a trace, not a log", fix="give the run's log; isocost doctor reads traces")]
        )
    reading = read_log(path)
    summary = summarise(reading)
    if summary.step_s is None:
        message = f"has no step time in {summary.steps_seen:,} steps: no line has one, nor a time stamp"
        raise InputError([Problem(path, message, fix="log the time of a step")])
    return Timed(path=path, reading=reading, summary=summary, step_s=summary.step_s)


def disagreements(log: Timed, case: Case, of: str) -> list[Problem]:
    """Return what the log says of its run and ``of`` says otherwise: then it is a log of another run."""
    facts, model = log.reading.facts, case.architecture
    said: dict[str, float] = {
        "gpus": case.gpus,
        "tp": case.layout.tp,
        "pp": case.layout.pp,
        "cp": case.layout.cp,
        "ep": case.layout.ep,
        "global_batch": case.global_batch_seqs,
        "micro_batch": case.layout.micro_batch,
        "seq_len": case.seq_len,
        "layers": model.layers,
        "hidden": model.hidden,
    }
    found = [(name, facts[name], value) for name, value in said.items() if facts.get(name, value) != value]
    params = float(parameter_count(model).total)
    if abs(facts.get("parameters", params) / params - 1.0) > PARAMETERS_FRAC:
        found.append(("parameters", facts["parameters"], params))
    rate, tokens = log.summary.tokens_per_s_per_gpu, float(case.global_batch_seqs * case.seq_len)
    if rate is not None and not found:
        printed = rate.median * log.step_s.median * case.gpus
        if abs(printed / tokens - 1.0) > TOKENS_FRAC:
            found.append(("tokens of a step", printed, tokens))
    return [
        Problem(log.path, f"is of another run: {name} is {there:,.6g} in it and {here:,.6g} in {of}")
        for name, there, here in found
    ]


Given = str | Path | Mapping[str, object]


def rows_of_logs(
    logs: Sequence[tuple[str | Path, Given]], catalog: Catalog, peaks: Peaks
) -> tuple[list[MeasuredRun], list[str]]:
    """Return the rows of logs with the scenarios of their runs, and what to know about them.

    Raises:
        InputError: everything that keeps any of them from being evidence.
    """
    rows: list[MeasuredRun] = []
    warnings: list[str] = []
    problems: list[Problem] = []
    for path, scenario in logs:
        try:
            run, words = row_of_log(str(path), scenario, catalog)
        except InputError as error:
            problems += error.problems
            continue
        problems += [Problem(str(path), f"{c.column} {c.reason}") for c in contradictions(run, peaks)]
        rows.append(run)
        warnings += words
    if problems:
        raise InputError(problems)
    return rows, warnings


def row_of_log(path: str, scenario: Given, catalog: Catalog) -> tuple[MeasuredRun, list[str]]:
    """Return the row of evidence of a log and the scenario of its run, and what to know about it.

    Raises:
        InputError: the log has no step time, the scenario leaves something of the run open, or they disagree.
    """
    log = read_timed(path)
    place = "scenario" if isinstance(scenario, Mapping) else str(scenario)
    tables = dict(scenario) if isinstance(scenario, Mapping) else load_tables(scenario)
    today = datetime.date.today()
    wrote = {key: f"{place}: {key}" for key in tables}
    # How many tokens the run trains on does not matter to a step.
    checked, known = read_scenario({"tokens": "1 T", **tables}, wrote, today)
    if missing := list(_missing(checked, place)):
        raise InputError(missing)
    question, _ = question_of(checked, known, today)
    case = examined_run(question, known, shipped(), log.step_s.median).case
    if problems := disagreements(log, case, place):
        raise InputError(problems)
    run = run_of(case, id=Path(path).stem, source=Path(path).name, **_measured(log))
    return run, _lost(run, case, catalog)


def _missing(scenario: Scenario, place: str) -> Iterator[Problem]:
    """Yield a problem for everything that the scenario leaves to a search, or names twice."""
    asked = dict(_NEEDED)
    if (scenario.pp or 1) > 1:
        asked |= _OF_PIPELINES
    if any(block.experts for block in scenario.shape.blocks):
        asked |= _OF_EXPERTS
    given: dict[str, Any] = {
        **{key: getattr(scenario, key, None) for key in asked},
        "gpus": scenario.gpu_counts,
        "precision": scenario.precisions,
        "global_batch": scenario.global_batch_seqs,
    }
    for key, example in asked.items():
        if given[key] is None or given[key] == ():
            yield Problem(f"{place}: {key}", "is missing: evidence is of one run, whole", fix=f"add {example}")
        elif isinstance(given[key], tuple) and len(given[key]) > 1:
            yield Problem(f"{place}: {key}", f"has {len(given[key])} values: a run has one", fix=f"write {example}")


def _measured(log: Timed) -> dict[str, Any]:
    summary = log.summary
    of_memory = _MEMORY.get(log.reading.format)
    return {
        "locator": "mean of the run"
        if summary.first_step is None
        else f"steps {summary.first_step} to {summary.last_step}, median",
        "step_s": log.step_s.median,
        "peak_mem_gb": summary.memory_bytes / 1e9 if summary.memory_bytes else None,
        "memory_definition": of_memory if summary.memory_bytes else None,
        "published_mfu": _printed(summary.printed_mfu),
        "published_tflops_per_gpu": _printed(summary.tflops_per_gpu),
        "notes": f"a log of the format {log.reading.format}: {summary.steps_used:,} of {summary.steps_seen:,} steps",
    }


def _printed(found: Interval | None) -> float | None:
    """Return the median with the seven digits that a log can hold."""
    return None if found is None else float(f"{found.median:.7g}")


def _lost(run: MeasuredRun, case: Case, catalog: Catalog) -> list[str]:
    """Say what of the run has no column: then its row is not quite the run."""
    row = assume(run, catalog)
    if not isinstance(row, Assumed):
        return []
    theirs, ours = (float(step) for step in np.asarray(step_times([case, row.case], shipped()).total_s))
    if abs(ours / theirs - 1.0) <= LOST_FRAC:
        return []
    return [
        f"{run.id}: the evidence format has no column for something of {case.architecture.name}: "
        f"its row predicts {ours / theirs - 1.0:+.1%} of the step that the scenario does"
    ]
