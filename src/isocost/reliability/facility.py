"""The building and the provider: availability, cooling and support as inputs of a goodput forecast.

Availability of a facility is about power and cooling of a building. It is converted here to hours a year and to what
it costs a run, and never taken for goodput: 99.995 % is 26.3 minutes a year, a run at 90 % goodput loses 876 hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.catalog import load_catalog
from isocost.catalog.reliability import load_reliability
from isocost.errors import InputError, Problem, nearest
from isocost.laws import stragglers
from isocost.num import Num
from isocost.units import DAY_S, parse

SLA_YEAR_S = 365 * DAY_S  # the year of service-level agreements: 8,760 hours
COOLING = ("air", "liquid", "immersion")
STANDBY = ("cold", "warm")
_NINES = {"two": "99 %", "three": "99.9 %", "four": "99.99 %", "five": "99.999 %", "six": "99.9999 %"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """Where a run stands and who looks after it."""

    tier: str = "III"
    availability: str | float | None = None  # "99.995 %"; over the tier where given
    cooling: str = "air"
    support: str = "standard"  # it moves detection and diagnosis, never the rate of failures
    standby: str = "cold"  # spare nodes: "warm" ones run, "cold" ones are scheduled
    spares: Num | None = None  # None: enough that they run out 1 % of the time
    power_frac: float = 1.0  # power and cooling there is, over the draw at full clock
    maintenance_s_per_month: float | None = None

    def problems(self, path: str = "facility") -> list[Problem]:
        """Return everything that is wrong, with place and fix."""
        facts = load_reliability()
        found = []
        for name, allowed in (
            ("tier", tuple(facts.tiers)),
            ("cooling", COOLING),
            ("support", tuple(facts.support)),
            ("standby", STANDBY),
        ):
            value = getattr(self, name)
            if value not in allowed:
                close = nearest(str(value), allowed)
                found.append(Problem(f"{path}.{name}", "is unknown", value, ", ".join(allowed), close))
        if self.availability is not None:
            try:
                availability_frac(self.availability, f"{path}.availability")
            except InputError as error:
                found += error.problems
        for name, least, most, fix in (
            ("spares", 0.0, 1e6, "give a number of nodes"),
            ("power_frac", 1e-3, 1e3, "write a fraction: 0.8 for 80 %"),
            ("maintenance_s_per_month", 0.0, SLA_YEAR_S / 12.0, "give seconds, at most a month"),
        ):
            amount = getattr(self, name)
            if amount is not None and not _within(amount, least, most):
                found.append(Problem(f"{path}.{name}", "is out of range", amount, f"{least:g} to {most:g}", fix=fix))
        return found

    def available_frac(self) -> float:
        """Return the availability of power and cooling."""
        if self.availability is not None:
            return availability_frac(self.availability, "facility.availability")
        return load_reliability().tiers[self.tier]


def _within(amount: object, least: float, most: float) -> bool:
    if not isinstance(amount, (int, float, np.ndarray, np.floating)):
        return False
    return bool(np.all((np.asarray(amount) >= least) & (np.asarray(amount) <= most)))


def availability_frac(value: object, path: str = "availability") -> float:
    """Return an availability written as "99.995 %" (or as a fraction, 0.99995) as a fraction."""
    text = str(value).strip().casefold()
    if isinstance(value, str) and "nine" in text:
        said = next((spelled for word, spelled in _NINES.items() if word in text), "99.999 %")
        problem = Problem(
            path, "is words, not a percentage", value, "a percentage, e.g. '99.995 %'", fix=f"write '{said}'"
        )
        raise InputError([problem])
    fraction = parse(value, "1", path)
    if fraction == 0:
        raise InputError([Problem(path, "is zero", value, "a percentage, e.g. '99.995 %'")])
    return fraction


def downtime_s_per_year(availability_frac: Num) -> Num:
    """Return the downtime that an availability allows, in seconds a year of 8,760 hours."""
    return (1.0 - np.asarray(availability_frac, dtype=float))[()] * SLA_YEAR_S


def outages_per_s(availability_frac: Num, outage_s: Num) -> Num:
    """Return how often an outage of a mean length strikes, so that the downtime is what the availability says."""
    return np.divide(downtime_s_per_year(availability_frac), outage_s * SLA_YEAR_S)


def goodput_loss_frac(availability_frac: Num, outage_s: Num, recovery_s: Num) -> Num:
    """Return the part of the time a run loses to outages: the downtime, and after each the return of the cluster."""
    return outages_per_s(availability_frac, outage_s) * (outage_s + recovery_s)


def pue(cooling: str) -> tuple[float, float, float]:
    """Return low, median and high PUE of a way of cooling, from the catalog of sites."""
    rate = load_catalog().rate("pue", cooling)
    return rate.low, rate.median, rate.high


def clock_frac(power_frac: Num) -> Num:
    """Return the clock that is left where power or cooling allows a part of the full draw."""
    exponent = load_reliability().default("power-exponent").median
    return stragglers.clock_under_cap_frac(power_frac=power_frac, power_exponent=exponent)


def rack_power_frac(rack_w: Num, node_w: Num, nodes_per_rack: Num) -> Num:
    """Return the part of the full draw that a rack can feed and cool, at most 1."""
    return np.minimum(1.0, np.divide(rack_w, node_w * nodes_per_rack))
