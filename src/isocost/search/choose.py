"""The choice: the cheapest plan that meets every limit, the frontier, near-optimal alternatives, why others lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isocost.perf.layout import AXES, MATERIAL
from isocost.search.candidates import candidates, shares
from isocost.search.evaluator import Index
from isocost.search.pool import Evaluations, ceiling, ordered
from isocost.search.question import Alternative, Candidate, RejectedOption
from isocost.units import DAY_S, GIB

# Memory binds when a layout that needs at most half as much again would be faster by more than the model can be wrong
# in comparing two layouts of one model on one chip.
NEAR_MEMORY = 1.5
FASTER_FRAC = 0.01
# Near-optimal rows to look through for materially different ones.
MOST_NEAR = 20_000


def choose(pool: Evaluations, best: Index) -> int | None:
    """Return the cheapest of the champions that meets every limit; of equals the faster."""
    meeting = best[pool.limit[best] == 0]
    return int(ordered(pool, meeting)[0]) if len(meeting) else None


def frontier(pool: Evaluations, best: Index) -> list[int]:
    """Champions that no other beats in both days and cost, fastest first; over all that fits, within limits or not."""
    rows = ordered(pool, best[~np.isnan(pool.cost[best])])
    rows = rows[np.argsort(pool.run_s[rows], kind="stable")]
    kept: list[int] = []
    for row in rows.tolist():
        if not kept or pool.cost[row] < pool.cost[kept[-1]]:
            kept.append(row)
    return kept


def alternatives(pool: Evaluations, chosen: int) -> list[int]:
    """Rows that meet every limit and cost nearly as little, one for each materially different plan."""
    most = pool.cost[chosen] * (1.0 + pool.question.near_frac)
    near = np.flatnonzero((pool.limit == 0) & (pool.cost <= most))
    near = ordered(pool, near)[:MOST_NEAR]
    seen = {_signature(pool, chosen)}
    found: list[int] = []
    for row in near.tolist():
        if len(found) == pool.question.top:
            break
        mark = _signature(pool, row)
        if mark not in seen:
            seen.add(mark)
            found.append(row)
    return found


def _signature(pool: Evaluations, row: int) -> tuple[object, ...]:
    number, layout = pool.place(row)
    t = pool.results[number].tables
    # Layouts that differ in nothing of this are the same plan to a reader; each is shown once, at its best.
    columns = (getattr(t.layouts, name)[layout].item() for name in ("gpus", *MATERIAL))
    return (t.option.label, t.case.precision, *columns)


def near_optimal(pool: Evaluations, row: int, chosen: Candidate) -> tuple[Alternative, ...]:
    """Return the plans that cost nearly as little, beside the chosen one as the search compares the two."""
    rows = alternatives(pool, row)
    return tuple(
        Alternative(
            candidate=other,
            cost_frac=float(pool.cost[k] / pool.cost[row]) - 1.0,
            days=float(pool.run_s[k] - pool.run_s[row]) / DAY_S,
            differs=differences(chosen, other),
        )
        for k, other in zip(rows, candidates(pool, rows), strict=True)
    )


def differences(a: Candidate, b: Candidate) -> dict[str, tuple[object, object]]:
    """Return what is different in two plans: name to (a, b)."""
    names = dict.fromkeys(("precision", "gpus", *MATERIAL, *AXES))  # the material ones first
    pairs: dict[str, tuple[object, object]] = {name: (getattr(a, name), getattr(b, name)) for name in names}
    pairs = {"option": (a.option.label, b.option.label), **pairs}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def binding(pool: Evaluations, row: int, chosen: Candidate) -> tuple[Candidate, str]:
    """Return the chosen plan with what binds it, and the sentence that says why."""
    result = pool.results[pool.place(row)[0]]
    t = result.tables
    most = NEAR_MEMORY * ceiling(pool.question, t)
    same = (t.layouts.gpus == chosen.gpus) & (result.peak_bytes > ceiling(pool.question, t))
    measured = pool.question.measured_mfu is not None  # then predictions of other layouts do not compare
    over = np.flatnonzero(same & (not measured) & (result.peak_bytes <= most))
    if len(over):
        step_s = np.broadcast_to(t.time(over).total_s, (len(over),))
        fastest = int(np.argmin(step_s))
        gain = chosen.step_s / step_s[fastest] - 1.0
        if gain > FASTER_FRAC:
            needs = result.peak_bytes[over[fastest]] / GIB
            why = (
                f"memory: a layout that needs {needs:.1f} GiB per GPU of {t.capacity_bytes / GIB:.1f} "
                f"would be {gain:.0%} faster"
            )
            return replace(chosen, binds="memory"), why
    return chosen, f"{chosen.binds}: {shares(chosen.time)[chosen.binds]:.0%} of the step"


def rejected_options(
    pool: Evaluations, best: Index, chosen: int | None, refused: dict[str, str]
) -> tuple[RejectedOption, ...]:
    """Why each option other than the chosen one lost; ``refused`` are options that were not evaluated, with reasons."""
    won = None if chosen is None else pool.results[pool.place(chosen)[0]].tables.option.label
    labels = list(dict.fromkeys(r.tables.option.label for r in pool.results))
    lost = [RejectedOption(label=k, reason=reason, candidate=None) for k, reason in refused.items() if k not in labels]
    for label in labels:
        if label == won:
            continue
        own = [
            k for k, row in enumerate(best.tolist()) if pool.results[pool.place(row)[0]].tables.option.label == label
        ]
        if not own:
            lost.append(RejectedOption(label=label, reason=_too_large(pool, label), candidate=None))
            continue
        row, reason = _nearest(pool, best[own], chosen)
        lost.append(RejectedOption(label=label, reason=reason, candidate=candidates(pool, [row])[0]))
    return tuple(lost)


def _nearest(pool: Evaluations, rows: Index, chosen: int | None) -> tuple[int, str]:
    """Return the best plan of an option that lost, and why it lost: the one limit that keeps it out, or its cost."""
    q = pool.question
    if np.isnan(pool.cost[rows]).all():
        return int(rows[np.argmin(pool.run_s[rows])]), "not priced: add an offer to your own catalogue file"
    meeting = rows[pool.limit[rows] == 0]
    if len(meeting) and chosen is not None:
        row = int(ordered(pool, meeting)[0])
        dearer = pool.cost[row] / pool.cost[chosen] - 1.0
        days = (pool.run_s[row] - pool.run_s[chosen]) / DAY_S
        return row, f"{dearer:.1%} dearer and {abs(days):.1f} d {'slower' if days > 0 else 'faster'}"
    for limit, values, most, unit in (
        ("deadline", pool.sure_run_s, q.deadline_s, "its fastest plan takes {:.0%} longer"),
        ("budget", pool.sure_cost, q.budget_usd, "its cheapest plan costs {:.0%} more"),
        ("power", pool.power_w, q.power_w, "its smallest plan draws {:.0%} more"),
    ):
        others = rows[pool.meets(without=limit)[rows]]
        if most is not None and len(others):
            row = int(others[np.argmin(values[others])])
            return row, f"{limit}: " + unit.format(values[row] / most - 1.0)
    return int(ordered(pool, rows[~np.isnan(pool.cost[rows])])[0]), "no plan of it meets all but one limit"


def _too_large(pool: Evaluations, label: str) -> str:
    peaks = [
        (float(r.peak_bytes.min()), r.tables)
        for r in pool.results
        if r.tables.option.label == label and len(r.peak_bytes)
    ]
    if not peaks:
        return "no legal layout"
    peak, t = min(peaks, key=lambda pair: pair[0])
    return f"memory: the smallest layout needs {peak / GIB:.1f} GiB per GPU of {t.capacity_bytes / GIB:.1f}"
