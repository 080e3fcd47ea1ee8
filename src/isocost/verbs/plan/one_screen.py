"""The answer on one screen: what a reader asks first, the largest parts of each sum, and what would change it most.

Every line is of a section of the whole answer, which says more of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from isocost.forecast import Forecast
from isocost.reliability.buckets import BUCKETS
from isocost.reliability.facts import FAILURES
from isocost.render.document import Column, Part, Section, Table
from isocost.scenario.assumed import Assumed
from isocost.search.question import Candidate
from isocost.units import show
from isocost.verbs.plan.forecast import INPUTS, LINES, money
from isocost.verbs.plan.layouts import BREAKS, SCREEN
from isocost.verbs.plan.limits import limits_dict, power_line
from isocost.verbs.words import MEMORY_PARTS, STEP_PARTS

if TYPE_CHECKING:
    from isocost.verbs.plan.answer import Plan

ROWS: Final = 8  # of the frontier
FEW: Final = 3  # parts of a sum, options that lost, inputs, assumptions
# The assumption behind an input, where the two have different names.
_BEHIND: Final = {
    FAILURES: "failures",
    "response": "conditions",
    "by-hand": "conditions",
    "repair": "conditions",
    "manual": "conditions",
    "staff per GPU": "staffing infrastructure",
    "salary": "salary infrastructure",
    "storage price": "storage parallel",
}
_RENT: Final = "accelerators: "  # which every other line of a bill begins with
_OWN: Final = ("yours", "the user's")  # sources of what was not assumed but said


def screen(plan: Plan) -> tuple[Section, ...]:
    """Return the sections of one screen, those that there is something to say in."""
    chosen, answer, o = plan.answer.chosen, plan.answer, plan.answer.forecast
    found = [_frontier(plan)]
    if chosen is None:
        found.append(Section(title="Nearest ways out", body=answer.relaxations[:FEW]))
        found.append(Section(title="Layouts by the first limit they break", body=_rejected(answer.rejected)))
    else:
        found.append(Section(title="The whole run", body=(_figures(plan, chosen), *_both(plan))))
    found.append(Section(title="Largest parts", body=tuple(_parts(chosen or plan.misfit, o))))
    found.append(Section(title="Why the others lost", body=tuple(_lost(plan))))
    if chosen is not None:
        found.append(Section(title="Worth measuring first", body=tuple(_worth(chosen, o))))
        found.append(Section(title="Assumed, and matters most", body=tuple(_assumed(plan))))
    return tuple(section for section in found if section.body)


def _frontier(plan: Plan) -> Section:
    """Return at most so many rows of the frontier, spread over it, the chosen one among them."""
    whole = plan.frontier(SCREEN)
    marked = min(whole.marked, default=0)
    kept = spread(len(whole.rows), ROWS, marked)
    rows = tuple(whole.rows[place] for place in kept)
    columns = (*SCREEN, BREAKS) if any(row.limit for row in rows) else SCREEN
    title = "Estimate" if plan.verb == "estimate" else "Frontier: days against cost"
    best = "best" if plan.verb == "estimate" else "chosen"
    star = frozenset({kept.index(marked)} if whole.marked else ())
    body: tuple[Part, ...] = (Table(columns=columns, rows=rows, marked=star),) if rows else ()
    return Section(title=f"{title} (* {best}; in brackets the 90 % interval)", body=body)


def spread(count: int, most: int, kept: int) -> list[int]:
    """Return at most so many places out of ``count``, evenly from first to last, with one that is kept."""
    if count <= most:
        return list(range(count))
    places = {round(step * (count - 1) / (most - 1)) for step in range(most)}
    if kept not in places:  # it takes the place of its nearest neighbor, ends stay
        places.remove(min(places - {0, count - 1}, key=lambda place: abs(place - kept)))
    return sorted(places | {kept})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One figure of the run with its interval, and the limit that it is held against."""

    name: str
    ends: tuple[str, str, str]  # low, middle, high
    limit: str = ""
    chance: float | None = None


_FIGURES: Final = (
    Column(head="figure", key="figure", value=lambda f: f.name, left=True),
    Column(head="p05", key="p05", value=lambda f: f.ends[0]),
    Column(head="p50", key="p50", value=lambda f: f.ends[1]),
    Column(head="p95", key="p95", value=lambda f: f.ends[2]),
    Column(head="limit", key="limit", value=lambda f: f.limit or "none"),
    Column(head="chance", key="chance_frac", value=lambda f: f.chance, show=lambda x: f"{x:.0%}"),
)


def _figures(plan: Plan, c: Candidate) -> Table:
    """Return days and bill with their intervals, their limits and the chances of these."""
    q, found, span, cost = plan.answer.question, limits_dict(plan.answer), c.intervals["days"], c.cost_usd
    rows = [
        _Figure(
            name="days",
            ends=(f"{span.low:,.1f}", f"{c.days:,.1f}", f"{span.high:,.1f}"),
            limit="" if q.deadline_s is None else show(q.deadline_s, "s"),
            chance=found["deadline_chance_frac"],
        ),
        _Figure(
            name="full bill",
            ends=("-", "not priced", "-") if cost is None else (money(cost.low), money(cost.median), money(cost.high)),
            limit="" if q.budget_usd is None else money(q.budget_usd),
            chance=found["budget_chance_frac"],
        ),
    ]
    return Table(columns=_FIGURES, rows=tuple(rows))


def _both(plan: Plan) -> list[str]:
    """Return the chance to keep deadline and budget together, and the limit of power."""
    o = plan.answer.forecast
    both = None if o is None else o.both_chance
    return ([] if both is None else [f"chance of both: {both:.0%}"]) + power_line(plan.answer)


def _parts(c: Candidate | None, o: Forecast | None) -> Iterable[str]:
    """Yield the largest parts of the step, of the time lost and of the bill; of the memory where nothing fits."""
    if c is None:
        return
    if not c.fits:
        parts = {f.name: float(getattr(c.memory, f.name)) for f in fields(c.memory)}
        yield _largest(f"memory of {show(c.peak_bytes, 'B')} of {show(c.capacity_bytes, 'B')}", parts, MEMORY_PARTS)
        return
    time = {f.name: float(getattr(c.time, f.name)) for f in fields(c.time)}
    yield _largest(f"step of {show(c.step_s, 's')}", time, STEP_PARTS)
    if o is None:
        return
    lost = {name: value for name, value in o.buckets_s.items() if name != "useful_s"}
    yield _largest(f"time lost, {show(sum(lost.values()), 's')}", lost, BUCKETS)
    if o.lines_usd:
        yield _largest(f"bill of {money(sum(o.lines_usd.values()))}", o.lines_usd, LINES)


def _largest(what: str, parts: Mapping[str, float], words: Mapping[str, str]) -> str:
    """Return the largest parts of a sum with their shares of it."""
    total = sum(parts.values()) or 1.0
    most = sorted(parts.items(), key=lambda part: -part[1])[:FEW]
    named = (f"{words.get(name, name).removeprefix(_RENT)} {value / total:.0%}" for name, value in most if value)
    return f"{what}: {'; '.join(named)}"


def _lost(plan: Plan) -> list[str]:
    others = plan.answer.others
    lines = [f"{loser.label}: {loser.reason}" for loser in others[:FEW]]
    return lines + ([f"and {len(others) - FEW} more"] if len(others) > FEW else [])


def _rejected(rejected: Mapping[str, int]) -> tuple[str, ...]:
    counts = sorted(rejected.items(), key=lambda item: -item[1])
    return (", ".join(f"{limit} {count:,}" for limit, count in counts),) if counts else ()


def _worth(c: Candidate, o: Forecast | None) -> Iterable[str]:
    """Yield the inputs whose knowledge is worth most, else those that move days and bill most."""
    if o is not None:
        worth = sorted(o.worth_usd.items(), key=lambda item: -item[1])
        known = dict(worth[:FEW])
        for name in [*known, *(name for name in _movers(o) if name not in known)][:FEW]:
            saves = f"; known before choosing, it saves up to {money(known[name])}" if name in known else ""
            yield f"{INPUTS.get(name, name)}: {_moves(name, o)}{saves}"
    yield f"for the step time: {'; '.join(c.certainty.narrowed_by)}"


def _moves(name: str, o: Forecast) -> str:
    """Return how far one input moves days and bill from its p05 to its p95."""
    days = [f"{bar.at_p05:,.1f} to {bar.at_p95:,.1f} d" for bar in o.days_bars if bar.name == name]
    bill = [f"{money(bar.at_p05)} to {money(bar.at_p95)}" for bar in o.cost_bars if bar.name == name]
    return ", ".join(days + bill) or "changes which plan is best"


def _movers(o: Forecast) -> list[str]:
    """Return the inputs by how far they move days or bill, relative to the middle, each once."""
    bars = sorted((*o.days_bars, *o.cost_bars), key=lambda bar: -bar.swing / abs(bar.at_p05 + bar.at_p95))
    return list(dict.fromkeys(bar.name for bar in bars))


def _assumed(plan: Plan) -> list[str]:
    """Return the assumptions behind the inputs that matter most, those of the user left out."""
    notes = [note for note in plan.assumptions() if not note.source.startswith(_OWN)]
    o = plan.answer.forecast
    names = [] if o is None else [_BEHIND.get(name, name) for name in _movers(o)]
    found = [note for name in names for note in notes if name.startswith(note.name) or note.name.startswith(name)]
    rest = [note for note in notes if note.grade == "estimate"]
    return list(dict.fromkeys(_note(note) for note in (*found, *rest)))[:FEW]


def _note(note: Assumed) -> str:
    return f"{note.name}: {note.value} [{', '.join(part for part in (note.as_of, note.grade) if part)}]"
