"""Train now, or wait for a cheaper price or the next chip?

Nobody knows which way prices go: the answer is given for a fall, a standstill and a rise, with the chip on time, late,
and not at all, and never as one number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.errors import Problem
from isocost.money.check import NOT_NEGATIVE, POSITIVE, YEAR_S, problems_of, refuse
from isocost.num import Num
from isocost.term import term


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

    def __post_init__(self) -> None:
        """Refuse impossible inputs, and a scenario of prices that looks one way only, all at once."""
        found = problems_of(self, _BOUNDS, "wait")
        ratios = [float(ratio) for ratio in self.yearly_price_ratio.values()]
        place = "wait.yearly_price_ratio"
        if any(not np.isfinite(ratio) or ratio <= 0 for ratio in ratios):
            found.append(Problem(place, "has a ratio that is not above 0", fix="0.7 is a fall of 30 % a year"))
        elif not ratios or min(ratios) > 1.0 or max(ratios) < 1.0:
            fix = 'give both directions, such as {"falls": 0.7, "rises": 1.3}'
            found.append(Problem(place, "looks one way only", fix=fix))
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaitAnswer:
    """Training now, and every future of waiting."""

    now_usd: Num
    now_done_s: Num
    now_total_usd: Num
    scenarios: tuple[Scenario, ...]

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
    chips: dict[str, tuple[Num, Num, Num]] = {
        "next chip on time": (i.wait_s, i.speedup, i.new_price_ratio),
        "next chip late": (i.wait_s + i.late_s, i.speedup, i.new_price_ratio),
        "same chip": (i.wait_s, 1.0, 1.0),
    }
    scenarios = tuple(
        _scenario(i, prices, ratio, chip, *values)
        for prices, ratio in i.yearly_price_ratio.items()
        for chip, values in chips.items()
    )
    total = now + delay_usd(delay_s=run, delay_usd_per_s=i.delay_usd_per_s)
    return WaitAnswer(now_usd=now, now_done_s=run, now_total_usd=total, scenarios=scenarios)


def _scenario(
    i: WaitInputs, prices: str, ratio: float, chip: str, wait_s: Num, speedup: Num, price_ratio: Num
) -> Scenario:
    run, now = np.divide(i.accelerator_s, i.gpus), i.accelerator_s * i.price_usd_per_s
    price = future_price_usd_per_s(
        price_usd_per_s=i.price_usd_per_s * price_ratio, yearly_ratio=ratio, years=np.divide(wait_s, YEAR_S)
    )
    bill = np.divide(i.accelerator_s, speedup) * price
    done = wait_s + np.divide(run, speedup)
    total = bill + delay_usd(delay_s=done, delay_usd_per_s=i.delay_usd_per_s)
    later = done - run
    tie = np.where(later > 0, np.divide(now - bill, np.where(later > 0, later, 1.0)), np.inf)[()]
    return Scenario(
        prices=prices,
        chip=chip,
        bill_usd=bill,
        done_s=done,
        total_usd=total,
        saved_usd=now + delay_usd(delay_s=run, delay_usd_per_s=i.delay_usd_per_s) - total,
        tie_delay_usd_per_s=np.maximum(tie, 0.0),
    )
