"""What a verb is given as a scenario: a file, a mapping, a record or nothing, as tables and where each was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from isocost.scenario.read import load_tables
from isocost.scenario.record import Scenario
from isocost.scenario.writing import scenario_tables

Given = str | Path | Mapping[str, object] | Scenario | None


def tables_of(scenario: Given) -> dict[str, object]:
    """Return the tables of a scenario, not yet checked."""
    if isinstance(scenario, Scenario):
        return scenario_tables(scenario)
    if isinstance(scenario, Mapping):
        return dict(scenario)
    return {} if scenario is None else load_tables(scenario)


def written_in(scenario: Given, tables: Mapping[str, object]) -> dict[str, str]:
    """Return where each key of a scenario's file was written; nothing for what is no file."""
    return {key: f"{scenario}: {key}" for key in tables} if isinstance(scenario, (str, Path)) else {}


def overridden(scenario: Given, changes: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Return the tables of a scenario with changes, and where what is left of its file was written.

    A change of None leaves a key as it is; another model takes the place of an architecture.
    """
    tables = tables_of(scenario)
    given = {key: value for key, value in changes.items() if value is not None}
    if "model" in given:
        tables.pop("architecture", None)
    places = {key: place for key, place in written_in(scenario, tables).items() if key not in given}
    return tables | given, places


def table_of(tables: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return one table of a scenario; empty where there is none."""
    found = tables.get(name, {})
    return found if isinstance(found, Mapping) else {}
