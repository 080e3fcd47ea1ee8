"""The planner as an evaluator: time, money and utilisation of any architecture on every offer, as straight lines.

A run takes something before its first token (bring-up, start) and a pace for every token after it. Interruptions hardly
move with the model, so they are learnt once; layouts and step times are searched for every architecture that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.records import peak
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.perf.constants import Constant
from isocost.scaling.solver import Array
from isocost.search.assumptions import with_batch
from isocost.search.plan import Searcher, plan
from isocost.search.pool import LIMITS, Evaluations, best_of_sizes, pool
from isocost.search.question import Answer, Option, Question
from isocost.units import HOUR_S
from isocost.verbs.frontier.candidates import Choice, Evaluated
from isocost.workload.architecture import Architecture
from isocost.workload.flops import train_flop_per_token

COARSE: Final[Mapping[str, object]] = {"cp": 1}  # of layouts away from the optimum
GUESSED_MFU: Final = 0.4  # to place the sizes only
_SHORTER: Final = 8.0  # of two runs that show what is taken before the first token


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rates:
    """What the steps of one architecture take a token on every offer; infinity where it does not fit or has no price.

    Money is the rent of the steps; what interrupts them, and all other lines of the bill, are those of ``Start``.
    """

    s_per_token: Array
    usd_per_token: Array
    mfu: Array  # of the steps, as a plan reports it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """What a run takes on every offer before its first token, and a token over its steps alone.

    ``late`` and ``dear`` are time and bill that are kept with the probability asked for, over their medians.
    """

    start_s: Array
    start_usd: Array
    pace_s: Array
    pace_usd: Array
    late: Array
    dear: Array


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
        self._question = replace(question, deadline_s=None, budget_usd=None, tornado=False)
        self._catalog = catalog
        self._constants = constants
        self.offers = tuple(
            Offer(option=option, precision=precision, gpus=gpus)
            for option in question.options
            for precision in question.precisions
            for gpus in sorted(set(question.gpu_counts))
        )
        self._place = {(o.option.label, o.precision, o.gpus): k for k, o in enumerate(self.offers)}
        peaks = [peak(o.option.accelerator, o.precision)[0] or np.inf for o in self.offers]
        self._flop_per_s = np.array([o.gpus for o in self.offers]) * np.array(peaks)  # dense, of the whole offer
        self.asked = 0
        none, alike = np.zeros(len(self.offers)), np.ones(len(self.offers))
        self.start = Start(start_s=none, start_usd=none, pace_s=alike, pace_usd=alike, late=alike, dear=alike)

    @property
    def seq_len(self) -> int:
        """Tokens of a sequence."""
        return self._question.seq_len

    @property
    def confidence(self) -> float:
        """The probability with which limits are kept."""
        return self._question.confidence

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
        """Return the steps of the fastest layout of every offer; the batch is that for ``tokens``."""
        return self._rates(architecture, self._steps(architecture, tokens, fixed, gpu_counts))

    def _steps(
        self,
        architecture: Architecture,
        tokens: float,
        fixed: Mapping[str, object] | None,
        gpu_counts: tuple[int, ...] = (),
    ) -> Evaluations:
        """Return all layouts of one architecture as if nothing interrupted them."""
        self.asked += 1
        asked = replace(self.question(architecture, tokens), conditions=None)
        if gpu_counts:
            asked = replace(asked, gpu_counts=gpu_counts)
        if fixed:
            asked = replace(asked, fixed={**fixed, **asked.fixed})
        return Searcher(self._catalog, self._constants).pool(asked)

    def _rates(self, architecture: Architecture, found: Evaluations) -> Rates:
        trained = _trained(found.question)
        s_per_token, usd_per_token = self._best(found, found.run_s) / trained, self._best(found, found.cost) / trained
        if not found.priced:
            usd_per_token = np.full(len(self.offers), np.inf)
        flop = train_flop_per_token(architecture, self.seq_len, causal=False)
        mfu = flop / (s_per_token * self._flop_per_s)
        measured = self._question.measured_mfu
        if measured is not None:  # takes the place of what was predicted, whatever the layout
            s_per_token, usd_per_token = s_per_token * mfu / measured, usd_per_token * mfu / measured
            mfu = np.where(mfu > 0.0, measured, 0.0)
        return Rates(s_per_token=s_per_token, usd_per_token=usd_per_token, mfu=mfu)

    def _best(self, found: Evaluations, column: Array) -> Array:
        """Return a column of the fastest layout of every offer; infinity where there is none within the power."""
        values = np.full(len(self.offers), np.inf)
        for row in best_of_sizes(found):
            tables = found.results[found.place(int(row))[0]].tables
            if found.limit[row] != LIMITS.index("power") and np.isfinite(column[row]):
                place = (tables.option.label, tables.case.precision, int(found.gpus[row]))
                values[self._place[place]] = column[row]
        return values

    def learn_start(self, architecture: Architecture, tokens: float) -> bool:
        """Read what precedes the first token, and what interrupts the rest, off runs of two lengths.

        The two runs have one batch, so that their steps are the same, and are evaluated once. Whether any offer could
        train the model is returned.
        """
        steps = self._steps(architecture, tokens, COARSE)
        rates = self._rates(architecture, steps)
        conditions = self._question.conditions
        # A run shorter than a few steps has no length to speak of: two of one step would show no start at all.
        batch = (steps.question.global_batch_seqs or 1) * steps.question.seq_len
        shorter = max(tokens / _SHORTER**2, batch * _SHORTER)
        asked = [replace(steps.question, conditions=conditions, tokens=n) for n in (shorter, shorter * _SHORTER)]
        ends = [pool(each, steps.results, steps.sites, self._catalog) for each in asked]
        amounts = [_trained(each) for each in asked]
        start_s, slope_s = _line(amounts, [self._best(end, end.run_s) for end in ends])
        start_usd, slope_usd = _line(amounts, [self._best(end, end.cost) for end in ends])
        # Where this model does not fit, the start is that of the nearest cluster of its kind: so much an accelerator.
        known = np.isfinite(slope_s) & np.isfinite(slope_usd)
        like = self._nearest(known)
        gpus = np.array([offer.gpus for offer in self.offers])
        self.start = Start(
            start_s=start_s[like],
            start_usd=start_usd[like] * gpus / gpus[like],
            pace_s=_over(slope_s, rates.s_per_token)[like],
            pace_usd=_over(slope_usd, rates.usd_per_token)[like],
            late=_known(self._best(ends[-1], ends[-1].run_quantile_ratio))[like],
            dear=_known(self._best(ends[-1], ends[-1].cost_quantile_ratio))[like],
        )
        return bool(known.any())

    def learn_pace(self, label: str, plan: Answer, time: float, cost: float) -> None:
        """Take over from a plan on an offer how much longer and dearer runs on it are, and how sure both are."""
        on, at = np.array([offer.label == label for offer in self.offers]), self.start
        late, dear = 1.0, 1.0
        if plan.forecast is not None:
            late = _sure(plan.forecast.wall_s, self.confidence)
            dear = 1.0 if plan.forecast.cost_usd is None else _sure(plan.forecast.cost_usd, self.confidence)
        self.start = Start(
            start_s=np.where(on, at.start_s * time, at.start_s),
            start_usd=np.where(on, at.start_usd * cost, at.start_usd),
            pace_s=np.where(on, at.pace_s * time, at.pace_s),
            pace_usd=np.where(on, at.pace_usd * cost, at.pace_usd),
            late=np.where(on, late, at.late),
            dear=np.where(on, dear, at.dear),
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

    def __call__(self, architecture: Architecture, tokens: Array) -> Evaluated:
        """Return time and cost on every offer, with every layout: the evaluator of ``tabulate``."""
        rates = self.rates(architecture, float(np.median(tokens)))
        run_s, cost_usd = self.lines(rates.s_per_token, rates.usd_per_token, tokens)
        return Evaluated(
            offers=tuple(offer.label for offer in self.offers), run_s=run_s, cost_usd=cost_usd, mfu=rates.mfu
        )

    def lines(self, s_per_token: Array, usd_per_token: Array, tokens: Array) -> tuple[Array, Array]:
        """Return time and bill of runs, (..., offer, tokens), from the steps a token, (..., offer)."""
        at = self.start
        grid = tokens[..., None, :]
        run_s = at.start_s[:, None] + (s_per_token * at.pace_s)[..., None] * grid
        return run_s, at.start_usd[:, None] + (usd_per_token * at.pace_usd)[..., None] * grid

    def cheapest_flop_usd(self) -> float:
        """Return a guess of the price of a FLOP on the cheapest offer, to place the sizes."""
        found = []
        for option in self._question.options:
            for precision in self._question.precisions:
                rate, _ = peak(option.accelerator, precision)
                if rate is not None and option.median_usd_per_s is not None:
                    found.append(option.median_usd_per_s / (rate * GUESSED_MFU))
        if not found:
            fix = "choose accelerators, or a term, with a price, or give quotes in a catalogue of your own"
            raise InputError([Problem("on", "has no accelerator with a price", fix=fix)])
        return min(found)

    def most_flop(self, deadline_s: float) -> float:
        """Return a guess of the arithmetic that the fastest offer does within a time, to place the sizes."""
        rates = self._flop_per_s[np.isfinite(self._flop_per_s)]
        return float(rates.max(initial=0.0)) * GUESSED_MFU * deadline_s

    def gpu_hour_usd(self) -> float:
        """Return the least price of an hour of one accelerator."""
        prices = [o.median_usd_per_s for o in self._question.options if o.median_usd_per_s is not None]
        return min(prices, default=0.0) * HOUR_S

    def offer(self, choice: Choice) -> Offer:
        """Return the offer of a choice."""
        return next(each for each in self.offers if each.label == choice.offer)

    def near(self, choice: Choice) -> tuple[int, ...]:
        """Return the numbers of accelerators within twice that of a choice."""
        gpus = self.offer(choice).gpus
        return tuple(sorted({o.gpus for o in self.offers if gpus <= 2 * o.gpus and o.gpus <= 2 * gpus}))

    def plan(self, choice: Choice) -> Answer:
        """Return the plan behind a choice: its layout on its offer, and draws of the whole run."""
        offer = self.offer(choice)
        asked = replace(
            self.question(choice.architecture, choice.tokens),
            options=(offer.option,),
            gpu_counts=(offer.gpus,),
            precisions=(offer.precision,),
        )
        return plan(asked, self._catalog, self._constants)


def _trained(question: Question) -> float:
    """Return the tokens of the steps of a question."""
    return float(question.steps * (question.global_batch_seqs or 1) * question.seq_len)


def _line(amounts: Sequence[float], values: Sequence[Array]) -> tuple[Array, Array]:
    """Return start and slope of the straight line through two amounts; no start where one of them is missing."""
    (short, long), (low, high) = amounts, values
    with np.errstate(invalid="ignore"):
        slope = (high - low) / (long - short)
        start = low - slope * short
    known = np.isfinite(start)
    return np.where(known, np.maximum(start, 0.0), 0.0), np.where(known, slope, np.inf)


def _over(slope: Array, steps: Array) -> Array:
    """Return a ratio; one where either is not known. A bill grows slower than the rent where a term is paid anyway."""
    known = np.isfinite(slope) & np.isfinite(steps)
    return np.where(known, np.divide(slope, np.where(known, steps, 1.0)), 1.0)


def _sure(draws: Array, confidence: float) -> float:
    """Return what is kept with a probability, over the median."""
    return float(np.quantile(draws, confidence) / np.median(draws))


def _known(ratio: Array) -> Array:
    return np.where(np.isfinite(ratio), ratio, 1.0)
