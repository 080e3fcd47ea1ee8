"""Uncertain inputs as distributions: draws on the leading axis, and what matters most of them.

A name keeps its draws when other inputs come or go: each has a seed of its own, made of the seed and the name. Two
plans drawn with one seed see the same futures, so their difference is not noise.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isocost.errors import InputError, Problem
from isocost.stats.quantiles import Interval, interval, quantiles

Row = NDArray[np.float64]
Z95 = 1.6448536269514722  # of the standard normal distribution: 90 % lie between -Z95 and Z95
_PERT_SHAPE = 4.0  # weight of the mode in the usual PERT: mean = (low + 4 mode + high) / 6


class Distribution(Protocol):
    """Anything that can be drawn from."""

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        """Return ``n`` independent draws."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A value that is known, or is to be taken as known."""

    value: float

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        """Return the value ``n`` times."""
        return np.full(n, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """A positive quantity whose logarithm is normal: 5 % of draws are above ``p95``, half above ``median``."""

    median: float
    p95: float

    def __post_init__(self) -> None:
        """Refuse what is not positive or not in order."""
        _ordered(self, (("median", self.median), ("p95", self.p95)), positive=True)

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        """Return ``n`` draws."""
        return np.asarray(self.median * np.exp(rng.standard_normal(n) * (np.log(self.p95 / self.median) / Z95)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLognormal:
    """A positive quantity with p05, median and p95, each exact: two half lognormals that meet at the median."""

    low: float  # p05
    median: float
    high: float  # p95

    def __post_init__(self) -> None:
        """Refuse what is not positive or not in order."""
        _ordered(self, (("low", self.low), ("median", self.median), ("high", self.high)), positive=True)

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        """Return ``n`` draws."""
        z = rng.standard_normal(n)
        down, up = np.log(self.median / self.low) / Z95, np.log(self.high / self.median) / Z95
        return np.asarray(self.median * np.exp(np.where(z < 0, z * down, z * up)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pert:
    """A quantity between two bounds with a most likely value, a beta distribution."""

    low: float
    mode: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what is not in order."""
        _ordered(self, (("low", self.low), ("mode", self.mode), ("high", self.high)))

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        """Return ``n`` draws."""
        width = self.high - self.low
        if width == 0:
            return np.full(n, self.low)
        at = (self.mode - self.low) / width
        return self.low + width * rng.beta(1.0 + _PERT_SHAPE * at, 1.0 + _PERT_SHAPE * (1.0 - at), n)


def _ordered(owner: object, named: Sequence[tuple[str, float]], positive: bool = False) -> None:
    kind = type(owner).__name__
    problems = [Problem(f"{kind}.{name}", "is not finite", value) for name, value in named if not np.isfinite(value)]
    if positive:
        problems += [Problem(f"{kind}.{name}", "is not above 0", value) for name, value in named if value <= 0]
    for (lower, a), (upper, b) in itertools.pairwise(named):
        if a > b:
            problems.append(Problem(f"{kind}.{lower}", f"is above {upper}", a, f"at most {b:g}", fix="order them"))
    if problems:
        raise InputError(problems)


def spanning(known: Interval) -> Distribution:
    """Return draws with this p05, median and p95; fixed where there is no spread."""
    if known.low == known.high:
        return Fixed(value=known.median)
    return SplitLognormal(low=known.low, median=known.median, high=known.high)


def draw(inputs: Mapping[str, Distribution | float], n: int, seed: int = 0, trailing: int = 0) -> dict[str, Row]:
    """Return ``n`` draws of every input on the leading axis; ``trailing`` axes of length 1 follow, for layouts."""
    if not 1 <= n <= 10_000_000:
        raise InputError([Problem("draws", "is out of range", n, "1 to 10,000,000")])
    shape = (n,) + (1,) * trailing
    return {name: _distribution(given).sample(_rng(seed, name), n).reshape(shape) for name, given in inputs.items()}


def _distribution(given: Distribution | float) -> Distribution:
    return Fixed(value=float(given)) if isinstance(given, (int, float)) else given


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def probability(holds: NDArray[np.bool_]) -> Row:
    """Return the share of draws, on the leading axis, in which something holds: a deadline met, a budget kept."""
    return np.asarray(np.mean(holds, axis=0, dtype=np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One input of a tornado: the answer at its p05 and its p95 with all others at their medians."""

    name: str
    p05: float  # of the input
    p95: float
    at_p05: float  # the answer
    at_p95: float
    known_width_frac: float  # width of the answer's interval if this input were known, over the width now

    @property
    def swing(self) -> float:
        """How far the input moves the answer."""
        return abs(self.at_p95 - self.at_p05)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tornado:
    """The answer's interval, and its inputs by how far they move it, largest first."""

    answer: Interval
    at_medians: float
    bars: tuple[Bar, ...]


def tornado(
    evaluate: Callable[[Mapping[str, Row]], Row],
    inputs: Mapping[str, Distribution | float],
    n: int = 1000,
    seed: int = 0,
) -> Tornado:
    """Return which input moves the answer most; ``evaluate`` maps draws (n,) of every input to answers (n,)."""
    drawn = draw(inputs, n, seed)
    ends = {name: quantiles(values) for name, values in drawn.items()}
    uncertain = [name for name, values in drawn.items() if values.min() < values.max()]
    # Row 0: all medians. Then two rows an input, at its p05 and its p95.
    rows = {name: np.full(1 + 2 * len(uncertain), end[1]) for name, end in ends.items()}
    for place, name in enumerate(uncertain):
        rows[name][1 + 2 * place : 3 + 2 * place] = ends[name][[0, 2]]
    swings = np.broadcast_to(evaluate(rows), (1 + 2 * len(uncertain),))
    answer = interval(np.broadcast_to(evaluate(drawn), (n,)))
    bars = []
    for place, name in enumerate(uncertain):
        known = interval(np.broadcast_to(evaluate({**drawn, name: np.full(n, ends[name][1])}), (n,)))
        bars.append(
            Bar(
                name=name,
                p05=float(ends[name][0]),
                p95=float(ends[name][2]),
                at_p05=float(swings[1 + 2 * place]),
                at_p95=float(swings[2 + 2 * place]),
                known_width_frac=known.width / answer.width if answer.width else 1.0,
            )
        )
    bars.sort(key=lambda bar: (-bar.swing, bar.name))
    return Tornado(answer=answer, at_medians=float(swings[0]), bars=tuple(bars))


def value_of_knowing(costs: Row, drawn: Mapping[str, Row], bins: int = 10, seed: int = 0) -> dict[str, float]:
    """Return what knowing each input before choosing would save on average: the most that measuring it is worth.

    ``costs`` has a row a draw and a column an option. Draws are sorted into bins of the input, and in each bin the
    option that is cheapest there is taken. The same with the input shuffled estimates what sorting gains by chance
    alone, and comes off. An input that changes no choice is worth nothing, however far it moves the cost.
    """
    cheapest = float(costs.mean(axis=0).min())

    def saved(order: NDArray[np.intp]) -> float:
        parts = np.array_split(costs[order], bins)
        return cheapest - sum(float(part.mean(axis=0).min()) * len(part) for part in parts if len(part)) / len(costs)

    worth = {}
    for name, values in drawn.items():
        flat = np.asarray(values, dtype=np.float64).reshape(-1)
        by_chance = saved(_rng(seed, name).permutation(len(costs)))
        constant = flat.min() == flat.max()
        worth[name] = 0.0 if constant else max(0.0, saved(np.argsort(flat, kind="stable")) - by_chance)
    return dict(sorted(worth.items(), key=lambda item: -item[1]))
