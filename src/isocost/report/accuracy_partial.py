"""Runs that the fit never sees because an input is missing: what is assumed for them, and how far off they are."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from isocost.calibrate import score
from isocost.calibrate.published import published_step_s
from isocost.report.accuracy import Table
from isocost.report.accuracy_study import Study

# Inputs that move a step time most; those that a source leaves out are named.
NAMED = ("micro_batch", "recompute", "sharding", "stack", "vpp", "precision")
SHOWN = 3  # missing inputs named a source

INTRODUCTION = """\
Published runs that leave an input open are not used in the fit. Here the blanks are filled by the rules of
`isocost validate` (micro-batch 1; the fastest recompute that fits; two blocks a virtual stage where the layers divide
so, else none), and a printed MFU or TFLOP/s whose count of FLOPs is stated is turned into seconds. So an error below
holds the model's own and the guess's: a pipeline whose layers do not divide is predicted too slow if it did have
virtual stages. These runs are the nearest thing to a test on data that no fit has seen.

One source is not blind: the form of the law of experts and the centres of its priors were chosen after its rows, of MoE
Parallel Folding, had been seen to be 60 % too slow. Its constants were not fitted to them."""


def partial_table(study: Study) -> Table:
    """By source: rows, errors and coverage, and what most of its rows do not state."""
    rows = {row.id: row for row in study.validation.rows if row.status == score.OK}
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    missing: dict[str, Counter[str]] = defaultdict(Counter)
    for run in study.validation.runs:
        row = rows.get(run.id)
        if row is None or run.complete or run.outcome == "oom" or row.predicted_step_s is None:
            continue
        measured = published_step_s(run, study.validation.cases[run.id])
        if measured is None or row.predicted_step_s_low is None or row.predicted_step_s_high is None:
            continue
        source = run.source or "no source"
        inside = row.predicted_step_s_low <= measured <= row.predicted_step_s_high
        found[source].append((row.predicted_step_s / measured - 1.0, inside))
        missing[source].update(name for name in NAMED if name in row.assumed)
    lines = [_line("all", [x for values in found.values() for x in values], "")]
    for source, values in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        named = ", ".join(name for name, count in missing[source].most_common(SHOWN) if 2 * count >= len(values))
        lines.append(_line(source, values, named))
    head = ("source", "n", "median", "mean", "bias", "covered", "most rows do not state")
    return Table(title="By source", head=head, rows=tuple(lines))


def _line(label: str, values: list[tuple[float, bool]], named: str) -> tuple[str, ...]:
    error = np.array([e for e, _ in values])
    inside = np.array([i for _, i in values])
    figures = (float(np.median(np.abs(error))), float(np.mean(np.abs(error))))
    shown = tuple(f"{100 * x:.1f} %" for x in figures)
    return (label, str(error.size), *shown, f"{100 * np.median(error):+.1f} %", f"{100 * inside.mean():.1f} %", named)
