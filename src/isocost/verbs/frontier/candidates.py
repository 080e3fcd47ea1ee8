"""Candidates for training: every architecture on every offer, evaluated once, and the most tokens that limits allow.

The planner enters as a function from an architecture and a row of tokens to time and cost on every offer, so that
utilisation, memory, goodput and price all move the optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from isocost.errors import InputError, Problem
from isocost.laws.scaling import SERVE_FLOP, TRAIN_FLOP
from isocost.scaling.law import Law, surface
from isocost.scaling.shapes import law_params
from isocost.scaling.solver import Array
from isocost.workload.architecture import Architecture

# Tokens a parameter that candidates are asked for: below one no model is trained, above the last the laws are silent.
LEAST_RATIO, MOST_RATIO = 1.0, 10000.0
GRID: Final = 25
LIMITS: Final = ("budget", "deadline", "range")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """Time and cost of training one architecture: a row an offer, a column an amount of tokens; infinity: it cannot."""

    offers: tuple[str, ...]
    run_s: Array
    cost_usd: Array
    mfu: Array | None = None  # of the steps, one an offer


class Evaluator(Protocol):
    """What the joint optimum asks of a planner."""

    def __call__(self, architecture: Architecture, tokens: Array) -> Evaluated:
        """Return time and cost on every offer for every amount of tokens."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What there is: money for training, data and serving together; time; unique tokens; tokens to be served."""

    budget_usd: float = np.inf
    deadline_s: float = np.inf
    unique_tokens: float = np.inf
    served_tokens: float = 0.0
    serving_cost: float = 1.0  # of a FLOP that serves over one that trains
    usd_per_unique_token: float = 0.0
    licence_usd: float = 0.0  # of the data, whatever their amount

    def __post_init__(self) -> None:
        """Refuse what is not positive, all at once."""
        problems = [
            Problem(name, "is not positive", value, fix="give an amount above zero")
            for name, value in (
                ("budget", self.budget_usd),
                ("deadline", self.deadline_s),
                ("data", self.unique_tokens),
                ("serving_cost", self.serving_cost),
            )
            if not value > 0.0
        ]
        problems += [
            Problem(name, "is negative", value, fix="give zero or more")
            for name, value in (
                ("serve", self.served_tokens),
                ("token_price", self.usd_per_unique_token),
                ("licence", self.licence_usd),
            )
            if not value >= 0.0
        ]
        if problems:
            raise InputError(problems)

    def data_usd(self, tokens: float) -> float:
        """Return what the data of so many tokens cost: the unique ones among them, and the license."""
        return min(tokens, self.unique_tokens) * self.usd_per_unique_token + self.licence_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One model with its tokens and offer. ``binds`` is what keeps it from more tokens."""

    architecture: Architecture
    params: float  # as the law counts them
    tokens: float
    offer: str
    run_s: float
    train_usd: float
    data_usd: float
    serving_usd: float
    loss: float
    binds: str
    mfu: float | None = None

    @property
    def total_usd(self) -> float:
        """Training, data and serving."""
        return self.train_usd + self.data_usd + self.serving_usd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """All candidates evaluated once: (architecture, offer, tokens). Time and money are medians, straight in tokens."""

    architectures: tuple[Architecture, ...]
    offers: tuple[str, ...]
    tokens: Array  # (architecture, tokens)
    run_s: Array
    cost_usd: Array
    mfu: Array | None = None  # (architecture, offer)
    usd_per_flop: Array | None = None  # (architecture, offer): rent of a FLOP of its steps; None: of a long run
    late: Array | None = None  # (offer,): time and cost kept with the probability asked for, over the median
    dear: Array | None = None

    def faster(self, frac: float) -> Table:
        """Return the table with all steps faster, and cheaper, by a share; what precedes them stays as it is."""
        return replace(
            self,
            run_s=_steps_divided(self.run_s, self.tokens, 1.0 + frac),
            cost_usd=_steps_divided(self.cost_usd, self.tokens, 1.0 + frac),
        )

    def scaled(self, offer: str, time: float, cost: float) -> Table:
        """Return the table with all runs on one offer longer, and dearer, by a factor."""
        on = np.array([each == offer for each in self.offers])[:, None]
        return replace(
            self,
            run_s=np.where(on, self.run_s * time, self.run_s),
            cost_usd=np.where(on, self.cost_usd * cost, self.cost_usd),
        )


def _steps_divided(values: Array, tokens: Array, by: float) -> Array:
    """Return straight lines in tokens with their slope divided; what they are before the first token is kept."""
    grid = tokens[:, None, :]
    with np.errstate(invalid="ignore"):  # an offer that cannot train is infinite throughout
        slope = (values[..., -1:] - values[..., :1]) / (grid[..., -1:] - grid[..., :1])
        faster = values - slope * grid * (1.0 - 1.0 / by)
    return np.where(np.isfinite(values), faster, np.inf)


def tabulate(architectures: Sequence[Architecture], evaluator: Evaluator) -> Table:
    """Ask the planner about every architecture, once each."""
    if not architectures:
        raise InputError([Problem("sizes", "has no model to choose from", fix="give one size or more")])
    ratios = np.geomspace(LEAST_RATIO, MOST_RATIO, GRID)
    tokens = np.array([law_params(each) * ratios for each in architectures])
    found = [evaluator(each, row) for each, row in zip(architectures, tokens, strict=True)]
    return Table(
        architectures=tuple(architectures),
        offers=found[0].offers,
        tokens=tokens,
        run_s=np.stack([each.run_s for each in found]),
        cost_usd=np.stack([each.cost_usd for each in found]),
        mfu=None if any(each.mfu is None for each in found) else np.stack([np.asarray(each.mfu) for each in found]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spent:
    """Median time and money of every candidate, by part, and both as they are kept with the probability asked for."""

    params: Array  # as the law counts them
    train_usd: Array
    data_usd: Array
    serving_usd: Array
    sure_usd: Array
    sure_s: Array

    @classmethod
    def of(cls, table: Table, limits: Limits, law: Law) -> Spent:
        """Return what every candidate takes under these limits."""
        params = np.array([law_params(each, law.counts) for each in table.architectures])
        unique = np.minimum(table.tokens, limits.unique_tokens)
        data = (unique * limits.usd_per_unique_token + limits.licence_usd)[:, None, :]
        per_flop = table.usd_per_flop
        if per_flop is None:
            per_flop = table.cost_usd[..., -1] / (TRAIN_FLOP * params * table.tokens[:, -1])[:, None]
        served = SERVE_FLOP * params * limits.served_tokens * limits.serving_cost
        able = np.isfinite(table.cost_usd)
        with np.errstate(invalid="ignore"):  # an offer that cannot train costs infinity, and serves for nothing of it
            serving = np.where(able, (per_flop * served[:, None])[..., None], np.inf)
        late = 1.0 if table.late is None else table.late[:, None]
        dear = 1.0 if table.dear is None else table.dear[:, None]
        return cls(
            params=params,
            train_usd=table.cost_usd,
            data_usd=np.broadcast_to(data, table.cost_usd.shape),
            serving_usd=serving,
            sure_usd=(table.cost_usd + serving) * dear + data,
            sure_s=table.run_s * late,
        )


def isocost_line(table: Table, limits: Limits, law: Law) -> tuple[Choice, ...]:
    """Return every architecture on its best offer with the most tokens that the limits allow."""
    at = surface(law)
    spent = Spent.of(table, limits, law)
    most = {
        "budget": _crossing(table.tokens, spent.sure_usd, limits.budget_usd),
        "deadline": _crossing(table.tokens, spent.sure_s, limits.deadline_s),
    }
    possible = np.isfinite(spent.sure_usd) & np.isfinite(table.run_s)
    most["range"] = np.where(possible, table.tokens[:, None, :], 0.0).max(axis=-1)
    stacked = np.stack([most[name] for name in LIMITS])
    tokens = stacked.min(axis=0)
    equal = tokens >= tokens.max(axis=1, keepdims=True)  # of offers that reach as far, the cheapest
    offer = np.where(equal, spent.sure_usd[..., -1], np.inf).argmin(axis=1)
    row = np.arange(len(spent.params))
    reached = tokens[row, offer]
    binds = stacked.argmin(axis=0)[row, offer]
    loss = np.asarray(at.loss(spent.params, np.maximum(reached, 1.0), limits.unique_tokens))
    return tuple(
        choice_at(table, spent, int(k), int(offer[k]), float(reached[k]), float(loss[k]), LIMITS[int(binds[k])])
        for k in np.flatnonzero(reached > 0.0)
    )


def choice_at(table: Table, spent: Spent, k: int, offer: int, tokens: float, loss: float, binds: str) -> Choice:
    """Return one architecture on one offer at an amount of tokens between those of the grid."""

    def at(values: Array) -> float:
        return float(np.interp(tokens, table.tokens[k], values[k, offer]))

    return Choice(
        architecture=table.architectures[k],
        params=float(spent.params[k]),
        tokens=tokens,
        offer=table.offers[offer],
        run_s=at(table.run_s),
        train_usd=at(spent.train_usd),
        data_usd=at(spent.data_usd),
        serving_usd=at(spent.serving_usd),
        loss=loss,
        binds=binds,
        mfu=None if table.mfu is None else float(table.mfu[k, offer]),
    )


def _crossing(tokens: Array, values: Array, limit: float) -> Array:
    """Return the most tokens whose value stays within a limit, straight between points; 0 if none.

    Time and money of a run are straight lines in its tokens, so straight pieces of them add up.
    """
    inside = (values <= limit) & np.isfinite(values)
    last = inside.shape[-1] - 1 - inside[..., ::-1].argmax(axis=-1)
    some = inside.any(axis=-1)
    if not np.isfinite(limit):
        return np.where(some, np.inf, 0.0)
    after = np.minimum(last + 1, inside.shape[-1] - 1)

    def pick(array: Array, place: NDArray[np.int64]) -> Array:
        return np.asarray(np.take_along_axis(array, place[..., None], axis=-1)[..., 0])

    grid = np.broadcast_to(tokens[:, None, :], values.shape)
    low, high = pick(values, last), pick(values, after)
    between = some & (after > last) & np.isfinite(high)
    low, high = np.where(between, low, 0.0), np.where(between, high, 1.0)
    share = np.where(between, np.divide(limit - low, high - low), 0.0)
    start, end = pick(grid, last), pick(grid, after)
    # Within a limit up to the end of the table, it is the table that ends.
    found = np.where(after > last, start + share * (end - start), np.inf)
    return np.where(some, found, 0.0)
