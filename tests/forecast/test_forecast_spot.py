"""Runs on spot capacity: pre-emption in the forecast, in a calm pool and in a contended one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import isocost
from isocost.catalog import load_catalog
from isocost.catalog.reliability import load_reliability
from isocost.cli import run as command
from isocost.errors import InputError
from isocost.forecast import evaluate, forecast, uncertain
from isocost.reliability.closed_form import goodput
from isocost.reliability.conditions import Conditions
from isocost.reliability.defaults import inputs_of
from isocost.reliability.shape import RunShape
from isocost.reliability.spot import (
    CALM,
    CONTENDED,
    SPOT_FACTS,
    spot,
    spot_facts,
    wait_s_of_availability,
)
from isocost.units import HOUR_S

CATALOG = load_catalog()
FIRM = RunShape(
    chip="h100-sxm5-80gb", gpus=128.0, gpus_per_node=8.0, step_s=10.0, steps=100_000.0, tokens=4e11, params=8e9,
    band=(0.9, 1.2), term="on_demand", price_usd_per_s=(2.0 / HOUR_S, 3.0 / HOUR_S, 9.0 / HOUR_S), tdp_w=700.0,
)  # fmt: skip
SPOT = replace(FIRM, term="spot")


def test_pre_emption_is_a_cause_of_its_own() -> None:
    """On spot the stops of nodes are added to all others, and the time agrees with the goodput of spot by itself."""
    calm = goodput(inputs_of(SPOT, Conditions(), {}).inputs)
    facts = spot_facts(CALM)
    rate, notice, wait = (spread.median for spread in facts.values())
    alone = spot(
        inputs_of(FIRM, Conditions(), {}).inputs,
        node_preemptions_per_s=rate / HOUR_S,
        notice_s=notice,
        wait_s=wait,
    ).spot
    assert float(calm.wall_s) == pytest.approx(float(alone.wall_s), rel=1e-12)
    assert float(calm.wall_s) > float(goodput(inputs_of(FIRM, Conditions(), {}).inputs).wall_s)


def test_the_bill_holds_the_whole_run() -> None:
    """Spot at the price of firm capacity costs more, by the longer run; waits of the group are charged."""
    firm, there = (evaluate(run, Conditions(), CATALOG, {}) for run in (FIRM, SPOT))
    assert there.bill is not None
    assert firm.bill is not None
    longer = float(there.time.wall_s / firm.time.wall_s)
    gpu = [float(b.gpu_useful_usd + b.gpu_lost_usd + b.gpu_bring_up_usd) for b in (firm.bill, there.bill)]
    assert longer > 1.0
    assert gpu[1] / gpu[0] == pytest.approx(longer, rel=1e-12)


def test_uncertain_inputs_of_spot() -> None:
    """Rate, notice and wait of the pool are drawn on spot and on no other term; the pool decides which rate."""
    names = {pool: set(uncertain(replace(SPOT, pool=pool), Conditions(), CATALOG)) for pool in (CALM, CONTENDED)}
    firm = set(uncertain(FIRM, Conditions(), CATALOG))
    assert names[CALM] - firm == {"spot-calm-per-node-hour", "spot-notice", "spot-wait"}
    assert names[CONTENDED] - firm == {"spot-per-node-hour", "spot-notice", "spot-wait"}
    assert not firm & set(SPOT_FACTS)


def test_pools_are_far_apart() -> None:
    """In a calm pool 16 nodes run within a tenth longer; in a contended one over three times as long."""
    walls = {
        pool: np.median(forecast(run, Conditions(), CATALOG, bars=False).wall_s)
        for pool, run in (("", FIRM), (CALM, SPOT), (CONTENDED, replace(SPOT, pool=CONTENDED)))
    }
    assert 1.0 < walls[CALM] / walls[""] < 1.1
    assert walls[CONTENDED] / walls[""] > 3.0


def test_a_hopeless_run_stays_a_number() -> None:
    """2,048 nodes in a contended pool take longer than any run, and no draw overflows."""
    huge = replace(SPOT, pool=CONTENDED, gpus=16384.0)
    o = forecast(huge, Conditions(), CATALOG, bars=False)
    assert np.isfinite(o.wall_s).all()
    assert np.median(o.wall_s) > 1e6 * np.median(forecast(FIRM, Conditions(), CATALOG, bars=False).wall_s)


def test_saves_fit_the_pool_unless_told() -> None:
    """The interval is the best one with pre-emption in; one that the user states is kept."""
    own, told = (inputs_of(SPOT, Conditions(interval_s=interval), {}).inputs.interval_s for interval in (None, 1234.0))
    assert told == 1234.0
    assert float(np.asarray(own)) <= float(np.asarray(inputs_of(FIRM, Conditions(), {}).inputs.interval_s))


def test_the_wait_is_what_the_traces_say() -> None:
    """16 nodes lost at 0.48 an hour, all there 43 % of the time: 10.4 min; one at 0.23 and 68 %: 123 min."""
    wait = load_reliability().default("spot-wait")
    assert wait_s_of_availability(0.43, 16.0, 0.48 / HOUR_S) == pytest.approx(wait.low, rel=0.01)
    assert wait_s_of_availability(0.68, 1.0, 0.23 / HOUR_S) == pytest.approx(wait.high, rel=0.01)
    assert wait.median == pytest.approx(np.sqrt(wait.low * wait.high), rel=0.01)
    bands = load_reliability().default("spot-calm-per-node-hour")
    for share, rate in ((0.05, bands.low), (0.10, bands.median), (0.20, bands.high)):
        assert -np.log1p(-share) / 730.5 == pytest.approx(rate, rel=0.01)


SMALL = {
    "model": "llama-3.1-8b", "tokens": "200 B", "seq_len": 8192, "global_batch": 512, "on": "h100-sxm5-80gb",
    "gpus": 128,
}  # fmt: skip


def test_a_plan_on_spot_says_what_it_meets() -> None:
    """A plan on spot is longer than one on demand on the same machines, and states rate, notice and wait with dates."""
    large = SMALL | {"gpus": 1024, "tokens": "5 T"}
    firm, there = (isocost.estimate(large, term=term) for term in ("on_demand", "spot"))
    assert firm.answer.chosen is not None
    assert there.answer.chosen is not None
    assert there.answer.chosen.run_s > firm.answer.chosen.run_s
    said = [note for note in there.assumptions() if note.name == "pre-emption"]
    assert [note.as_of for note in said] == ["2025-05", "2026", "2023"]
    assert said[0].value.startswith("10% (5% to 20%) of nodes a month")
    assert "more than 16 nodes" in said[0].value
    assert not [note for note in firm.assumptions() if note.name == "pre-emption"]


def test_a_block_limits_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """More GPUs than a block holds are an error that says the limit; its length is a deadline, stated with its date."""
    with pytest.raises(InputError, match=r"at most 64 instances \(512 GPUs\) for 182 d.*2024-12"):
        isocost.plan(SMALL, term="capacity_block", gpus=1024)
    found = isocost.plan(SMALL, term="capacity_block", gpus=[128, 1024])
    assert found.answer.question.gpu_counts == (128,)
    assert found.answer.question.deadline_s == 182 * 86400
    assert isocost.plan(SMALL, term="capacity_block", deadline="30 d").answer.question.deadline_s == 30 * 86400
    assert [note.as_of for note in found.assumptions() if note.name == "capacity block"] == ["2024-12"]
    long = isocost.estimate(SMALL, term="capacity_block", tokens="20 T")
    assert "; not to be had at that price: a capacity block holds at most 64 instances" in long.sentence
    assert "not to be had" not in isocost.estimate(SMALL, term="capacity_block").sentence
    assert (
        command(["plan", "--model", "llama-3.1-8b", "--tokens", "1 T", "--term", "capacity_block", "--gpus", "4096"])
        == 2
    )
    assert "gpus: 4096 is more than can be bought" in capsys.readouterr().err
