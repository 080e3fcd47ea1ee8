"""Where the isocost line touches the loss surface: model, tokens and cluster for a budget, a deadline and data.

Each architecture is evaluated once; limits, marginal values and other laws are then read off the same table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isocost.scaling.candidates import Choice, Limits, Table, isocost_line, spend, spent_at
from isocost.scaling.law import Law, drawn
from isocost.scaling.limits import check_amounts, warnings
from isocost.scaling.optimum import Interval, interval
from isocost.scaling.serving import tokens_to_reach
from isocost.scaling.shapes import law_params

MORE_FRAC: Final = 0.1  # of money, data and speed in the marginal values
MORE_MFU: Final = 0.05
DAY_S: Final = 86400.0
MORE_S: Final = 10 * DAY_S
NEAR_NATS: Final = 0.01
_DRAWS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """What a little more of something buys: the change of the loss, and the model that would be trained."""

    more: str
    loss: float
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A smaller model with nearly the loss."""

    choice: Choice
    loss: float  # more than that of the chosen one
    size_frac: float
    tokens_frac: float
    serving_frac: float  # cost to serve a token, over that of the chosen one


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """The recommended model and what it was chosen from; ``chosen`` is ``None`` where nothing fits: see ``relax``."""

    law: Law
    limits: Limits
    chosen: Choice | None
    loss_interval: Interval | None
    line: tuple[Choice, ...]  # the isocost line: the most tokens of every size
    alternatives: tuple[Alternative, ...]
    marginals: tuple[Marginal, ...]
    relax: tuple[str, ...]
    notes: tuple[str, ...]


def joint_optimum(table: Table, limits: Limits, law: Law) -> Joint:
    """Return the model of least loss within the limits, the isocost line, and what a little more of each would buy."""
    line = isocost_line(table, limits, law)
    if not line:
        return Joint(
            law=law,
            limits=limits,
            chosen=None,
            loss_interval=None,
            line=(),
            alternatives=(),
            marginals=(),
            relax=_relax(table, limits, law),
            notes=(),
        )
    chosen = _best(line)
    draw = drawn(law, _DRAWS)
    spread = None if draw is None else interval(draw.loss(chosen.params, chosen.tokens, limits.unique_tokens))
    unique = limits.unique_tokens if np.isfinite(limits.unique_tokens) else None
    edge = chosen.architecture in (table.architectures[0], table.architectures[-1]) and len(line) > 1
    notes = ("the best size is at the end of the sizes that were tried: widen them",) if edge else ()
    return Joint(
        law=law,
        limits=limits,
        chosen=chosen,
        loss_interval=spread,
        line=line,
        alternatives=_alternatives(line, chosen),
        marginals=_marginals(table, limits, law, chosen),
        relax=(),
        notes=(*notes, *warnings(law, chosen.params, chosen.tokens, None, unique)),
    )


def _best(line: Sequence[Choice]) -> Choice:
    return min(line, key=lambda choice: (choice.loss, choice.params))


def _alternatives(line: Sequence[Choice], chosen: Choice) -> tuple[Alternative, ...]:
    """Return smaller models within a hundredth of a nat, smallest first."""
    near = [c for c in line if c.params < chosen.params and c.loss - chosen.loss <= NEAR_NATS]
    return tuple(
        Alternative(
            choice=each,
            loss=each.loss - chosen.loss,
            size_frac=each.params / chosen.params,
            tokens_frac=each.tokens / chosen.tokens,
            serving_frac=each.params / chosen.params,
        )
        for each in sorted(near, key=lambda c: c.params)
    )


def _marginals(table: Table, limits: Limits, law: Law, chosen: Choice) -> tuple[Marginal, ...]:
    tried = {"10 % more money": (table, replace(limits, budget_usd=limits.budget_usd * (1.0 + MORE_FRAC)))}
    if np.isfinite(limits.deadline_s):
        tried["10 more days"] = (table, replace(limits, deadline_s=limits.deadline_s + MORE_S))
    if np.isfinite(limits.unique_tokens):
        more_data = replace(limits, unique_tokens=limits.unique_tokens * (1.0 + MORE_FRAC))
        tried["10 % more data"] = (table, more_data)
    if chosen.mfu:
        tried["5 points more MFU"] = (table.faster(MORE_MFU / chosen.mfu), limits)
    else:
        tried["10 % more speed"] = (table.faster(MORE_FRAC), limits)
    found = []
    for more, (with_table, with_limits) in tried.items():
        best = _best(isocost_line(with_table, with_limits, law))
        found.append(Marginal(more=more, loss=best.loss - chosen.loss, choice=best))
    return tuple(found)


def _relax(table: Table, limits: Limits, law: Law) -> tuple[str, ...]:
    """Return by how much each limit would have to give for the least model that was tried."""
    params = np.array([law_params(each, law.counts) for each in table.architectures])
    least_usd = np.sum([part[..., 0] for part in spend(table, limits, params).values()], axis=0)
    least_s = table.run_s[..., 0]
    in_time = np.where(least_s <= limits.deadline_s, least_usd, np.inf).min()
    in_money = np.where(least_usd <= limits.budget_usd, least_s, np.inf).min()
    said = []
    if np.isfinite(in_time):
        said.append(more_money(in_time, limits.budget_usd))
    if np.isfinite(in_money):
        said.append(more_time(in_money, limits.deadline_s))
    if not said and np.isfinite(least := least_usd.min()):
        needed_s = least_s[least_usd == least].min()
        said.append(f"{more_money(least, limits.budget_usd)} and {more_time(needed_s, limits.deadline_s)}, together")
    smaller = f"a smaller model: the smallest tried has {law_params(table.architectures[0]):.3g} parameters"
    return (*said, smaller, "fewer accelerators")


def more_money(needed_usd: float, budget_usd: float) -> str:
    """Return by how much a budget falls short, rounded up."""
    return f"budget + {np.ceil(100.0 * (needed_usd / budget_usd - 1.0)):,.0f} % (${np.ceil(needed_usd):,.0f})"


def more_time(needed_s: float, deadline_s: float) -> str:
    """Return by how much a deadline falls short, rounded up to a tenth of a day."""
    return f"deadline + {np.ceil((needed_s - deadline_s) / DAY_S * 10.0) / 10.0:,.1f} d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheapest:
    """The cheapest way to a loss within the limits, and that of every size; ``relax`` where there is none."""

    law: Law
    loss: float
    chosen: Choice | None
    line: tuple[Choice, ...]
    relax: tuple[str, ...] = ()


def cheapest_to(table: Table, limits: Limits, law: Law, loss: float) -> Cheapest:
    """Return the cheapest model, tokens and offer that reach a loss within the limits; any budget may be infinite."""
    check_amounts(loss=loss)
    params = np.array([law_params(each, law.counts) for each in table.architectures])
    needed = np.asarray(tokens_to_reach(law, loss, params, limits.unique_tokens))
    ways = []
    for k in range(len(params)):
        if not table.tokens[k, 0] <= needed[k] <= table.tokens[k, -1]:
            continue
        for offer, label in enumerate(table.offers):
            if not np.isfinite(table.cost_usd[k, offer]).all():
                continue
            way = Choice(
                architecture=table.architectures[k],
                params=float(params[k]),
                tokens=float(needed[k]),
                offer=label,
                loss=loss,
                binds="loss",
                **spent_at(table, limits, params, k, offer, float(needed[k])),
            )
            ways.append(way)
    kept: dict[float, Choice] = {}
    for way in ways:
        best = kept.get(way.params)
        inside = way.run_s <= limits.deadline_s and way.total_usd <= limits.budget_usd
        if inside and (best is None or way.total_usd < best.total_usd):
            kept[way.params] = way
    chosen = min(kept.values(), key=lambda c: c.total_usd, default=None)
    relax = () if chosen is not None else _relax_ways(ways, limits)
    return Cheapest(law=law, loss=loss, chosen=chosen, line=tuple(kept.values()), relax=relax)


def _relax_ways(ways: Sequence[Choice], limits: Limits) -> tuple[str, ...]:
    """Return by how much each limit would have to give for one of the ways to a loss."""
    higher = "a higher loss"
    if not ways:
        return (f"{higher}: no size that was tried reaches it on the offers and data there are",)
    in_time = min((way.total_usd for way in ways if way.run_s <= limits.deadline_s), default=np.inf)
    in_money = min((way.run_s for way in ways if way.total_usd <= limits.budget_usd), default=np.inf)
    said = [more_money(in_time, limits.budget_usd)] if np.isfinite(in_time) else []
    said += [more_time(in_money, limits.deadline_s)] if np.isfinite(in_money) else []
    if not said:
        least = min(ways, key=lambda way: way.total_usd)
        both = (more_money(least.total_usd, limits.budget_usd), more_time(least.run_s, limits.deadline_s))
        said.append(f"{' and '.join(both)}, together")
    return (*said, higher)
