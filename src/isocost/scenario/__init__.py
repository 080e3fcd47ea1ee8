"""Scenarios: TOML, flags or keyword arguments in, one checked and frozen record out, and back to TOML."""

from isocost.scenario.record import KEYS, Scenario, load_scenario, load_tables, read_scenario
from isocost.scenario.values import Model
from isocost.scenario.writing import scenario_tables, scenario_toml

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
