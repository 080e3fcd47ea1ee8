"""Draws of the chosen point: days, bill and loss, each input of the plan and each parameter of the law on its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.forecast import Forecast
from isocost.num import Num
from isocost.scaling.solver import Array
from isocost.search.question import Answer
from isocost.stats.distributions import probability
from isocost.stats.quantiles import Interval, interval
from isocost.verbs.frontier.candidates import Choice
from isocost.verbs.frontier.joint import Joint


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the recommendation comes to: p05, p50 and p95 of the draws, and the chances of keeping the limits."""

    draws: int
    days: Interval
    train_usd: Interval | None  # None: not priced
    total_usd: Interval | None  # data and serving in; serving is paid at the same prices
    loss: Interval | None  # None: the law's uncertainty is not published
    best_params: Interval | None  # the best size if the law is another draw
    best_tokens: Interval | None
    deadline_chance: float | None  # None: no deadline
    budget_chance: float | None


def outcome(joint: Joint, chosen: Choice, forecast: Forecast) -> Outcome:
    """Return the draws of a chosen model with the plan behind it."""
    train = forecast.cost_usd
    total = None if train is None else np.asarray(_total_usd(chosen, train))
    limits, spread = joint.limits, joint.spread
    return Outcome(
        draws=len(forecast.wall_s),
        days=interval(forecast.days),
        train_usd=None if train is None else interval(train),
        total_usd=None if total is None else interval(total),
        loss=None if spread is None else spread.loss,
        best_params=None if spread is None else spread.params,
        best_tokens=None if spread is None else spread.tokens,
        deadline_chance=_chance(forecast.wall_s, limits.deadline_s),
        budget_chance=None if total is None else _chance(total, limits.budget_usd),
    )


def over_limits(joint: Joint, chosen: Choice, plan: Answer, confidence: float) -> float:
    """Return time or money that is kept with a probability, over its limit, whichever is further beyond it.

    Both are those of the draws and those that the search of a plan holds against its limits, so that the model that is
    recommended has a plan within them.
    """
    forecast = plan.forecast
    assert forecast is not None
    times, bills = [float(np.quantile(forecast.wall_s, confidence))], []
    if forecast.cost_usd is not None:
        bills.append(float(np.quantile(_total_usd(chosen, forecast.cost_usd), confidence)))
    if plan.held is not None:
        times.append(plan.held[0])
        bills.append(float(_total_usd(chosen, plan.held[1])))
    return max(max(times) / joint.limits.deadline_s, max(bills, default=0.0) / joint.limits.budget_usd)


def _total_usd(chosen: Choice, train_usd: Num) -> Num:
    """Return the whole bill: what serves is rented at the prices of what trains, data have one price."""
    return train_usd * (1.0 + chosen.serving_usd / chosen.train_usd) + chosen.data_usd


def _chance(values: Array, limit: float) -> float | None:
    return float(probability(values <= limit)) if np.isfinite(limit) else None
