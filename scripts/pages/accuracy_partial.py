"""Runs that the fit never sees because an input is missing: what is assumed for them, and how far off they are."""

from __future__ import annotations

from collections import Counter, defaultdict

from isocost.evidence import score
from isocost.evidence.published import published_step_s
from isocost.render.cells import percent, signed
from isocost.verbs.validate.answer import Row
from isocost.verbs.validate.tables import Table
from pages.accuracy_study import Study, column

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
    chosen: list[Row] = []
    measured_s: list[float] = []
    sources: list[str] = []
    missing: dict[str, Counter[str]] = defaultdict(Counter)
    for run in study.validation.runs:
        row = rows.get(run.id)
        if row is None or run.complete or run.outcome == "oom":
            continue
        measured = published_step_s(run, study.validation.cases[run.id])
        if measured is not None:
            chosen.append(row)
            measured_s.append(measured)
            sources.append(run.source or "no source")
            missing[sources[-1]].update(name for name in NAMED if name in row.assumed)
    found = score.accuracy(
        predicted=column(chosen, "predicted_step_s"),
        measured=measured_s,
        labels=sources,
        low=column(chosen, "predicted_step_s_low"),
        high=column(chosen, "predicted_step_s_high"),
    )
    head = ("source", "n", "median", "mean", "bias", "covered", "most rows do not state")
    lines = sorted(found, key=lambda a: (a.label != score.TOTAL, -a.n, a.label))
    return Table(title="By source", head=head, rows=tuple(_line(a, missing[a.label]) for a in lines))


def _line(a: score.Accuracy, missing: Counter[str]) -> tuple[str, ...]:
    named = ", ".join(name for name, count in missing.most_common(SHOWN) if 2 * count >= a.n)
    return (
        a.label,
        str(a.n),
        percent(a.median_abs_error_frac),
        percent(a.mean_abs_error_frac),
        signed(a.bias_frac),
        percent(a.coverage_frac),
        named,
    )
