"""The scenario as text again: TOML that reads back to an equal scenario."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import tomli_w

from isocost.errors import InputError
from isocost.scenario.keys import Key
from isocost.scenario.record import DEFAULTS, KEYS, Scenario
from isocost.scenario.tables import Table
from isocost.scenario.values import Model
from isocost.units import parse, show
from isocost.workload.architecture import Architecture


def scenario_tables(scenario: Scenario) -> dict[str, object]:
    """Return the keys that differ from their defaults, quantities as text with units."""
    return {
        name: _written(value, key)
        for name, key in KEYS.items()
        if (value := getattr(scenario, key.field)) != getattr(DEFAULTS, key.field)
    }


def _written(value: Any, key: Key) -> object:
    if key.has_dimension and isinstance(value, float):
        return exact(value, key.unit)
    if isinstance(value, Model):
        return value.given
    if isinstance(value, Architecture):
        return {**asdict(value), "blocks": [asdict(block) for block in value.blocks]}
    if isinstance(value, Table):
        return dict(value.given)
    return list(value) if isinstance(value, tuple) else value


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
