"""The ways to pay for a run, each with its bill: rented, reserved, on spot, in a block, owned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isocost.catalog.prices import Price, block_limits, price_of
from isocost.catalog.reliability import load_reliability
from isocost.catalog.store import Catalog
from isocost.forecast import Forecast, forecast
from isocost.forecast.run import evaluate
from isocost.money.own import OwnedInputs, owned_cost
from isocost.money.terms import CAPACITY_BLOCK, COMMITMENTS, ON_DEMAND, OWNED, RESERVED_1Y, RESERVED_3Y, SPOT
from isocost.reliability.conditions import Conditions
from isocost.reliability.shape import RunShape
from isocost.reliability.spot import CALM, CONTENDED
from isocost.scenario.owned import owned_inputs_of
from isocost.scenario.record import Scenario
from isocost.stats.distributions import draw
from isocost.stats.quantiles import quantiles
from isocost.units import DAY_S, HOUR_S, YEAR_S, show

RENTED: Final = (ON_DEMAND, RESERVED_1Y, RESERVED_3Y, CAPACITY_BLOCK)
POOLS: Final = (CALM, CONTENDED)
DRAWS: Final = 1000
_REUSED: Final = 0.5  # share of idle time in the example of what resale would change
# A run that takes ten times as long as on capacity that stays is one that nobody would wait for.
_LONGEST: Final = 10.0
_LIKELY: Final = 0.9
_NODES: Final = tuple(np.unique(np.geomspace(1, 16_384, 113).astype(int)).tolist())

Ends = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOption:
    """One way to pay: price of an hour, and what the run costs on it. Without a bill, ``note`` says why."""

    name: str
    price: Ends | None  # USD an hour in use: low, median, high
    as_of: str = ""  # of the price
    bill: Ends | None = None  # USD: p05, p50, p95
    idle_usd: float = 0.0  # part of the bill for time committed and not used
    used_usd_per_hour: float | None = None  # all lines, over hours held
    useful_usd_per_hour: float | None = None  # over hours of kept steps
    ends_frac: float = 1.0  # chance that the run ends: less than 1 on spot capacity
    note: str = ""

    @property
    def bill_usd(self) -> float | None:
        """The median of the bill."""
        return None if self.bill is None else self.bill[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PayingRun:
    """A run that somebody has to pay for."""

    run: RunShape
    conditions: Conditions
    catalog: Catalog
    scenario: Scenario

    def forecast(self, **changes: object) -> Forecast:
        """Return the forecast with fields of the run changed."""
        return forecast(replace(self.run, **changes), self.conditions, self.catalog, bars=False)  # type: ignore[arg-type]

    def price(self, term: str) -> Price | None:
        """Return the market price of its accelerator on a term."""
        return price_of(self.catalog, self.run.chip, term)


def payment_options(paying_run: PayingRun, years: Sequence[float]) -> tuple[PaymentOption, ...]:
    """Return all ways, priced or with the reason why they are not."""
    # A price of the catalog has its host in it; what [purchase] says of a host is of the user's own price.
    market = replace(paying_run, conditions=replace(paying_run.conditions, host_usd_per_s=0.0))
    ways = [_rented(market, term) for term in RENTED]
    ways[1:1] = [_on_spot(market, pool) for pool in POOLS]
    quoted = paying_run.scenario.purchase.price_usd_per_s is not None
    return (*([_quoted(paying_run)] if quoted else []), *ways, *(_owned(market, horizon) for horizon in years))


def _quoted(paying_run: PayingRun) -> PaymentOption:
    """Return the price that the scenario states, on the term of the plan."""
    ends, term = paying_run.run.price_usd_per_s, paying_run.run.term
    assert ends is not None
    way = _way(f"your price, {_words(term)}", ends, "yours", paying_run.forecast())
    return _with_idle(paying_run, term, ends, way)


def _words(term: str) -> str:
    return term.replace("_", " ")


def _ends_of(price: Price) -> Ends:
    return price.low_usd_per_s, price.median_usd_per_s, price.high_usd_per_s


def _hours(price_s: Ends) -> Ends:
    low, median, high = (float(x) * HOUR_S for x in price_s)
    return low, median, high


def _dated(price: Price) -> str:
    return f"{price.fact.as_of}, {price.quotes} quote{'' if price.quotes == 1 else 's'}"


def _way(name: str, price_s: Ends, as_of: str, o: Forecast, note: str = "") -> PaymentOption:
    assert o.cost_usd is not None
    low, median, high = quantiles(o.cost_usd).tolist()
    return PaymentOption(
        name=name,
        price=_hours(price_s),
        as_of=as_of,
        bill=(low, median, high),
        used_usd_per_hour=median / float(np.median(o.gpu_hours)),
        useful_usd_per_hour=float(np.median(o.cost_usd / o.useful_gpu_hours)),
        note=note,
    )


def _rented(paying_run: PayingRun, term: str) -> PaymentOption:
    price = paying_run.price(term)
    if price is None:
        return PaymentOption(name=_words(term), price=None, note="nobody lists a price")
    ends = _ends_of(price)
    o = paying_run.forecast(term=term, price_usd_per_s=ends)
    if term == CAPACITY_BLOCK and (why := too_large_for_a_block(paying_run, o)):
        return PaymentOption(name=_words(term), price=_hours(ends), as_of=_dated(price), note=why)
    return _with_idle(paying_run, term, ends, _way(_words(term), ends, _dated(price), o))


def _with_idle(paying_run: PayingRun, term: str, ends: Ends, way: PaymentOption) -> PaymentOption:
    """Return a way with the part of its bill that is for time committed and not used."""
    if COMMITMENTS[term] == (0.0, 0.0):
        return way
    # What all of the idle time coming back would save is what is paid for it.
    idle_usd = (way.bill_usd or 0.0) - _recovering(paying_run, term, ends, 1.0)
    way = replace(way, idle_usd=max(idle_usd, 0.0))
    return replace(way, note=_commitment(paying_run, term, ends, way)) if way.idle_usd > 0 else way


def _recovering(paying_run: PayingRun, term: str, ends: Ends, share: float) -> float:
    """Return the median bill if so much of the price of idle time came back."""
    other = replace(paying_run, conditions=replace(paying_run.conditions, recovered_frac=share))
    cost = other.forecast(term=term, price_usd_per_s=ends).cost_usd
    assert cost is not None
    return float(np.median(cost))


def too_large_for_a_block(paying_run: PayingRun, o: Forecast) -> str:
    """Return why a run cannot be bought as a capacity block, or nothing."""
    limits = block_limits(paying_run.catalog, paying_run.run.chip)
    days = float(np.median(o.days))
    instances = float(paying_run.run.gpus) / limits.gpus_per_instance
    if instances <= limits.instances and days * DAY_S <= limits.longest_s:
        return ""
    asked = f"{instances:,.0f} instances of {limits.gpus_per_instance} for {days:,.0f} d"
    return f"not to be had for {asked}: {limits}"


def _commitment(paying_run: PayingRun, term: str, ends: Ends, way: PaymentOption) -> str:
    """Return what is billed beyond the run, and what its resale or reuse would change."""
    assert way.bill is not None
    years = COMMITMENTS[term][0] / YEAR_S
    length = "block" if term == CAPACITY_BLOCK else "year" if years == 1 else f"term of {years:g} years"
    share = paying_run.conditions.recovered_frac
    said = (
        f"the whole {length} of {paying_run.run.gpus:,.0f} GPUs is billed, and {show(way.idle_usd, 'USD')} of "
        f"{show(way.bill[1], 'USD')} ({way.idle_usd / way.bill[1]:.0%}) is for time that the run does not use"
    )
    if share > 0:
        return f"{said}, {share:.0%} of its price coming back ([purchase] resold)"
    median = show(_recovering(paying_run, term, ends, _REUSED), "USD")
    return f"{said}; {median} if resale or other work brings back half of that ([purchase] resold = {_REUSED})"


def unowned(paying_run: PayingRun) -> str:
    """Return why owning the accelerator of a run has no price, or nothing."""
    chip = paying_run.run.chip
    if ("server", chip) not in paying_run.catalog.rates and paying_run.scenario.owned.server_usd is None:
        return f"nobody lists a server of {chip}: give [owned] server"
    return "" if paying_run.run.tdp_w is not None else f"the power of {chip} is not known"


def _owned(paying_run: PayingRun, years: float) -> PaymentOption:
    """Return owning for some years; its price is of an hour in use, energy in."""
    name = f"owned, {years:g} y"
    if why := unowned(paying_run):
        return PaymentOption(name=name, price=None, note=why)
    drawn = draw(
        owned_inputs_of(paying_run.scenario, paying_run.catalog, paying_run.run.chip, years=float(years)), DRAWS
    )
    cost = owned_cost(OwnedInputs(**drawn))
    dry = quantiles(np.asarray(cost.total_usd_per_s - cost.energy_usd_per_s)).tolist()
    full = quantiles(np.asarray(cost.total_usd_per_s)).tolist()
    ends = (dry[0], dry[1], dry[2])
    stated = paying_run.scenario.owned.server_usd is not None
    as_of = "yours" if stated else f"{paying_run.catalog.rate('server', paying_run.run.chip).fact.as_of}, server"
    way = _way(name, ends, as_of, paying_run.forecast(term=OWNED, price_usd_per_s=ends))
    return replace(way, price=_hours((full[0], full[1], full[2])))


def _on_spot(paying_run: PayingRun, pool: str) -> PaymentOption:
    """Return spot capacity in one pool: pre-emption of any node stops the whole group."""
    name, price = f"spot, {pool} pool", paying_run.price(SPOT)
    if price is None:
        return PaymentOption(name=name, price=None, note="nobody lists a price")
    ends = _ends_of(price)
    o = paying_run.forecast(term=SPOT, price_usd_per_s=ends, pool=pool)
    firm = paying_run.forecast(term=ON_DEMAND)
    likely = float(np.mean(o.wall_s <= _LONGEST * firm.wall_s))
    note = f"{_rate(pool)}; {_pays(paying_run, ends, pool)}"
    if likely < _LIKELY:
        verdict = "a run does not end" if likely < 0.5 else f"a run ends in {likely:.0%} of the draws only"
        note = f"{verdict} within {_LONGEST:.0f} times its time: {note}"
        return PaymentOption(name=name, price=_hours(ends), as_of=_dated(price), ends_frac=likely, note=note)
    longer = float(np.median(o.wall_s / firm.wall_s))
    note = f"{longer:.2f} times as long as on capacity that stays: {note}"
    return replace(_way(name, ends, _dated(price), o, note), ends_frac=likely)


def _rate(pool: str) -> str:
    """Return how often a node is taken there, with its date."""
    facts = load_reliability()
    if pool == CALM:
        spread = facts.default("spot-calm-per-node-hour")
        low, high = (1.0 - np.exp(-end * DAY_S / HOUR_S * 30.4375) for end in (spread.low, spread.high))
        return f"{low:.0%} to {high:.0%} of nodes are taken a month (bands that AWS states, {spread.fact.as_of})"
    spread = facts.default("spot-per-node-hour")
    return f"a node is taken {spread.low:g} to {spread.high:g} times an hour (traces of V100, {spread.fact.as_of})"


def _pays(paying_run: PayingRun, ends: Ends, pool: str) -> str:
    """Return up to how many nodes spot costs less than on demand, at medians, for the same work at the same speed."""
    firm = paying_run.price(ON_DEMAND)
    if firm is None:
        return "no on-demand price to compare with"
    run, nodes = paying_run.run, np.array(_NODES, float)
    gpus = nodes * run.gpus_per_node
    sized = replace(run, gpus=gpus, step_s=run.step_s * run.gpus / gpus)
    there = replace(sized, term=SPOT, price_usd_per_s=ends, pool=pool)
    here = replace(sized, term=ON_DEMAND, price_usd_per_s=_ends_of(firm))
    both = [evaluate(side, paying_run.conditions, paying_run.catalog, {}).total_usd for side in (there, here)]
    cheaper = np.asarray(both[0]) < np.asarray(both[1])
    if cheaper.all():
        return f"cheaper than on demand at any size up to {nodes[-1]:,.0f} nodes"
    if not cheaper[0]:
        return "dearer than on demand at any size"
    return f"cheaper than on demand up to {nodes[np.argmin(cheaper) - 1]:,.0f} nodes"
