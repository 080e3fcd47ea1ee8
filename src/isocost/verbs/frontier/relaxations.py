"""What to relax, and by how much, where no model fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isocost.scaling.law import Law
from isocost.scaling.shapes import law_params
from isocost.units import DAY_S
from isocost.verbs.frontier.candidates import Limits, Spent, Table


def ways_in(table: Table, limits: Limits, law: Law) -> tuple[str, ...]:
    """Return by how much each limit would have to give for the least model that was tried."""
    spent = Spent.of(table, limits, law)
    least_usd, least_s = spent.sure_usd[..., 0], spent.sure_s[..., 0]
    if not (np.isfinite(least_usd) & np.isfinite(least_s)).any():
        return ("the offers: on none of them has a model a price, the memory and the power that it needs",)
    in_time = np.where(least_s <= limits.deadline_s, least_usd, np.inf).min()
    in_money = np.where(least_usd <= limits.budget_usd, least_s, np.inf).min()
    said = _each_alone(float(in_time), float(in_money), limits)
    if not said:
        least = least_usd.min()
        needed_s = least_s[least_usd == least].min()
        said = (_together(float(least), float(needed_s), limits),)
    smaller = f"a smaller model: the smallest tried has {law_params(table.architectures[0]):.3g} parameters"
    return (*said, smaller, "fewer accelerators")


def ways_to(sure: Sequence[tuple[float, float]], limits: Limits) -> tuple[str, ...]:
    """Return by how much each limit would have to give for one of the ways to a loss, each a time and a cost."""
    higher = "a higher loss"
    if not sure:
        return (f"{higher}: no size that was tried reaches it on the offers and data there are",)
    in_time = min((usd for s, usd in sure if s <= limits.deadline_s), default=np.inf)
    in_money = min((s for s, usd in sure if usd <= limits.budget_usd), default=np.inf)
    said = _each_alone(in_time, in_money, limits)
    if not said:
        needed_s, needed_usd = min(sure, key=lambda each: each[1])
        said = (_together(needed_usd, needed_s, limits),)
    return (*said, higher)


def _each_alone(in_time_usd: float, in_money_s: float, limits: Limits) -> tuple[str, ...]:
    """Return how far one limit has to give where the other is kept; infinity where that is not enough."""
    money = (_more_money(in_time_usd, limits.budget_usd),) if np.isfinite(in_time_usd) else ()
    time = (_more_time(in_money_s, limits.deadline_s),) if np.isfinite(in_money_s) else ()
    return (*money, *time)


def _together(needed_usd: float, needed_s: float, limits: Limits) -> str:
    money, time = _more_money(needed_usd, limits.budget_usd), _more_time(needed_s, limits.deadline_s)
    return f"{money} and {time}, together"


def _more_money(needed_usd: float, budget_usd: float) -> str:
    """Return by how much a budget falls short, rounded up."""
    return f"budget + {np.ceil(100.0 * (needed_usd / budget_usd - 1.0)):,.0f} % (${np.ceil(needed_usd):,.0f})"


def _more_time(needed_s: float, deadline_s: float) -> str:
    """Return by how much a deadline falls short, rounded up to a tenth of a day."""
    return f"deadline + {np.ceil((needed_s - deadline_s) / DAY_S * 10.0) / 10.0:,.1f} d"
