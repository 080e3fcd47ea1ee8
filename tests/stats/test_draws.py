"""Distributions, seeds, intervals, tornado, and what knowing an input is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from isocost.errors import InputError
from isocost.stats.distributions import (
    Distribution,
    Fixed,
    Lognormal,
    Pert,
    SplitLognormal,
    draw,
    probability,
    tornado,
    value_of_knowing,
)
from isocost.stats.quantiles import Interval, interval, quantiles

MANY = 200_000


def _sample(distribution: Distribution) -> Any:
    return draw({"x": distribution}, MANY)["x"]


def test_split_lognormal_has_its_quantiles() -> None:
    """Low, median and high are p05, p50 and p95, however lopsided."""
    found = interval(_sample(SplitLognormal(low=2.0, median=3.0, high=12.0)))
    assert [found.low, found.median, found.high] == pytest.approx([2.0, 3.0, 12.0], rel=0.02)


def test_lognormal_has_its_quantiles() -> None:
    """Half of the draws are above the median, 5 % above p95, and p05 is as far below by factor."""
    found = interval(_sample(Lognormal(median=3.0, p95=6.0)))
    assert [found.low, found.median, found.high] == pytest.approx([1.5, 3.0, 6.0], rel=0.02)


def test_a_bounded_distribution_has_its_mean() -> None:
    """The mean of PERT is (low + 4 mode + high) / 6, and its draws are within the bounds."""
    pert = _sample(Pert(low=0.0, mode=1.0, high=5.0))
    assert float(pert.mean()) == pytest.approx(1.5, rel=0.01)
    assert pert.min() >= 0
    assert pert.max() <= 5


def test_points_without_spread() -> None:
    """A range of no width, and a fixed value, give that value."""
    for point in (
        Fixed(value=2.0),
        Pert(low=2.0, mode=2.0, high=2.0),
        SplitLognormal(low=2.0, median=2.0, high=2.0),
    ):
        assert set(draw({"x": point}, 5)["x"]) == {2.0}


def test_a_seed_gives_the_same_draws_whatever_else_is_drawn() -> None:
    """An input keeps its draws when others come, and changes with seed and name."""
    spread = Lognormal(median=1.0, p95=2.0)
    alone = draw({"a": spread}, 100, seed=7)["a"]
    together = draw({"b": spread, "a": spread, "c": 3.0}, 100, seed=7)
    assert alone.tobytes() == together["a"].tobytes()
    assert not np.array_equal(alone, together["b"])
    assert not np.array_equal(alone, draw({"a": spread}, 100, seed=8)["a"])
    assert draw({"a": spread}, 10, trailing=2)["a"].shape == (10, 1, 1)


def test_ranges_out_of_order_are_refused() -> None:
    """What is not positive, not finite or not in order is one error."""
    with pytest.raises(InputError) as caught:
        SplitLognormal(low=0.0, median=3.0, high=2.0)
    assert [str(problem) for problem in caught.value.problems] == [
        "SplitLognormal.low: 0.0 is not above 0",
        "SplitLognormal.median: 3.0 is above high; allowed: at most 2; fix: order them",
    ]
    with pytest.raises(InputError, match="low: nan is not finite"):
        Pert(low=float("nan"), mode=1.0, high=2.0)
    with pytest.raises(InputError, match="draws: 0 is out of range"):
        draw({}, 0)


def test_interval_and_probability() -> None:
    """Quantiles and shares are taken over the leading axis, one a column."""
    values = np.stack([np.arange(101.0), np.arange(101.0) * 2], axis=1)
    assert quantiles(values).tolist() == [[5.0, 10.0], [50.0, 100.0], [95.0, 190.0]]
    assert interval(values[:, 1]) == Interval(low=10.0, median=100.0, high=190.0)
    assert probability(values < 50).tolist() == pytest.approx([50 / 101, 25 / 101])


def _line(x: Mapping[str, Any]) -> Any:
    return x["small"] + 10 * x["large"] - 3 * x["middle"] + x["known"]


def test_tornado_ranks_inputs_by_what_they_move() -> None:
    """Of three inputs of one spread the largest factor comes first, with the answers at its two ends."""
    spread = Pert(low=1.0, mode=2.0, high=3.0)
    found = tornado(_line, {"small": spread, "large": spread, "middle": spread, "known": 5.0}, n=4000)
    assert [bar.name for bar in found.bars] == ["large", "middle", "small"]
    for bar, factor in zip(found.bars, (10.0, -3.0, 1.0), strict=True):
        assert bar.at_p95 - bar.at_p05 == pytest.approx(factor * (bar.p95 - bar.p05), rel=1e-9)
    assert found.at_medians == pytest.approx(2.0 * 8.0 + 5.0, rel=0.02)


def test_tornado_says_how_much_narrower_a_measurement_makes_the_answer() -> None:
    """With independent spreads 10, 3 and 1, knowing the largest leaves sqrt(10 / 110) of the width."""
    spread = Pert(low=1.0, mode=2.0, high=3.0)
    found = tornado(_line, {"small": spread, "large": spread, "middle": spread, "known": 5.0}, n=20_000)
    left = [bar.known_width_frac for bar in found.bars]
    assert left == pytest.approx([np.sqrt(10 / 110), np.sqrt(101 / 110), np.sqrt(109 / 110)], abs=0.02)


def test_value_of_knowing_by_hand() -> None:
    """A costs x, uniform on -1 to 1, B nothing: knowing x saves 1/4 on average, knowing what never matters nothing."""
    rng = np.random.default_rng(3)
    x, other = rng.uniform(-1, 1, 20_000), rng.uniform(-1, 1, 20_000)
    costs = np.stack([x, np.zeros_like(x)], axis=1)
    worth = value_of_knowing(costs, {"other": other, "x": x, "fixed": np.ones_like(x)}, bins=20)
    assert next(iter(worth)) == "x"
    assert worth["x"] == pytest.approx(0.25, abs=0.01)
    assert worth["other"] == pytest.approx(0.0, abs=0.005)
    assert worth["fixed"] == 0.0


def test_what_changes_no_choice_is_worth_nothing() -> None:
    """An input that moves both options alike is not worth measuring, however far it moves them."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 1e6, 5000)
    assert value_of_knowing(np.stack([x, x + 1], axis=1), {"x": x})["x"] == pytest.approx(0.0, abs=1e-6)
