"""The chosen plan is the forecast of its row: one set of figures, and what the search compared is told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import isocost
from isocost.stats.quantiles import interval
from isocost.units import DAY_S
from isocost.verbs.plan.certainty import on_lines_only

SMALL = {"model": "llama-3.1-8b", "tokens": "200 B", "on": "h100-sxm5-80gb", "gpus": [64, 128], "deadline": "60 d"}


def test_the_chosen_plan_has_the_figures_of_its_forecast() -> None:
    """Days, bill, goodput and their ends are those of the draws; it stands on the frontier as it is chosen."""
    answer = isocost.plan(SMALL).answer
    chosen, drawn = answer.chosen, answer.forecast
    assert chosen is not None
    assert drawn is not None
    assert drawn.cost_usd is not None
    wall = interval(drawn.wall_s)
    assert chosen.run_s == wall.median
    assert (chosen.intervals["days"].low, chosen.intervals["days"].high) == pytest.approx(
        (wall.low / DAY_S, wall.high / DAY_S), rel=1e-12
    )
    assert chosen.cost_usd == interval(drawn.cost_usd)
    assert chosen.goodput == np.median(drawn.goodput)
    assert [point for point in answer.frontier if point is chosen]


def test_a_limit_kept_on_the_lines_only_is_told() -> None:
    """Where the search kept a deadline that the forecast keeps too rarely, the screen says what the search compared."""
    answer = isocost.plan(SMALL).answer
    assert answer.forecast is not None
    assert on_lines_only(answer) == []
    below = float(np.quantile(answer.forecast.wall_s, 0.4))
    told = on_lines_only(
        replace(
            answer,
            held=(below, 0.0),
            question=replace(answer.question, deadline_s=below),
            forecast=replace(answer.forecast, deadline_s=below),
        )
    )
    assert [text.partition(":")[0] for text in told] == ["deadline"]
    assert "straight lines" in told[0]
