"""Reads ``data/reliability.toml``: rates, causes, support levels, tiers and single figures, with their provenance."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.records import GRADES, Fact
from isocost.errors import DataError, InputError, Problem, nearest
from isocost.units import parse

_Z90 = 1.2815515655446004  # standard normal at 0.9: low and high are the tenth and ninetieth percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A distribution by tenth percentile, median and ninetieth: log-normal on either side of the median."""

    low: float
    median: float
    high: float
    fact: Fact

    def at(self, normal: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the value at each standard normal deviate."""
        if self.low == self.high:
            return np.full_like(normal, self.median)
        up, down = (math.log(self.high / self.median) / _Z90, math.log(self.median / self.low) / _Z90)
        return self.median * np.exp(np.where(normal > 0, up, down) * normal)

    def sample(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """Return ``n`` draws."""
        return self.at(rng.standard_normal(n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published rate of stops, per node and day."""

    id: str
    per_node_day: float
    regime: str  # "job-stopping" or "all-cause"
    fact: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseFact:
    """What is known of one cause of stops; the fields are explained in ``data/reliability.toml``."""

    id: str
    name: str
    events: float
    gpu_share: float  # 1: grows with the accelerators of a node; 0: with the node
    detect_inspected_s: float
    detect_timeout_s: float
    diagnose_inspected_s: float
    takes_node: float
    nodes_taken: float
    in_memory: float
    fact: Fact
    manual_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """How well stops are seen and understood."""

    inspected: float
    by_hand: Spread
    response: Spread
    bring_up: Spread
    fact: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """All facts of ``data/reliability.toml``."""

    rates: tuple[Published, ...]
    causes: tuple[CauseFact, ...]
    support: Mapping[str, Support]
    tiers: Mapping[str, float]  # availability as a fraction
    defaults: Mapping[str, Spread]

    def default(self, name: str) -> Spread:
        """Return a single figure by name."""
        return self.defaults[name]

    def support_level(self, name: str) -> Support:
        """Return a support level by name, or raise an InputError with the nearest spelling."""
        found = self.support.get(str(name))
        if found is None:
            close = nearest(str(name), self.support)
            raise InputError([Problem("support", "is not a support level", name, ", ".join(self.support), close)])
        return found


@functools.cache
def load_reliability() -> Reliability:
    """Return the shipped facts."""
    return parse_reliability(resources.files("isocost.data").joinpath("reliability.toml").read_text("utf-8"))


def parse_reliability(text: str) -> Reliability:
    """Return the facts of a TOML text, or raise one DataError that lists everything wrong with it."""
    tables = tomllib.loads(text)
    reader = _Reader()
    rates = tuple(
        Published(
            id=reader.text(row, "id", place),
            per_node_day=reader.number(row, "per_1000_node_days", "1000", place) / 1000.0,
            regime=reader.choice(row, "regime", ("job-stopping", "all-cause"), place),
            fact=reader.fact(row, place),
        )
        for place, row in _rows(tables, "rate")
    )
    causes = tuple(reader.cause(row, place) for place, row in _rows(tables, "cause"))
    support = {
        name: Support(
            inspected=reader.number(row, "inspected", "1", f"support.{name}"),
            by_hand=reader.spread(row, "by_hand", "1", f"support.{name}"),
            response=reader.spread(row, "response", "s", f"support.{name}"),
            bring_up=reader.spread(row, "bring_up", "s", f"support.{name}"),
            fact=reader.fact(row, f"support.{name}"),
        )
        for name, row in tables.get("support", {}).items()
    }
    tiers = {
        name: reader.number(row, "availability", "1", f"tier.{name}") for name, row in tables.get("tier", {}).items()
    }
    for name, row in tables.get("tier", {}).items():
        reader.fact(row, f"tier.{name}")
    defaults = {
        name: reader.spread(row, "value", reader.text(row, "unit", f"default.{name}"), f"default.{name}")
        for name, row in tables.get("default", {}).items()
    }
    if reader.problems:
        raise DataError(reader.problems)
    return Reliability(rates=rates, causes=causes, support=support, tiers=tiers, defaults=defaults)


def _rows(tables: Mapping[str, Any], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"{name}[{place}]", row) for place, row in enumerate(tables.get(name, []))]


class _Reader:
    """Reads values and gathers problems, so that a file is refused once, with all that is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def text(self, row: Mapping[str, Any], key: str, place: str) -> str:
        value = row.get(key)
        if not isinstance(value, str) or not value:
            self.problems.append(Problem(f"reliability.toml: {place}.{key}", "is missing, or not text"))
            return ""
        return value

    def choice(self, row: Mapping[str, Any], key: str, allowed: tuple[str, ...], place: str) -> str:
        value = self.text(row, key, place)
        if value and value not in allowed:
            self.problems.append(Problem(f"reliability.toml: {place}.{key}", "is unknown", value, ", ".join(allowed)))
        return value

    def number(self, row: Mapping[str, Any], key: str, unit: str, place: str) -> float:
        """Read a quantity; unit "1000" is a plain number up to that, for rates and counts."""
        where = f"reliability.toml: {place}.{key}"
        value = row.get(key)
        try:
            if unit == "1000" or (unit == "1" and isinstance(value, (int, float))):
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1000:
                    raise InputError([Problem(where, "is not a number from 0 to 1000", value)])
                return float(value)
            return parse(value, unit, where)
        except InputError as error:
            self.problems += error.problems
            return 1.0

    def spread(self, row: Mapping[str, Any], key: str, unit: str, place: str) -> Spread:
        value, fact = row.get(key), self.fact(row, place)
        if not isinstance(value, dict):
            one = self.number(row, key, unit, place)
            return Spread(low=one, median=one, high=one, fact=fact)
        low, median, high = (self.number(value, name, unit, f"{place}.{key}") for name in ("low", "median", "high"))
        if not 0 < low <= median <= high:
            self.problems.append(
                Problem(f"reliability.toml: {place}.{key}", "is not ordered", allowed="0 < low <= median <= high")
            )
        return Spread(low=low, median=median, high=high, fact=fact)

    def cause(self, row: Mapping[str, Any], place: str) -> CauseFact:
        durations = {
            f"{key}_s": self.number(row, key, "s", place)
            for key in ("detect_inspected", "detect_timeout", "diagnose_inspected")
        }
        counts = {
            key: self.number(row, key, "1000", place)
            for key in ("events", "gpu_share", "takes_node", "nodes_taken", "in_memory")
        }
        return CauseFact(
            id=self.text(row, "id", place),
            name=self.text(row, "name", place),
            fact=self.fact(row, place),
            manual_s=self.number(row, "manual", "s", place) if "manual" in row else None,
            **durations,
            **counts,
        )

    def fact(self, row: Mapping[str, Any], place: str) -> Fact:
        sources = row.get("source", [])
        sources = (sources,) if isinstance(sources, str) else tuple(sources)
        if not sources or row.get("grade") not in GRADES or not isinstance(row.get("as_of"), str):
            self.problems.append(
                Problem(f"reliability.toml: {place}", "lacks source, as_of or grade", allowed=", ".join(GRADES))
            )
        return Fact(
            sources=sources,
            as_of=str(row.get("as_of", "")),
            grade=str(row.get("grade", "")),
            from_memory=("value",) if "memory" in sources else (),
            note=str(row.get("note", "")),
        )
