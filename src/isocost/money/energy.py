"""Energy of a run, what it costs, and the carbon that it and the making of the hardware emit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.money.check import FRACTION, NOT_NEGATIVE, POSITIVE, Bound, problems_of, refuse
from isocost.money.rent import energy_j, energy_usd, facility_power_w
from isocost.num import Num
from isocost.term import term


@term(unit="kg", source="codecarbon")
def carbon_kg(*, energy_j: Num, carbon_kg_per_j: Num) -> Num:
    """energy * carbon_intensity

    Carbon dioxide equivalent of the electricity, at the mean intensity of the grid.

    energy_j: energy at the meter. carbon_kg_per_j: of the grid, mean of the stated year.
    Ignores: hour and season, contracts and certificates: they move the figure by half or more.
    Source: codecarbon.
    """
    return energy_j * carbon_kg_per_j


@term(unit="kg", source="definition")
def embodied_kg(*, accelerator_s: Num, making_kg: Num, lifetime_s: Num) -> Num:
    """accelerator_seconds / lifetime * making

    Share of a run in the carbon of making the accelerators it occupies.

    accelerator_s: accelerator-seconds held. making_kg: of one accelerator. lifetime_s: seconds it will serve.
    Ignores: idle hours of its life, servers, network and building.
    Source: definition.
    """
    return np.divide(accelerator_s, lifetime_s) * making_kg


_BOUNDS = {
    "gpus": POSITIVE,
    "held_s": NOT_NEGATIVE,
    "tdp_w": NOT_NEGATIVE,
    "power_over_tdp": Bound(least=1.0, most=10.0),
    "pue": Bound(least=1.0, most=5.0, fix="PUE is power of the site over power of its servers"),
    "draw_frac": FRACTION,
    "electricity_usd_per_j": NOT_NEGATIVE,
    "carbon_kg_per_j": NOT_NEGATIVE,
    "making_kg": NOT_NEGATIVE,
    "lifetime_s": POSITIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyInputs:
    """What the energy of a run depends on."""

    gpus: Num
    held_s: Num
    tdp_w: Num
    power_over_tdp: Num
    pue: Num
    draw_frac: Num
    electricity_usd_per_j: Num
    carbon_kg_per_j: Num = 0.0
    making_kg: Num = 0.0
    lifetime_s: Num = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible inputs, all at once."""
        refuse(problems_of(self, _BOUNDS, "energy"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyUse:
    """Energy of a run at the meter, its bill and its carbon."""

    energy_j: Num
    energy_usd: Num
    carbon_kg: Num
    embodied_kg: Num


def energy_use(inputs: EnergyInputs) -> EnergyUse:
    """Return energy, its bill and carbon of a run that holds accelerators for some time."""
    i = inputs
    power = facility_power_w(
        gpus=i.gpus, tdp_w=i.tdp_w, power_over_tdp=i.power_over_tdp, pue=i.pue, draw_frac=i.draw_frac
    )
    drawn = energy_j(power_w=power, run_s=i.held_s)
    return EnergyUse(
        energy_j=drawn,
        energy_usd=energy_usd(energy_j=drawn, electricity_usd_per_j=i.electricity_usd_per_j),
        carbon_kg=carbon_kg(energy_j=drawn, carbon_kg_per_j=i.carbon_kg_per_j),
        embodied_kg=embodied_kg(accelerator_s=i.gpus * i.held_s, making_kg=i.making_kg, lifetime_s=i.lifetime_s),
    )
