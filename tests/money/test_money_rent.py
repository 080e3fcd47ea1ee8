"""Rent and energy of a run, by hand."""

from __future__ import annotations

import pytest

from isocost.money.rent import accelerator_s, energy_j, energy_usd, facility_power_w, rent_usd, run_s


def test_rent_by_hand() -> None:
    """1,000 steps of 3.6 s on 1,000 GPUs at 2 USD an hour: one hour, 1,000 GPU-hours, 2,000 USD."""
    seconds = run_s(steps=1000.0, step_s=3.6)
    held = accelerator_s(gpus=1000.0, run_s=seconds)
    assert (seconds, held) == (3600.0, 3.6e6)
    assert rent_usd(accelerator_s=held, price_usd_per_s=2.0 / 3600.0) == pytest.approx(2000.0, rel=1e-15)


def test_power_by_hand() -> None:
    """8 GPUs of 700 W in a server that adds 80 %, drawing three quarters, at a PUE of 1.25: 9.45 kW."""
    power = facility_power_w(gpus=8.0, tdp_w=700.0, power_over_tdp=1.8, pue=1.25, draw_frac=0.75)
    assert power == pytest.approx(9450.0, rel=1e-15)
    assert facility_power_w(gpus=8.0, tdp_w=700.0, power_over_tdp=1.8, pue=1.25) == pytest.approx(12_600.0, rel=1e-15)


def test_energy_by_hand() -> None:
    """10 kW for 100 hours are 1 MWh, 80 USD at 0.08 USD/kWh."""
    energy = energy_j(power_w=10e3, run_s=100 * 3600.0)
    assert energy == 1e3 * 3.6e6
    assert energy_usd(energy_j=energy, electricity_usd_per_j=0.08 / 3.6e6) == pytest.approx(80.0, rel=1e-15)
