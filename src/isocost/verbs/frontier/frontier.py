"""The search of sizes: a table of sixty from the planner's answers about eight, then the best ones with every layout.

The planner is asked about eight sizes without context parallelism, and what an offer takes for a FLOP is read between
them. Around the best size it is asked again with every layout, and the best one is planned as a whole run: the line of
its offer is moved to that plan, until the plan is where the line says. So the recommendation and its plan are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.laws.scaling import TRAIN_FLOP, lifetime_flop, tokens_for_flop
from isocost.scaling.law import Law, surface
from isocost.scaling.optimum import allocate
from isocost.scaling.shapes import MOST_PARAMS, Sparsity, law_params, shape, sizes
from isocost.scaling.solver import Array
from isocost.search.question import Answer
from isocost.verbs.frontier.candidates import GRID, LEAST_RATIO, MOST_RATIO, Choice, Limits, Table, isocost_line
from isocost.verbs.frontier.joint import Joint, best_of, cheapest_to, joint_optimum, least_cost_line
from isocost.verbs.frontier.outcome import over_limits
from isocost.verbs.frontier.sizes import COARSE, Planner
from isocost.workload.architecture import Architecture
from isocost.workload.flops import train_flop_per_token

SIZES: Final = 60
ANCHORS: Final = 8
BELOW, ABOVE = 10.0, 4.0  # sizes from the first guess down and up: smaller ones are nearly as good, and cheap to serve
_LEAST_GUESS, _GUESSES = 1e-4, 400  # serving may ask for a model far smaller than training alone
_AROUND: Final = 1  # sizes on either side of the best that are asked again with every layout
_ROUNDS: Final = 6
_SAME_FRAC: Final = 0.01  # a plan this near to its line is on it: medians of draws are not smoother
_TRIES: Final = 4  # of fewer tokens, where the draws of a plan are just beyond a limit
_STEP, _MARGIN = 1e-3, 1.3  # by which at least; of tokens over money, as what precedes the first token stays


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frontier:
    """The answer of the first law with its table, from which every other answer is read, and the plan behind it."""

    planner: Planner
    table: Table
    joint: Joint
    plan: Answer | None  # None where nothing fits


def frontier(
    planner: Planner,
    limits: Limits,
    law: Law,
    *,
    flop: float,
    target: float | None = None,
    sparsity: Sparsity | None = None,
    family: Sequence[Architecture] = (),
) -> Frontier:
    """Return the joint optimum over sixty sizes, or a family; with a target, the cheapest way to that loss.

    ``flop`` is about what the money buys: it places the sizes. Models of a family are of any shape, so all of them are
    asked for; shapes of one kind are read between eight.
    """
    shapes = sorted(family, key=law_params) or _shapes(_guess(law, flop, limits), sparsity, planner.seq_len, target)
    hints = [flop / (TRAIN_FLOP * law_params(each)) for each in shapes]
    for k in (len(shapes) // 2, 0):  # near the best; where that fits on no offer, the smallest may
        if planner.learn_start(shapes[k], hints[k]):
            break
    table = _coarse(planner, shapes, hints, len(shapes) if family else ANCHORS)
    closer, plan = _closer(planner, table, hints, limits, law, target)
    joint = joint_optimum(closer, limits, law, table) if target is None else cheapest_to(closer, limits, law, target)
    if joint.chosen is None:
        return Frontier(planner=planner, table=closer, joint=joint, plan=None)
    chosen, plan = _kept(planner, joint, plan or planner.plan(joint.chosen))
    return Frontier(planner=planner, table=closer, joint=_as_planned(joint, chosen), plan=plan)


def _as_planned(joint: Joint, chosen: Choice) -> Joint:
    """Return the answer with the chosen point as its plan has it, wherever that point stands."""
    before = joint.chosen
    return replace(
        joint,
        chosen=chosen,
        line=tuple(chosen if each is before else each for each in joint.line),
        marginals=tuple(replace(each, choice=chosen) if each.choice == before else each for each in joint.marginals),
    )


def _closer(
    planner: Planner, table: Table, hints: Sequence[float], limits: Limits, law: Law, target: float | None
) -> tuple[Table, Answer | None]:
    """Return the table with the best sizes looked at closely, and the plan of the best where it is on its line."""
    exact: set[int] = set()
    for _ in range(_ROUNDS):
        chosen = _best(table, limits, law, target)
        if chosen is None:
            break
        best = table.architectures.index(chosen.architecture)
        again = set(range(max(best - _AROUND, 0), min(best + _AROUND + 1, len(hints)))) - exact
        if again:
            table = _refined(planner, table, hints, sorted(again), planner.near(chosen))
            exact |= again
            continue
        plan = planner.plan(chosen)
        time, cost = _off(plan, chosen)
        if max(abs(time - 1.0), abs(cost - 1.0)) < _SAME_FRAC:
            return table, plan
        table = _on_plan(planner, table, chosen.offer, plan, time, cost)
    return table, None


def _kept(planner: Planner, joint: Joint, plan: Answer) -> tuple[Choice, Answer]:
    """Return the chosen model as its plan has it, on so few tokens fewer that the draws keep the limits."""
    chosen = joint.chosen
    assert chosen is not None
    for left in reversed(range(_TRIES)):
        found = plan.chosen
        if found is None or found.cost_usd is None or plan.forecast is None:
            return chosen, plan
        chosen = replace(chosen, run_s=found.run_s, train_usd=found.cost_usd.median, mfu=found.mfu)
        over = over_limits(joint, chosen, plan, planner.confidence)
        if over <= 1.0 or joint.target is not None or not left:
            break
        tokens = chosen.tokens * (1.0 - _STEP - _MARGIN * (over - 1.0))
        loss = float(np.asarray(surface(joint.law).loss(chosen.params, tokens, joint.limits.unique_tokens)))
        chosen = replace(chosen, tokens=tokens, loss=loss, data_usd=joint.limits.data_usd(tokens))
        plan = planner.plan(chosen)
    return chosen, plan


def _best(table: Table, limits: Limits, law: Law, target: float | None) -> Choice | None:
    line = isocost_line(table, limits, law) if target is None else least_cost_line(table, limits, law, target)
    return best_of(line) if line else None


def _off(plan: Answer, chosen: Choice) -> tuple[float, float]:
    """Return time and bill of a plan over those that the line has at its tokens."""
    found = plan.chosen
    if found is None or found.cost_usd is None:
        return 1.0, 1.0
    return found.run_s / chosen.run_s, found.cost_usd.median / chosen.train_usd


def _on_plan(planner: Planner, table: Table, label: str, plan: Answer, time: float, cost: float) -> Table:
    """Return the table with the runs on one offer as far off as a plan on it, and as sure; the planner learns it."""
    planner.learn_pace(label, plan, time, cost)
    moved = table.scaled(label, time, cost)
    return replace(moved, late=planner.start.late, dear=planner.start.dear)


def _guess(law: Law, flop: float, limits: Limits) -> float:
    """Return about the best size if a FLOP had one price: where the sizes to try are centered."""
    start = float(allocate(law, flop)[0])
    params = start * np.geomspace(_LEAST_GUESS, ABOVE, _GUESSES)
    serving = lifetime_flop(
        params=params, tokens=0.0, served_tokens=limits.served_tokens, serving_cost=limits.serving_cost
    )
    left = flop - serving
    enough = left > LEAST_RATIO * TRAIN_FLOP * params * params
    tokens = tokens_for_flop(flop=np.where(enough, left, flop), params=params)
    loss = np.where(enough, surface(law).loss(params, tokens, limits.unique_tokens), np.inf)
    return float(params[np.argmin(loss)])


def _shapes(middle: float, sparsity: Sparsity | None, seq_len: int, target: float | None) -> list[Architecture]:
    """Return different shapes around a size, smallest first; sizes that have none are left out."""
    found: dict[float, Architecture] = {}
    for size in sizes(middle / BELOW, middle * ABOVE, SIZES):
        try:
            made = shape(float(size), sparsity=sparsity, max_seq_len=seq_len)
        except InputError:
            continue
        found[law_params(made)] = made
    if not found:
        small = middle < MOST_PARAMS
        size = f"a model of {middle:.3g} parameters or so, {'smaller' if small else 'larger'} than any that has a shape"
        if target is None:
            fix = f"give {'more' if small else 'less'} of what limits the run: budget, deadline, data"
            raise InputError([Problem("budget", f"would buy {size}", fix=fix)])
        fix = f"ask for a {'lower' if small else 'higher'} loss"
        raise InputError([Problem("loss", f"is that of {size}", target, fix=fix)])
    return [found[size] for size in sorted(found)]


def _coarse(planner: Planner, shapes: Sequence[Architecture], hints: Sequence[float], anchors: int) -> Table:
    """Return the table of all sizes, from the planner's answers about some of them."""
    params = np.array([law_params(each) for each in shapes])
    flop = np.array([train_flop_per_token(each, planner.seq_len) for each in shapes])  # attention is in: depth counts
    places = np.unique(np.linspace(0, len(shapes) - 1, anchors).round().astype(int))
    asked = [planner.rates(shapes[k], hints[k], COARSE) for k in places]

    def between(values: Array) -> Array:
        """Read (anchor, offer) at every size: a FLOP's logarithm is straight in that of the size."""
        with np.errstate(invalid="ignore"):
            logs = np.log(values / flop[places][:, None])
            columns = [np.interp(np.log(params), np.log(params[places]), column) for column in logs.T]
        every = np.exp(np.stack(columns, axis=1)) * flop[:, None]
        return np.where(np.isfinite(every), every, np.inf)

    s_per_token = between(np.stack([each.s_per_token for each in asked]))
    usd_per_token = between(np.stack([each.usd_per_token for each in asked]))
    tokens = params[:, None] * np.geomspace(LEAST_RATIO, MOST_RATIO, GRID)
    run_s, cost_usd = planner.lines(s_per_token, usd_per_token, tokens)
    return Table(
        architectures=tuple(shapes),
        offers=tuple(offer.label for offer in planner.offers),
        tokens=tokens,
        run_s=run_s,
        cost_usd=cost_usd,
        mfu=np.stack([np.interp(params, params[places], column) for column in np.array([r.mfu for r in asked]).T], 1),
        usd_per_flop=usd_per_token / (TRAIN_FLOP * params)[:, None],
        late=planner.start.late,
        dear=planner.start.dear,
    )


def _refined(
    planner: Planner, table: Table, hints: Sequence[float], places: Sequence[int], gpu_counts: tuple[int, ...]
) -> Table:
    """Return the table with some sizes, on offers of these counts, as every layout has them."""
    asked = np.array([offer.gpus in gpu_counts for offer in planner.offers])
    columns = [np.array(each) for each in (table.run_s, table.cost_usd, table.mfu, table.usd_per_flop)]
    for k in places:
        architecture = table.architectures[k]
        rates = planner.rates(architecture, hints[k], None, gpu_counts)
        run_s, cost_usd = planner.lines(rates.s_per_token, rates.usd_per_token, table.tokens[k])
        usd_per_flop = rates.usd_per_token / (TRAIN_FLOP * law_params(architecture))
        for column, values in zip(columns, (run_s, cost_usd, rates.mfu, usd_per_flop), strict=True):
            column[k, asked] = values[asked]
    run_s, cost_usd, mfu, usd_per_flop = columns
    return replace(table, run_s=run_s, cost_usd=cost_usd, mfu=mfu, usd_per_flop=usd_per_flop)


def on_line(line: Sequence[Choice], law: Law) -> Choice:
    """Return the point of an isocost line that an allocation without a loss would choose."""

    def distance(choice: Choice) -> float:
        best, _ = allocate(law, TRAIN_FLOP * choice.params * choice.tokens)
        return float(np.abs(np.log(choice.params / best)))

    return min(line, key=distance)
