"""Own or rent: the curve of break-even, the owned hour line by line, and what moves the break-even most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from isocost.catalog.prices import Price
from isocost.money.breakeven import BreakEvenCurve, break_even_curve
from isocost.money.own import OwnedInputs, owned_cost
from isocost.money.terms import ON_DEMAND
from isocost.render.document import Column, Section, Table
from isocost.scenario.owned import owned_inputs_of
from isocost.stats.distributions import Row, draw
from isocost.units import HOUR_S, show
from isocost.verbs.tco.payment import DRAWS, PayingRun, unowned

USES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
_ENDS: Final = (0.05, 0.95)
# What a reader asks about first: the input, its words, and the unit that it is shown in.
_MOVERS: Final = {
    "interest_frac": ("interest a year", "1"),
    "residual_frac": ("resale value after 3 years", "1"),
    "server_usd": ("price of an accelerator with its share of the server", "USD"),
    "maintenance_frac": ("maintenance a year, over the hardware", "1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Break-even use with one input at its p05 and at its p95, all others at medians."""

    name: str
    ends: tuple[str, str]  # the input, in words
    break_even: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Owning:
    """Owning an accelerator against renting it on demand; every input at its median but for the one that moves."""

    curve: BreakEvenCurve | None  # None: nobody lists a price
    lines: Mapping[float, Mapping[str, float]]  # USD an hour in use by line, by years
    moved: tuple[Moved, ...]
    moved_years: float

    def section(self) -> Section:
        """Return the tables."""
        body: list[Table | str] = []
        if self.curve is not None:
            body += [_curve_table(self.curve), "owning over renting on demand, per hour in use: negative is cheaper"]
            if self.moved:
                title = f"break-even use at {self.moved_years:g} y with one input at its 5th and its 95th percentile"
                body += [Table(columns=_MOVED, rows=self.moved), title]
        body += [_lines_table(self.lines), "an owned GPU-hour in use, every input at its median"]
        return Section(title="Own or rent, over years and utilisation", body=tuple(body))

    def to_dict(self) -> dict[str, Any]:
        """Return curve, lines and what moves them as plain values."""
        curve = self.curve
        return {
            "break_even": None
            if curve is None
            else {
                "years": curve.years,
                "utilisation_frac": curve.break_even,
                "grid_utilisation_frac": curve.utilisation_frac,
                "owned_usd_per_gpu_s": curve.owned_usd_per_s,
                "rent_usd_per_gpu_s": curve.rent_usd_per_s,
                "moved_years": self.moved_years,
                "moved": [{"input": m.name, "at": m.ends, "utilisation_frac": m.break_even} for m in self.moved],
            },
            "owned_usd_per_gpu_hour": [{"years": years, **lines} for years, lines in self.lines.items()],
        }


def owning(paying_run: PayingRun, years: Sequence[float]) -> Owning | None:
    """Return owning over so many years; None where the chip has no server price."""
    if unowned(paying_run):
        return None  # its way to pay says why
    drawn = draw(owned_inputs_of(paying_run.scenario, paying_run.catalog, paying_run.run.chip), DRAWS)
    middle = OwnedInputs(**{name: float(np.median(values)) for name, values in drawn.items()})
    horizons = np.array(sorted(years), float)
    lines = {}
    for horizon in horizons.tolist():
        cost = owned_cost(replace(middle, years=horizon))
        parts = cost.lines() | {"total": cost.total_usd_per_s}
        lines[horizon] = {name: float(usd_per_s) * HOUR_S for name, usd_per_s in parts.items()}
    rent = paying_run.price(ON_DEMAND)
    if rent is None:
        return Owning(curve=None, lines=lines, moved=(), moved_years=0.0)
    at = float(horizons[horizons.size // 2])

    moved = _moved(middle, drawn, rent, at)
    curve = break_even_curve(middle, rent.median_usd_per_s, horizons, np.array(USES))
    return Owning(curve=curve, lines=lines, moved=tuple(moved), moved_years=at)


def _moved(middle: OwnedInputs, drawn: Mapping[str, Row], rent: Price, years: float) -> list[Moved]:
    """Return what the break-even use becomes when one input is at its low or its high."""

    def at(inputs: OwnedInputs, usd_per_s: float) -> float:
        return float(break_even_curve(inputs, usd_per_s, np.array([years]), np.array(USES)).break_even[0])

    def words(x: float, unit: str) -> str:
        return f"{x:.1%}" if unit == "1" else show(x, unit)

    found = []
    low, high = rent.low_usd_per_s, rent.high_usd_per_s
    if low < high:
        both = (at(middle, low), at(middle, high))
        found.append(Moved(name="rent on demand", ends=(words(low, "USD/s"), words(high, "USD/s")), break_even=both))
    for field, (name, unit) in _MOVERS.items():
        low, high = np.quantile(np.asarray(drawn[field]), _ENDS).tolist()
        if low < high:
            ends = (replace(middle, **{field: low}), replace(middle, **{field: high}))
            both = (at(ends[0], rent.median_usd_per_s), at(ends[1], rent.median_usd_per_s))
            found.append(Moved(name=name, ends=(words(low, unit), words(high, unit)), break_even=both))
    return found


def _curve_table(curve: BreakEvenCurve) -> Table:
    more = -curve.saved_by_owning_frac
    uses = curve.utilisation_frac.tolist()
    rows = tuple(
        (years, needed, *more[k].tolist())
        for k, (years, needed) in enumerate(zip(curve.years.tolist(), curve.break_even.tolist(), strict=True))
    )
    return Table(
        columns=(
            Column(head="years", key="years", value=lambda r: r[0], show=lambda x: f"{x:g}"),
            Column(head="break-even use", key="break_even_frac", value=lambda r: r[1], show=_share),
            *(_use(use, place) for place, use in enumerate(uses, start=2)),
        ),
        rows=rows,
    )


def _use(use: float, place: int) -> Column:
    return Column(head=f"at {use:.0%}", key=f"at_{use:g}", value=lambda r: r[place], show=lambda x: f"{x:+.0%}")


def _lines_table(lines: Mapping[float, Mapping[str, float]]) -> Table:
    names = next(iter(lines.values()))
    years = Column(head="years", key="years", value=lambda r: r[0], show=lambda x: f"{x:g}")
    return Table(columns=(years, *(_line(name) for name in names)), rows=tuple(lines.items()))


def _line(name: str) -> Column:
    return Column(head=name, key=f"{name}_usd_per_gpu_hour", value=lambda r: r[1][name], show=lambda x: f"${x:,.2f}")


def _share(x: float) -> str:
    return f"{x:.0%}" if 0 < x <= 1 else "never"


_MOVED: Final = (
    Column(head="input", key="input", value=lambda m: m.name, left=True),
    Column(head="low", key="low", value=lambda m: m.ends[0]),
    Column(head="break-even use", key="break_even_low_frac", value=lambda m: m.break_even[0], show=_share),
    Column(head="high", key="high", value=lambda m: m.ends[1]),
    Column(head="break-even use", key="break_even_high_frac", value=lambda m: m.break_even[1], show=_share),
)
