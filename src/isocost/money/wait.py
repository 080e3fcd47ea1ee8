"""Train now, or wait for a cheaper price or the next chip?

Nobody knows which way prices go: the answer is given for a fall, a standstill and a rise, with the chip on time, late,
and not at all, and never as one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.errors import Problem
from isocost.money.check import NOT_NEGATIVE, POSITIVE, problems_of, refuse
from isocost.num import Num
from isocost.term import term
from isocost.units import YEAR_S


@term(unit="USD/s", source="definition", domain={"yearly_ratio": (0.5, 2.0), "years": (0.0, 3.0)})
def future_price_usd_per_s(*, price_usd_per_s: Num, yearly_ratio: Num, years: Num) -> Num:
    """price * ratio^years

    Price some years from now when it changes by the same factor every year.

    price_usd_per_s: now. yearly_ratio: price a year on, over the price now. years: from now.
    Ignores: steps when supply arrives, which is how rents have in fact moved.
    Source: definition.
    """
    return price_usd_per_s * np.power(yearly_ratio, years)


@term(unit="USD", source="definition")
def delay_usd(*, delay_s: Num, delay_usd_per_s: Num) -> Num:
    """delay * value

    What it costs to have the result later: margin forgone, staff who wait, a lead that melts.

    delay_s: how much later. delay_usd_per_s: value of time.
    Ignores: that the first in a market may take all of it.
    Source: definition.
    """
    return delay_s * delay_usd_per_s


@term(unit="1", source="definition", domain={"years": (0.1, 3.0)})
def break_even_yearly_ratio(*, now_usd: Num, later_usd: Num, years: Num) -> Num:
    """(now / later)^(1 / years)

    Change of a price by which waiting costs as much as acting now: a year on, over now. Below it waiting is cheaper.

    now_usd: cost of acting now. later_usd: cost after the wait if the price did not move. years: of waiting.
    Source: definition.
    """
    return np.power(np.divide(now_usd, later_usd), np.divide(1.0, years))


_BOUNDS = {
    "accelerator_s": POSITIVE,
    "gpus": POSITIVE,
    "price_usd_per_s": NOT_NEGATIVE,
    "wait_s": NOT_NEGATIVE,
    "speedup": POSITIVE,
    "new_price_ratio": POSITIVE,
    "late_s": NOT_NEGATIVE,
    "delay_usd_per_s": NOT_NEGATIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaitInputs:
    """What the choice depends on. Prices are of one accelerator."""

    accelerator_s: Num  # the run on the chip of today, losses in
    gpus: Num
    price_usd_per_s: Num
    wait_s: Num  # until the next chip can be used, if it is on time
    yearly_price_ratio: Mapping[str, float]  # a year on, over now, by name: a fall and a rise
    speedup: Num = 1.0  # of the run on the next chip, an accelerator each
    new_price_ratio: Num = 1.0  # price of the next chip over today's chip's, both today
    late_s: Num = 0.0  # how much later it comes when it is late
    delay_usd_per_s: Num = 0.0  # value of having the result earlier
    # Of the next chip's price, under the same names; left out: as that of today's chip.
    new_yearly_price_ratio: Mapping[str, float] | None = None
    sold_today: bool = False  # the next chip can be had already, at ``new_price_ratio``

    def __post_init__(self) -> None:
        """Refuse impossible inputs, and a scenario of prices that looks one way only, all at once."""
        found = problems_of(self, _BOUNDS, "wait")
        new = self.yearly_price_ratio if self.new_yearly_price_ratio is None else self.new_yearly_price_ratio
        ratios = [float(ratio) for ratio in (*self.yearly_price_ratio.values(), *new.values())]
        place = "wait.yearly_price_ratio"
        if any(not np.isfinite(ratio) or ratio <= 0 for ratio in ratios):
            found.append(Problem(place, "has a ratio that is not above 0", fix="0.7 is a fall of 30 % a year"))
        elif not ratios or min(ratios) > 1.0 or max(ratios) < 1.0:
            fix = 'give both directions, such as {"falls": 0.7, "rises": 1.3}'
            found.append(Problem(place, "looks one way only", fix=fix))
        if set(new) != set(self.yearly_price_ratio):
            fix = f"name {', '.join(self.yearly_price_ratio)}"
            found.append(Problem("wait.new_yearly_price_ratio", "has other scenarios", ", ".join(new), fix=fix))
        refuse(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """One future: what waiting costs in it, beside training now."""

    prices: str  # falls, holds, rises, or a name of the user's
    chip: str  # on time, late, or the same chip
    bill_usd: Num
    done_s: Num  # from now
    total_usd: Num  # with the value of time
    saved_usd: Num  # against training now; negative: waiting loses
    tie_delay_usd_per_s: Num  # value of time at which waiting and training now are a tie; inf if it is no later
    tie_yearly_ratio: Num  # change of the price by which they are a tie, a year on over now; nan if there is none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaitAnswer:
    """Training now, and every future of waiting."""

    now_usd: Num
    now_done_s: Num
    now_total_usd: Num
    scenarios: tuple[Scenario, ...]
    today: Scenario | None = None  # the next chip without waiting, where it is sold

    @property
    def verdict(self) -> str:
        """In words: whether waiting pays in every future, in none, or in some."""
        pays = [bool(np.mean(np.asarray(scenario.saved_usd)) > 0) for scenario in self.scenarios]
        if all(pays):
            return "wait: it is cheaper in every scenario"
        if not any(pays):
            return "train now: waiting is dearer in every scenario"
        good = ", ".join(f"{s.prices} and {s.chip}" for s, pay in zip(self.scenarios, pays, strict=True) if pay)
        return f"waiting pays in {sum(pays)} of {len(pays)} scenarios: {good}"


def wait_or_train(inputs: WaitInputs) -> WaitAnswer:
    """Return the cost of training now and of waiting: prices that fall or rise, a chip on time, late or absent."""
    i = inputs
    run = np.divide(i.accelerator_s, i.gpus)
    now = i.accelerator_s * i.price_usd_per_s
    new = i.yearly_price_ratio if i.new_yearly_price_ratio is None else i.new_yearly_price_ratio
    chips: dict[str, tuple[Num, Num, Num, Mapping[str, float]]] = {
        "next chip on time": (i.wait_s, i.speedup, i.new_price_ratio, new),
        "next chip late": (i.wait_s + i.late_s, i.speedup, i.new_price_ratio, new),
        "same chip": (i.wait_s, 1.0, 1.0, i.yearly_price_ratio),
    }
    scenarios = tuple(
        _scenario(i, prices, ratios[prices], chip, *values)
        for prices in i.yearly_price_ratio
        for chip, (*values, ratios) in chips.items()
    )
    return WaitAnswer(
        now_usd=now,
        now_done_s=run,
        now_total_usd=now + delay_usd(delay_s=run, delay_usd_per_s=i.delay_usd_per_s),
        scenarios=scenarios,
        today=_scenario(i, "as now", 1.0, "next chip today", 0.0, i.speedup, i.new_price_ratio)
        if i.sold_today
        else None,
    )


def _scenario(
    i: WaitInputs, prices: str, ratio: float, chip: str, wait_s: Num, speedup: Num, price_ratio: Num
) -> Scenario:
    run, now = np.divide(i.accelerator_s, i.gpus), i.accelerator_s * i.price_usd_per_s
    today, years = i.price_usd_per_s * price_ratio, np.divide(wait_s, YEAR_S)
    price = future_price_usd_per_s(price_usd_per_s=today, yearly_ratio=ratio, years=years)
    work = np.divide(i.accelerator_s, speedup)
    bill, done = work * price, wait_s + np.divide(run, speedup)
    later = done - run
    saved = now - bill - delay_usd(delay_s=later, delay_usd_per_s=i.delay_usd_per_s)
    tie = np.where(later > 0, np.divide(now - bill, np.where(later > 0, later, 1.0)), np.inf)[()]
    affordable = saved + bill  # what the run may cost after the wait
    some = (np.asarray(affordable) > 0) & (np.asarray(years) > 0) & (np.asarray(work * today) > 0)
    even = break_even_yearly_ratio(
        now_usd=np.where(some, affordable, 1.0),
        later_usd=np.where(some, work * today, 1.0),
        years=np.where(some, years, 1.0),
    )
    return Scenario(
        prices=prices,
        chip=chip,
        bill_usd=bill,
        done_s=done,
        total_usd=bill + delay_usd(delay_s=done, delay_usd_per_s=i.delay_usd_per_s),
        saved_usd=saved,
        tie_delay_usd_per_s=np.maximum(tie, 0.0),
        tie_yearly_ratio=np.where(some, even, np.nan)[()],
    )
