"""The whole run in tables: time by bucket, bill by line, chances, what moves the answer, what knowing is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from isocost.forecast import Forecast
from isocost.reliability.buckets import BUCKETS
from isocost.render.document import Column, Section, Table
from isocost.stats.distributions import Bar
from isocost.units import DAY_S, counted, show

LEAST: Final = 1e-3  # of the whole: a smaller part is left out of a table
LINES: Final = {
    "gpu_useful": "accelerators: steps that are kept",
    "gpu_lost": "accelerators: time lost to everything else",
    "gpu_bring_up": "accelerators: bring-up before the first step",
    "gpu_idle_commitment": "accelerators: committed beyond the run",
    "host": "hosts, where the price leaves them out",
    "storage": "training data",
    "checkpoints": "checkpoints",
    "egress": "traffic out",
    "energy": "energy, where it is not in the price",
    "staff": "people who run it",
    "failed_runs": "runs thrown away",
    "exploratory_runs": "sweeps and small models before it",
    "support": "support fee",
}
INPUTS: Final = {
    "by-hand": "stops that need a person",
    "response": "response of that person",
    "bring-up": "bring-up before the first step",
    "straggler": "stragglers",
    "restart": "restart of the processes",
    "operator": "stops by people a day",
    "repair": "repair of a node",
    "manual": "diagnosis by hand",
}


def money(x: float) -> str:
    """Return an amount of money as a cell."""
    return show(x, "USD")


def shares(values: Mapping[str, float], words: Mapping[str, str], head: str, key: str, unit: str) -> Table:
    """Return parts of a whole with their share; parts below a thousandth are left out."""
    total = sum(values.values())
    rows = tuple((name, value) for name, value in values.items() if value >= LEAST * total)
    return Table(
        columns=(
            Column(head=head, key=head, value=lambda r: r[0], show=lambda n: words.get(n, n), left=True),
            Column(head=unit, key=key, value=lambda r: r[1], show=lambda x: show(x, "s" if unit == "time" else "USD")),
            Column(head="share", key="share_frac", value=lambda r: r[1] / total, show=lambda x: f"{x:.1%}"),
        ),
        rows=rows,
    )


_ENDS: Final = ("p05", "p50", "p95")
_FIGURES: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = {
    "days": ("days", lambda x: f"{x:,.1f}"),
    "gpu_hours": ("GPU-hours", lambda x: f"{x:,.3g}" if x < 1e4 else f"{x:,.0f}"),
    "cost_usd": ("full bill", money),
    "goodput_frac": ("goodput: kept steps over wall clock", lambda x: f"{x:.1%}"),
    "effective_frac": ("effective training time, as papers count it", lambda x: f"{x:.1%}"),
    "interruptions": ("interruptions", lambda x: f"{x:,.0f}"),
    "useful_gpu_hours_per_usd": ("useful GPU-hours per dollar", lambda x: f"{x:.3f}"),
    "share_of_capital_frac": ("share of the capital raised", lambda x: f"{x:.0%}"),
}


def quantile_table(o: Forecast) -> Table:
    """Return p05, p50 and p95 of the figures of a whole run."""
    found = o.quantiles()
    rows = tuple((name, *(found[name][end] for end in _ENDS)) for name in _FIGURES if name in found)
    ends = tuple(_quantile(end, place) for place, end in enumerate(_ENDS, start=1))
    name = Column(head="figure", key="figure", value=lambda r: r[0], show=lambda n: _FIGURES[n][0], left=True)
    return Table(columns=(name, *ends), rows=rows)


def _quantile(end: str, place: int) -> Column:
    return Column(head=end, key=end, value=lambda row: row[place], text=lambda row: _FIGURES[row[0]][1](row[place]))


def chances(o: Forecast) -> list[str]:
    """Return the chances to meet the limits, in words."""
    found = []
    if o.deadline_chance is not None and o.deadline_s is not None:
        found.append(f"chance to meet the deadline of {show(o.deadline_s, 's')}: {o.deadline_chance:.0%}")
    if o.budget_chance is not None and o.budget_usd is not None:
        found.append(f"chance to stay within the budget of {money(o.budget_usd)}: {o.budget_chance:.0%}")
    if o.both_chance is not None:
        found.append(f"chance of both: {o.both_chance:.0%}")
    return found


def bar_table(bars: tuple[Bar, ...], unit: str) -> Table:
    """Return the inputs that move an answer most: the answer at their p05 and p95, the rest at medians."""
    form = money if unit == "USD" else (lambda x: f"{x:,.1f}")
    return Table(
        columns=(
            Column(head="input", key="input", value=lambda b: b.name, show=lambda n: INPUTS.get(n, n), left=True),
            Column(head=f"{unit} at its p05", key="at_p05", value=lambda b: b.at_p05, show=form),
            Column(head="at its p95", key="at_p95", value=lambda b: b.at_p95, show=form),
            Column(
                head="interval if it were known",
                key="known_width_frac",
                value=lambda b: b.known_width_frac,
                show=lambda x: f"{x:.0%}",
            ),
        ),
        rows=bars,
    )


def drawn_lines(o: Forecast) -> list[str]:
    """Return what the runs of a forecast differ in, and how much of it is luck."""
    if o.single_run_noise_s == (0.0, 0.0):
        return [f"{len(o.wall_s):,} draws of every uncertain input; luck averages out over so many stops"]
    low, high = (x / DAY_S for x in o.single_run_noise_s)
    return [
        f"{len(o.wall_s):,} runs, each with its own draw of every uncertain input and its own stops",
        f"luck alone, with every input at its median: {low:+,.2f} d to {high:+,.2f} d in 9 runs of 10",
    ]


def whole_sections(o: Forecast) -> tuple[Section, ...]:
    """Return the sections on the whole run of the chosen plan."""
    saves = f"saves of {show(o.state_bytes, 'B')} every {show(o.interval_s, 's')}, {counted(o.spares, 'spare node')}"
    body: list[Table | str] = [quantile_table(o), *chances(o), saves]
    body += drawn_lines(o)
    time = shares(o.buckets_s, BUCKETS, "bucket", "bucket_s", "time")
    sections = [
        Section(title="The whole run: from the cluster handed over to the last step", body=tuple(body), name="run"),
        Section(title="Where its time goes (a run in the middle of the draws)", body=(time,), name="time"),
    ]
    if o.lines_usd:
        bill = shares(o.lines_usd, LINES, "line", "line_usd", "USD")
        sections.append(Section(title="The bill, line by line", body=(bill,), name="bill"))
    sections.append(Section(title="What moves it most", body=tuple(_moves(o)), name="drivers"))
    return tuple(sections)


def _moves(o: Forecast) -> list[Table | str]:
    found: list[Table | str] = [bar_table(o.days_bars[:5], "days")]
    if o.cost_bars:
        found.append(bar_table(o.cost_bars[:5], "USD"))
    if o.worth_usd:
        best = list(o.worth_usd.items())[:3]
        text = ", ".join(f"{INPUTS.get(name, name)} {money(usd)}" for name, usd in best)
        found.append(f"worth measuring before choosing, at most: {text}")
    else:
        found.append(
            "worth measuring before choosing: nothing, as no input changes the choice among the plans on offer"
        )
    return found


def forecast_dict(o: Forecast) -> dict[str, Any]:
    """Return the whole run as plain values, units in the keys."""
    return {
        "draws": len(o.wall_s),
        "quantiles": o.quantiles(),
        "luck_over_p50": {"p05_s": o.single_run_noise_s[0], "p95_s": o.single_run_noise_s[1]},
        "deadline_chance_frac": o.deadline_chance,
        "budget_chance_frac": o.budget_chance,
        "both_chance_frac": o.both_chance,
        "buckets": dict(o.buckets_s),
        "bill": {f"{name}_usd": value for name, value in o.lines_usd.items()},
        "checkpoint": {
            "interval_s": o.interval_s,
            "state_bytes": o.state_bytes,
            "storage_write_bytes_per_s": o.write_bytes_per_s,
        },
        "spare_nodes": o.spares,
        "tornado_days": [asdict(bar) for bar in o.days_bars],
        "tornado_cost_usd": [asdict(bar) for bar in o.cost_bars],
        "worth_knowing_usd": dict(o.worth_usd),
    }
