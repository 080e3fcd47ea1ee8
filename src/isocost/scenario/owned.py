"""What owning an accelerator takes: the table [owned] over the facts of the catalog."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from isocost.catalog import Catalog
from isocost.catalog.prices import BUILD, COLOCATION, owned_distributions, owned_facts
from isocost.errors import InputError, Problem
from isocost.money.own import OwnedInputs, owned_cost
from isocost.scenario.record import Scenario
from isocost.stats.distributions import Distribution, draw
from isocost.stats.quantiles import quantiles

# Utilization of owned capacity where nobody says: of hours in use over all hours, of a cluster that is kept busy.
UTILISATION: Final = 0.8
_DRAWS: Final = 4000


def owned_price(scenario: Scenario, catalog: Catalog, chip: str) -> tuple[float, float, float]:
    """Return p05, median and p95 of what an owned accelerator costs a second in use, energy left out."""
    drawn = draw(owned_inputs_of(scenario, catalog, chip), _DRAWS)
    cost = owned_cost(OwnedInputs(**drawn))
    low, median, high = quantiles(cost.total_usd_per_s - cost.energy_usd_per_s).tolist()
    return low, median, high


def owned_inputs_of(scenario: Scenario, catalog: Catalog, chip: str, **known: Any) -> dict[str, Distribution | float]:
    """Return the distributions behind an owned accelerator: the user's table over the facts of the catalog."""
    table = scenario.owned
    own = {
        field.name: value for field in fields(OwnedInputs) if (value := getattr(table, field.name, None)) is not None
    }
    use = own.pop("utilisation_frac", UTILISATION)
    site = table.site or COLOCATION
    if site == BUILD and table.colocation_usd_per_w_per_s is not None:
        fix = f'leave one of the two out, or write site = "{COLOCATION}"'
        raise InputError([Problem("owned.colocation", f'is rent of a site, beside site = "{BUILD}"', fix=fix)])
    facts = owned_facts(catalog, chip, site=site, server="server_usd" not in own)
    return owned_distributions(catalog, chip, utilisation_frac=use, facts=facts, **(own | known))
