"""From the tables of a scenario to the conditions of a run, with a note on every default and where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isocost.catalog import Catalog
from isocost.catalog.prices import BUILD, COLOCATION, block_limits, owned_distributions, owned_facts
from isocost.catalog.reliability import load_reliability
from isocost.errors import InputError, Problem
from isocost.money.own import OwnedInputs, owned_cost
from isocost.reliability.conditions import Conditions
from isocost.reliability.facility import Facility
from isocost.reliability.facts import FAILURES, node_rate
from isocost.reliability.spot import CALM, CALM_RATE, recorded_nodes, spot_facts
from isocost.scenario.record import Scenario
from isocost.scenario.settings import Settings
from isocost.scenario.supply import Note
from isocost.stats.distributions import Distribution, Fixed, draw
from isocost.stats.quantiles import quantiles
from isocost.units import show

# Utilisation of owned capacity where nobody says: of hours in use over all hours, of a cluster that is kept busy.
UTILISATION = 0.8
_OWNED_DRAWS = 4000
_MONTH_H = 730.5  # hours
_SPOT_WORDS = {"spot-notice": "notice before it", "spot-wait": "until another node is there"}
_NONE = Settings(given={}, values={})


def facility_of(scenario: Scenario) -> Facility:
    """Return the building and the support of a scenario."""
    place, support, default = scenario.facility or _NONE, scenario.support or _NONE, Facility()
    return Facility(
        tier=place.get("tier", default.tier),
        availability=place.get("availability"),
        cooling=place.get("cooling", default.cooling),
        support=support.get("level", default.support),
        standby=support.get("standby", default.standby),
        spares=support.get("spares"),
        power_frac=place.get("power", default.power_frac),
        maintenance_s_per_month=place.get("maintenance"),
    )


def conditions_of(scenario: Scenario) -> Conditions:
    """Return the conditions that the tables of a scenario say; what they leave open is the dated default."""
    default = Conditions()
    site = facility_of(scenario)
    reliability, saves = scenario.reliability or _NONE, scenario.checkpoint or _NONE
    storage, support = scenario.storage or _NONE, scenario.support or _NONE
    purchase, programme = scenario.purchase or _NONE, scenario.programme or _NONE
    named = {
        "bring-up": support.get("bring_up"), "response": support.get("response"), "by-hand": support.get("by_hand"),
        "straggler": reliability.get("straggler"), FAILURES: reliability.get("failures"),
        "throttle-air" if site.cooling == "air" else "throttle-liquid": (scenario.facility or _NONE).get("throttle"),
        "storage price": storage.get("price"), "salary": programme.get("salary"),
    }  # fmt: skip
    posterior = reliability.get("posterior")
    return Conditions(
        facility=site,
        given={name: _known(value) for name, value in named.items() if value is not None},
        node_rate=None if posterior is None else posterior.total,
        own_recovery_s=None if posterior is None or not posterior.events else posterior.mean_recovery_s,
        lemon_factor=reliability.get("lemon_factor", default.lemon_factor),
        age_s=reliability.get("age"),
        saves=saves.get("saves", default.saves),
        interval_s=saves.get("interval"),
        checkpoints_kept=saves.get("kept", default.checkpoints_kept),
        write_bytes_per_s=storage.get("write"),
        read_bytes_per_s=storage.get("read"),
        storage_bytes=storage.get("capacity", default.storage_bytes),
        recovered_frac=purchase.get("resold", 0.0),
        host_usd_per_s=purchase.get("host", 0.0),
        support_frac=support.get("fee", 0.0),
        failed_runs=programme.get("failed_runs", 0.0),
        exploratory_runs=programme.get("exploratory_runs", 0.0),
        people=programme.get("people"),
        raised_usd=programme.get("capital_raised"),
        delay_usd_per_s=programme.get("value_of_time", 0.0),
    )


def _known(value: Distribution | float) -> Distribution | float:
    return value.value if isinstance(value, Fixed) else value


def note_conditions(c: Conditions, catalog: Catalog, note: Note) -> None:
    """State every default behind the whole run, with source and date."""
    facts, place = load_reliability(), c.facility
    level = facts.support_level(place.support)
    rate = node_rate(c)
    low, middle, high = (1000.0 * rate.quantile(share) for share in (0.1, 0.5, 0.9))
    if c.node_rate is not None:
        note(
            "failures",
            f"{middle:.2g} ({low:.2g} to {high:.2g}) per 1000 node-days, from your own events",
            "yours",
            "",
            "",
        )
    elif FAILURES not in c.given:
        value = f"{middle:.2g} ({low:.2g} to {high:.2g}) job-stopping per 1000 node-days of 8 GPUs: published rates"
        newest = max(r.fact.as_of for r in facts.rates)
        note(
            "failures",
            value,
            ", ".join(dict.fromkeys(s for r in facts.rates for s in r.fact.sources)),
            newest,
            "derived",
        )
    for name, value, spread in (
        ("bring-up", f"of {place.support} support", level.bring_up),
        ("straggler", "machines that turned slow", facts.default("straggler")),
        ("restart", "processes and first steps", facts.default("restart")),
    ):
        if name in c.given:
            continue
        unit = "1" if name == "straggler" else "s"
        ends = " to ".join(_shown(end, unit) for end in (spread.low, spread.high))
        fact = spread.fact
        note(name, f"{_shown(spread.median, unit)} ({ends}), {value}", ", ".join(fact.sources), fact.as_of, fact.grade)
    value = (
        f"tier {place.tier}, {place.cooling}-cooled, {place.support} support, {place.standby} standby, {c.saves} saves"
    )
    note("conditions", value, ", ".join(level.fact.sources), level.fact.as_of, level.fact.grade)
    for kind, key, role in (("storage", "parallel", "data and checkpoints"), ("egress", "cloud", "weights, once"),
                            ("salary", "infrastructure", "people who run it"),
                            ("staffing", "infrastructure", "people an accelerator")):  # fmt: skip
        rate_of = catalog.rate(kind, key)
        low_text, middle_text, high_text = (show(x, rate_of.unit) for x in (rate_of.low, rate_of.median, rate_of.high))
        fact = rate_of.fact
        note(
            f"{kind} {key}",
            f"{middle_text} ({low_text} to {high_text}), {role}",
            ", ".join(fact.sources),
            fact.as_of,
            fact.grade,
        )


def note_spot(note: Note) -> None:
    """State what a run on spot capacity is taken to meet, with source and date."""
    for name, spread in spot_facts(CALM).items():
        ends = (spread.low, spread.median, spread.high)
        if name == CALM_RATE:
            low, middle, high = (f"{-np.expm1(-rate * _MONTH_H):.0%}" for rate in ends)
            value = (
                f"{middle} ({low} to {high}) of nodes a month, as in a calm pool (isocost tco has a contended one); no "
                f"group of more than {recorded_nodes():.0f} nodes is on record"
            )
        else:
            low, middle, high = (show(end, "s") for end in ends)
            value = f"{middle} ({low} to {high}), {_SPOT_WORDS[name]}"
        fact = spread.fact
        note("pre-emption", value, ", ".join(fact.sources), fact.as_of, fact.grade)


def within_a_block(
    catalog: Catalog, chips: Sequence[str], gpu_counts: tuple[int, ...], deadline_s: float | None, note: Note
) -> tuple[tuple[int, ...], float]:
    """Return the GPU counts that a capacity block holds and the deadline that its length sets; none is an error."""
    limits = max((block_limits(catalog, chip) for chip in chips), key=lambda found: found.gpus)
    counts = tuple(count for count in gpu_counts if count <= limits.gpus)
    if not counts:
        fix = "choose another term, or fewer GPUs"
        raise InputError([Problem("gpus", f"is more than can be bought: {limits}", min(gpu_counts), fix=fix)])
    value = f"{limits}: taken as a limit on GPUs and as a deadline"
    note("capacity block", value, "ec2_capacity_blocks", limits.as_of, "estimate")
    return counts, limits.longest_s if deadline_s is None else min(deadline_s, limits.longest_s)


def _shown(value: float, unit: str) -> str:
    return f"{value:.1%}" if unit == "1" else show(value, unit)


def owned_price(scenario: Scenario, catalog: Catalog, chip: str) -> tuple[float, float, float]:
    """Return p05, median and p95 of what an owned accelerator costs a second in use, energy left out."""
    drawn = draw(owned_inputs_of(scenario, catalog, chip), _OWNED_DRAWS)
    cost = owned_cost(OwnedInputs(**drawn))
    low, median, high = quantiles(cost.total_usd_per_s - cost.energy_usd_per_s).tolist()
    return low, median, high


def owned_inputs_of(scenario: Scenario, catalog: Catalog, chip: str, **known: Any) -> dict[str, Distribution | float]:
    """Return the distributions behind an owned accelerator: the user's table over the facts of the catalogue."""
    table = scenario.owned or _NONE
    names = {"server": "server_usd", "lifetime": "years", "interest": "interest_frac", "residual": "residual_frac",
             "maintenance": "maintenance_frac", "network": "network_frac", "storage": "storage_frac",
             "installation": "installation_frac", "staff": "staff_per_gpu", "pue": "pue", "draw": "draw_frac",
             "colocation": "colocation_usd_per_w_per_s", "electricity": "electricity_usd_per_j"}  # fmt: skip
    own = {field: table.get(key) for key, field in names.items() if table.get(key) is not None}
    site = table.get("site", COLOCATION)
    if site == BUILD and table.get("colocation") is not None:
        fix = f'leave one of the two out, or write site = "{COLOCATION}"'
        raise InputError([Problem("owned.colocation", f'is rent of a site, beside site = "{BUILD}"', fix=fix)])
    facts = owned_facts(catalog, chip, site=site, server="server_usd" not in own)
    use = table.get("utilisation", UTILISATION)
    return owned_distributions(catalog, chip, utilisation_frac=use, facts=facts, **(own | known))


__all__ = [
    "BUILD", "UTILISATION", "conditions_of", "facility_of", "note_conditions", "note_spot", "owned_inputs_of",
    "owned_price", "within_a_block",
]  # fmt: skip
