"""Where the time of the chosen plan goes: every bucket over the runs of its forecast, and how often to save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.forecast import Forecast
from isocost.reliability.buckets import BUCKETS, GoodputBreakdown
from isocost.reliability.closed_form import goodput
from isocost.reliability.defaults import Planned, inputs_of
from isocost.render.document import Column, Report, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.search.forecasts import run_at
from isocost.search.question import Candidate
from isocost.stats.quantiles import quantiles
from isocost.units import show
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.forecast import drawn_lines, quantile_table
from isocost.verbs.plan.saved import chosen_of_plan
from isocost.verbs.words import layout_text

_ENDS: Final = ("p05", "p50", "p95")
_INTERVALS: Final = {"exact_interval_s": "exact renewal", "young_interval_s": "Young", "daly_interval_s": "Daly"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    bucket: str
    middle_s: float
    share: float
    quantiles_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoodputReport(Result):
    """What ``isocost goodput`` returns."""

    plan: Plan
    chosen: Candidate
    forecast: Forecast  # that of the plan
    planned: Planned  # at medians
    closed: GoodputBreakdown  # the expected run, every input at its median

    def _rows(self) -> tuple[_Row, ...]:
        total = sum(self.forecast.buckets_s.values())
        return tuple(
            _Row(bucket=name, middle_s=value, share=value / total, quantiles_s=self._quantiles(name))
            for name, value in self.forecast.buckets_s.items()
        )

    def _quantiles(self, bucket: str) -> tuple[float, ...]:
        return tuple(quantiles(self.forecast.drawn_s[bucket]).tolist())

    def rows(self) -> Table:
        """Return the buckets: those of a run in the middle sum to the median wall clock, quantiles do not add up."""
        ends = (_seconds(end, place) for place, end in enumerate(_ENDS))
        return Table(
            columns=(
                Column(head="bucket", key="bucket", value=lambda r: r.bucket, show=_named, left=True),
                Column(head="middle", key="middle_s", value=lambda r: r.middle_s, show=_short),
                Column(head="share", key="share_frac", value=lambda r: r.share, show=lambda x: f"{x:.2%}"),
                *ends,
            ),
            rows=self._rows(),
        )

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        found = self.forecast.quantiles()
        g, days = ([found[name][end] for end in _ENDS] for name in ("goodput_frac", "days"))
        return (
            f"Goodput {g[1]:.1%} ({g[0]:.1%} to {g[2]:.1%}): {days[1]:,.1f} d ({days[0]:,.1f} to {days[2]:,.1f}), "
            f"{found['interruptions']['p50']:,.0f} interruptions, on {self.chosen.gpus:,} x "
            f"{self.chosen.option.accelerator.name}; {layout_text(self.chosen)}"
        )

    @property
    def needed_write_bytes_per_s(self) -> float:
        """Storage bandwidth with which a save is safe before the next one begins."""
        return float(self.planned.inputs.state_bytes) / float(self.closed.interval_s)

    @property
    def residual(self) -> float:
        """What the buckets of any run miss of its wall clock, over the wall clock."""
        total = sum(self.forecast.drawn_s.values(), start=np.zeros(len(self.forecast.wall_s)))
        return float(np.max(np.abs(total / self.forecast.wall_s - 1.0)))

    def report(self) -> Report:
        """Return the buckets, the saves, and what was assumed."""
        o = self.forecast
        below = [
            *drawn_lines(o),
            "middle: the mean of runs around the median wall clock, to which it adds up",
            "the buckets of every run sum to its wall clock"
            + (f", off by {self.residual:.0e}" if self.residual else ""),
            f"mean time to failure {show(float(self.closed.mttf_s), 's')} at the median rate",
        ]
        below += self._own_stops()
        if o.deadline_s is not None:
            below.append(f"runs within the deadline: {o.deadline_chance:.0%}")
        notes = tuple(f"{note.name}: {note.value}" for note in self.plan.assumptions() if note.name in _NAMED)
        return Report(
            lead=self.sentence,
            sections=(
                Section(title="The whole run, as isocost plan forecasts it", body=(quantile_table(o),)),
                Section(title="Where the time goes", body=(self.rows(), *below)),
                Section(title="Checkpoints", body=tuple(self._saves())),
                Section(title="Assumptions", body=notes),
            ),
        )

    @property
    def recovery_s(self) -> float:
        """Mean time from a stop to the first step at full speed, at medians; what is lost before it not counted."""
        c = self.closed
        down = c.detection_s + c.diagnosis_s + c.queue_s + c.restart_s + c.warm_up_s
        return float(down / (c.interruptions + c.planned_stops))

    def _own_stops(self) -> list[str]:
        conditions = self.plan.answer.question.conditions
        own_s = None if conditions is None else conditions.own_recovery_s
        if own_s is None:
            return []
        return [
            f"your stops took {show(own_s, 's')} each; assumed here, from published runs with such support: "
            f"{show(self.recovery_s, 's')} (yours: by_hand and response in the table [support])"
        ]

    def _saves(self) -> list[str]:
        p, state = self.planned, float(self.planned.inputs.state_bytes)
        found = {words: float(getattr(self.closed, name)) for name, words in _INTERVALS.items()}
        best = ", ".join(f"{words} {show(value, 's')}" for words, value in found.items())
        write, needed = float(p.write_bytes_per_s), self.needed_write_bytes_per_s
        verdict = "enough" if write >= needed else "too little: saves wait for each other"
        return [
            f"{show(state, 'B')} a checkpoint, saved every {show(float(self.closed.interval_s), 's')}",
            f"interval of least loss: {best}",
            f"storage: {show(needed, 'B/s')} needed to have a save safe before the next; {show(write, 'B/s')} there: "
            f"{verdict}",
            f"a save blocks for {show(float(p.inputs.save_s), 's')} and is safe "
            f"{show(float(p.inputs.persist_s) + float(p.inputs.save_s), 's')} after it began",
            f"spare nodes: {float(p.spares):,.0f}",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return buckets, quantiles and saves as plain values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "verb": "goodput",
            "summary": self.sentence,
            "runs": len(self.forecast.wall_s),
            "quantiles": self.forecast.quantiles(),
            "luck_over_p50": {
                "p05_s": self.forecast.single_run_noise_s[0],
                "p95_s": self.forecast.single_run_noise_s[1],
            },
            "wall_s": sum(self.forecast.buckets_s.values()),
            "buckets": dict(self.forecast.buckets_s),
            "buckets_drawn": {name: dict(zip(_ENDS, self._quantiles(name), strict=True)) for name in BUCKETS},
            "expected_at_medians": {
                "wall_s": self.closed.wall_s,
                "goodput_frac": self.closed.goodput,
                "effective_frac": self.closed.effective_frac,
                "interruptions": self.closed.interruptions,
                "mttf_s": self.closed.mttf_s,
                "recovery_s": self.recovery_s,
                "buckets": self.closed.buckets(),
            },
            "checkpoint": {
                "state_bytes": self.planned.inputs.state_bytes,
                "interval_s": self.closed.interval_s,
                **{name: getattr(self.closed, name) for name in _INTERVALS},
                "write_bytes_per_s": self.planned.write_bytes_per_s,
                "needed_write_bytes_per_s": self.needed_write_bytes_per_s,
            },
            "spare_nodes": self.planned.spares,
            "failures_per_node_day": self.planned.node_rate.quantile(0.5),
            "plan": self.plan.to_dict(),
        }


_NAMED: Final = ("failures", "bring-up", "straggler", "restart", "conditions")


def _named(bucket: str) -> str:
    """Return a bucket as its name in JSON and in logs, and what it is."""
    return f"{bucket.removesuffix('_s')}: {BUCKETS[bucket]}"


def _short(x: float) -> str:
    return show(x, "s") if x else "0 s"


def _seconds(end: str, place: int) -> Column:
    return Column(head=end, key=f"{end}_s", value=lambda row: row.quantiles_s[place], show=_short)


def goodput_report(plan: Plan) -> GoodputReport:
    """Return where the time of the chosen plan goes."""
    found = chosen_of_plan(plan)  # an error where there is no plan
    question, chosen, forecast = found.question, plan.answer.chosen, plan.answer.forecast
    assert chosen is not None
    assert forecast is not None
    assert question.conditions is not None
    run = run_at(question, found.option, found.case, found.catalog, chosen.step_s)
    middle = inputs_of(run, question.conditions, {})
    return GoodputReport(plan=plan, chosen=chosen, forecast=forecast, planned=middle, closed=goodput(middle.inputs))
