"""Arithmetic that anyone can redo by hand, by the product's own functions: GPT-3, its state, and a year of a card."""

from __future__ import annotations

import pytest

import isocost
from isocost.laws.scaling import SERVE_FLOP, TRAIN_FLOP, lifetime_flop, train_6nd_flop
from isocost.money.energy import EnergyInputs, energy_use
from isocost.units import HOUR_S

GPT3 = isocost.load_model("gpt3-175b")
GPT3_TOKENS = 300e9  # brown2020, table 2.1
KWH_J = 3.6e6


def _params() -> float:
    return float(isocost.model(GPT3, 2048).to_dict()["params"])


def test_training_gpt3() -> None:
    """Six FLOPs a parameter a token: 3.14e23 for GPT-3's 300 B tokens (brown2020, appendix D)."""
    assert TRAIN_FLOP == 6.0
    assert float(train_6nd_flop(params=_params(), tokens=GPT3_TOKENS)) == pytest.approx(3.14e23, rel=1e-3)


def test_the_operators_agree_with_six_and_two() -> None:
    """The FLOPs counted by operator are 6 N and 2 N a token and a few per cent of attention scores above them."""
    counted = isocost.model(GPT3, 2048).to_dict()["flop_per_token"]["full"]
    assert 1.0 < counted["train_total"] / (TRAIN_FLOP * _params()) < 1.03
    assert 1.0 < counted["forward"]["total"] / (SERVE_FLOP * _params()) < 1.03


def test_serving_gpt3() -> None:
    """Two FLOPs a parameter a token: some 350 TFLOP for 1,024 tokens of GPT-3, and as much again for 1,024 read."""
    assert SERVE_FLOP == 2.0

    def served(tokens: float) -> float:
        return float(lifetime_flop(params=_params(), tokens=0.0, served_tokens=tokens, serving_cost=1.0))

    assert served(1024) == pytest.approx(350e12, rel=0.03)
    assert served(1024 + 1024) == 2 * served(1024)


def test_optimizer_state_of_gpt3() -> None:
    """Two moments in fp32 are 8 bytes a parameter beyond the weights: over 1 TB for 175 B parameters."""
    state = isocost.model(GPT3, 2048).to_dict()["state_bytes"]
    moments = state["first_moment"] + state["second_moment"]
    assert moments == 8 * _params()
    assert moments > 1e12


def test_a_year_of_400_watts() -> None:
    """Cards of 700 W and 300 W differ by 400 W: 3,504 kWh in a year of 8,760 hours."""

    def drawn_kwh(tdp_w: float) -> float:
        year = EnergyInputs(
            gpus=1.0,
            held_s=8760 * HOUR_S,
            tdp_w=tdp_w,
            power_over_tdp=1.0,
            pue=1.0,
            draw_frac=1.0,
            electricity_usd_per_j=0.0,
        )
        return float(energy_use(year).energy_j) / KWH_J

    assert drawn_kwh(700.0) - drawn_kwh(300.0) == pytest.approx(3504.0, rel=1e-12)
