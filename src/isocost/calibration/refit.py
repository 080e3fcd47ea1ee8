"""Refit without each source, stack or chip, and judge the fit there; then again with a few of the rows calibrated.

This is what ``isocost validate --leave-out`` runs. It takes minutes: every group is a fit of all other rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.calibration import holdout
from isocost.calibration.site import fit_rows
from isocost.errors import InputError, Problem, nearest
from isocost.evidence.measured import Evidence
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.predict import step_times

Array = NDArray[np.float64]

GROUPS: Final[Mapping[str, Callable[[MeasuredRun, Case], str]]] = {
    "source": holdout.by_source,
    "stack": holdout.by_stack,
    "chip": holdout.by_chip,
}
SEEDS: Final = 3  # draws of the rows that are calibrated on
USER: Final = "calibrated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Errors of one group: with the shipped constants, by a fit without it, and calibrated on a few of its rows.

    Absolute errors of the step time over the measured one. Calibrated figures are of the rows not calibrated on, means
    over the draws; ``change`` is against the left-out error of the same rows, ``worst_change`` of the worst draw.
    """

    group: str
    rows: int
    shipped_median_frac: float
    shipped_mean_frac: float
    median_frac: float
    mean_frac: float
    bias_frac: float
    calibrated_rows: int | None = None
    calibrated_median_frac: float | None = None
    calibrated_mean_frac: float | None = None
    median_change_frac: float | None = None
    mean_change_frac: float | None = None
    worst_change_frac: float | None = None  # of the mean error
    coverage_frac: float | None = None  # of the 90 % intervals of the calibration


def left_out_groups(
    evidence: Evidence,
    by: str,
    shipped: Mapping[str, Constant],
    *,
    only: Iterable[str] = (),
    calibrated: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[LeftOut]:
    """Refit without each group in turn; ``only`` picks groups, ``say`` hears which one is next."""
    labels = np.array([GROUPS[by](run, case) for run, case in zip(evidence.runs, evidence.cases, strict=True)])
    known = sorted(set(labels.tolist()))
    wrong = [label for label in only if label not in known]
    if wrong:
        raise InputError(
            [Problem("only", f"is no {by} of the runs", w, ", ".join(known), nearest(w, known)) for w in wrong]
        )
    if find_spec("scipy") is None:  # no dependency of the package: only fits of all runs need it
        fix = "install it beside isocost: pip install scipy (isocost[fit] brings it)"
        raise InputError(
            [Problem("--leave-out", "refits all runs, which needs scipy, and that is not installed", fix=fix)]
        )
    start = {name: math.log(constant.value) for name, constant in shipped.items()}
    for label in list(only) or known:
        held = labels == label
        if held.all():
            continue
        say(f"without {by} {label}, {int(held.sum()):,} of {held.size:,} runs")
        mine = evidence.rows(held)
        logs = holdout.without(evidence, held, start)
        before, after = np.expm1(holdout.errors(mine, start)), np.expm1(holdout.errors(mine, logs))
        drawn = _calibrated(mine, logs, after, calibrated) if 0 < calibrated < len(mine.runs) else {}
        yield LeftOut(
            group=label,
            rows=len(mine.runs),
            shipped_median_frac=_median(before),
            shipped_mean_frac=_mean(before),
            median_frac=_median(after),
            mean_frac=_mean(after),
            bias_frac=float(np.median(after)),
            calibrated_rows=calibrated if drawn else None,
            **drawn,
        )


def _median(frac: Array) -> float:
    return float(np.median(np.abs(frac)))


def _mean(frac: Array) -> float:
    return float(np.abs(frac).mean())


def _calibrated(mine: Evidence, logs: Mapping[str, float], before: Array, count: int) -> dict[str, float]:
    """Errors of the rest of a group, calibrated on ``count`` of its rows; means over the draws."""
    constants = {
        name: Constant(value=math.exp(log), prior=1.0, sd=1.0, posterior_sd=1.0, rows=1) for name, log in logs.items()
    }
    found = []
    for seed in range(SEEDS):
        picked = spread_rows(mine.runs, count, seed)
        use = np.isin(np.arange(len(mine.runs)), picked)
        runs = [run for run, u in zip(mine.runs, use, strict=True) if u]
        cases = [case for case, u in zip(mine.cases, use, strict=True) if u]
        rest = [case for case, u in zip(mine.cases, use, strict=True) if not u]
        own = fit_rows(runs, cases, mine.measured_s[use], constants, name=USER)
        after = step_times(own.of_user(rest), own.merged(constants)).total_s / mine.measured_s[~use] - 1.0
        low, high = own.bands(rest, constants)
        ratio = 1.0 / (1.0 + after)
        found.append(
            (
                _median(after),
                _mean(after),
                _median(after) - _median(before[~use]),
                _mean(after) - _mean(before[~use]),
                float(((low <= ratio) & (ratio <= high)).mean()),
            )
        )
    draws = np.array(found)
    mean = draws.mean(axis=0)
    return {
        "calibrated_median_frac": float(mean[0]),
        "calibrated_mean_frac": float(mean[1]),
        "median_change_frac": float(mean[2]),
        "mean_change_frac": float(mean[3]),
        "worst_change_frac": float(draws[:, 3].max()),
        "coverage_frac": float(mean[4]),
    }


def spread_rows(runs: Sequence[MeasuredRun], count: int, seed: int) -> list[int]:
    """Return a random draw of rows that differ: one of each model, size and layout before a second of any."""
    order = np.random.default_rng(seed).permutation(len(runs))
    seen: dict[tuple[object, ...], int] = {}
    ranked = []
    for place, i in enumerate(order.tolist()):
        run = runs[i]
        key = (run.accelerator, run.model, run.gpus, run.tp, run.pp, run.seq_len, run.precision)
        ranked.append((seen.get(key, 0), place, i))
        seen[key] = seen.get(key, 0) + 1
    return sorted(i for _, _, i in sorted(ranked)[:count])
