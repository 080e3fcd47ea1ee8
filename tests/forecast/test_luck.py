"""The luck of a run in plans: single runs and not expected ones, and one set of numbers in plan and goodput."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import isocost
from isocost.catalog import load_catalog
from isocost.forecast import evaluate, forecast
from isocost.forecast.run import MOST_STOPS
from isocost.reliability import BUCKETS
from isocost.reliability.conditions import Conditions
from isocost.reliability.facility import Facility
from isocost.reliability.shape import RunShape
from isocost.stats.gamma import Gamma
from isocost.verbs.plan.forecast import drawn_lines

CATALOG = load_catalog()
EXAMPLE = str(Path(__file__).parents[2] / "examples" / "llama-3.1-405b.toml")
RUN = RunShape(
    chip="h100-sxm5-80gb", gpus=1024.0, gpus_per_node=8.0, step_s=10.0, steps=50_000.0, tokens=2e11, params=7e10,
    band=(1.0, 1.0), term="on_demand", price_usd_per_s=(2 / 3600, 3 / 3600, 6 / 3600), tdp_w=700.0,
)  # fmt: skip
SURE = Conditions(node_rate=Gamma(shape=1e9, node_days=1e9 / 4e-3), facility=Facility(support="standard"))


@pytest.fixture(scope="module")
def report() -> isocost.verbs.goodput.answer.GoodputReport:
    """Return what goodput says of the example."""
    return isocost.goodput(EXAMPLE, checkpoint_interval="auto")


def test_single_runs_are_as_long_as_expected_on_average() -> None:
    """With every input at its median the mean of 4,000 runs is the expected run, and so is the bill, within 0.3 %."""
    expected = evaluate(RUN, SURE, CATALOG, {})
    single = evaluate(RUN, SURE, CATALOG, {}, single_runs=4000)
    assert float(np.mean(single.time.wall_s)) == pytest.approx(float(expected.time.wall_s), rel=3e-3)
    assert float(np.mean(single.total_usd)) == pytest.approx(float(expected.total_usd), rel=3e-3)  # type: ignore[arg-type]
    assert float(np.max(single.time.residual_frac())) < 1e-9
    assert float(np.std(single.time.wall_s)) > 0.005 * float(expected.time.wall_s)


def test_luck_averages_out_over_time() -> None:
    """A run of forty times the steps has a third or less of the luck, relative to its length."""
    short = forecast(RUN, SURE, CATALOG, bars=False)
    long = forecast(dataclasses.replace(RUN, steps=2e6, tokens=8e12), SURE, CATALOG, bars=False)
    width = [(o.single_run_noise_s[1] - o.single_run_noise_s[0]) / float(np.median(o.wall_s)) for o in (short, long)]
    assert short.single_run_noise_s[0] < 0 < short.single_run_noise_s[1]
    assert width[0] > 3 * width[1] > 0


def test_so_many_stops_that_they_average_out_are_not_drawn() -> None:
    """Beyond the most stops that are drawn every run is the expected one: the same wall clock in each."""
    many = dataclasses.replace(SURE, node_rate=Gamma(shape=1e9, node_days=1e9 / 2.0), interval_s=60.0)
    expected = evaluate(RUN, many, CATALOG, {}).time
    assert 1000 * float(expected.interruptions + expected.planned_stops) > MOST_STOPS
    single = evaluate(RUN, many, CATALOG, {}, single_runs=1000).time
    assert float(single.wall_s) == float(expected.wall_s)
    said = drawn_lines(forecast(RUN, many, CATALOG, bars=False))
    assert said == ["1,000 draws of every uncertain input; luck averages out over so many stops"]


def test_plan_and_goodput_give_one_set_of_numbers(report: isocost.verbs.goodput.answer.GoodputReport) -> None:
    """Days, goodput, interruptions and the time by bucket are those of isocost plan, in its sentence and tables too."""
    plan = isocost.plan(EXAMPLE, checkpoint={"interval": "auto"})
    o, chosen = plan.answer.forecast, plan.answer.chosen
    assert o is not None
    assert chosen is not None
    said, shown = plan.to_dict(), report.to_dict()
    assert shown["quantiles"] == said["whole_run"]["quantiles"]
    assert shown["buckets"] == said["whole_run"]["buckets"]
    q = shown["quantiles"]
    assert (chosen.days, chosen.goodput) == pytest.approx((q["days"]["p50"], q["goodput_frac"]["p50"]), rel=1e-12)
    assert chosen.cost_usd is not None
    assert (chosen.cost_usd.low, chosen.cost_usd.median) == (q["cost_usd"]["p05"], q["cost_usd"]["p50"])
    assert chosen in plan.answer.frontier


def test_buckets_fit_a_page_and_add_up(report: isocost.verbs.goodput.answer.GoodputReport) -> None:
    """The table is at most 120 columns wide, names every bucket, and the middle adds up to the median wall clock."""
    lines = report.rendered("table").splitlines()[1:]
    assert max(len(line) for line in lines) <= 120
    assert all(any(line.startswith(f"  {name.removesuffix('_s')}: ") for line in lines) for name in BUCKETS)
    assert report.residual < 1e-9
    assert sum(report.forecast.buckets_s.values()) == pytest.approx(float(np.median(report.forecast.wall_s)), rel=1e-12)
