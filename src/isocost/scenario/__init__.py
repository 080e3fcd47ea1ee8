"""Scenarios: TOML, flags or keyword arguments in, one checked and frozen record out, and back to TOML."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocost.scenario.read import load_scenario, load_tables, read_scenario
    from isocost.scenario.record import KEYS, Scenario
    from isocost.scenario.values import Model
    from isocost.scenario.writing import scenario_tables, scenario_toml

# Where each name lives. They are imported when first used: the keys alone come without catalog and numpy.
_HOMES = {
    "KEYS": "record",
    "Model": "values",
    "Scenario": "record",
    "load_scenario": "read",
    "load_tables": "read",
    "read_scenario": "read",
    "scenario_tables": "writing",
    "scenario_toml": "writing",
}

__all__ = [
    "KEYS",
    "Model",
    "Scenario",
    "load_scenario",
    "load_tables",
    "read_scenario",
    "scenario_tables",
    "scenario_toml",
]


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
