"""What a run costs when capacity is paid by the hour, and the energy it draws.

A rented hour includes host, network and energy; then the energy is information. Where the accelerators are owned, the
energy is a bill of its own.
"""

from __future__ import annotations

from isocost.num import Num
from isocost.term import term


@term(unit="s", source="definition")
def run_s(*, steps: Num, step_s: Num) -> Num:
    """steps * step

    Time of a run of equal steps.

    steps: optimizer steps. step_s: seconds of one.
    Ignores: start, evaluation, checkpoints, failures and restarts, which lengthen real runs by 3 to 30 %.
    Source: definition.
    """
    return steps * step_s


@term(unit="s", source="definition")
def accelerator_s(*, gpus: Num, run_s: Num) -> Num:
    """gpus * run

    Accelerator-seconds of a run, the quantity that is billed: each is held from first step to last.

    gpus: accelerators. run_s: seconds of the run.
    Ignores: spares and accelerators that wait for a node to be replaced.
    Source: definition.
    """
    return gpus * run_s


@term(unit="USD", source="definition")
def rent_usd(*, accelerator_s: Num, price_usd_per_s: Num) -> Num:
    """accelerator-seconds * price

    Bill of a run at one price an accelerator, host and network included.

    accelerator_s: accelerator-seconds. price_usd_per_s: of one accelerator.
    Ignores: storage, traffic out, support, taxes, minimum terms; instances that are rented whole.
    Source: definition.
    """
    return accelerator_s * price_usd_per_s


@term(unit="W", source="epoch_costs", domain={"power_over_tdp": (1.0, 2.0), "pue": (1.0, 2.0)})
def facility_power_w(*, gpus: Num, tdp_w: Num, power_over_tdp: Num, pue: Num, draw_frac: Num = 1.0) -> Num:
    """gpus * TDP * power_over_tdp * draw * PUE

    Power at the meter. A server may draw its maximum, TDP times what host, fans and network add; training draws a
    part of it; cooling and conversion add the rest. With ``draw_frac`` 1 it is what the site has to be built for.

    gpus: accelerators. tdp_w: of one. power_over_tdp: maximum server power over the TDP of its accelerators.
    pue: power of the site over power of its servers. draw_frac: mean draw over the server's maximum.
    Ignores: that draw falls with network waits and rises with matrix work: the mean is one of measured runs.
    Source: epoch_costs.
    """
    return gpus * tdp_w * power_over_tdp * draw_frac * pue


@term(unit="J", source="definition")
def energy_j(*, power_w: Num, run_s: Num) -> Num:
    """power * run

    Energy of a run at its mean power.

    power_w: mean power at the meter. run_s: seconds of the run.
    Source: definition.
    """
    return power_w * run_s


@term(unit="USD", source="definition")
def energy_usd(*, energy_j: Num, electricity_usd_per_j: Num) -> Num:
    """energy * price of electricity

    Bill of the energy of a run.

    energy_j: energy at the meter. electricity_usd_per_j: price of electricity.
    Ignores: charges for peak power and connection.
    Source: definition.
    """
    return energy_j * electricity_usd_per_j
