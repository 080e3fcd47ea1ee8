"""The shipped memory recipes load, and a wrong one is refused with every fault named."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from isocost.catalog.memory_recipes import (
    RECOMPUTE,
    attention_memory,
    memory_recipe,
    memory_recipes,
    parse_memory_recipes,
)
from isocost.errors import DataError, InputError
from isocost.perf.lowering_memory import stage_policy

DATA = resources.files("isocost.data")
TEXT = DATA.joinpath("memory_recipes.toml").read_text("utf-8")


def test_every_stack_names_a_shipped_memory_recipe() -> None:
    """Recipes of stacks point to memory recipes that exist, and those cite known sources."""
    stacks = tomllib.loads(DATA.joinpath("recipes.toml").read_text("utf-8"))["recipe"]
    assert {stack["memory"] for stack in stacks} <= memory_recipes().keys()
    sources = tomllib.loads(DATA.joinpath("sources.toml").read_text("utf-8"))["source"]
    assert {recipe.source for recipe in memory_recipes().values()} <= sources.keys()


def test_selective_means_what_the_stack_means() -> None:
    """Megatron: once core attention, now modules; torchtitan: every second product; other names stand as they are."""
    assert memory_recipe("megatron-2021").recompute("selective") == RECOMPUTE["core-attention"]
    assert memory_recipe("megatron-core").recompute("selective") == RECOMPUTE["modules"]
    assert memory_recipe("torchtitan").recompute("selective") == RECOMPUTE["op"]
    assert memory_recipe("torchtitan").recompute("full") == RECOMPUTE["full"]


def test_fsdp_zero2_keeps_the_gathered_model() -> None:
    """PyTorch FSDP under zero2 shards all state and gathers every block; elsewhere zero2 leaves weights whole."""
    fsdp = stage_policy(memory_recipe("llm-foundry"), "zero2")
    assert (fsdp.sharded_weights, fsdp.gathered_blocks) == (1.0, float("inf"))
    megatron = stage_policy(memory_recipe("megatron-core"), "zero2")
    assert (megatron.sharded_weights, megatron.sharded_gradients) == (0.0, 1.0)


def test_unknown_names_get_the_nearest_spelling() -> None:
    """A misspelt recipe or kernel is an input error that says what was meant."""
    with pytest.raises(InputError, match="torchtitan"):
        memory_recipe("torchtitn")
    with pytest.raises(InputError, match="flash2"):
        attention_memory("flsh2")
    with pytest.raises(InputError, match="core-attention"):
        memory_recipe("nemo").recompute("core_attention")


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    """A missing field, an unknown one, a text for a number, a negative number and a wrong choice: five problems."""
    text = TEXT.split("[[recipe]]")[1]
    text = "[[recipe]]" + text.replace("weight = 2\n", "", 1).replace("logit = 8", 'logit = "8"', 1)
    text = (
        text.replace("fixed = 5e9", "fixed = -1")
        .replace('"fused"', '"fusd"')
        .replace("step = 0", "step = 0\nspare = 1")
    )
    with pytest.raises(DataError) as raised:
        parse_memory_recipes(text)
    message = str(raised.value)
    for fault in ("weight is missing", "spare", "logit", "fixed", "norm_kernel"):
        assert fault in message


def test_an_id_is_used_once() -> None:
    """Two recipes of one name are refused."""
    one = "[[recipe]]" + TEXT.split("[[recipe]]")[1]
    with pytest.raises(DataError, match="twice"):
        parse_memory_recipes(one + one)
