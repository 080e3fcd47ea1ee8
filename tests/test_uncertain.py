"""Intervals: the class of a case, and that no surprise narrows one."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from isocost import uncertain
from isocost.cases import Case
from isocost.catalog import load_catalog
from isocost.recipes import recipe
from isocost.search import Option, Question
from isocost.search.tables import base_case
from isocost.uncertain import KNOWN, MEANING, NARROWED_BY, NEW_CHIP, NEW_SCALE, NEW_SITE, NEW_STACK
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
    return dataclasses.replace(base_case(question, option, "bf16", 50e9), **changes)


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
    """Each class says what it means and what narrows it, and has errors of dense and of expert models."""
    assert set(MEANING) == set(NARROWED_BY) == set(uncertain._facts()["class"])
    assert all(set(kinds) == {"dense", "moe"} for kinds in uncertain._facts()["class"].values())
