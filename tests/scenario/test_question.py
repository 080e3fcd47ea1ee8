"""From a scenario to a question: what is looked up, and what is then assumed."""

from __future__ import annotations

import datetime

import pytest

from isocost.catalog import load_catalog
from isocost.scenario import read_scenario
from isocost.scenario.facts import ACCELERATORS, Facts, resolve
from isocost.scenario.question import assume, question_of

TODAY = datetime.date(2026, 6, 1)
BASE = {"model": "llama-3.1-8b", "tokens": "1 T"}


def _facts(**changes: object) -> Facts:
    return resolve(*read_scenario({**BASE, **changes}, today=TODAY))


def test_only_what_is_asked_for_is_looked_up() -> None:
    """The price of owning and the limits of capacity blocks are facts of the questions that name them."""
    plain = _facts()
    assert [each.accelerator.id for each in plain.hardware] == list(ACCELERATORS)
    assert plain.block is None
    assert all(each.owning_usd_per_s is None for each in plain.hardware)
    assert _facts(term="capacity_block").block is not None
    assert all(each.owning_usd_per_s for each in _facts(term="owned").hardware)
    assert not any(each.owning_usd_per_s for each in _facts(term="owned", purchase={"price": "2 USD/h"}).hardware)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, {"seq_len", "on", "gpus", "precision", "term"}),
        ({"seq_len": 4096, "gpus": 64}, {"on", "precision", "term"}),
        ({"on": "h100-sxm5-80gb", "precision": "bf16", "term": "spot"}, {"seq_len", "gpus", "pre-emption"}),
        ({"purchase": {"lead_time": "30 d", "available": 128}}, {"lead time", "available"}),
    ],
)
def test_what_is_left_open_is_told(changes: dict[str, object], named: set[str]) -> None:
    """Every gap that was filled has a note, and what the user said has none."""
    scenario, catalog = read_scenario(BASE | changes, today=TODAY)
    told = {note.name for note in assume(scenario, resolve(scenario, catalog), TODAY).notes}
    assert named <= told
    assert not told & set(changes)
    assert told == {note.name for note in question_of(scenario, load_catalog(), TODAY)[1]}
