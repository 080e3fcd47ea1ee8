"""Shapley shares: by hand, exact sums, and what cannot be attributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.errors import InputError
from isocost.stats.shapley import MAX_GROUPS, shapley, shapley_between

PLAIN = {"price": 2.0, "hours": 10.0, "goodput": 0.5, "name": "a"}
BETTER = {"price": 3.0, "hours": 8.0, "goodput": 0.8, "name": "a"}


def _cost(inputs: Mapping[str, Any]) -> float:
    return float(inputs["price"] * inputs["hours"] / inputs["goodput"])


def test_a_product_by_hand() -> None:
    """From 1 x 1 to 3 x 2: the first factor gains 2 or 4, before or after the second, so 3 of 5; the second 1 or 3."""
    found = shapley_between(
        lambda x: x["a"] * x["b"], {"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 2.0}, {"first": ["a"], "second": ["b"]}
    )
    assert (found.before, found.after, found.whole) == (1.0, 6.0, 5.0)
    assert found.shares == {"first": 3.0, "second": 2.0}
    assert found.alone == {"first": 2.0, "second": 1.0}
    assert found.last == {"first": 4.0, "second": 3.0}
    assert (found.interaction, found.evaluations) == (2.0, 4)


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_shares_add_up_to_the_whole(k: int, seed: int) -> None:
    """For any function of any groups, with arrays for answers, the shares sum to the change to 1e-9."""
    rng = np.random.default_rng(seed)
    groups = [f"g{i}" for i in range(k)]
    answers: dict[frozenset[str], Any] = {}

    def arbitrary(changed: frozenset[str]) -> Any:
        return answers.setdefault(changed, rng.uniform(-1e6, 1e6, (2, 3)))

    found = shapley(arbitrary, groups)
    assert sum(found.shares.values()) == pytest.approx(found.whole, rel=1e-9, abs=1e-9)
    assert found.evaluations == len(answers) == 2**k
    assert found.shares["g0"].shape == (2, 3)


def test_what_changes_nothing_has_no_share_and_twins_share_alike() -> None:
    """A group that never matters gets zero, and two that are interchangeable get the same."""
    found = shapley(lambda changed: float(len(changed & {"a", "b"})) ** 2, ["a", "b", "idle"])
    assert found.shares["idle"] == 0.0
    assert found.shares["a"] == found.shares["b"] == pytest.approx(2.0, rel=1e-15)


def test_two_offers() -> None:
    """The difference of two offers is shared over groups of inputs; what is equal needs no group."""
    groups = {"contract": ["price"], "design": ["hours", "goodput"]}
    found = shapley_between(_cost, PLAIN, BETTER, groups)
    assert found.whole == pytest.approx(30.0 - 40.0, rel=1e-14)
    assert found.shares["contract"] == pytest.approx((20.0 + 10.0) / 2, rel=1e-14)
    assert found.shares["design"] == pytest.approx((-20.0 - 30.0) / 2, rel=1e-14)


def test_every_problem_of_the_groups_is_named() -> None:
    """An input that differs and is in no group, one in two, one unknown, and one given once are one error."""
    with pytest.raises(InputError) as caught:
        shapley_between(_cost, {**PLAIN, "only": 1}, BETTER, {"a": ["price", "huors"], "b": ["price"]})
    assert [str(problem) for problem in caught.value.problems] == [
        "inputs.only: is in one of the two sets only; fix: give it in both",
        "groups.huors: is not an input",
        "groups.price: is in more than one group; fix: keep it in one",
        "inputs.goodput: differs and is in no group; fix: put it in a group",
        "inputs.hours: differs and is in no group; fix: put it in a group",
    ]


@pytest.mark.parametrize("groups", [[], ["a", "a"], [f"g{i}" for i in range(MAX_GROUPS + 1)]])
def test_number_of_groups(groups: list[str]) -> None:
    """None, a repeated one, and more than can be evaluated are refused before anything runs."""
    with pytest.raises(InputError, match="allowed: 1 to 12 groups"):
        shapley(lambda changed: 1 / 0, groups)
