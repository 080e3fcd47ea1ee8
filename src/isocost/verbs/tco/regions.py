"""Energy, its bill and the carbon of a run, by region: tariff and grid with the year of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.catalog.prices import Region, region
from isocost.errors import InputError, Problem
from isocost.money.energy import EnergyInputs, EnergyUse, energy_use
from isocost.render.document import Column, Section, Table
from isocost.units import HOUR_S, show
from isocost.verbs.tco.payment import PayingRun

_KWH_J: Final = 1000.0 * HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InRegion:
    """A run's energy at the tariff and on the grid of one region; spreads are those of the tariff."""

    region: str
    usd_per_j: tuple[float, float, float]
    used: EnergyUse
    tariff_as_of: str
    grid: str
    grid_as_of: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        low, median, high = self.usd_per_j
        return {
            "region": self.region,
            "electricity_usd_per_kwh": [x * _KWH_J for x in (low, median, high)],
            "electricity_as_of": self.tariff_as_of,
            "energy_j": float(self.used.energy_j),
            "energy_usd": float(self.used.energy_usd),
            "carbon_kg": float(self.used.carbon_kg),
            "grid": self.grid,
            "grid_as_of": self.grid_as_of,
            "embodied_kg": float(self.used.embodied_kg),
        }


def in_regions(paying_run: PayingRun, names: Sequence[str]) -> tuple[InRegion, ...]:
    """Return the energy of a run in each region; nothing where the power of its accelerator is not known."""
    run, catalog = paying_run.run, paying_run.catalog
    if run.tdp_w is None:
        if names:
            fix = f"add tdp to [accelerator.{run.chip}] in your own catalogue file"
            raise InputError([Problem("--region", f"the TDP of {run.chip} is not known", fix=fix)])
        return ()
    places = _regions(paying_run, names or (run.electricity,))
    held_s = float(np.median(paying_run.forecast().wall_s))
    making = catalog.rates.get(("embodied", run.chip.partition("-")[0]))
    found = []
    for place in places:
        used = energy_use(
            EnergyInputs(
                gpus=run.gpus,
                held_s=held_s,
                tdp_w=run.tdp_w,
                power_over_tdp=run.power_over_tdp,
                pue=catalog.rate("pue", run.pue).median,
                draw_frac=catalog.rate("draw", run.draw).median,
                electricity_usd_per_j=place.electricity.median,
                carbon_kg_per_j=place.carbon.median,
                making_kg=0.0 if making is None else making.median,
                lifetime_s=catalog.rate("lifetime", "server").median,
            )
        )
        tariff = place.electricity
        found.append(
            InRegion(
                region=place.id,
                usd_per_j=(tariff.low, tariff.median, tariff.high),
                used=used,
                tariff_as_of=tariff.fact.as_of,
                grid=place.carbon.id,
                grid_as_of=place.carbon.fact.as_of,
            )
        )
    return tuple(found)


def _regions(paying_run: PayingRun, names: Sequence[str]) -> list[Region]:
    found: list[Region] = []
    problems: list[Problem] = []
    for name in names:
        try:
            found.append(region(paying_run.catalog, name))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


def energy_section(found: tuple[InRegion, ...], *, owned: bool) -> Section:
    """Return the section on energy and carbon."""
    first = found[0].used
    body: list[Table | str] = [f"{show(float(first.energy_j), 'J')} at the meter", Table(columns=_COLUMNS, rows=found)]
    if float(first.embodied_kg) > 0:
        body.append(f"making the accelerators, for their share of a life: {_tonnes(float(first.embodied_kg))} more")
    said = "on the bill, as they are owned" if owned else "in the price where they are rented, on the bill where owned"
    body.append(f"energy is {said}; carbon is the mean of a country's grid, without contracts or certificates")
    return Section(title="Energy and carbon, by region", body=tuple(body))


def _tonnes(kg: float) -> str:
    return f"{kg / 1000:,.0f} t" if kg >= 1e4 else f"{kg / 1000:,.2g} t"


def _tariff(r: InRegion) -> str:
    low, median, high = (x * _KWH_J for x in r.usd_per_j)
    spread = f"{low:.3f} to {high:.3f}" if low < high else "no spread known"
    return f"{median:.3f} ({spread})"


_COLUMNS: Final = (
    Column(head="region", key="region", value=lambda r: r.region, left=True),
    Column(head="$/kWh", key="electricity_usd_per_kwh", value=lambda r: r.usd_per_j[1], text=_tariff),
    Column(head="as of", key="electricity_as_of", value=lambda r: r.tariff_as_of, left=True),
    Column(
        head="energy bill", key="energy_usd", value=lambda r: float(r.used.energy_usd), show=lambda x: show(x, "USD")
    ),
    Column(head="CO2e", key="carbon_kg", value=lambda r: float(r.used.carbon_kg), show=_tonnes),
    Column(head="grid, as of", key="grid_as_of", value=lambda r: f"{r.grid}, {r.grid_as_of}", left=True),
)
