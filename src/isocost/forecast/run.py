"""One evaluation of a whole run: wall clock by bucket and bill by line, at medians or at draws of every input.

The uncertain inputs have names. Draws of them broadcast over GPU counts: with counts of shape (k, 1) and draws of
shape (n,) one call gives (k, n).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.catalog.prices import distribution_of
from isocost.catalog.reliability import load_reliability
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.money.bill import Bill, BillInputs, bill
from isocost.money.energy import EnergyInputs, energy_use
from isocost.money.terms import OWNED, terms_of
from isocost.num import Num
from isocost.reliability import facts
from isocost.reliability.buckets import BUCKETS, GoodputBreakdown
from isocost.reliability.closed_form import goodput
from isocost.reliability.conditions import Conditions
from isocost.reliability.defaults import inputs_of
from isocost.reliability.inputs import GoodputInputs
from isocost.reliability.monte_carlo import simulate
from isocost.reliability.shape import RunShape
from isocost.stats.distributions import Distribution, Fixed, SplitLognormal

# Facts of cost: the input, and kind and id in the catalog.
_COSTS = {
    "storage price": ("storage", "parallel"),
    "egress price": ("egress", "cloud"),
    "staff per GPU": ("staffing", "infrastructure"),
    "salary": ("salary", "infrastructure"),
}
WEIGHT_BYTES = 2.0  # of a parameter of the finished model that leaves the provider, in 16 bits


def uncertain(run: RunShape, conditions: Conditions, catalog: Catalog) -> dict[str, Distribution | float]:
    """Return every uncertain input of a forecast by name; what is not uncertain is left to medians."""
    found = facts.uncertain(run, conditions)
    if run.price_usd_per_s is not None:
        cheap, middle, dear = run.price_usd_per_s
        found[run.price_name] = (
            SplitLognormal(low=cheap, median=middle, high=dear) if 0 < cheap < dear else Fixed(value=middle)
        )
        for name, (kind, key) in _COSTS.items():
            found[name] = distribution_of(catalog.rate(kind, key))
        if run.term == OWNED:
            found |= {kind: distribution_of(catalog.rate(kind, key)) for kind, key in _energy(run)}
    known = {name: value for name, value in conditions.given.items() if name in found or name in _COSTS}
    return found | known


def _energy(run: RunShape) -> tuple[tuple[str, str], ...]:
    return (("pue", run.pue), ("electricity", run.electricity), ("draw", run.draw))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """A whole run at some values of its inputs."""

    time: GoodputBreakdown
    bill: Bill | None  # None: not priced
    energy_j: Num | None  # None: the power of the chip is not known

    @property
    def total_usd(self) -> Num | None:
        """Everything on the bill."""
        return None if self.bill is None else self.bill.total_usd


def endless() -> InputError:
    """Return the complaint about a run that stops too often to get anywhere."""
    fix = "check [reliability] failures and [checkpoint] interval, or take fewer GPUs"
    return InputError([Problem("reliability", "stops the run so often that it does not end", fix=fix)])


def evaluate(
    run: RunShape, conditions: Conditions, catalog: Catalog, values: Mapping[str, Num], *, single_runs: int = 0
) -> Evaluated:
    """Return time and bill of a run at values of the uncertain inputs, medians for those not named.

    Both are what can be expected; with ``single_runs`` they are those of so many single runs, one for each draw, with
    the noise of the stops that each happens to have.
    """
    inputs = inputs_of(run, conditions, values).inputs
    with np.errstate(all="ignore"):  # of a run that never ends, which is said below
        time = goodput(inputs)
    if not np.all(np.isfinite(np.asarray(time.wall_s))):
        raise endless()
    if single_runs:
        time = with_single_run_noise(inputs, time, single_runs, conditions.seed)
    held = time.wall_s
    used = None
    if run.tdp_w is not None:
        rates = {kind: values.get(kind, catalog.rate(kind, key).median) for kind, key in _energy(run)}
        used = energy_use(
            EnergyInputs(
                gpus=run.gpus,
                held_s=held,
                tdp_w=run.tdp_w,
                power_over_tdp=run.power_over_tdp,
                pue=rates["pue"],
                draw_frac=rates["draw"],
                electricity_usd_per_j=rates["electricity"],
            )
        )
    owned_usd = 0.0 if used is None or run.term != OWNED else used.energy_usd
    paid = None if run.price_usd_per_s is None else _bill(run, conditions, catalog, values, time, owned_usd)
    return Evaluated(time=time, bill=paid, energy_j=None if used is None else used.energy_j)


def _bill(
    run: RunShape, c: Conditions, catalog: Catalog, values: Mapping[str, Num], time: GoodputBreakdown, energy_usd: Num
) -> Bill:
    assert run.price_usd_per_s is not None
    rates = {name: catalog.rate(kind, key).median for name, (kind, key) in _COSTS.items()} | facts.stated(c, values)
    price = values.get(run.price_name, run.price_usd_per_s[1])
    usual = 0.0 if run.term == OWNED else rates["staff per GPU"] * run.gpus  # people are in the price of owning
    people = usual if c.people is None else c.people
    return bill(
        BillInputs(
            terms=terms_of(run.term, price, c.recovered_frac, c.host_usd_per_s),
            gpus=run.gpus,
            useful_s=time.useful_s,
            lost_s=np.maximum(time.wall_s - time.useful_s - time.bring_up_s, 0.0),
            bring_up_s=time.bring_up_s,
            data_bytes=run.tokens * load_reliability().default("token-bytes").median,
            checkpoint_bytes=run.state_bytes * c.checkpoints_kept,
            storage_usd_per_bytes_per_s=rates["storage price"],
            egress_bytes=run.params * WEIGHT_BYTES,
            egress_usd_per_bytes=rates["egress price"],
            energy_usd=energy_usd,
            people=people,
            salary_usd_per_s=rates["salary"],
            failed_runs=c.failed_runs,
            exploratory_runs=c.exploratory_runs,
            support_frac=c.support_frac,
            raised_usd=c.raised_usd,
        )
    )


# Of all draws together. With thousands of stops a run they average out, and to draw them is slow.
MOST_STOPS = 3_000_000


def with_single_run_noise(inputs: GoodputInputs, expected: GoodputBreakdown, runs: int, seed: int) -> GoodputBreakdown:
    """Return what became of each of so many runs where ``expected`` is what can be expected of each."""
    stops = np.broadcast_to(expected.interruptions + expected.planned_stops, (runs,))
    if not float(np.sum(stops)) <= MOST_STOPS:
        return expected
    columns = simulate(inputs, runs, seed).columns
    names = ("wall_s", "interruptions", "planned_stops", *BUCKETS)
    return dataclasses.replace(expected, **{name: columns[name] for name in names})
