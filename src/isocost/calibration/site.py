"""A user's own stack and site: a handful of multipliers on top of the shipped constants, fitted on the user's runs.

The shipped constants stay as they are. Each multiplier starts at 1 with a spread of its own, so that one run moves
little and a dozen runs move what they can tell apart. How far the multipliers may move is chosen on layouts left out;
where no strength does better than leaving them all at 1, they stay at 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from isocost.calibration.fit import Problem
from isocost.calibration.folds import left_out_errors
from isocost.catalog.store import Catalog
from isocost.errors import InputError
from isocost.errors import Problem as Wrong
from isocost.evidence.assume import Assumed, assume_all
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.lowering import columns
from isocost.perf.sensitivity import sensitivity
from isocost.perf.site import (
    NINETY,
    SPREAD,
    SPREAD_ROWS,
    Array,
    Check,
    Errors,
    SiteCalibration,
    Unused,
    fingerprint,
    user_index,
)
from isocost.stats.least_squares import descend

# Shares of the spreads that are tried on layouts left out; 0 leaves every multiplier at 1.
STRENGTHS = (1.0, 0.7, 0.5, 0.25, 0.0)
BLIND_STRENGTH = 0.7  # where too few layouts differ for one to be left out
LEAST_LAYOUTS = 3
FOLDS = 20
CARRIES = 0.01  # a row carries a constant when its step moves by this share of the constant's move
MOST_FACTOR = 5.0  # a step this far from the prediction is a wrong unit or another configuration
MOST_ROWS = 2000


def calibrate_site(
    runs: Sequence[MeasuredRun],
    catalog: Catalog,
    constants: Mapping[str, Constant],
    *,
    name: str = "mine",
    source: str = "",
) -> SiteCalibration:
    """Fit the user's multipliers on measured runs, from one row up; the runs that cannot be used are named.

    Raises:
        InputError: no run can be used.
    """
    notes: list[str] = []
    if len(runs) > MOST_ROWS:
        notes.append(f"{MOST_ROWS:,} of {len(runs):,} readable rows were looked at, evenly spread over the file")
        runs = [runs[i] for i in np.linspace(0, len(runs) - 1, MOST_ROWS).astype(int)]
    used, cases, unused = usable(runs, catalog)
    measured_s = np.array([run.step_s or np.nan for run in used])
    if used:
        before = _errors(cases, measured_s, constants)
        wild = np.abs(before) > math.log(MOST_FACTOR)
        for run, error in zip(np.array(used, object)[wild], before[wild], strict=True):
            reason = f"is {run.step_s:g} s, {math.exp(-error):.2g} times the prediction: another unit, or another run"
            unused.append(Unused(line=run.line, id=run.id, column="step_s", reason=reason))
        used = [run for run, out in zip(used, wild, strict=True) if not out]
        cases = [case for case, out in zip(cases, wild, strict=True) if not out]
        measured_s, before = measured_s[~wild], before[~wild]
    if not used:
        raise InputError(
            [Wrong(_place(row, source), f"column {row.column}: {row.reason}") for row in unused]
            or [Wrong(source or "runs", "has no rows", fix="add a measured run: see docs/evidence-format.md")]
        )
    own = fit_rows(used, cases, measured_s, constants, name=name, source=source)
    return replace(own, unused=tuple(sorted(unused, key=lambda row: row.line)), notes=(*notes, *own.notes))


def _place(row: Unused, source: str) -> str:
    return f"{source or 'runs'}:{row.line}" if row.line else row.id


def usable(runs: Sequence[MeasuredRun], catalog: Catalog) -> tuple[list[MeasuredRun], list[Case], list[Unused]]:
    """Return runs with a step time and a complete case, their cases, and the runs that are neither."""
    used, cases, unused = [], [], []
    for run, found in zip(runs, assume_all(runs, catalog), strict=True):
        if run.outcome == "oom" or not run.step_s:
            unused.append(Unused(line=run.line, id=run.id, column="step_s", reason="has no step time"))
        elif isinstance(found, Assumed) and not run.complete:
            reason = "says that something of the row is not known (complete = false)"
            unused.append(Unused(line=run.line, id=run.id, column="complete", reason=reason))
        elif isinstance(found, Assumed):
            used.append(run)
            cases.append(found.case)
        else:
            column = "accelerator" if found.reason.startswith("accelerator") else found.reason.split()[1].strip(",")
            unused.append(Unused(line=run.line, id=run.id, column=column, reason=found.reason))
    return used, cases, unused


def _errors(cases: Sequence[Case], measured_s: Array, constants: Mapping[str, Constant]) -> Array:
    problem = _problem(cases, measured_s, constants, 1.0, np.ones(len(cases)))
    return problem.error(problem.idx.coefficients(problem.idx.prior))


def _problem(
    cases: Sequence[Case], measured_s: Array, constants: Mapping[str, Constant], strength: float, weight: Array
) -> Problem:
    idx = user_index(cases, constants, strength=strength)
    return Problem(columns=columns(cases), measured_s=measured_s, weight=weight, idx=idx)


def fit_rows(
    runs: Sequence[MeasuredRun],
    cases: Sequence[Case],
    measured_s: Array,
    constants: Mapping[str, Constant],
    *,
    name: str = "mine",
    source: str = "",
) -> SiteCalibration:
    """Fit the user's multipliers on runs whose cases are known."""
    cases = [replace(case, user=name) for case in cases]
    layouts = _layouts(cases)
    # A layout counts once, however often it was measured: its runs share what the model gets wrong about it.
    full = _problem(cases, measured_s, constants, 1.0, 1.0 / np.bincount(layouts)[layouts])
    before = full.error(full.idx.coefficients(full.idx.prior))
    strength, left_out = _strength(full, layouts, before)
    count = int(layouts.max()) + 1
    # Where nothing is moved, the spreads are those of the most cautious fit that was tried.
    held = _scaled(full, strength or STRENGTHS[-2])
    logs = descend(held, held.idx.prior) if strength else held.idx.prior
    jacobian = held.jacobian(logs)
    covariance: Array = np.asarray(np.linalg.inv(jacobian.T @ jacobian), float)
    after = held.error(held.idx.coefficients(logs))
    own = _constants(held, logs, covariance)
    spread = _spread(left_out, full.weight)
    by_row = sensitivity(held.columns, held.idx, logs)
    usual = float(np.median(np.sqrt(np.einsum("ij,jk,ik->i", by_row, covariance, by_row) + spread**2)))
    return SiteCalibration(
        name=name,
        created_from=source,
        row_count=len(cases),
        layout_count=count,
        strength=strength,
        constants=own,
        covariance=covariance,
        spread=spread,
        band=(math.exp(-NINETY * usual), math.exp(NINETY * usual)),
        base=fingerprint(constants),
        stacks=tuple(sorted({case.recipe.id for case in cases})),
        chips=tuple(sorted({case.accelerator.id for case in cases})),
        before=_summary(before),
        after=_summary(after),
        left_out=None if left_out is None else _summary(left_out),
        notes=tuple(_notes(count, strength, left_out)),
        cases=tuple(cases),
        checks=_checks(runs, cases, before, after, left_out),
    )


def _summary(errors: Array) -> Errors:
    frac = np.abs(np.expm1(errors))
    return Errors(median_frac=float(np.median(frac)), mean_frac=float(frac.mean()))


def _checks(
    runs: Sequence[MeasuredRun], cases: Sequence[Case], before: Array, after: Array, left_out: Array | None
) -> tuple[Check, ...]:
    return tuple(
        Check(
            id=run.id,
            gpus=case.gpus,
            measured_s=run.step_s or math.nan,
            before_frac=math.expm1(before[i]),
            after_frac=math.expm1(after[i]),
            left_out_frac=None if left_out is None else math.expm1(left_out[i]),
        )
        for i, (run, case) in enumerate(zip(runs, cases, strict=True))
    )


def _constants(problem: Problem, logs: Array, covariance: Array) -> dict[str, Constant]:
    """Return the multipliers as constants; a row carries one when its step moves with it."""
    idx = problem.idx
    rows = (np.abs(sensitivity(problem.columns, idx, logs)) > CARRIES).sum(axis=0)
    after = np.sqrt(np.diag(covariance))
    return {
        name: Constant(value=float(value), prior=1.0, sd=float(sd), posterior_sd=float(spread), rows=int(count))
        for name, value, sd, spread, count in zip(idx.names, np.exp(logs), idx.sd, after, rows, strict=True)
    }


def _scaled(problem: Problem, strength: float) -> Problem:
    return replace(problem, idx=replace(problem.idx, sd=problem.idx.sd * strength))


def _layouts(cases: Sequence[Case]) -> NDArray[np.int64]:
    """Return the number of each case's configuration: a repeat of a run must not vouch for it."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(repr(case), len(seen)) for case in cases])


def _strength(full: Problem, layouts: NDArray[np.int64], before: Array) -> tuple[float, Array | None]:
    """Return the strength with the least mean error on layouts left out, and its errors there; of equals the first."""
    count = int(layouts.max()) + 1
    if count < LEAST_LAYOUTS:
        return BLIND_STRENGTH, None
    folds = layouts % min(count, FOLDS)
    best: tuple[float, float, Array] | None = None
    for strength in STRENGTHS:
        errors = left_out_errors(_scaled(full, strength), folds) if strength else before
        mean = float(np.average(np.abs(np.expm1(errors)), weights=full.weight))
        if best is None or mean < best[0]:
            best = (mean, strength, errors)
    assert best is not None
    return best[1], best[2]


def _spread(left_out: Array | None, weight: Array) -> float:
    """Spread of the log of a step beyond the constants: the usual one and the user's left-out errors together."""
    if left_out is None:
        return SPREAD
    squares = float((weight * np.minimum(np.abs(left_out), 3 * SPREAD) ** 2).sum())  # one wild row must not decide
    return math.sqrt((SPREAD_ROWS * SPREAD**2 + squares) / (SPREAD_ROWS + float(weight.sum())))


def _notes(layouts: int, strength: float, left_out: Array | None) -> list[str]:
    if left_out is None:
        which = "all rows have one layout" if layouts == 1 else "the rows have two layouts"
        return [f"{which}: the gain cannot be checked on a layout left out, so the constants move with caution"]
    if strength == 0:
        return ["no strength did better on layouts left out than no calibration: every multiplier stays at 1"]
    if strength < 1:
        return [f"held to {strength:.0%} of the prior spreads, which did best on layouts left out"]
    return []
