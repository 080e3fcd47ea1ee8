"""One evaluated layout in rows and sentences: the columns of the plan tables, defined once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final

from isocost.catalog.stacks import PLAIN_SCHEDULES
from isocost.perf.layout import AXES
from isocost.render.document import Bars, Column, Table
from isocost.search.question import Candidate, Option
from isocost.stats.quantiles import Interval
from isocost.units import show
from isocost.verbs.words import MEMORY_PARTS, STEP_PARTS, _round, degrees, money

LAYOUT: Final = ("gpus", "precision", *AXES)
_VALUES: Final = (
    "global_batch_seqs",
    "micro_batches",
    "steps",
    "step_s",
    "tokens_per_s_per_gpu",
    "mfu",
    "mfu_16bit",
    "peak_bytes",
    "capacity_bytes",
    "fits",
    "fits_probability",
    "compute_s",
    "run_s",
    "goodput",
    "days",
    "gpu_hours",
    "power_w",
    "energy_j",
    "binds",
    "limit",
)
INTERVALS: Final = (
    "step_s",
    "run_s",
    "goodput",
    "days",
    "gpu_hours",
    "tokens_per_s_per_gpu",
    "mfu",
    "mfu_16bit",
    "peak_bytes",
    "energy_j",
)
_LONG_D: Final = 100  # days, shown whole from here on


def option_dict(option: Option) -> dict[str, Any]:
    """Return one way to buy as plain values."""
    return {
        "accelerator": option.accelerator.id,
        "fabric": option.fabric.id,
        "term": option.term,
        "label": option.label,
        "price_low_usd_per_gpu_s": option.low_usd_per_s,
        "price_median_usd_per_gpu_s": option.median_usd_per_s,
        "price_high_usd_per_gpu_s": option.high_usd_per_s,
        "price_as_of": option.fact.as_of if option.fact else None,
    }


def candidate_dict(c: Candidate) -> dict[str, Any]:
    """Return one evaluated layout as plain values, units in the keys."""
    spreads = {}
    for name in ("price_usd", "energy_usd", "cost_usd"):
        spread: Interval | None = getattr(c, name)
        for end in ("low", "median", "high"):
            spreads[f"{name}_{end}"] = None if spread is None else getattr(spread, end)
    return {
        **{
            key: value
            for key, value in option_dict(c.option).items()
            if key in ("accelerator", "fabric", "term", "label")
        },
        **{name: getattr(c, name) for name in LAYOUT + _VALUES},
        **{f"{name}_{end}": _interval_end(name, end).value(c) for name in INTERVALS for end in ("low", "high")},
        **spreads,
        "certainty": {
            "classes": list(c.certainty.classes),
            "kind": c.certainty.kind,
            "rows": c.certainty.rows,
            "step_s_low_ratio": c.certainty.band.low,
            "step_s_high_ratio": c.certainty.band.high,
        },
        "step_time": {f.name: float(getattr(c.time, f.name)) for f in fields(c.time)},
        "memory": {f.name: float(getattr(c.memory, f.name)) for f in fields(c.memory)},
    }


def _number(name: str, head: str, unit: str = "", form: Callable[[Any], str] | None = None) -> Column:
    show_as = form or ((lambda x: show(float(x), unit)) if unit else (lambda x: f"{x:,}"))
    return Column(head=head, key=name, value=lambda c: getattr(c, name), show=show_as)


def _word(name: str, head: str = "") -> Column:
    return Column(head=head or name, key=name, value=lambda c: getattr(c, name), left=True)


def _with_ends(
    name: str, head: str, form: Callable[[float], str], scale: float = 1.0, *, brief: bool = False
) -> Column:
    """Return a figure with its interval behind it: "39.3 (34-45)"; ``brief`` where a narrow table may leave it out."""

    def text(c: Candidate) -> str:
        ends = c.intervals[name]
        return f"{form(getattr(c, name))} ({_round(ends.low * scale)}-{_round(ends.high * scale)})"

    return Column(head=head, key=name, value=lambda c: getattr(c, name), show=form, text=text, brief=brief)


def _interval_end(name: str, end: str) -> Column:
    def value(c: Candidate) -> float | None:
        return float(getattr(c.intervals[name], end)) if name in c.intervals else None

    return Column(head=f"{name} {end}", key=f"{name}_{end}", value=value, show=lambda x: f"{x:,.3g}")


def _end_of(name: str, end: str, head: str) -> Column:
    def value(c: Candidate) -> float | None:
        spread: Interval | None = getattr(c, name)
        return None if spread is None else float(getattr(spread, end))

    return Column(head=head, key=f"{name}_{end}", value=value, show=lambda x: show(x, "USD"))


def _median_cost(c: Candidate) -> float | None:
    return None if c.cost_usd is None else c.cost_usd.median


ACCELERATOR: Final = Column(head="accelerator", key="accelerator", value=lambda c: c.option.accelerator.id, left=True)
LAYOUT_LEGEND: Final = (
    "layout: ranks by kind of parallelism (pp4x10: 4 stages of 10 virtual ones), mbs the sequences of a micro-batch, "
    "then what is recomputed and sharded"
)


def layout_cell(c: Candidate) -> str:
    """Return a layout as one cell: "tp2 pp4x10 dp256 mbs1 selective zero1"; the usual schedules follow from pp."""
    x = c.layout
    words = [degrees(c), f"mbs{x.micro_batch}"]
    words += [word for word in (x.recompute, x.sharding) if word != "none"]
    words += [x.schedule] if x.schedule not in PLAIN_SCHEDULES else []
    return " ".join(words)


PLAN: Final = (
    ACCELERATOR,
    _number("gpus", "GPUs"),
    _with_ends("days", "days", lambda x: f"{x:,.0f}" if x >= _LONG_D else f"{x:,.1f}"),
    Column(head="cost", key="cost_usd_median", value=_median_cost, text=lambda c: money(c.cost_usd, "-")),
    _with_ends("goodput", "goodput", lambda x: f"{x:.0%}", 100.0, brief=True),
    _with_ends("mfu", "MFU", lambda x: f"{x:.1%}", 100.0, brief=True),
    replace(_number("peak_bytes", "peak", "B"), spare=True),
    Column(head="layout", key="layout", value=layout_cell, left=True),
    _word("precision"),
    replace(_word("binds", "bound by"), spare=True),
    _word("limit", "breaks"),
)
# What one screen has room for; a row's layout is in the sentence or among the sections.
SCREEN: Final = (*PLAN[:5], replace(PLAN[5], spare=True))
BREAKS: Final = PLAN[-1]
# CSV carries what a row of the screen has no room for.
PLAN_CSV: Final = (
    ACCELERATOR,
    Column(head="fabric", key="fabric", value=lambda c: c.option.fabric.id),
    Column(head="term", key="term", value=lambda c: c.option.term),
    *(_number(name, name) for name in LAYOUT + _VALUES),
    *(_interval_end(name, end) for name in INTERVALS for end in ("low", "high")),
    *(_end_of(name, end, f"{name} {end}") for name in ("cost_usd", "energy_usd") for end in ("low", "median", "high")),
)


def _parts(values: dict[str, float], words: dict[str, str], unit: str, key: str, least: float) -> Bars:
    """Return parts of a whole, each with its share and a bar; parts below ``least`` of the whole are left out."""
    total = sum(values.values())
    rows = [(name, value) for name, value in values.items() if total and value / total >= least]
    table = Table(
        columns=(
            Column(head="part", key="part", value=lambda row: row[0], show=lambda n: words.get(n, n), left=True),
            Column(head=unit, key=key, value=lambda row: row[1], show=lambda x: show(x, unit)),
            Column(head="share", key="share_frac", value=lambda row: row[1] / total, show=lambda x: f"{x:.1%}"),
        ),
        rows=tuple(rows),
    )
    return Bars(table=table, length=lambda row: float(row[1]))


def waterfall(c: Candidate) -> Bars:
    """Return the step time by cause; parts under a thousandth are left out."""
    return _parts({f.name: float(getattr(c.time, f.name)) for f in fields(c.time)}, STEP_PARTS, "s", "part_s", 1e-3)


def memory_stack(c: Candidate) -> Bars:
    """Return the peak memory by part."""
    values = {f.name: float(getattr(c.memory, f.name)) for f in fields(c.memory)}
    return _parts(values, MEMORY_PARTS, "B", "part_bytes", 1e-4)
