"""Intervals: the class of a case, and that no surprise narrows one."""

from __future__ import annotations

import itertools
import math

import pytest
from samples.cases import varied

from isocost.catalog import load_catalog
from isocost.catalog.stacks import recipe
from isocost.laws.intervals import combined_ratio
from isocost.perf import intervals as uncertain
from isocost.perf.case import Case
from isocost.perf.intervals import (
    CALIBRATED,
    KNOWN,
    MEANING,
    NARROWED_BY,
    NEW_CHIP,
    NEW_SCALE,
    NEW_SITE,
    NEW_STACK,
    Band,
)
from isocost.perf.predict import peak_range
from isocost.search import Option, Question
from isocost.search.evaluator import base_case
from isocost.search.intervals import peak_interval, widened, with_time
from isocost.stats.quantiles import Interval
from isocost.workload.presets import preset

CATALOG = load_catalog()
FACTS = {
    "known": {"recipes": ["megatron-core", "torchtitan"], "chips": ["h100-sxm5-80gb", "gb200-nvl72"], "sites": ["lab"]},
    "most_gpus": {"megatron-core@h100-sxm5-80gb": 512, "torchtitan@gb200-nvl72": 64},
}


def _case(chip: str = "h100-sxm5-80gb", stack: str = "megatron-core", model: str = "llama-3.1-8b", **changes) -> Case:
    accelerator = CATALOG.accelerator(chip)
    option = Option(accelerator=accelerator, fabric=CATALOG.fabric_of(accelerator), label=chip)
    question = Question(
        architecture=preset(model), tokens=1e12, seq_len=4096, options=(option,), gpu_counts=(8,), recipe=recipe(stack),
    )  # fmt: skip
    return varied(base_case(question, option, "bf16", 50e9), **changes)


@pytest.mark.parametrize(
    ("case", "classes"),
    [
        (_case(dp=8), (KNOWN,)),
        (_case(dp=9), (NEW_SITE,)),
        (_case(dp=9, site="lab"), (KNOWN,)),
        (_case(dp=8, site="another lab"), (NEW_SITE,)),
        (_case(dp=1024, site="lab"), (KNOWN,)),
        (_case(dp=1025, site="lab"), (NEW_SCALE,)),
        (_case(dp=1025), (NEW_SITE, NEW_SCALE)),
        (_case("a100-sxm4-80gb", dp=8), (NEW_CHIP,)),
        (_case("gb200-nvl72", dp=8), (NEW_CHIP,)),  # measured, but under another stack
        (_case("gb200-nvl72", "torchtitan", dp=72), (KNOWN,)),  # one scale-up domain, no network
        (_case("gb200-nvl72", "torchtitan", dp=73), (NEW_SITE,)),
        (_case(stack="nanogpt", dp=8), (NEW_STACK,)),
        (_case("a100-sxm4-80gb", "nanogpt", dp=16), (NEW_STACK, NEW_CHIP, NEW_SITE)),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, tuple) else "",
)
def test_classes(case: Case, classes: tuple[str, ...]) -> None:
    """A case is in every class that fits it, the widest first; without a site, a network makes it a new one."""
    assert uncertain.classes_of(case, FACTS) == classes
    assert uncertain.class_of(case, FACTS) == classes[0]


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b"])
def test_no_surprise_narrows(model: str) -> None:
    """Whatever is new about a case, one more new thing never narrows its interval; every interval holds 1."""
    chips, stacks, sizes = ("h100-sxm5-80gb", "tpu-v4"), ("nemo-2024", "nanogpt"), (8, 64, 10**6)
    seen = {}
    for chip, stack, dp in itertools.product(chips, stacks, sizes):
        found = uncertain.certainty_of(_case(chip, stack, model, dp=dp))
        seen[frozenset(found.classes)] = found
        assert found.band.low < 1 < found.band.high
        assert found.kind == ("moe" if "moe" in model or "a3b" in model else "dense")
        assert found.rows > 0
        assert len(found.meaning) == len(found.narrowed_by) == len(found.classes)
    for fewer, more in itertools.permutations(seen, 2):
        if fewer - {KNOWN} < more:
            assert seen[more].band.low <= seen[fewer].band.low
            assert seen[more].band.high >= seen[fewer].band.high


def test_every_class_has_its_words_and_errors() -> None:
    """Each class says what it means and what narrows it, and has errors of dense and of expert models, or own runs."""
    assert set(MEANING) == set(NARROWED_BY) == {CALIBRATED, *uncertain._facts()["class"]}
    assert all(set(kinds) == {"dense", "moe"} for kinds in uncertain._facts()["class"].values())


def test_independent_factors_combine_in_quadrature() -> None:
    """Ends of 0.3 and 0.4 in the logarithm make one of 0.5; a certain factor adds nothing; up and down are alike."""
    assert float(combined_ratio(first=math.exp(0.3), second=math.exp(0.4))) == pytest.approx(math.exp(0.5), rel=1e-14)
    assert float(combined_ratio(first=math.exp(-0.3), second=math.exp(0.4))) == pytest.approx(math.exp(0.5), rel=1e-14)
    assert float(combined_ratio(first=1.0, second=1.7)) == pytest.approx(1.7, rel=1e-14)


BAND = Band(low=0.8, high=1.25)


def test_intervals_of_what_follows_from_the_step() -> None:
    """What grows with the step has its factors, what shrinks with it their inverses, the unknown no interval."""
    found = with_time(BAND, {"step_s": 10.0}, {"mfu": 0.4, "mfu_16bit": None})
    assert set(found) == {"step_s", "mfu"}
    assert (found["step_s"].low, found["step_s"].high) == (8.0, 12.5)
    assert (found["mfu"].low, found["mfu"].high) == pytest.approx((0.32, 0.5), rel=1e-15)


def test_a_cost_has_the_spread_of_price_and_time() -> None:
    """Both ends combine those of price and step time; a certain price leaves those of the time; free is free."""
    cost = widened(Interval(low=50.0, median=100.0, high=200.0), BAND)
    assert cost is not None
    wide = math.exp(math.hypot(math.log(2.0), math.log(1.25)))
    assert (cost.low, cost.median, cost.high) == pytest.approx((100 / wide, 100.0, 100 * wide), rel=1e-14)
    certain = widened(Interval(low=100.0, median=100.0, high=100.0), BAND)
    assert certain is not None
    assert (certain.low, certain.high) == pytest.approx((80.0, 125.0), rel=1e-14)
    assert widened(Interval(low=0.0, median=0.0, high=0.0), BAND) == Interval(low=0.0, median=0.0, high=0.0)
    assert widened(None, BAND) is None


def test_an_unnamed_stack_widens_the_peak() -> None:
    """Named, the peak is 9 % off at one standard deviation; unnamed, it may be that of any recipe of the family."""
    case = _case(dp=8, sharding="zero1")
    named = peak_interval(case, 1e10, recipe_assumed=False)
    assert (named.low, named.high) == pytest.approx((1e10 * math.exp(-0.14804), 1e10 * math.exp(0.14804)), rel=1e-4)
    least, own, most = peak_range(case)
    assert least < own < most
    unnamed = peak_interval(case, own, recipe_assumed=True)
    assert (unnamed.low, unnamed.high) == (min(least, own / (named.high / 1e10)), max(most, own * (named.high / 1e10)))
