"""What every answer of the doctor without a scenario shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocost.errors import InputError, Problem
from isocost.render.document import Column, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result

NEEDS_SCENARIO = (
    "the waterfall from peak to MFU, the changes that would raise it, and what they save: give the model, the GPUs "
    "and the layout of the run with --scenario run.toml, or as flags"
)


def four(value: object) -> str:
    """Return four significant digits; whole numbers from ten thousand on."""
    return f"{value:,.4g}" if isinstance(value, (int, float)) and abs(float(value)) < 1e4 else f"{value:,.0f}"


def figures(keys: tuple[str, ...], heads: tuple[str, ...], rows: list[dict[str, Any]], title: str = "") -> Table:
    """Return a table of rows by key, the first column words, floats with four digits."""
    columns = tuple(
        Column(
            head=head,
            key=key,
            value=lambda row, key=key: row[key],  # type: ignore[misc]
            show=lambda value: four(value) if isinstance(value, float) else f"{value}",
            left=not place or key in ("suggests", "verdict"),
        )
        for place, (key, head) in enumerate(zip(keys, heads, strict=True))
    )
    return Table(columns=columns, rows=tuple(rows), title=title)


class Examination(Result):
    """The answer of ``isocost doctor`` on files alone.

    ``against`` says why a scenario that was given is not of this run; it was not used then.
    """

    against: tuple[str, ...] = ()

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods, one a row; a trace has none."""
        raise InputError([Problem("events_out", "needs a log: a trace is too short for events")])

    def values(self, given: Mapping[str, Any], measured: Mapping[str, Any], unknown: list[str]) -> dict[str, Any]:
        """Return the keys that every answer has."""
        return {
            "schema_version": SCHEMA_VERSION,
            "input": dict(given) | {"scenario_refused": list(self.against)},
            "measured": dict(measured),
            "waterfall": None,
            "levers": None,
            "best_combination": None,
            "unknown": [*unknown, NEEDS_SCENARIO],
        }

    def unknown(self) -> Section:
        """Return what this input does not tell."""
        return Section(title="Not known from this input", body=tuple(self.to_dict()["unknown"]))

    def refused(self) -> str:
        """Return why the scenario was not used, as a sentence after the answer."""
        if not self.against:
            return ""
        return (
            f" The scenario is of another run and was not used: {'; '.join(self.against)}. Give the scenario of this "
            "run, or override its keys with flags."
        )
