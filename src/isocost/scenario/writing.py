"""The scenario as text again: TOML that reads back to an equal scenario."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields

import tomli_w

from isocost.errors import InputError
from isocost.scenario.record import Scenario
from isocost.scenario.settings import Settings
from isocost.scenario.values import ALIASES
from isocost.units import parse, show

_UNITS = {"tokens": "token", "deadline_s": "s", "budget_usd": "USD", "power_w": "W"}


def scenario_tables(scenario: Scenario) -> dict[str, object]:
    """Return the keys that differ from their defaults, quantities as text with units."""
    tables: dict[str, object] = {}
    for field in fields(scenario):
        value = getattr(scenario, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        key = ALIASES.get(field.name, field.name)
        if field.name in _UNITS:
            tables[key] = exact(value, _UNITS[field.name])
        elif field.name == "model":
            tables[key] = value.given
        elif field.name == "architecture":
            tables[key] = {**asdict(value), "blocks": [asdict(block) for block in value.blocks]}
        elif isinstance(value, Settings):
            tables[key] = dict(value.given)
        else:
            tables[key] = list(value) if isinstance(value, tuple) else value
    return tables


def exact(value: float, unit: str) -> str:
    """Return a quantity as short text that parses back to the same number."""
    for digits in (3, 6, 12, 17):
        text = show(value, unit, digits)
        try:
            if parse(text, unit) == value:
                return text
        except InputError:  # a count of tokens below a thousand is shown without a unit
            continue
    return f"{value!r} {unit}"


def scenario_toml(scenario: Scenario) -> str:
    """Return the scenario as TOML, which ``load_scenario`` reads again.

    Example:
        >>> "model" in isocost.scenario_toml(isocost.load_scenario("examples/llama-3.1-70b.toml"))
        True
    """
    return tomli_w.dumps(scenario_tables(scenario))
