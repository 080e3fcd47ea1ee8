"""From the tables of a scenario to the conditions of a run, with a note on every default and where it is from."""

from __future__ import annotations

from collections.abc import Iterator

from isocost.reliability.conditions import Conditions
from isocost.reliability.facility import Facility
from isocost.reliability.facts import FAILURES, node_rate
from isocost.scenario.assumed import Assumed, looked_up, yours
from isocost.scenario.facts import Facts
from isocost.scenario.record import Scenario
from isocost.stats.distributions import Distribution, Fixed
from isocost.units import show


def facility_of(scenario: Scenario) -> Facility:
    """Return the building and the support of a scenario."""
    place, support, default = scenario.facility, scenario.support, Facility()
    return Facility(
        tier=place.tier or default.tier,
        availability=place.availability_frac,
        cooling=place.cooling or default.cooling,
        support=support.level or default.support,
        standby=support.standby or default.standby,
        spares=support.spares,
        power_frac=_or(place.power_frac, default.power_frac),
        maintenance_s_per_month=place.maintenance_s_per_month,
    )


def conditions_of(scenario: Scenario) -> Conditions:
    """Return the conditions that the tables of a scenario say; what they leave open is the dated default."""
    default = Conditions()
    site = facility_of(scenario)
    reliability, saves, storage = scenario.reliability, scenario.checkpoint, scenario.storage
    support, purchase, program = scenario.support, scenario.purchase, scenario.programme
    named = {
        "bring-up": support.bring_up,
        "response": support.response,
        "by-hand": support.by_hand,
        "straggler": reliability.straggler,
        FAILURES: reliability.failures_per_node_day,
        "throttle-air" if site.cooling == "air" else "throttle-liquid": scenario.facility.throttle,
        "storage price": storage.price_usd_per_byte_per_s,
        "salary": program.salary_usd_per_s,
    }
    posterior = reliability.posterior
    return Conditions(
        facility=site,
        given={name: _known(value) for name, value in named.items() if value is not None},
        node_rate=None if posterior is None else posterior.total,
        own_recovery_s=None if posterior is None or not posterior.events else posterior.mean_recovery_s,
        lemon_factor=_or(reliability.lemon_factor, default.lemon_factor),
        age_s=reliability.age_s,
        saves=saves.saves or default.saves,
        interval_s=saves.interval_s,
        checkpoints_kept=_or(saves.kept, default.checkpoints_kept),
        write_bytes_per_s=storage.write_bytes_per_s,
        read_bytes_per_s=storage.read_bytes_per_s,
        storage_bytes=_or(storage.capacity_bytes, default.storage_bytes),
        recovered_frac=_or(purchase.resold_frac, default.recovered_frac),
        host_usd_per_s=_or(purchase.host_usd_per_s, default.host_usd_per_s),
        support_frac=_or(support.fee_frac, default.support_frac),
        failed_runs=_or(program.failed_runs, default.failed_runs),
        exploratory_runs=_or(program.exploratory_runs, default.exploratory_runs),
        people=program.people,
        raised_usd=program.capital_raised_usd,
        delay_usd_per_s=_or(program.value_of_time_usd_per_s, default.delay_usd_per_s),
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def _known(value: Distribution | float) -> Distribution | float:
    return value.value if isinstance(value, Fixed) else value


def notes_on_conditions(c: Conditions, facts: Facts) -> Iterator[Assumed]:
    """State every default behind the whole run, with source and date."""
    known, place = facts.reliability, c.facility
    level = known.support_level(place.support)
    yield from _failures(c, facts)
    for name, said, spread in (
        ("bring-up", f"of {place.support} support", level.bring_up),
        ("straggler", "machines that turned slow", known.default("straggler")),
        ("restart", "processes and first steps", known.default("restart")),
    ):
        if name in c.given:
            continue
        low, middle, high = (_shown(end, name) for end in (spread.low, spread.median, spread.high))
        yield looked_up(name, f"{middle} ({low} to {high}), {said}", spread.fact)
    value = (
        f"tier {place.tier}, {place.cooling}-cooled, {place.support} support, {place.standby} standby, {c.saves} saves"
    )
    yield looked_up("conditions", value, level.fact)
    for rate, role in facts.rates:
        low, middle, high = (show(end, rate.unit) for end in (rate.low, rate.median, rate.high))
        yield looked_up(f"{rate.kind} {rate.id}", f"{middle} ({low} to {high}), {role}", rate.fact)


def _failures(c: Conditions, facts: Facts) -> Iterator[Assumed]:
    rate = node_rate(c)
    low, middle, high = (1000.0 * rate.quantile(share) for share in (0.1, 0.5, 0.9))
    if c.node_rate is not None:
        said = f"{middle:.2g} ({low:.2g} to {high:.2g}) per 1000 node-days, from your own events"
        yield yours("failures", said)
    elif FAILURES not in c.given:
        rates = [published.fact for published in facts.reliability.rates]
        yield Assumed(
            name="failures",
            value=f"{middle:.2g} ({low:.2g} to {high:.2g}) job-stopping per 1000 node-days of 8 GPUs: published rates",
            source=", ".join(dict.fromkeys(source for fact in rates for source in fact.sources)),
            as_of=max(fact.as_of for fact in rates),
            grade="derived",
        )


def _shown(value: float, name: str) -> str:
    return f"{value:.1%}" if name == "straggler" else show(value, "s")
