"""When nothing meets every limit: the nearest relaxations, each alone enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from isocost.perf.layouts import Layouts
from isocost.search.candidates import candidates
from isocost.search.evaluator import Floats, Index
from isocost.search.pool import Evaluations, best_of_sizes
from isocost.search.question import Question
from isocost.units import DAY_S, GIB, counted

Search = Callable[[Question], Evaluations]

# Larger jobs to try, as multiples of the largest asked for.
MOST_GROWTH = 4
MOST_COUNTS = 128
ADVICE = {
    "recompute": "{} recompute",
    "sequence_parallel": "sequence parallelism {}",
    "micro_batch": "micro-batch {}",
    "sharding": "sharding {}",
    "schedule": "schedule {}",
}


def relaxations(pool: Evaluations, search: Search) -> tuple[str, ...]:
    """Return the nearest relaxations, most useful first; ``search`` evaluates another question."""
    if not len(pool):
        return _legal_counts(pool, search)
    if not pool.meets(without="power").any() and (pool.limit == 1).all():
        return _smaller(pool, search)
    return _looser(pool, search)


def _legal_counts(pool: Evaluations, search: Search) -> tuple[str, ...]:
    """No layout is legal: the nearest GPU counts that have one, and fixed values to drop."""
    q = pool.question
    low, high = min(q.gpu_counts), max(q.gpu_counts)
    near = tuple(n for n in range(max(1, low - MOST_COUNTS), high + MOST_COUNTS + 1) if n not in q.gpu_counts)
    found = _counts(search(replace(q, gpu_counts=near[: 4 * MOST_COUNTS])))
    below = [n for n in found if n < low]
    above = [n for n in found if n > high]
    between = [n for n in found if low < n < high]
    nearest = [*below[-1:], *between[:1], *above[:1]]
    ways = [f"use {' or '.join(f'{n:,}' for n in nearest)} {'GPU' if nearest == [1] else 'GPUs'}"] if nearest else []
    for name in q.fixed:
        if len(search(_released(q, name))):
            ways.append(f"leave {name} open")
    return tuple(ways)


def _counts(pool: Evaluations) -> list[int]:
    return sorted({int(n) for n in pool.gpus})


def _released(question: Question, name: str) -> Question:
    return replace(question, fixed={key: value for key, value in question.fixed.items() if key != name})


def _smaller(pool: Evaluations, search: Search) -> tuple[str, ...]:
    """Nothing fits: the least that is missing, what to change in the layout, and how many GPUs would do."""
    share = [pool.results[k].peak_bytes / pool.results[k].tables.capacity_bytes for k in range(len(pool.results))]
    row = int(np.argmin(np.concatenate(share)))
    (best,) = candidates(pool, [row])
    replay = "no" if best.layout.recompute == "none" else best.layout.recompute
    ways = [
        f"needs {best.peak_bytes / GIB:.1f} GiB per GPU of {best.capacity_bytes / GIB:.1f} on {best.option.label} "
        f"({counted(best.gpus, 'GPU')}, tp {best.layout.tp}, pp {best.layout.pp}, {replay} recompute; "
        f"fits with probability {best.fits_probability:.0%})"
    ]
    hints = []
    for name in pool.question.fixed:
        other = search(_released(pool.question, name))
        if (rows := best_of_sizes(other)).size:
            hints.append(_advice(name, other, int(rows[np.argmin(other.run_s[rows])])))
    if hints:
        ways.append("use " + ", or ".join(hints))
    found = best_of_sizes(larger := search(_grown(pool.question)))
    if found.size:
        count = int(larger.gpus[found].min())
        ways.append(f"use {counted(count - max(pool.question.gpu_counts), 'more GPU')} ({count:,})")
    if best.fits_probability > 1.0 - pool.question.fit_probability:
        ways.append(f"accept that it fits with probability {best.fits_probability:.0%}")
    return tuple(ways)


def _advice(name: str, pool: Evaluations, row: int) -> str:
    number, layout = pool.place(row)
    layouts: Layouts = pool.results[number].tables.layouts
    return ADVICE.get(name, name + " {}").format(getattr(layouts.row(layout), name))


def _grown(question: Question) -> Question:
    """Return the question with more GPUs than it allows, in steps of a node."""
    most = max(question.gpu_counts)
    step = max(8, most * (MOST_GROWTH - 1) // MOST_COUNTS // 8 * 8)
    first = (most // step + 1) * step
    return replace(question, gpu_counts=tuple(range(first, max(MOST_GROWTH * most, first) + 1, step)))


def _looser(pool: Evaluations, search: Search) -> tuple[str, ...]:
    """Layouts fit, but limits exclude each other: by how much one of them, alone, would have to give."""
    q, best = pool.question, best_of_sizes(pool)
    ways = []
    if q.deadline_s is not None and (days := _least(pool, "deadline", pool.sure_run_s, best)) is not None:
        ways.append(f"deadline + {(days - q.deadline_s) / DAY_S:.1f} d ({days / DAY_S:.1f} d)")
    if q.budget_usd is not None and (cost := _least(pool, "budget", pool.sure_cost, best)) is not None:
        ways.append(f"budget + {cost / q.budget_usd - 1.0:.1%} ({cost / 1e6:,.2f} MUSD)")
    if q.power_w is not None and (power := _least(pool, "power", pool.power_w, best)) is not None:
        ways.append(f"power + {power / q.power_w - 1.0:.1%} ({power / 1e6:,.2f} MW)")
    if q.deadline_s is not None:
        larger = search(_grown(q))
        meeting = np.flatnonzero(larger.limit == 0)
        if meeting.size:
            count = int(larger.gpus[meeting].min())
            ways.append(f"{counted(count - max(q.gpu_counts), 'more GPU')} ({count:,})")
    return tuple(ways) or tuple(_both(pool, best))


def _least(pool: Evaluations, limit: str, values: Floats, best: Index) -> float | None:
    """Return the least value of a limited quantity among rows that meet every other limit."""
    rows = best[pool.meets(without=limit)[best]]
    return float(values[rows].min()) if rows.size and np.isfinite(values[rows].min()) else None


def _both(pool: Evaluations, best: Index) -> Iterable[str]:
    """No single limit is enough: the row whose worst excess is smallest."""
    q = pool.question
    rows = best[~np.isnan(pool.cost[best])]
    if not rows.size:
        return
    run_s, cost = pool.sure_run_s, pool.sure_cost
    limits = ((run_s, q.deadline_s), (cost, q.budget_usd), (pool.power_w, q.power_w))
    excess = [values[rows] / limit for values, limit in limits if limit is not None]
    row = int(rows[np.argmin(np.max(excess, axis=0))])
    parts = []
    if q.deadline_s is not None and run_s[row] > q.deadline_s:
        parts.append(f"deadline + {(run_s[row] - q.deadline_s) / DAY_S:.1f} d")
    if q.budget_usd is not None and cost[row] > q.budget_usd:
        parts.append(f"budget + {cost[row] / q.budget_usd - 1.0:.1%}")
    if q.power_w is not None and pool.power_w[row] > q.power_w:
        parts.append(f"power + {pool.power_w[row] / q.power_w - 1.0:.1%}")
    yield " and ".join(parts)
