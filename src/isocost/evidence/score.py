"""How good predictions are: errors, coverage of intervals, regret of layout choices, fits or not.

Every row is counted somewhere: scored, unmeasured, unsupported or invalid. An error is ``predicted / measured - 1``.
A statistic over no rows is None, never zero.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]  # positions of rows

TOTAL = "all"
OK, UNSUPPORTED, INVALID = "ok", "unsupported", "invalid"
# A layout within 5 % of the measured best is as good as it: repeats of one configuration differ by about that much.
REGRET_TOLERANCE_FRAC = 0.05
_TIE = 1e-9  # predictions this close (relative) are one choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Errors of one group of rows; ``rows`` is the sum of the four counts below it."""

    label: str
    rows: int
    n: int  # predicted and measured: the rows behind the statistics
    unmeasured: int  # predicted, nothing to compare with
    unsupported: int
    invalid: int
    median_abs_error_frac: float | None
    mean_abs_error_frac: float | None
    bias_frac: float | None  # exp(median log ratio) - 1: above zero is predicted too slow, or too large
    p90_abs_error_frac: float | None
    coverage_frac: float | None  # share of measurements inside the 90 % interval
    half_width_frac: float | None  # median of (high - low) / (2 predicted)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """What following the model's first choice of layout costs over the measured best, within comparable groups."""

    label: str
    groups: int
    rows: int
    median_frac: float | None
    mean_frac: float | None
    worst_frac: float | None
    tolerance_frac: float
    within_tolerance_frac: float | None  # share of groups with a regret of at most the tolerance

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitScore:
    """Whether the model says rightly that a run fits in memory."""

    label: str
    ran: int
    ran_right: int
    oom: int
    oom_right: int
    balanced_accuracy: float | None  # mean of the two recalls; None without both kinds

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One row with its error, for the list of the largest."""

    id: str
    label: str
    predicted: float
    measured: float
    error_frac: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """All tables of a validation; in each, the line over all rows comes first."""

    step: tuple[Accuracy, ...]
    memory: tuple[Accuracy, ...] = ()
    regret: tuple[Regret, ...] = ()
    fits: tuple[FitScore, ...] = ()
    misses: tuple[Miss, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def accuracy(
    *,
    predicted: ArrayLike,
    measured: ArrayLike,
    labels: Sequence[str],
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    status: Sequence[str] | None = None,
) -> tuple[Accuracy, ...]:
    """Errors over all rows and by label, in order of first appearance.

    NaN in ``predicted`` or ``measured`` is no value; NaN in ``low`` or ``high`` is no interval. ``status`` holds
    ok, unsupported or invalid for each row; without it every row is ok.
    """
    got, true = _floats(predicted), _floats(measured)
    bounds = (_floats(low, like=got), _floats(high, like=got))
    state = np.full(got.shape, OK) if status is None else np.asarray(status, dtype=np.str_)
    _same_length(got, true, *bounds, state, np.empty(len(labels)))
    return tuple(_accuracy(label, got, true, bounds, state, rows) for label, rows in _groups(labels))


def layout_regret(
    *,
    predicted: ArrayLike,
    measured: ArrayLike,
    keys: Sequence[Hashable],
    labels: Sequence[str],
    tolerance_frac: float = REGRET_TOLERANCE_FRAC,
) -> tuple[Regret, ...]:
    """Regret of the model's first choice within groups of equal ``keys`` that have at least two comparable rows.

    The key names everything a layout may not change (see ``comparable``). Rows without a prediction or a measurement
    take no part. A tie among predictions is broken at random, so its regret is the mean over the tied rows.
    """
    got, true = _floats(predicted), _floats(measured)
    _same_length(got, true, np.empty(len(keys)), np.empty(len(labels)))
    members: dict[Hashable, list[int]] = {}
    for row in np.flatnonzero(_comparable_values(got, true)).tolist():
        members.setdefault(keys[row], []).append(row)
    groups = [rows for rows in members.values() if len(rows) > 1]
    regrets = _floats([_group_regret(got[rows], true[rows]) for rows in groups])
    sizes = np.array([len(rows) for rows in groups], dtype=np.int64)
    return tuple(
        _regret(label, regrets[chosen], sizes[chosen], tolerance_frac)
        for label, chosen in _groups([labels[rows[0]] for rows in groups])
    )


def fit_scores(*, predicted: Sequence[bool | None], ran: Sequence[bool], labels: Sequence[str]) -> tuple[FitScore, ...]:
    """Fits-or-not over all rows and by label; a row without a prediction (None) takes no part."""
    said = np.array([value is True for value in predicted], dtype=np.bool_)
    asked = np.array([value is not None for value in predicted], dtype=np.bool_)
    fitted = np.asarray(ran, dtype=np.bool_)
    _same_length(said, fitted, np.empty(len(labels)))
    groups = ((label, rows[asked[rows]]) for label, rows in _groups(labels))
    return tuple(_fit(label, said[rows], fitted[rows]) for label, rows in groups)


def largest_misses(
    *, ids: Sequence[str], labels: Sequence[str], predicted: ArrayLike, measured: ArrayLike, count: int = 20
) -> tuple[Miss, ...]:
    """Rows with the largest errors first, by ratio: half and double the measured value are equally wrong."""
    got, true = _floats(predicted), _floats(measured)
    _same_length(got, true, np.empty(len(ids)), np.empty(len(labels)))
    rows = np.flatnonzero(_comparable_values(got, true))
    order = rows[np.argsort(-np.abs(np.log(got[rows] / true[rows])), kind="stable")][:count]
    return tuple(
        Miss(
            id=ids[row],
            label=labels[row],
            predicted=float(got[row]),
            measured=float(true[row]),
            error_frac=float(got[row] / true[row] - 1),
        )
        for row in order.tolist()
    )


def comparable(
    *,
    source: str | None,
    model: str | None,
    accelerator: str | None,
    gpus: int | None,
    global_batch_seqs: int | None,
    seq_len: int | None,
    precision: str | None,
    release: str,
) -> tuple[Hashable, ...]:
    """Key of rows that differ by layout only, as far as the format says: another release of a stack is no layout."""
    return (source, model, accelerator, gpus, global_batch_seqs, seq_len, precision, release)


def _floats(values: ArrayLike | None, like: Floats | None = None) -> Floats:
    if values is None:
        return np.full(0 if like is None else like.shape, np.nan)
    return np.asarray(values, dtype=np.float64)


def _same_length(*arrays: NDArray[Any]) -> None:
    lengths = {array.shape for array in arrays}
    if len(lengths) > 1:
        raise ValueError(f"arrays of one table differ in shape: {sorted(lengths)}")


def _comparable_values(got: Floats, true: Floats) -> Mask:
    return np.isfinite(got) & np.isfinite(true) & (np.nan_to_num(got) > 0) & (np.nan_to_num(true) > 0)


def _groups(labels: Sequence[str]) -> Iterator[tuple[str, Rows]]:
    """Positions of all rows, then of each label in order of first appearance."""
    yield TOTAL, np.arange(len(labels))
    positions: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        positions.setdefault(label, []).append(row)
    for label, rows in positions.items():
        yield label, np.array(rows, dtype=np.intp)


def _accuracy(
    label: str, predicted: Floats, measured: Floats, bounds: tuple[Floats, Floats], state: NDArray[np.str_], rows: Rows
) -> Accuracy:
    ok = rows[state[rows] == OK]
    scored = ok[_comparable_values(predicted[ok], measured[ok])]
    got, true, low, high = predicted[scored], measured[scored], bounds[0][scored], bounds[1][scored]
    ratio = got / true
    error = np.abs(ratio - 1)
    bias = _median(np.log(ratio))
    has = np.isfinite(low) & np.isfinite(high)
    inside = (low[has] <= true[has]) & (true[has] <= high[has])
    return Accuracy(
        label=label,
        rows=rows.size,
        n=scored.size,
        unmeasured=ok.size - scored.size,
        unsupported=int((state[rows] == UNSUPPORTED).sum()),
        invalid=int((state[rows] == INVALID).sum()),
        median_abs_error_frac=_median(error),
        mean_abs_error_frac=_mean(error),
        bias_frac=None if bias is None else float(np.expm1(bias)),
        p90_abs_error_frac=float(np.quantile(error, 0.9)) if error.size else None,
        coverage_frac=_mean(inside),
        half_width_frac=_median((high[has] - low[has]) / (2 * got[has])),
    )


def _group_regret(got: Floats, true: Floats) -> float:
    chosen = got <= got.min() * (1 + _TIE)
    return float(true[chosen].mean() / true.min() - 1)


def _regret(label: str, regrets: Floats, sizes: NDArray[np.int64], tolerance_frac: float) -> Regret:
    return Regret(
        label=label,
        groups=int(regrets.size),
        rows=int(sizes.sum()),
        median_frac=_median(regrets),
        mean_frac=_mean(regrets),
        worst_frac=float(regrets.max()) if regrets.size else None,
        tolerance_frac=tolerance_frac,
        within_tolerance_frac=_mean(regrets <= tolerance_frac),
    )


def _fit(label: str, said: Mask, fitted: Mask) -> FitScore:
    ran, oom = int(fitted.sum()), int((~fitted).sum())
    ran_right, oom_right = int((fitted & said).sum()), int((~fitted & ~said).sum())
    return FitScore(
        label=label,
        ran=ran,
        ran_right=ran_right,
        oom=oom,
        oom_right=oom_right,
        balanced_accuracy=(ran_right / ran + oom_right / oom) / 2 if ran and oom else None,
    )


def _median(values: Floats) -> float | None:
    return float(np.median(values)) if values.size else None


def _mean(values: Floats | Mask) -> float | None:
    return float(np.mean(values)) if values.size else None
