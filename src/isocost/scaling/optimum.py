"""The best size and data for an amount of arithmetic, with as many unique tokens as there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.laws.scaling import effective_amount, optimal_params, power_of_flop, tokens_for_flop
from isocost.num import Num
from isocost.scaling import law as forms
from isocost.scaling.law import Law, Surface, drawn, surface
from isocost.scaling.limits import check_amounts, warnings
from isocost.stats.quantiles import Interval, interval

DRAWS: Final = 1000
_GRID: Final = 65  # points of a search; each round narrows the range 16 times
_ROUNDS: Final = 8
_WIDEST: Final = 1e4  # a serving or data-limited optimum is within this factor of the unconstrained one
LEAST_FLOP, MOST_FLOP = 1e12, 1e32


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """What a law says to train; intervals are ``None`` where the law's uncertainty is not published."""

    law: Law
    flop: float
    params: float
    tokens: float
    loss: float | None
    unique_tokens: float | None = None
    effective_tokens: float | None = None  # unique ones that the repeated ones are worth
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    loss_interval: Interval | None = None
    notes: tuple[str, ...] = ()

    @property
    def epochs(self) -> float:
        """Times each unique token is seen."""
        return 1.0 if self.unique_tokens is None else max(self.tokens / self.unique_tokens, 1.0)


def allocate(law: Law, flop: Num) -> tuple[Num, Num]:
    """Return the best (N, D) for arithmetic of 6 N D, in closed form."""
    if not law.allocation:
        fix = f"use besiroglu; {law.note}"
        raise InputError([Problem("law", "is not for choosing a size", law.id, fix=fix)])
    if law.has_surface:
        params = _closed_form(surface(law), flop)
        return params, tokens_for_flop(flop=flop, params=params)
    if law.form == forms.POWER_WORK:
        coefficient, power = law.value("work_coefficient"), law.value("work_power")
        work = power_of_flop(flop=flop, coefficient=coefficient, power=power)
        coefficient, power = law.value("tokens_coefficient"), law.value("tokens_power")
        return np.divide(work, 6.0), power_of_flop(flop=flop, coefficient=coefficient, power=power)
    first = power_of_flop(flop=flop, coefficient=law.value("coefficient"), power=law.value("power"))
    second = tokens_for_flop(flop=flop, params=first)  # 6 N D is the same in both
    return (first, second) if law.form == forms.POWER_PARAMS else (second, first)


def _closed_form(at: Surface, flop: Num) -> Num:
    return optimal_params(
        flop=flop,
        params_scale=at.params_scale,
        tokens_scale=at.tokens_scale,
        params_power=at.params_power,
        tokens_power=at.tokens_power,
    )


def optimum(law: Law, flop: float, unique_tokens: float | None = None, draws: int = DRAWS) -> Optimum:
    """Return what a law says to train on a given amount of arithmetic, within the unique tokens where given."""
    check_amounts(flop=flop, data=unique_tokens)
    if not LEAST_FLOP <= flop <= MOST_FLOP:
        raise InputError([Problem("flop", "is beyond belief", flop, allowed=f"{LEAST_FLOP:g} to {MOST_FLOP:g}")])
    params, tokens = (float(value) for value in allocate(law, flop))
    limited = unique_tokens is not None and tokens > unique_tokens
    notes = []
    if limited and not law.has_surface:
        notes.append("the law has no loss surface: repeating data is not weighed against a larger model")
    if limited and law.has_surface:
        params = float(_limited(surface(law), flop, float(unique_tokens or 0.0), params))
        tokens = float(tokens_for_flop(flop=flop, params=params))
    limit = np.inf if unique_tokens is None else unique_tokens
    loss = float(surface(law).loss(params, tokens, limit)) if law.has_surface else None
    found: dict[str, Any] = {}
    draw = drawn(law, draws) if draws else None
    if draw is not None:
        found = _intervals(draw, flop, limit)
    return Optimum(
        law=law,
        flop=flop,
        params=params,
        tokens=tokens,
        loss=loss,
        unique_tokens=unique_tokens,
        effective_tokens=_worth(law, tokens, unique_tokens),
        notes=(*notes, *warnings(law, params, tokens, flop, unique_tokens)),
        **found,
    )


def _worth(law: Law, tokens: float, unique: float | None) -> float | None:
    if unique is None:
        return None
    half = surface(law).tokens_half if law.has_surface else forms.TOKENS_HALF
    return float(effective_amount(amount=tokens, unique=unique, half=half))


def _intervals(draw: Surface, flop: float, limit: Num) -> dict[str, Interval]:
    params = np.asarray(_closed_form(draw, flop))
    if np.any(tokens_for_flop(flop=flop, params=params) > limit):
        params = np.where(
            tokens_for_flop(flop=flop, params=params) > limit, _limited(draw, flop, float(limit), params), params
        )
    tokens = tokens_for_flop(flop=flop, params=params)
    loss = draw.loss(params, tokens, limit)
    named = {"params_interval": params, "tokens_interval": tokens, "loss_interval": loss}
    return {name: interval(values) for name, values in named.items()}


def _limited(at: Surface, flop: float, unique: float, start: Num) -> Num:
    return least(lambda n: at.loss(n, tokens_for_flop(flop=flop, params=n), unique), start)


def least(cost: Callable[[Num], Num], start: Num, widest: float = _WIDEST) -> Num:
    """Return the size of least cost, by rounds of a narrowing grid of logarithms; a column of starts gives a column.

    The last axis is the grid's. What cannot be (a cost of infinity) is never chosen unless all is.
    """
    centre = np.log(np.asarray(start, dtype=np.float64))
    centre = centre if centre.ndim else centre[None]
    half = np.log(widest)
    steps = np.linspace(-1.0, 1.0, _GRID)
    for _ in range(_ROUNDS):
        grid = centre + half * steps
        values = np.asarray(cost(np.exp(grid)))
        best = values.argmin(axis=-1)
        centre = np.take_along_axis(np.atleast_2d(grid), np.atleast_1d(best)[:, None], axis=-1)
        centre = centre if grid.ndim > 1 else centre[0]
        half = half * 4.0 / (_GRID - 1)
    return np.exp(centre)[0] if np.ndim(start) == 0 else np.exp(centre)


def spread(optima: Sequence[Optimum]) -> tuple[float, float]:
    """Return how far laws are apart: the largest size over the smallest, and the same of tokens."""
    sizes, tokens = [o.params for o in optima], [o.tokens for o in optima]
    return max(sizes) / min(sizes), max(tokens) / min(tokens)
