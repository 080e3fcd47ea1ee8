"""What the shipped errors on unseen rows were, group by group: the table behind the accuracy page (left_out.csv).

The bands of ``intervals.toml`` are quantiles of these same errors, so over all rows they cover nine in ten by
construction. ``held_coverage_frac`` is the honest figure: each group is judged by the band of all other groups.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.calibration import holdout
from isocost.calibration.fit import weights
from isocost.evidence import score
from isocost.evidence.measured import Evidence
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.perf.sensitivity import Index
from isocost.stats.quantiles import QUANTILES

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# What a plan may be new in, and the groups whose left-out errors stand for it.
CLASSES: dict[str, Callable[[MeasuredRun, Case], str]] = {
    "known": holdout.by_shape,
    "new scale": holdout.by_scale,
    "new chip": holdout.by_chip,
    "new site": holdout.by_source,
    "new stack": holdout.by_stack,
}
# Random folds mean nothing to a reader: their rows are told apart by source.
FOLDED = ("known", "new scale")
DENSE, MOE = "dense", "moe"
DIGITS = 5  # of a printed share: enough for a page in tenths of a percent, few enough to be the same everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Errors of one group of rows (or of ``all``) that a fit had not seen; None where there is nothing to count."""

    left_out: str  # class of the interval: what was left out
    kind: str
    group: str
    n: int
    median_frac: float | None
    mean_frac: float | None
    bias_frac: float | None
    p90_frac: float | None
    coverage_frac: float | None  # of the shipped band of the class
    held_coverage_frac: float | None  # of the band of the other groups
    half_width_frac: float | None
    layouts: int  # groups of rows that differ by layout only
    layouts_within_frac: float | None  # share of them with a regret of at most ``score.REGRET_TOLERANCE_FRAC``
    worst_regret_frac: float | None


def left_out_errors(evidence: Evidence, start: tuple[Index, Array]) -> dict[str, Array]:
    """Log of measured over predicted of every row by class, from fits without the row's group."""
    found = {}
    for name, group in CLASSES.items():
        found[name] = -holdout.left_out(evidence, group, start)
        print(f"left out by class {name!r}")
    return found


def kinds(evidence: Evidence) -> dict[str, Mask]:
    """Rows of dense models and of mixtures of experts."""
    moe = np.array([any(b.experts for b in c.architecture.blocks) for c in evidence.cases])
    return {DENSE: ~moe, MOE: moe}


def band(errors: Array, weight: Array) -> tuple[float, float, float]:
    """Low end, median and high end of the errors, groups weighted as in the fit."""
    low, middle, high = (quantile(errors, weight, q) for q in QUANTILES)
    return low, middle, high


def quantile(values: Array, weight: Array, share: float) -> float:
    """Weighted quantile."""
    order = np.argsort(values, kind="stable")
    reached = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return float(np.interp(share, reached, values[order]))


def layout_key(run: MeasuredRun) -> Hashable:
    """Return what rows that differ by layout only have in common."""
    return score.comparable(
        source=run.source,
        model=run.model,
        accelerator=run.accelerator,
        gpus=run.gpus,
        global_batch_seqs=run.global_batch_seqs,
        seq_len=run.seq_len,
        precision=run.precision,
        release=run.release,
    )


def left_out_lines(evidence: Evidence, errors: Mapping[str, Array]) -> list[Line]:
    """Errors by class, kind and group."""
    weight = weights(evidence.groups)
    found: list[Line] = []
    for name, error in errors.items():
        label = holdout.by_source if name in FOLDED else CLASSES[name]
        labels = np.array([label(r, c) for r, c in zip(evidence.runs, evidence.cases, strict=True)])
        for kind, rows in kinds(evidence).items():
            ok = np.flatnonzero(rows & np.isfinite(error))
            if ok.size:
                found += _lines(name, kind, evidence, ok, labels[ok], error[ok], weight[ok])
    return found


def _lines(
    name: str,
    kind: str,
    evidence: Evidence,
    rows: NDArray[np.intp],
    labels: NDArray[np.str_],
    error: Array,
    weight: Array,
) -> list[Line]:
    low, _, high = band(error, weight)
    others = [(label, labels != label) for label in sorted(set(labels))]
    held = {label: band(error[rest], weight[rest]) if rest.any() else (np.nan,) * 3 for label, rest in others}
    measured, predicted = evidence.measured_s[rows], evidence.measured_s[rows] / np.exp(error)
    ends = np.array([[held[label][0], held[label][2]] for label in labels]).T

    def scored(low: Array, high: Array) -> dict[str, score.Accuracy]:
        table = score.accuracy(
            predicted=predicted,
            measured=measured,
            labels=list(labels),
            low=predicted * np.exp(low),
            high=predicted * np.exp(high),
        )
        return {line.label: line for line in table}

    shipped, honest = scored(np.full(error.size, low), np.full(error.size, high)), scored(*ends)
    runs = [evidence.runs[row] for row in rows]
    keys = [layout_key(run) for run in runs]
    regret = {
        line.label: line
        for line in score.layout_regret(predicted=predicted, measured=measured, keys=keys, labels=list(labels))
    }
    found = []
    for label in (score.TOTAL, *sorted(set(labels))):
        a, r = shipped[label], regret.get(label)
        found.append(
            Line(
                left_out=name,
                kind=kind,
                group=str(label),
                n=a.n,
                median_frac=a.median_abs_error_frac,
                mean_frac=a.mean_abs_error_frac,
                bias_frac=a.bias_frac,
                p90_frac=a.p90_abs_error_frac,
                coverage_frac=a.coverage_frac,
                held_coverage_frac=honest[label].coverage_frac,
                half_width_frac=a.half_width_frac,
                layouts=r.groups if r else 0,
                layouts_within_frac=r.within_tolerance_frac if r else None,
                worst_regret_frac=r.worst_frac if r else None,
            )
        )
    return found


def left_out_csv(lines: Sequence[Line]) -> str:
    """Return the lines as CSV; a blank is unknown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(f.name for f in fields(Line))
    for line in lines:
        writer.writerow(_cell(getattr(line, f.name)) for f in fields(Line))
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.{DIGITS}f}"
    return "" if value is None else value


def read_left_out(text: str) -> tuple[Line, ...]:
    """Return the lines that ``left_out_csv`` wrote."""
    rows = csv.DictReader(io.StringIO(text))
    return tuple(Line(**{f.name: _value(str(f.type), row[f.name]) for f in fields(Line)}) for row in rows)


def _value(kind: str, cell: str) -> Any:
    if kind == "str":
        return cell
    if kind == "int":
        return int(cell)
    return float(cell) if cell else None


def shipped_left_out() -> tuple[Line, ...]:
    """Return the lines shipped with the package."""
    return read_left_out(resources.files("isocost").joinpath("data/left_out.csv").read_text(encoding="utf-8"))
