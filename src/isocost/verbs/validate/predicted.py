"""Every measured run beside its prediction: the accuracy that ``isocost validate`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isocost.calibration.left_out import layout_key
from isocost.catalog.records import PRECISIONS, rates_by_precision
from isocost.catalog.store import Catalog, load_catalog
from isocost.errors import InputError, Problem
from isocost.evidence import score
from isocost.evidence.assume import Assumed, assume_all
from isocost.evidence.run import MeasuredRun
from isocost.evidence.runs import RunTable, read_runs
from isocost.perf.predict import predict
from isocost.verbs.validate.answer import Row, Validation

INCOMPLETE = "incomplete rows (layout or shape not known)"
INVALID = "invalid rows"
EVEN_ODDS = 0.5


def shipped_runs() -> Path:
    """Return the evidence of the project: inside the package when installed, at the top of a checkout else."""
    package = Path(__file__).parents[2]
    places = (package / "data" / "training_runs.csv", package.parents[1] / "evidence" / "training_runs.csv")
    for place in places:
        if place.exists():
            return place
    fix = "pass --runs FILE.csv, or install from a checkout"
    raise InputError([Problem("runs", "the shipped evidence is not beside the package", fix=fix)])


def validated(runs: str | Path | None = None, catalog: Catalog | None = None) -> Validation:
    """Return every run of a file in the evidence format beside its prediction, scored.

    Args:
        runs: a CSV file; None for the shipped evidence.
        catalog: facts to use; None for the shipped ones.

    Raises:
        InputError: the file cannot be read as a table of runs.
    """
    facts = load_catalog() if catalog is None else catalog
    peaks = {
        key: {p: rate for p in PRECISIONS if (rate := rates_by_precision(acc)[p])}
        for key, acc in facts.accelerators.items()
    }
    table = read_runs(shipped_runs() if runs is None else runs, peaks=peaks)
    if not (table.runs or table.invalid):
        raise InputError([Problem(table.path, "has no rows", fix="add a measured run: see docs/evidence-format.md")])
    found = assume_all(table.runs, facts)
    good = [(run, a) for run, a in zip(table.runs, found, strict=True) if isinstance(a, Assumed)]
    predicted: dict[str, Row] = {}
    if good:
        outcome = predict([a.case for _, a in good], definitions=[run.memory_definition or "" for run, _ in good])
        for i, (run, a) in enumerate(good):
            predicted[run.id] = Row(
                id=run.id,
                status=score.OK,
                assumed=a.assumed,
                measured_step_s=run.step_s,
                predicted_step_s=float(outcome.step_s[i]),
                predicted_step_s_low=float(outcome.low_s[i]),
                predicted_step_s_high=float(outcome.high_s[i]),
                predicted_peak_mem_bytes=float(outcome.peak_bytes[i]),
                fits=bool(outcome.fits_probability[i] >= EVEN_ODDS),
            )
    rows = []
    for run, outcome_or_reason in zip(table.runs, found, strict=True):
        if isinstance(outcome_or_reason, Assumed):
            rows.append(predicted[run.id])
            continue
        reason = outcome_or_reason.reason
        rows.append(Row(id=run.id, status=score.UNSUPPORTED, reason=reason, measured_step_s=run.step_s))
    return Validation(
        path=table.path,
        rows=(*rows, *_invalid(table)),
        scores=_scores(table.runs, rows, table),
        warnings=table.warnings,
        runs=table.runs,
        cases={run.id: a.case for run, a in good},
    )


def _invalid(table: RunTable) -> list[Row]:
    return [
        Row(id=bad.id, status=score.INVALID, reason=f"line {bad.line}, column {bad.column}: {bad.reason}")
        for bad in table.invalid
    ]


def _scores(runs: Sequence[MeasuredRun], rows: Sequence[Row], table: RunTable) -> score.Scores:
    def label(run: MeasuredRun) -> str:
        return (run.source or "no source") if run.complete else INCOMPLETE

    labels = [label(run) for run in runs] + [INVALID] * len(table.invalid)
    blank = [np.nan] * len(table.invalid)

    def column(name: str) -> list[float]:
        return [np.nan if (v := getattr(row, name)) is None else v for row in rows] + blank

    # Only complete rows that ran are scored on their step; the rest keep their place in the counts.
    ran = [run.complete and run.outcome != "oom" for run in runs]
    measured = [run.step_s if run.step_s and ok else np.nan for run, ok in zip(runs, ran, strict=True)] + blank
    peak = [run.peak_mem_gb * 1e9 if run.peak_mem_gb and run.complete else np.nan for run in runs] + blank
    status = [row.status for row in rows] + [score.INVALID] * len(table.invalid)
    step = column("predicted_step_s")
    keys = [layout_key(run) for run in runs]
    count = len(runs)
    has_peak = [i for i in range(len(labels)) if np.isfinite(peak[i])]
    memory = column("predicted_peak_mem_bytes")
    told = [i for i, run in enumerate(runs) if run.complete and run.outcome in ("ran", "oom")]
    return score.Scores(
        step=score.accuracy(
            predicted=step,
            measured=measured,
            labels=labels,
            status=status,
            low=column("predicted_step_s_low"),
            high=column("predicted_step_s_high"),
        ),
        memory=score.accuracy(
            predicted=[memory[i] for i in has_peak],
            measured=[peak[i] for i in has_peak],
            labels=[labels[i] for i in has_peak],
        ),
        regret=score.layout_regret(predicted=step[:count], measured=measured[:count], keys=keys, labels=labels[:count]),
        fits=score.fit_scores(
            predicted=[rows[i].fits for i in told],
            ran=[runs[i].outcome == "ran" for i in told],
            labels=[labels[i] for i in told],
        ),
        misses=score.largest_misses(
            ids=[run.id for run in runs], labels=labels[:count], predicted=step[:count], measured=measured[:count]
        ),
    )
