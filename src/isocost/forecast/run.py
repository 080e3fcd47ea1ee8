"""One evaluation of a whole run: wall clock by bucket and bill by line, at medians or at draws of every input.

The uncertain inputs have names. Draws of them broadcast over GPU counts: with counts of shape (k, 1) and draws of
shape (n,) one call gives (k, n).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from isocost.catalog.prices import distribution_of
from isocost.catalog.reliability import Reliability, Spread, load_reliability
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.forecast.conditions import Conditions
from isocost.forecast.spot import CALM, SPOT_FACTS, preempted, spot_facts, spot_interval_s
from isocost.laws.checkpoint import checkpoint_bytes
from isocost.money.bill import Bill, BillInputs, bill
from isocost.money.energy import EnergyInputs, energy_use
from isocost.money.terms import OWNED, SPOT, terms_of
from isocost.num import Num
from isocost.reliability.buckets import BUCKETS, GoodputBreakdown
from isocost.reliability.causes import Draws, rate_prior
from isocost.reliability.closed_form import goodput
from isocost.reliability.defaults import Planned, from_plan
from isocost.reliability.inputs import GoodputInputs
from isocost.reliability.monte_carlo import simulate
from isocost.stats.distributions import Distribution, Fixed, Row, SplitLognormal
from isocost.stats.gamma import Gamma
from isocost.units import DAY_S

FAILURES = "failures per node-day"
# Facts of cost: the input, and kind and id in the catalogue.
_COSTS = {
    "storage price": ("storage", "parallel"),
    "egress price": ("egress", "cloud"),
    "staff per GPU": ("staffing", "infrastructure"),
    "salary": ("salary", "infrastructure"),
}
WEIGHT_BYTES = 2.0  # of a parameter of the finished model that leaves the provider, in 16 bits
# Facts that no part of a forecast reads.
_UNUSED = ("checkpoint-param", "power-exponent", "token-bytes", "node-write", "node-read")
_BY_SAVES = {"memory-save": "in-memory"}
_LEVEL = {"by-hand": "by_hand", "response": "response", "bring-up": "bring_up"}  # of the support level


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a forecast has to know of a plan; counts and times may be arrays."""

    chip: str
    gpus: Num
    gpus_per_node: Num
    step_s: Num
    steps: float
    tokens: float
    params: float
    band: tuple[float, float]  # 90 % interval of measured over predicted step time, as factors
    term: str
    price_usd_per_s: tuple[float, float, float] | None  # low, median, high of an accelerator; None: not priced
    tdp_w: float | None = None
    power_over_tdp: float = 1.0
    pue: str = "colocation"
    electricity: str = "us"
    draw: str = "gpu"
    pool: str = CALM  # of spot capacity, on that term
    param_state_bytes: float | None = None  # of a parameter in a checkpoint; None: as measured of published ones

    @property
    def step_name(self) -> str:
        """Name of the step time among the inputs: predictions for one chip are off together."""
        return f"step time on {self.chip}"

    @property
    def price_name(self) -> str:
        """Name of the price among the inputs."""
        return f"price of {self.chip}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """A fact of reliability as a distribution."""

    spread: Spread

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        return self.spread.at(rng.standard_normal(n))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """A rate of failures as a distribution."""

    gamma: Gamma

    def sample(self, rng: np.random.Generator, n: int) -> Row:
        return self.gamma.draw(rng, n)


def named_facts(facts: Reliability, conditions: Conditions) -> dict[str, Spread]:
    """Return the facts of reliability that a forecast under these conditions reads, by name."""
    level = facts.support_level(conditions.facility.support)
    place = conditions.facility
    unread = {*_UNUSED, *SPOT_FACTS}
    unread |= {name for name, saves in _BY_SAVES.items() if saves != conditions.saves}
    unread |= {"throttle-liquid" if place.cooling == "air" else "throttle-air"}
    unread |= set() if place.maintenance_s_per_month is None else {"maintenance"}
    unread |= set() if conditions.age_s is not None else {"early-failure", "early-decay"}
    unread |= {"copy-rate", "copy-start"} if conditions.saves == "synchronous" else set()
    found = {name: spread for name, spread in facts.defaults.items() if name not in unread}
    return found | {name: getattr(level, attribute) for name, attribute in _LEVEL.items()}


def inputs_of(run: Run, conditions: Conditions, catalog: Catalog) -> dict[str, Distribution | float]:
    """Return every uncertain input of a forecast with its distribution; what is not uncertain is left to medians."""
    facts = load_reliability()
    found: dict[str, Distribution | float] = {}
    low, high = run.band
    if low < high:
        found[run.step_name] = SplitLognormal(low=min(low, 1.0), median=1.0, high=max(high, 1.0))
    named = named_facts(facts, conditions) | (spot_facts(run.pool) if run.term == SPOT else {})
    for name, spread in named.items():
        if spread.low < spread.high:
            found[name] = _Fact(spread=spread)
    found[FAILURES] = _Rate(gamma=node_rate(conditions))
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


def _energy(run: Run) -> tuple[tuple[str, str], ...]:
    return (("pue", run.pue), ("electricity", run.electricity), ("draw", run.draw))


def node_rate(conditions: Conditions) -> Gamma:
    """Return the rate of failures of a node of 8 GPUs, per day."""
    return conditions.node_rate or rate_prior(load_reliability())


class _Drawn(Draws):
    """Hands out values that were drawn by name; what was not drawn is at its median."""

    __slots__ = ("_names", "_values")

    def __init__(self, facts: Mapping[str, Spread], values: Mapping[str, Num]) -> None:
        object.__setattr__(self, "number", None)
        object.__setattr__(self, "_names", {id(spread): name for name, spread in facts.items()})
        object.__setattr__(self, "_values", values)

    def take(self, spread: Spread) -> Num:
        values: Mapping[str, Num] = getattr(self, "_values")  # noqa: B009
        return values.get(getattr(self, "_names").get(id(spread), ""), spread.median)  # noqa: B009

    def rate_per_s(self, rate: Gamma) -> Num:
        values: Mapping[str, Num] = getattr(self, "_values")  # noqa: B009
        return values[FAILURES] / DAY_S if FAILURES in values else rate.quantile(0.5) / DAY_S


def planned(run: Run, conditions: Conditions, values: Mapping[str, Num]) -> Planned:
    """Return the goodput inputs of a run at values of the uncertain inputs, medians for those not named."""
    if run.term != SPOT:
        return _steady(run, conditions, values)
    c = conditions
    if c.interval_s is None:
        c = replace(c, interval_s=spot_interval_s(_steady(run, c, {}).inputs, run.pool))
    steady = _steady(run, c, values)
    return replace(steady, inputs=preempted(steady.inputs, run.pool, values))


def _steady(run: Run, c: Conditions, values: Mapping[str, Num]) -> Planned:
    """Return the inputs on capacity that stays."""
    facts = load_reliability()
    names = named_facts(facts, c)
    stated = {name: value for name, value in c.given.items() if isinstance(value, (int, float))}
    at = {**stated, **values}
    return from_plan(
        gpus=run.gpus,
        gpus_per_node=np.minimum(run.gpus_per_node, run.gpus),
        step_s=run.step_s * at.get(run.step_name, 1.0),
        tokens=run.tokens,
        tokens_per_step=run.tokens / run.steps,
        state_bytes=state_bytes(run),
        facility=c.facility,
        saves=c.saves,
        interval_s=c.interval_s,
        write_bytes_per_s=c.write_bytes_per_s,
        read_bytes_per_s=c.read_bytes_per_s,
        storage_bytes=c.storage_bytes,
        checkpoints_kept=c.checkpoints_kept,
        age_s=c.age_s,
        lemon_factor=c.lemon_factor,
        node_rate=node_rate(c),
        take=_Drawn(names, at),
        # A stated bring-up is of this cluster; the default is of a large one.
        bring_up_s=at.get("bring-up") if "bring-up" in c.given else None,
    )


def state_bytes(run: Run) -> float:
    """Return the bytes of a checkpoint."""
    each = run.param_state_bytes or load_reliability().default("checkpoint-param").median
    return float(checkpoint_bytes(params=run.params, param_bytes=each))


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
    run: Run, conditions: Conditions, catalog: Catalog, values: Mapping[str, Num], *, lucky_runs: int = 0
) -> Evaluated:
    """Return time and bill of a run at values of the uncertain inputs, medians for those not named.

    Both are what can be expected; with ``lucky_runs`` they are those of so many single runs, one for each draw.
    """
    inputs = planned(run, conditions, values).inputs
    with np.errstate(all="ignore"):  # of a run that never ends, which is said below
        time = goodput(inputs)
    if not np.all(np.isfinite(np.asarray(time.wall_s))):
        raise endless()
    if lucky_runs:
        time = with_luck(inputs, time, lucky_runs, conditions.seed)
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
    run: Run, c: Conditions, catalog: Catalog, values: Mapping[str, Num], time: GoodputBreakdown, energy_usd: Num
) -> Bill:
    assert run.price_usd_per_s is not None
    stated = {name: value for name, value in c.given.items() if isinstance(value, (int, float))}
    rates = {name: catalog.rate(kind, key).median for name, (kind, key) in _COSTS.items()} | stated | dict(values)
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
            checkpoint_bytes=state_bytes(run) * c.checkpoints_kept,
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


def with_luck(inputs: GoodputInputs, expected: GoodputBreakdown, runs: int, seed: int) -> GoodputBreakdown:
    """Return what became of each of so many runs where ``expected`` is what can be expected of each."""
    stops = np.broadcast_to(expected.interruptions + expected.planned_stops, (runs,))
    if not float(np.sum(stops)) <= MOST_STOPS:
        return expected
    columns = simulate(inputs, runs, seed).columns
    names = ("wall_s", "interruptions", "planned_stops", *BUCKETS)
    return dataclasses.replace(expected, **{name: columns[name] for name in names})
