"""The chance that a peak fits, and what a chip has."""

from __future__ import annotations

import math

import numpy as np
import pytest
from samples.cases import CATALOG

from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.perf.lowering_memory import capacity_bytes


def test_probability_of_fitting_is_the_normal_distribution() -> None:
    """Phi(ln(capacity / total) / sigma) to 7.5e-8, and an even chance where the prediction meets the capacity."""
    totals = np.exp(np.linspace(-1.0, 1.0, 401)) * 80e9
    got = fits_probability(total_bytes=totals, capacity_bytes=80e9, sigma=0.2)
    exact = [0.5 * math.erfc(math.log(total / 80e9) / 0.2 / math.sqrt(2)) for total in totals.tolist()]
    np.testing.assert_allclose(got, exact, rtol=0, atol=7.5e-8)
    assert fits_probability(total_bytes=80e9, capacity_bytes=80e9, sigma=0.2) == pytest.approx(0.5, abs=7.5e-8)


def test_capacity_is_binary_gigabytes_less_one_percent() -> None:
    """An "80 GB" card offers 79.2 GiB; a prediction 10 % below has 88 % to fit."""
    room = capacity_bytes(CATALOG.accelerator("a100-sxm4-80gb").memory_bytes)
    assert room == pytest.approx(79.2 * 2**30, rel=1e-15)
    likely = fits_probability(total_bytes=0.9 * room, capacity_bytes=room, sigma=FIT_SIGMA)
    assert likely == pytest.approx(0.8791, abs=1e-4)
