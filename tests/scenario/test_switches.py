"""Switches of a stack: a scenario changes what a recipe runs, the catalogue shows it, and the answer says so."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

import isocost
from isocost.catalog.memory_recipes import MemoryRecipe
from isocost.catalog.stacks import recipe, recipes
from isocost.cli import run
from isocost.perf.case import Case
from isocost.scenario import KEYS, read_scenario, scenario_tables
from isocost.scenario.question import question_of
from isocost.scenario.switches import SWITCHES
from isocost.search.evaluator import base_case
from isocost.verbs.catalog.ask import catalog_list, catalog_show
from isocost.verbs.catalog.stacks import MEMORY_MEANING, switches

BASE = {"model": "llama-3.1-8b", "tokens": "1 T", "gpus": 64, "on": "h100-sxm5-80gb", "global_batch": 256}


def case(**changes: object) -> Case:
    """Return the case of a scenario, before a layout is chosen."""
    scenario, catalog = read_scenario({**BASE, **changes})
    question, _ = question_of(scenario, catalog, datetime.date(2026, 11, 22))
    return base_case(question, question.options[0], "bf16", 50e9)


def test_a_scenario_without_switches_runs_the_recipe() -> None:
    """Nothing given, nothing changed."""
    found = case(stack="torchtitan")
    stack = recipe("torchtitan")
    assert found.recipe == stack
    assert (found.attention_kernel, found.norm_kernel, found.tp_overlap) == ("flash2", "compiled", False)


@pytest.mark.parametrize(
    ("key", "value", "read", "wanted"),
    [
        ("attention_kernel", "flash3", lambda c: c.attention_kernel, "flash3"),
        ("norm_kernel", "eager", lambda c: c.norm_kernel, "eager"),
        ("gradient_precision", "bf16", lambda c: c.recipe.gradient_bytes, 2.0),
        ("gradient_precision", "fp32", lambda c: c.recipe.gradient_bytes, 4.0),
        ("compiled", True, lambda c: c.recipe.compiled, True),
        ("cuda_graphs", "true", lambda c: c.recipe.cuda_graphs, True),
        ("tp_overlap", True, lambda c: c.tp_overlap, True),
    ],
)
def test_each_switch_changes_its_own_field(key: str, value: object, read: object, wanted: object) -> None:
    """A switch reaches the case, and everything else stays as the recipe has it."""
    plain, changed = case(stack="megatron-core"), case(stack="megatron-core", **{key: value})
    assert callable(read)
    assert read(changed) == wanted
    differs = [
        f.name for f in dataclasses.fields(Case) if getattr(plain, f.name) != getattr(changed, f.name)
    ]  # fmt: skip
    assert differs in ([key], ["recipe"], [])  # [] where the recipe has it already
    assert changed.recipe.id == "megatron-core"


def test_a_compiled_stack_run_eagerly_is_its_measured_eager_recipe() -> None:
    """torchtitan without compilation is the recipe measured so, with its memory; its norm is not compiled either."""
    assert case(stack="torchtitan-2025", compiled=False).recipe.id == "torchtitan-eager"
    assert case(stack="torchtitan-eager", compiled=True).recipe.id == "torchtitan-2025"
    eager = case(stack="maxtext-gpu", compiled=False)  # no eager MaxText was measured
    assert (eager.recipe.id, eager.recipe.compiled, eager.norm_kernel) == ("maxtext-gpu", False, "eager")


def test_slower_switches_make_a_slower_plan_that_says_so() -> None:
    """Eager norms and 32-bit gradients cost time; the answer names them beside the stack, and its JSON reads back."""
    fixed = {
        **BASE,
        "stack": "torchtitan",
        "tp": 1,
        "pp": 1,
        "micro_batch": 1,
        "recompute": "full",
        "sharding": "zero3",
    }
    plain = isocost.estimate(fixed)
    slow = isocost.estimate(fixed, norm_kernel="eager")
    assert plain.answer.chosen is not None
    assert slow.answer.chosen is not None
    assert slow.answer.chosen.step_s > plain.answer.chosen.step_s
    (stack,) = (note.value for note in slow.assumed if note.name == "stack")
    assert stack.endswith("; norm_kernel eager as given")
    again = isocost.explain(json.loads(json.dumps(slow.to_dict(), default=str)), "step_time")
    assert again.to_dict()["tree"]["value"] == pytest.approx(slow.answer.chosen.step_s)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("attention_kernel", "flash_3", "did you mean flash3?"),
        ("norm_kernel", "fuzed", "did you mean fused?"),
        ("gradient_precision", "fp23", "did you mean fp32?"),
        ("compiled", "maybe", "allowed: true, false"),
        ("cuda_graphs", 1, "allowed: true, false"),
        ("tp_overlap", [], "allowed: true, false"),
    ],
)
def test_a_wrong_value_names_the_nearest(key: str, value: object, message: str) -> None:
    """A value that no switch has is refused with its key and what is allowed or near."""
    with pytest.raises(isocost.InputError, match=key) as caught:
        read_scenario({**BASE, key: value})
    assert message in str(caught.value)


def test_switches_survive_a_round_trip() -> None:
    """A scenario with switches written as tables reads back equal."""
    given = {"compiled": False, "cuda_graphs": True, "attention_kernel": "flash3", "gradient_precision": "fp32"}
    scenario, _ = read_scenario({**BASE, **given})
    assert read_scenario(scenario_tables(scenario))[0] == scenario
    assert set(SWITCHES) <= set(KEYS)


def test_the_catalogue_shows_a_recipe_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Every switch, the memory switches and both sources are shown, with the kind in front or without."""
    assert run(["catalog", "show", "recipe", "torchtitan"]) == 0
    text = capsys.readouterr().out
    for switch in switches(recipe("torchtitan")):
        assert switch.name in text
    assert "In memory: recipe torchtitan" in text
    assert text.count("arxiv.org/abs/2410.06511") == 2
    assert "as of 2026, reported" in text
    assert run(["catalog", "show", "torchtitan"]) == 0
    assert capsys.readouterr().out == text
    assert set(MEMORY_MEANING) == {f.name for f in dataclasses.fields(MemoryRecipe)} - {
        "id", "title", "note", "source", "as_of", "grade",
    }  # fmt: skip


def test_every_recipe_can_be_shown_and_its_changeable_switches_are_keys() -> None:
    """Each recipe renders in every form, and says by which keys it can be changed."""
    for name in recipes():
        entry = catalog_show(f"recipe {name}")
        values = entry.to_dict()
        assert set(values["scenario_keys"].values()) == set(SWITCHES)
        assert name in entry.table()
        assert entry.csv().startswith("switch,value,scenario_key,meaning\n")
    listed = catalog_list("recipes")
    assert [row.id for row in listed.entries.rows] == list(recipes())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("recipe torchtitn", "did you mean torchtitan?"),
        ("recipe h100-sxm5-80gb", "isocost catalog list stacks"),
        ("node torchtitan", "isocost catalog list nodes"),
    ],
)
def test_a_kind_in_front_narrows_the_search(words: str, message: str) -> None:
    """A name of another kind is not found under this one."""
    with pytest.raises(isocost.InputError) as caught:
        catalog_show(words)
    assert message in str(caught.value)
