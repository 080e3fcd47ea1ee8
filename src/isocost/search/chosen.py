"""The forecast of the chosen plan, and what knowing an input better would be worth to the choice."""

from __future__ import annotations

import numpy as np

from isocost.catalog.store import Catalog
from isocost.forecast import Forecast, forecast
from isocost.search.evaluator import Index
from isocost.search.forecasts import run_of
from isocost.search.pool import Evaluations
from isocost.stats.distributions import Row, value_of_knowing

_LEAST_WORTH_USD = 1.0


def row_forecast(pool: Evaluations, row: int, best: Index, catalog: Catalog) -> Forecast | None:
    """Return the forecast of a row; None where the question has no conditions."""
    question = pool.question
    number, layout = pool.place(row)
    forecasts = pool.forecasts[number]
    if question.conditions is None or forecasts is None:
        return None
    result = pool.results[number]
    measured_over_predicted = float(forecasts.measured_over_predicted[forecasts.place(float(pool.gpus[row]))])
    step_s = float(result.step_s[layout]) * measured_over_predicted
    run = run_of(question, result.tables, layout, catalog, step_s)
    return forecast(
        run,
        question.conditions,
        catalog,
        deadline_s=question.deadline_s,
        budget_usd=question.budget_usd,
        worth_usd=worth(pool, best) if question.tornado else {},
        bars=question.tornado,
    )


def worth(pool: Evaluations, best: Index) -> dict[str, float]:
    """Return what knowing each input before choosing would save, over the best plans that meet every limit."""
    rows = best[pool.limit[best] == 0]
    columns: list[Row] = []
    drawn: dict[str, Row] = {}
    for row in rows.tolist():
        number, _ = pool.place(row)
        forecasts = pool.forecasts[number]
        if forecasts is None or forecasts.cost_usd is None:
            continue
        columns.append(forecasts.cost_usd[int(forecasts.place(float(pool.gpus[row])))])
        drawn |= forecasts.inputs
    size = min((len(column) for column in columns), default=0)
    if len(columns) < 2 or any(len(column) != size for column in columns):
        return {}
    named = {name: values for name, values in drawn.items() if values.size == size}
    found = value_of_knowing(np.stack(columns, axis=1), named)
    return {name: usd for name, usd in found.items() if usd >= _LEAST_WORTH_USD}
