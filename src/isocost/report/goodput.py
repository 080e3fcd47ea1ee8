"""Where the time of the chosen plan goes: every bucket, in closed form at medians and over simulated runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.draws import draw
from isocost.forecast import inputs_of
from isocost.forecast.run import FAILURES, node_rate, planned
from isocost.goodput.buckets import BUCKETS, GoodputBreakdown
from isocost.goodput.engine import goodput
from isocost.goodput.plan import Planned
from isocost.goodput.simulate import Simulated, simulate
from isocost.report.candidates import layout_text
from isocost.report.plans import Plan
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.saved import chosen_of_plan
from isocost.report.table import Column, Report, Section, Table
from isocost.search.question import DAY_S, Candidate
from isocost.search.whole import run_at
from isocost.units import show

RUNS: Final = 1000
_ENDS: Final = ((0.05, "p05"), (0.5, "p50"), (0.95, "p95"))
_INTERVALS: Final = {"exact_interval_s": "exact renewal", "young_interval_s": "Young", "daly_interval_s": "Daly"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    bucket: str
    at_medians_s: float
    share: float
    quantiles_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoodputReport(Result):
    """What ``isocost goodput`` returns."""

    plan: Plan
    chosen: Candidate
    planned: Planned  # at medians
    closed: GoodputBreakdown  # the expected run, every input at its median
    runs: Simulated  # every input drawn, and every stop

    def _rows(self) -> tuple[_Row, ...]:
        wall = float(self.closed.wall_s)
        return tuple(
            _Row(
                bucket=name,
                at_medians_s=float(value),
                share=float(value) / wall,
                quantiles_s=tuple(self.runs.quantile(name, share) for share, _ in _ENDS),
            )
            for name, value in self.closed.buckets().items()
        )

    def rows(self) -> Table:
        """Return the buckets: they sum to the wall clock at medians; quantiles of each do not add up."""
        seconds = (
            _seconds(f"{end} of {self.runs.runs:,} runs", f"{end}_s", place) for place, (_, end) in enumerate(_ENDS)
        )
        return Table(
            columns=(
                Column(head="bucket", key="bucket", value=lambda r: r.bucket, left=True),
                Column(head="at medians", key="at_medians_s", value=lambda r: r.at_medians_s, show=_short),
                Column(head="share", key="share_frac", value=lambda r: r.share, show=lambda x: f"{x:.2%}"),
                *seconds,
                Column(head="what it is", key="meaning", value=lambda r: BUCKETS[r.bucket], left=True),
            ),
            rows=self._rows(),
        )

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        g = [self.runs.quantile("goodput", share) for share, _ in _ENDS]
        days = [self.runs.quantile("wall_s", share) / DAY_S for share, _ in _ENDS]
        stops = self.runs.quantile("interruptions", 0.5)
        return (
            f"Goodput {g[1]:.1%} ({g[0]:.1%} to {g[2]:.1%}): {days[1]:,.1f} d ({days[0]:,.1f} to {days[2]:,.1f}), "
            f"{stops:,.0f} interruptions, on {self.chosen.gpus:,} x {self.chosen.option.accelerator.name}; "
            f"{layout_text(self.chosen)}"
        )

    @property
    def needed_write_bytes_per_s(self) -> float:
        """Storage bandwidth with which a save is safe before the next one begins."""
        return float(self.planned.inputs.state_bytes) / float(self.closed.interval_s)

    def report(self) -> Report:
        """Return the buckets, the saves, and what was assumed."""
        wall, useful = float(self.closed.wall_s), float(self.closed.useful_s)
        total = f"sum of the buckets at medians: {wall / DAY_S:,.3f} d, off the wall clock by {self.residual:.0e}"
        mean = [
            f"at medians: goodput {useful / wall:.1%}, effective training time {float(self.closed.effective_frac):.1%} "
            f"as papers count it, mean time to failure {show(float(self.closed.mttf_s), 's')}",
            total,
        ]
        deadline = self.plan.answer.question.deadline_s
        if deadline is not None:
            mean.append(f"simulated runs within the deadline: {self.runs.share_within(deadline):.0%}")
        notes = tuple(f"{note.name}: {note.value}" for note in self.plan.assumptions() if note.name in _NAMED)
        return Report(
            lead=self.sentence,
            sections=(
                Section(title="Where the time goes", body=(self.rows(), *mean)),
                Section(title="Checkpoints", body=tuple(self._saves())),
                Section(title="Assumptions", body=notes),
            ),
        )

    @property
    def residual(self) -> float:
        """What the buckets miss of the wall clock, over the wall clock."""
        return float(self.closed.residual_frac())

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
            "wall_s": self.closed.wall_s,
            "goodput_frac": self.closed.goodput,
            "effective_frac": self.closed.effective_frac,
            "interruptions": self.closed.interruptions,
            "buckets": self.closed.buckets(),
            "simulated": {
                "runs": self.runs.runs,
                **{name: {end: self.runs.quantile(name, share) for share, end in _ENDS} for name in self.runs.columns},
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


def _short(x: float) -> str:
    return show(x, "s") if x else "0 s"


def _seconds(head: str, key: str, place: int) -> Column:
    return Column(head=head, key=key, value=lambda row: row.quantiles_s[place], show=_short)


def goodput_report(plan: Plan) -> GoodputReport:
    """Return where the time of the chosen plan goes."""
    found = chosen_of_plan(plan)  # an error where there is no plan
    assert plan.answer.chosen is not None
    question = found.question
    assert question.conditions is not None
    chosen = plan.answer.chosen
    run = run_at(question, found.option, found.case, found.catalog, chosen.step_s)
    c = question.conditions
    middle = planned(run, c, {})
    values = draw(inputs_of(run, c, found.catalog), RUNS, c.seed)
    wide = planned(run, c, {FAILURES: np.full(RUNS, node_rate(c).quantile(0.5)), **values}).inputs
    return GoodputReport(
        plan=plan, chosen=chosen, planned=middle, closed=goodput(middle.inputs), runs=simulate(wide, RUNS, c.seed)
    )  # fmt: skip
