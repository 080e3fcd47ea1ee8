"""Where the isocost line touches the loss surface: model, tokens and cluster for a budget, a deadline and data.

Each architecture is evaluated once; limits, marginal values and other laws are then read off the same table. The other
way round, ``cheapest_to`` asks the table for the least money that reaches a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from isocost.scaling.law import Law, drawn
from isocost.scaling.limits import check_amounts, warnings
from isocost.scaling.serving import tokens_to_reach
from isocost.stats.quantiles import Interval, interval
from isocost.units import DAY_S
from isocost.verbs.frontier.candidates import Choice, Limits, Spent, Table, choice_at, isocost_line
from isocost.verbs.frontier.relaxations import ways_in, ways_to

MORE_FRAC: Final = 0.1  # of money, data and speed in the marginal values
MORE_MFU: Final = 0.05
MORE_S: Final = 10 * DAY_S
NEAR_NATS: Final = 0.01
NEAR_USD: Final = 0.05  # of the cost, among the ways to one loss
DRAWS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """What a little more of something buys: the change of loss or of money, and the model that would be trained."""

    more: str
    loss: float
    usd: float
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A smaller model that is nearly as good."""

    choice: Choice
    loss: float  # more than that of the chosen one
    usd: float  # likewise
    size_frac: float
    tokens_frac: float
    serving_frac: float  # cost to serve a token, over that of the chosen one


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What the draws of the law's parameters leave open: the loss of the chosen model, and which model is the best.

    A loss to reach is that of the law as it is, so then there is no best model of a draw.
    """

    loss: Interval
    params: Interval | None
    tokens: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """The recommended model and what it was chosen from; ``chosen`` is ``None`` where nothing fits: see ``relax``."""

    law: Law
    limits: Limits
    chosen: Choice | None
    spread: Spread | None  # None: the law's uncertainty is not published
    line: tuple[Choice, ...]  # every size: the most tokens for the money, or the least money for the loss
    alternatives: tuple[Alternative, ...]
    marginals: tuple[Marginal, ...]
    relax: tuple[str, ...]
    notes: tuple[str, ...]
    target: float | None = None  # the loss to reach; None: the least


class Line(Protocol):
    """Every size within limits, on a table."""

    def __call__(self, table: Table, limits: Limits, law: Law) -> tuple[Choice, ...]:
        """Return the choices; none where nothing fits."""
        ...


def joint_optimum(table: Table, limits: Limits, law: Law, smooth: Table | None = None) -> Joint:
    """Return the model of least loss within the limits, the isocost line, and what a little more of each would buy.

    ``smooth`` is the table before some sizes were looked at more closely than others: which size is the best under
    another draw of the law is asked of it, as all its sizes are alike.
    """
    line = isocost_line(table, limits, law)
    alike = line if smooth is None else isocost_line(smooth, limits, law)
    return _joint(table, limits, law, isocost_line, line, () if line else ways_in(table, limits, law), None, alike)


def cheapest_to(table: Table, limits: Limits, law: Law, loss: float) -> Joint:
    """Return the cheapest model, tokens and offer that reach a loss within the limits; any budget may be infinite."""
    check_amounts(loss=loss)

    def line(table: Table, limits: Limits, law: Law) -> tuple[Choice, ...]:
        return least_cost_line(table, limits, law, loss)

    found = line(table, limits, law)
    relax = () if found else ways_to([(s, usd) for _, s, usd in _ways_at(table, limits, law, loss)], limits)
    return _joint(table, limits, law, line, found, relax, loss)


def best_of(line: Sequence[Choice]) -> Choice:
    """Return the choice of least loss; of one loss, the cheapest; of one cost, the smallest."""
    return min(line, key=lambda choice: (choice.loss, choice.total_usd, choice.params))


def _joint(
    table: Table,
    limits: Limits,
    law: Law,
    again: Line,
    line: tuple[Choice, ...],
    relax: tuple[str, ...],
    target: float | None,
    alike: tuple[Choice, ...] = (),
) -> Joint:
    if not line:
        return Joint(
            law=law,
            limits=limits,
            chosen=None,
            spread=None,
            line=(),
            alternatives=(),
            marginals=(),
            relax=relax,
            notes=(),
            target=target,
        )
    chosen = best_of(line)
    unique = limits.unique_tokens if np.isfinite(limits.unique_tokens) else None
    edge = chosen.architecture in (table.architectures[0], table.architectures[-1]) and len(line) > 1
    notes = ("the best size is at the end of the sizes that were tried: widen them",) if edge else ()
    return Joint(
        law=law,
        limits=limits,
        chosen=chosen,
        spread=_spread(law, alike, chosen, limits),
        line=line,
        alternatives=_alternatives(line, chosen),
        marginals=_marginals(table, limits, law, chosen, again),
        relax=(),
        notes=(*notes, *warnings(law, chosen.params, chosen.tokens, None, unique)),
        target=target,
    )


def _spread(law: Law, line: Sequence[Choice], chosen: Choice, limits: Limits) -> Spread | None:
    """Return the loss of the chosen model, and the best model of a line, under draws of the law's parameters."""
    at = drawn(law, DRAWS)
    if at is None:
        return None
    loss = interval(at.loss(chosen.params, chosen.tokens, limits.unique_tokens))
    if not line:
        return Spread(loss=loss, params=None, tokens=None)
    params, tokens = np.array([each.params for each in line]), np.array([each.tokens for each in line])
    best = np.asarray(at.loss(params, tokens, limits.unique_tokens)).argmin(axis=1)
    return Spread(loss=loss, params=interval(params[best]), tokens=interval(tokens[best]))


def _alternatives(line: Sequence[Choice], chosen: Choice) -> tuple[Alternative, ...]:
    """Return smaller models within a hundredth of a nat and a twentieth of the cost, smallest first."""
    near = [
        c
        for c in line
        if c.params < chosen.params
        and c.loss - chosen.loss <= NEAR_NATS
        and c.total_usd <= chosen.total_usd * (1.0 + NEAR_USD)
    ]
    return tuple(
        Alternative(
            choice=each,
            loss=each.loss - chosen.loss,
            usd=each.total_usd - chosen.total_usd,
            size_frac=each.params / chosen.params,
            tokens_frac=each.tokens / chosen.tokens,
            serving_frac=each.params / chosen.params,
        )
        for each in sorted(near, key=lambda c: c.params)
    )


def _marginals(table: Table, limits: Limits, law: Law, chosen: Choice, line: Line) -> tuple[Marginal, ...]:
    tried = {}
    if np.isfinite(limits.budget_usd):
        more_money = replace(limits, budget_usd=limits.budget_usd * (1.0 + MORE_FRAC))
        tried["10 % more money"] = (table, more_money)
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
        best = best_of(line(with_table, with_limits, law))
        change = best.total_usd - chosen.total_usd
        found.append(Marginal(more=more, loss=best.loss - chosen.loss, usd=change, choice=best))
    return tuple(found)


def _ways_at(table: Table, limits: Limits, law: Law, loss: float) -> list[tuple[Choice, float, float]]:
    """Return every size on every offer with the tokens that it needs for a loss, and the time and money it is sure of.

    Those are what is kept with the probability asked for; sizes that no tokens of the table bring there are left out.
    """
    spent = Spent.of(table, limits, law)
    needed = np.asarray(tokens_to_reach(law, loss, spent.params, limits.unique_tokens))
    ways = []
    for k in np.flatnonzero((table.tokens[:, 0] <= needed) & (needed <= table.tokens[:, -1])):
        grid, tokens = table.tokens[k], float(needed[k])
        for offer in np.flatnonzero(np.isfinite(spent.sure_usd[k]).all(axis=-1)):
            way = choice_at(table, spent, int(k), int(offer), tokens, loss, "loss")
            sure_s = float(np.interp(tokens, grid, spent.sure_s[k, offer]))
            ways.append((way, sure_s, float(np.interp(tokens, grid, spent.sure_usd[k, offer]))))
    return ways


def least_cost_line(table: Table, limits: Limits, law: Law, loss: float) -> tuple[Choice, ...]:
    """Return the cheapest way of every size to a loss within the limits."""
    kept: dict[float, Choice] = {}
    for way, sure_s, sure_usd in _ways_at(table, limits, law, loss):
        best = kept.get(way.params)
        inside = sure_s <= limits.deadline_s and sure_usd <= limits.budget_usd
        if inside and (best is None or way.total_usd < best.total_usd):
            kept[way.params] = way
    return tuple(kept.values())
