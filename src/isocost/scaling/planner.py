"""The planner as an evaluator: time, money and utilisation of any architecture on every offer, and the table of sizes.

A table of sixty sizes is made in two passes. The planner is asked about a dozen sizes, without context parallelism,
and what an offer takes for a FLOP is read between them; around the best size it is asked again with every layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.records import peak
from isocost.catalog.store import Catalog
from isocost.constants import Constant
from isocost.errors import InputError, Problem
from isocost.laws.scaling import TRAIN_FLOP, lifetime_flop, tokens_for_flop
from isocost.scaling.candidates import GRID, LEAST_RATIO, MOST_RATIO, Choice, Evaluated, Limits, Table
from isocost.scaling.joint import Joint, joint_optimum
from isocost.scaling.law import Law, surface
from isocost.scaling.optimum import allocate
from isocost.scaling.shapes import Sparsity, law_params, shape, sizes
from isocost.scaling.solver import Array
from isocost.search.notes import with_batch
from isocost.search.plan import Searcher, plan
from isocost.search.pool import champions
from isocost.search.question import Answer, Option, Question
from isocost.workload.architecture import Architecture

SIZES: Final = 60
ANCHORS: Final = 10
COARSE: Final[Mapping[str, object]] = {"cp": 1}  # of layouts away from the optimum
BELOW, ABOVE = 10.0, 4.0  # sizes from the first guess down and up: smaller ones are nearly as good, and cheap to serve
_LEAST_GUESS, _GUESSES = 1e-4, 400  # serving may ask for a model far smaller than training alone
GUESSED_MFU: Final = 0.4  # to place the sizes only
_AROUND: Final = 1  # sizes on either side of the best that are asked again with every layout
_ROUNDS: Final = 3
HOUR_S: Final = 3600.0
_SHORTER: Final = 8.0  # of two runs that show what is taken before the first token


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rates:
    """What one architecture takes a token on every offer; infinity where it does not fit or has no price."""

    s_per_token: Array
    usd_per_token: Array
    mfu: Array  # 6 N a token over the dense peak, at the pace of the wall clock


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """What a run takes on every offer before its first token, and a token over one that nothing interrupts."""

    start_s: Array
    start_usd: Array
    pace_s: Array
    pace_usd: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One option at one precision and one number of accelerators."""

    option: Option
    precision: str
    gpus: int

    @property
    def label(self) -> str:
        """The offer in words."""
        return f"{self.gpus} x {self.option.label}" + (f" {self.precision}" if self.precision != "bf16" else "")


class Planner:
    """Asks the planner about architectures; ``question`` is a template: its architecture and tokens are not used."""

    def __init__(self, question: Question, catalog: Catalog, constants: Mapping[str, Constant]) -> None:
        self._question = replace(question, deadline_s=None, budget_usd=None)
        self._catalog = catalog
        self._constants = constants
        self.offers = tuple(
            Offer(option=option, precision=precision, gpus=gpus)
            for option in question.options
            for precision in question.precisions
            for gpus in sorted(set(question.gpu_counts))
        )
        self.asked = 0
        none, alike = np.zeros(len(self.offers)), np.ones(len(self.offers))
        self.start = Start(start_s=none, start_usd=none, pace_s=alike, pace_usd=alike)

    def question(self, architecture: Architecture, tokens: float) -> Question:
        """Return the question about one architecture, its batch from the critical-batch law where none is given."""
        return with_batch(replace(self._question, architecture=architecture, tokens=tokens))[0]

    def rates(
        self,
        architecture: Architecture,
        tokens: float,
        fixed: Mapping[str, object] | None = None,
        gpu_counts: tuple[int, ...] = (),
    ) -> Rates:
        """Return the cheapest layout of every offer, as time and money a token; the batch is that for ``tokens``."""
        self.asked += 1
        asked = self.question(architecture, tokens)
        if gpu_counts:
            asked = replace(asked, gpu_counts=gpu_counts)
        if fixed:
            asked = replace(asked, fixed={**fixed, **asked.fixed})
        found = Searcher(self._catalog, self._constants).pool(asked)
        trained = found.steps * (asked.global_batch_seqs or 1) * asked.seq_len
        place = {(o.option.label, o.precision, o.gpus): k for k, o in enumerate(self.offers)}
        s_per_token = np.full(len(self.offers), np.inf)
        usd_per_token, mfu = s_per_token.copy(), np.zeros(len(self.offers))
        for row in champions(found):
            tables = found.results[found.place(int(row))[0]].tables
            k = place[tables.option.label, tables.case.precision, int(found.gpus[row])]
            rate, _ = peak(tables.option.accelerator, tables.case.precision)
            s_per_token[k] = (found.run_s[row] - self.start.start_s[k]) / trained
            if found.priced and np.isfinite(found.cost[row]):
                usd_per_token[k] = (found.cost[row] - self.start.start_usd[k]) / trained
            mfu[k] = TRAIN_FLOP * law_params(architecture) / (s_per_token[k] * found.gpus[row] * (rate or np.inf))
        return Rates(s_per_token=s_per_token, usd_per_token=usd_per_token, mfu=mfu)

    def learn_start(self, architecture: Architecture, tokens: float) -> None:
        """Read what an offer takes before the first token off two short runs; it hardly moves with the model.

        The two runs have one batch, so that their pace is the same.
        """
        long = self.question(architecture, tokens)
        # A run shorter than a few steps has no length to speak of: two of one step would show no start at all.
        shorter = max(tokens / _SHORTER**2, (long.global_batch_seqs or 1) * long.seq_len * _SHORTER)
        lengths = (shorter, shorter * _SHORTER)
        amounts = [_trained(amount, long) for amount in lengths]
        before = self._question
        self._question = replace(before, global_batch_seqs=long.global_batch_seqs)
        ends = [self.rates(architecture, amount, COARSE) for amount in lengths]
        self._question = replace(self._question, conditions=None)
        bare = self.rates(architecture, lengths[-1], COARSE)
        self._question = before
        start_s, slope_s = _line(amounts, [each.s_per_token for each in ends])
        start_usd, slope_usd = _line(amounts, [each.usd_per_token for each in ends])
        # Where this model does not fit, the start is that of the nearest cluster of its kind: so much an accelerator.
        like = self._nearest(np.isfinite(slope_s) & np.isfinite(slope_usd))
        gpus = np.array([offer.gpus for offer in self.offers])
        self.start = Start(
            start_s=start_s[like],
            start_usd=start_usd[like] * gpus / gpus[like],
            pace_s=_over(slope_s, bare.s_per_token)[like],
            pace_usd=_over(slope_usd, bare.usd_per_token)[like],
        )

    def _nearest(self, known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the place of the known offer nearest to each: of its option first, then of its size; else itself."""
        if not known.any():
            return np.arange(len(self.offers))

        def nearest(offer: Offer) -> int:
            def far(k: int) -> tuple[bool, bool, float]:
                other = self.offers[k]
                size = abs(float(np.log(other.gpus / offer.gpus)))
                return other.option is not offer.option, other.precision != offer.precision, size

            return min((int(k) for k in np.flatnonzero(known)), key=far)

        return np.array([nearest(offer) for offer in self.offers])

    def coarse(self, architecture: Architecture, tokens: float) -> Rates:
        """Return rates without context parallelism, and with the interruptions of the start's model."""
        before, start = self._question, self.start
        self._question = replace(before, conditions=None)
        self.start = replace(start, start_s=np.zeros(len(self.offers)), start_usd=np.zeros(len(self.offers)))
        bare = self.rates(architecture, tokens, COARSE)
        self._question, self.start = before, start
        return Rates(
            s_per_token=bare.s_per_token * start.pace_s,
            usd_per_token=bare.usd_per_token * start.pace_usd,
            mfu=bare.mfu / start.pace_s,
        )

    def __call__(self, architecture: Architecture, tokens: Array) -> Evaluated:
        """Return time and cost on every offer, with every layout: the evaluator of ``tabulate``."""
        rates = self.rates(architecture, float(np.median(tokens)))
        return Evaluated(
            offers=tuple(offer.label for offer in self.offers),
            run_s=self.start.start_s[:, None] + rates.s_per_token[:, None] * tokens,
            cost_usd=self.start.start_usd[:, None] + rates.usd_per_token[:, None] * tokens,
            mfu=np.repeat(rates.mfu[:, None], len(tokens), axis=1),
        )

    def cheapest_flop_usd(self) -> float:
        """Return a guess of the price of a FLOP on the cheapest offer, to place the sizes."""
        found = []
        for option in self._question.options:
            for precision in self._question.precisions:
                rate, _ = peak(option.accelerator, precision)
                if rate is not None and option.median_usd_per_s is not None:
                    found.append(option.median_usd_per_s / (rate * GUESSED_MFU))
        if not found:
            fix = "choose accelerators with a price, or give quotes with --catalog"
            raise InputError([Problem("on", "has no accelerator with a price", fix=fix)])
        return min(found)

    def gpu_hour_usd(self) -> float:
        """Return the least price of an hour of one accelerator."""
        prices = [o.median_usd_per_s for o in self._question.options if o.median_usd_per_s is not None]
        return min(prices, default=0.0) * HOUR_S

    def near(self, choice: Choice) -> tuple[int, ...]:
        """Return the numbers of accelerators within twice that of a choice."""
        gpus = next(each.gpus for each in self.offers if each.label == choice.offer)
        return tuple(sorted({o.gpus for o in self.offers if gpus <= 2 * o.gpus and o.gpus <= 2 * gpus}))

    def plan(self, choice: Choice) -> Answer:
        """Return the plan behind a choice: its layout on its offer."""
        offer = next(each for each in self.offers if each.label == choice.offer)
        asked = replace(
            self.question(choice.architecture, choice.tokens),
            options=(offer.option,),
            gpu_counts=(offer.gpus,),
            precisions=(offer.precision,),
        )
        return plan(asked, self._catalog, self._constants)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frontier:
    """The answer of the first law with its table, from which every other answer is read."""

    planner: Planner
    table: Table
    joint: Joint


def frontier(
    planner: Planner,
    limits: Limits,
    law: Law,
    sparsity: Sparsity | None = None,
    family: Sequence[Architecture] = (),
) -> Frontier:
    """Return the joint optimum over sixty sizes, or a family; the planner is asked with every layout around the best.

    Models of a family are of any shape, so all of them are asked for; shapes of one kind are read between ten.
    """
    if limits.budget_usd < planner.gpu_hour_usd():
        fix = f"give at least ${planner.gpu_hour_usd():.2f}, and for a model that is of use far more"
        raise InputError([Problem("budget", "is less than an hour of one accelerator", limits.budget_usd, fix=fix)])
    flop = limits.budget_usd / planner.cheapest_flop_usd()
    shapes = sorted(family, key=law_params) or _shapes(_guess(law, flop, limits), sparsity)
    hints = {each.name: flop / (TRAIN_FLOP * law_params(each)) for each in shapes}
    planner.learn_start(shapes[0], hints[shapes[0].name])  # the smallest fits on every offer
    table = _coarse(planner, shapes, hints, len(shapes) if family else ANCHORS)
    exact: set[int] = set()
    joint = joint_optimum(table, limits, law)
    for _ in range(_ROUNDS):
        if joint.chosen is None:
            break
        best = shapes.index(joint.chosen.architecture)
        again = set(range(max(best - _AROUND, 0), min(best + _AROUND + 1, len(shapes)))) - exact
        if not again:
            break
        near = planner.near(joint.chosen)
        for k in sorted(again):
            table = _replaced(planner, table, k, planner.rates(shapes[k], hints[shapes[k].name], None, near), near)
        exact |= again
        joint = joint_optimum(table, limits, law)
    return Frontier(planner=planner, table=table, joint=joint)


def _guess(law: Law, flop: float, limits: Limits) -> float:
    """Return about the best size if a FLOP had one price: where the sizes to try are centred."""
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


def _shapes(middle: float, sparsity: Sparsity | None) -> list[Architecture]:
    """Return different shapes around a size, smallest first; sizes that have none are left out."""
    found: dict[float, Architecture] = {}
    for size in sizes(middle / BELOW, middle * ABOVE, SIZES):
        try:
            made = shape(float(size), sparsity=sparsity)
        except InputError:
            continue
        found[law_params(made)] = made
    if not found:
        fix = "give a larger budget"
        raise InputError([Problem("budget", f"buys no model of {middle:.3g} parameters or so", fix=fix)])
    return [found[size] for size in sorted(found)]


def _coarse(planner: Planner, shapes: Sequence[Architecture], hints: Mapping[str, float], anchors: int) -> Table:
    """Return the table of all sizes, from the planner's answers about some of them."""
    params = np.array([law_params(each) for each in shapes])
    places = np.unique(np.linspace(0, len(shapes) - 1, anchors).round().astype(int))
    asked = [planner.coarse(shapes[k], hints[shapes[k].name]) for k in places]

    def between(values: Array) -> Array:
        """Read (anchor, offer) at every size: a FLOP's logarithm is straight in that of the size."""
        with np.errstate(invalid="ignore"):
            logs = np.log(values / params[places][:, None])
            columns = [np.interp(np.log(params), np.log(params[places]), column) for column in logs.T]
        every = np.exp(np.stack(columns, axis=1)) * params[:, None]
        return np.where(np.isfinite(every), every, np.inf)

    s_per_token = between(np.stack([each.s_per_token for each in asked]))
    usd_per_token = between(np.stack([each.usd_per_token for each in asked]))
    mfu = np.stack([np.interp(params, params[places], column) for column in np.array([r.mfu for r in asked]).T], axis=1)
    tokens = params[:, None] * np.geomspace(LEAST_RATIO, MOST_RATIO, GRID)
    return Table(
        architectures=tuple(shapes),
        offers=tuple(offer.label for offer in planner.offers),
        tokens=tokens,
        run_s=planner.start.start_s[:, None] + s_per_token[:, :, None] * tokens[:, None, :],
        cost_usd=planner.start.start_usd[:, None] + usd_per_token[:, :, None] * tokens[:, None, :],
        mfu=np.repeat(mfu[:, :, None], GRID, axis=2),
    )


def _replaced(planner: Planner, table: Table, k: int, rates: Rates, gpu_counts: tuple[int, ...]) -> Table:
    """Return the table with one size, on offers of these counts, as the planner has it."""
    asked = np.array([offer.gpus in gpu_counts for offer in planner.offers])
    run_s, cost_usd = table.run_s.copy(), table.cost_usd.copy()
    every_s = planner.start.start_s[:, None] + rates.s_per_token[:, None] * table.tokens[k]
    every_usd = planner.start.start_usd[:, None] + rates.usd_per_token[:, None] * table.tokens[k]
    run_s[k, asked], cost_usd[k, asked] = every_s[asked], every_usd[asked]
    mfu = None if table.mfu is None else table.mfu.copy()
    if mfu is not None:
        mfu[k, asked] = rates.mfu[asked, None]
    return replace(table, run_s=run_s, cost_usd=cost_usd, mfu=mfu)


def _trained(tokens: float, question: Question) -> float:
    """Return the tokens of whole steps."""
    step = (question.global_batch_seqs or 1) * question.seq_len
    return float(np.ceil(tokens / step) * step)


def _line(amounts: Sequence[float], rates: Sequence[Array]) -> tuple[Array, Array]:
    """Return start and slope of the straight line through two amounts; no start where one of them is missing."""
    (short, long), (low, high) = amounts, (rates[0] * amounts[0], rates[1] * amounts[1])
    with np.errstate(invalid="ignore"):
        slope = (high - low) / (long - short)
        start = low - slope * short
    known = np.isfinite(start)
    return np.where(known, np.maximum(start, 0.0), 0.0), np.where(known, slope, np.inf)


def _over(slope: Array, bare: Array) -> Array:
    """Return a ratio of at least one; one where either is not known."""
    known = np.isfinite(slope) & np.isfinite(bare)
    return np.where(known, np.maximum(np.divide(slope, np.where(known, bare, 1.0)), 1.0), 1.0)


def on_line(line: Sequence[Choice], law: Law) -> Choice:
    """Return the point of an isocost line that an allocation without a loss would choose."""

    def distance(choice: Choice) -> float:
        best, _ = allocate(law, TRAIN_FLOP * choice.params * choice.tokens)
        return float(np.abs(np.log(choice.params / best)))

    return min(line, key=distance)
