"""Plan against actual: what a plan said of a run, beside what the run's log says, and the forecast from here on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.forecast import Forecast, forecast
from isocost.measure.logs.events import SKIPPED_S, UNEXPLAINED
from isocost.reliability.conditions import Conditions
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.search.forecasts import run_at
from isocost.stats.quantiles import quantiles
from isocost.units import DAY_S, show
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.chosen import Chosen
from isocost.verbs.plan.saved import chosen_of_plan, chosen_of_values, values_of_file
from isocost.verbs.run_log import Timed, disagreements, read_timed

# What is compared. A log cannot tell the parts of a stop from each other, nor those of slow steps; before the first
# step there is no log. Together these are all buckets but bring-up.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "steps that are kept, at their usual speed": ("useful_s",),
    "first start and compilation": ("start_up_s",),
    "slow steps: stragglers, throttling, data": ("straggler_s", "throttle_s", "data_stall_s"),
    "saves": ("checkpoint_stall_s",),
    "evaluation": ("evaluation_s",),
    "stops: until steps are at full speed again": (
        "detection_s",
        "diagnosis_s",
        "queue_s",
        "restart_s",
        "warm_up_s",
        "maintenance_s",
        "facility_s",
    ),
    "steps run again": ("lost_work_s", "rollback_s"),
    "skipped iterations": (SKIPPED_S,),
    "pauses without a reason in the log": (UNEXPLAINED,),
}
BEFORE: Final = "bring_up_s"
ONCE: Final = ("start_up_s",)  # whatever the number of steps
_FIX: Final = "make one with: isocost plan ... --format json -o plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the time of the logged steps, as planned and as measured; the parts add up."""

    name: str
    buckets: tuple[str, ...]
    plan_s: float
    actual_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the run is."""

    steps: int  # of the plan
    logged: int  # steps that are kept, in the log
    before: int  # steps before the first one of the log
    tokens_left: float

    @property
    def done(self) -> int:
        """Steps that the run has behind it."""
        return self.before + self.logged

    @property
    def left(self) -> int:
        """Steps that are left."""
        return max(self.steps - self.done, 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanAgainstActual(Result):
    """What ``isocost compare plan.json train.log`` returns."""

    path: str
    log: Timed
    chosen: Chosen
    plan: Mapping[str, Any]  # the JSON of the plan
    progress: Progress
    parts: tuple[Part, ...]
    forecast: Forecast | None  # of the steps left; None: the run is through

    @property
    def ratio(self) -> float:
        """Measured over predicted step time."""
        return self.log.step_s.median / float(self.plan["chosen"]["step_s"])

    @property
    def inside(self) -> bool:
        """Whether the measured step lies in the plan's 90 % interval."""
        row = self.plan["chosen"]
        return bool(row["step_s_low"] <= self.log.step_s.median <= row["step_s_high"])

    @property
    def logged_s(self) -> tuple[float, float]:
        """Time of the logged steps, as planned and as measured."""
        return sum(part.plan_s for part in self.parts), sum(part.actual_s for part in self.parts)

    @property
    def bring_up_s(self) -> float:
        """Time before the first step; the plan's, as no log tells of it."""
        return float(self.plan["whole_run"]["buckets"][BEFORE])

    @property
    def behind_s(self) -> float:
        """Time from the cluster handed over to the last step of the log; before the log at the pace of the log."""
        return self.bring_up_s + self.logged_s[1] * self.progress.done / self.progress.logged

    @property
    def behind_usd(self) -> float | None:
        """Rent of that time at the median price; None: not priced."""
        price = self.chosen.option.median_usd_per_s
        return None if price is None else price * self.chosen.gpus * self.behind_s

    def days(self) -> tuple[float, float, float]:
        """Length of the whole run: p05, p50 and p95 of the forecast."""
        left = np.zeros(3) if self.forecast is None else quantiles(self.forecast.wall_s)
        low, middle, high = ((self.behind_s + left) / DAY_S).tolist()
        return low, middle, high

    def cost_usd(self) -> tuple[float, float, float] | None:
        """Bill of the whole run: p05, p50 and p95 of the forecast; None: not priced."""
        if self.behind_usd is None or (self.forecast is not None and self.forecast.cost_usd is None):
            return None
        found = None if self.forecast is None else self.forecast.cost_usd
        left = np.zeros(3) if found is None else quantiles(found)
        low, middle, high = (self.behind_usd + left).tolist()
        return low, middle, high

    @property
    def deadline_chance(self) -> float | None:
        """Chance of the plan's deadline from here on; None without one."""
        limit = self.plan["inputs"].get("deadline_s")
        if limit is None:
            return None
        wall = np.zeros(1) if self.forecast is None else self.forecast.wall_s
        return float(np.mean(self.behind_s + wall <= limit))

    @property
    def sentence(self) -> str:
        """Step time, days and dollars, planned and now."""
        row, step = self.plan["chosen"], self.log.step_s.median
        where = "inside" if self.inside else "outside"
        cost, planned = self.cost_usd(), row.get("cost_usd_median")
        money = "" if cost is None or planned is None else f" and {show(cost[1], 'USD')} ({show(planned, 'USD')})"
        return (
            f"{show(step, 's')} a step, {self.ratio - 1.0:+.1%} from the {show(row['step_s'], 's')} predicted, {where} "
            f"its interval ({show(row['step_s_low'], 's')} to {show(row['step_s_high'], 's')}); the whole run takes "
            f"{self.days()[1]:,.1f} d (planned {row['days']:,.1f}){money}"
        )

    def rows(self) -> Table:
        """Return the time of the logged steps by part, planned and measured."""
        planned, actual = self.logged_s
        whole = Part(name="the logged steps in all", buckets=(), plan_s=planned, actual_s=actual)
        return Table(
            columns=(
                Column(head="part", key="part", value=lambda p: p.name, left=True),
                Column(head="planned", key="plan_s", value=lambda p: p.plan_s, show=_time),
                Column(head="share", key="plan_frac", value=lambda p: p.plan_s / planned, show=_percent),
                Column(head="measured", key="actual_s", value=lambda p: p.actual_s, show=_time),
                Column(head="share", key="actual_frac", value=lambda p: p.actual_s / actual, show=_percent),
                Column(head="later by", key="later_s", value=lambda p: p.actual_s - p.plan_s, show=_later),
            ),
            rows=(*(part for part in self.parts if part.plan_s or part.actual_s), whole),
        )

    def document(self) -> Document:
        """Return the sentence, the figures, the time by part, and the forecast."""
        p = self.progress
        until = (
            f"{p.done:,} of {p.steps:,} steps are done, {p.logged:,} of them in the log; "
            f"{show(p.tokens_left, 'token')} tokens are left"
        )
        sections = [
            Section(title="Planned and measured", body=(_figures(tuple(self._figures())), until)),
            Section(title="Where the time of the logged steps went", body=(self.rows(),)),
            Section(title="How it is counted", body=tuple(self._notes())),
        ]
        return Document(lead=self.sentence, sections=tuple(sections))

    def _figures(self) -> Iterator[tuple[str, str, str]]:
        row, step, (planned, actual) = self.plan["chosen"], self.log.step_s, self.logged_s
        yield (
            "step time",
            f"{show(row['step_s'], 's')} ({show(row['step_s_low'], 's')} to {show(row['step_s_high'], 's')})",
            f"{show(step.median, 's')} ({show(step.low, 's')} to {show(step.high, 's')})",
        )
        if row.get("mfu") is not None:
            low, high = row["mfu_low"], row["mfu_high"]
            yield "MFU", f"{row['mfu']:.1%} ({low:.0%} to {high:.0%})", f"{row['mfu'] / self.ratio:.1%}"
        kept = self.parts[0]
        yield "kept steps over all time", f"{kept.plan_s / planned:.1%}", f"{kept.actual_s / actual:.1%}"
        yield "days of the logged steps", f"{planned / DAY_S:,.2f}", f"{actual / DAY_S:,.2f}"
        days, cost = self.days(), self.cost_usd()
        yield (
            "days in all",
            f"{row['days']:,.1f} ({row['days_low']:,.1f} to {row['days_high']:,.1f})",
            f"{days[1]:,.1f} ({days[0]:,.1f} to {days[2]:,.1f})",
        )
        if cost is not None and row.get("cost_usd_median") is not None:
            ends = [show(row[f"cost_usd_{end}"], "USD") for end in ("median", "low", "high")]
            mine = [show(cost[place], "USD") for place in (1, 0, 2)]
            yield "bill in all", f"{ends[0]} ({ends[1]} to {ends[2]})", f"{mine[0]} ({mine[1]} to {mine[2]})"
        planned_chance = self.plan["whole_run"].get("deadline_chance_frac")
        if self.deadline_chance is not None and planned_chance is not None:
            yield "chance of the deadline", f"{planned_chance:.0%}", f"{self.deadline_chance:.0%}"

    def _notes(self) -> Iterator[str]:
        yield (
            "planned time is that of as many steps, their share of the whole run; measured time is all that the log "
            "accounts for; buckets that a log cannot tell apart share a row"
        )
        yield (
            f"bring-up comes before the first line of a log: the plan's {show(self.bring_up_s, 's')} are in the days "
            "in all, of both; what of the first start comes before it is not in the measured time"
        )
        if self.progress.before:
            yield f"{self.progress.before:,} steps before the log are taken at the pace of the log, stops included"
        yield (
            "the steps left are forecast as the plan was, with the measured step instead of the predicted one: stops, "
            "slow machines and prices are still those of the plan"
        )
        if self.behind_usd is not None:
            yield "dollars so far are rent at the median price of the plan; those to come are the full bill"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        row, step, p = self.plan["chosen"], self.log.step_s, self.progress
        mfu = row.get("mfu")
        planned, actual = self.logged_s
        return {
            "schema_version": SCHEMA_VERSION,
            "verb": "compare",
            "summary": self.sentence,
            "plan": self.path,
            "log": {"path": self.log.path, "format": self.log.reading.format},
            "step_s": {
                "predicted": row["step_s"],
                "low": row["step_s_low"],
                "high": row["step_s_high"],
                "measured": step.percentiles(),
                "measured_over_predicted_ratio": self.ratio,
                "inside_interval": self.inside,
            },
            "mfu": {"predicted_frac": mfu, "measured_frac": None if mfu is None else mfu / self.ratio},
            "steps": {"planned": p.steps, "done": p.done, "logged": p.logged, "left": p.left},
            "tokens_left": p.tokens_left,
            "logged": {
                "planned_s": planned,
                "measured_s": actual,
                "parts": [
                    {
                        "part": part.name,
                        "buckets": list(part.buckets),
                        "planned_s": part.plan_s,
                        "measured_s": part.actual_s,
                    }
                    for part in self.parts
                ],
            },
            "so_far": {"wall_s": self.behind_s, "rent_usd": self.behind_usd, "bring_up_s": self.bring_up_s},
            "days": {"planned": row["days"], **_ends(self.days())},
            "cost_usd": None
            if (cost := self.cost_usd()) is None
            else {"planned": row.get("cost_usd_median"), **_ends(cost)},
            "deadline_chance_frac": self.deadline_chance,
            "notes": list(self._notes()),
        }


def _ends(values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("p05", "p50", "p95"), values, strict=True))


def _time(value: float) -> str:
    return show(value, "s") if value else "-"


def _later(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{show(abs(value), 's')}" if value else "-"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _figures(rows: tuple[tuple[str, str, str], ...]) -> Table:
    return Table(
        columns=(
            Column(head="figure", key="figure", value=lambda r: r[0], left=True),
            Column(head="planned", key="planned", value=lambda r: r[1]),
            Column(head="measured, or forecast from here", key="actual", value=lambda r: r[2]),
        ),
        rows=rows,
    )


def against_actual(plan: str | Path | Plan | Mapping[str, Any], log: str | Path) -> PlanAgainstActual:
    """Return a plan (or its JSON) beside the log of its run.

    Raises:
        InputError: the plan is none that this isocost reads, the log has no step times, or it is of another run.
    """
    place = str(plan) if isinstance(plan, (str, Path)) else "plan"
    values = plan.to_dict() if isinstance(plan, Plan) else plan if isinstance(plan, Mapping) else values_of_file(plan)
    chosen = chosen_of_plan(plan) if isinstance(plan, Plan) else chosen_of_values(values, place)
    whole = values.get("whole_run")
    if not isinstance(whole, Mapping) or not isinstance(whole.get("buckets"), Mapping):
        raise InputError([Problem(f"{place}: whole_run", "is missing: there are no days to compare with", fix=_FIX)])
    _need_figures(values["chosen"], place)
    timed = read_timed(str(log))
    if problems := disagreements(timed, chosen.case, place):
        raise InputError(problems)
    progress = _progress(timed, chosen)
    return PlanAgainstActual(
        path=place,
        log=timed,
        chosen=chosen,
        plan=values,
        progress=progress,
        parts=_parts(whole["buckets"], timed, progress),
        forecast=_forecast(chosen, timed.step_s.median, progress),
    )


def _need_figures(chosen: Mapping[str, Any], place: str) -> None:
    """Refuse a plan that was edited: every figure that is shown, with its ends, is a number above zero."""
    optional = [name for name in ("mfu", "cost_usd_median") if chosen.get(name) is not None]
    names = [f"{name}{end}" for name in ("step_s", "days", *optional) for end in ("", "_low", "_high")]
    names = [name.replace("_median_", "_") for name in names]
    wrong = [name for name in names if not isinstance(x := chosen.get(name), (int, float)) or not x > 0]
    if wrong:
        raise InputError([Problem(f"{place}: chosen", f"has no usable value for {', '.join(wrong)}", fix=_FIX)])


def _progress(log: Timed, chosen: Chosen) -> Progress:
    """Return steps by their numbers: the first line of a log that prints every tenth step is of ten."""
    numbers = np.unique(log.reading.records.column("step"))
    if not len(numbers):
        raise InputError([Problem(log.path, "has no line of a step: it does not say how far the run is")])
    every = int(np.median(np.diff(numbers))) if len(numbers) > 1 else 1
    first, last = int(numbers[0]), int(numbers[-1])
    before, logged = max(first - every, 0), last - first + every
    case = chosen.case
    left = max(chosen.steps - before - logged, 0)
    return Progress(
        steps=chosen.steps,
        logged=logged,
        before=before,
        tokens_left=float(left * case.global_batch_seqs * case.seq_len),
    )


def _parts(planned: Mapping[str, float], log: Timed, progress: Progress) -> tuple[Part, ...]:
    """Time of the logged steps by part; what happens once is in the log that has the first step."""
    share = progress.logged / progress.steps
    first = 0.0 if progress.before else 1.0

    def of_plan(name: str) -> float:
        return float(planned.get(name, 0.0)) * (first if name in ONCE else share)

    actual = log.summary.buckets
    return tuple(
        Part(
            name=name,
            buckets=buckets,
            plan_s=sum(map(of_plan, buckets)),
            actual_s=sum(actual.get(bucket, 0.0) for bucket in buckets),
        )
        for name, buckets in PARTS.items()
    )


def _forecast(chosen: Chosen, step_s: float, progress: Progress) -> Forecast | None:
    """Return the steps left, with the cluster that is there and the step that was measured."""
    if not progress.left:
        return None
    question = replace(chosen.question, tokens=progress.tokens_left)
    conditions = question.conditions or Conditions()
    conditions = replace(conditions, given={**conditions.given, "bring-up": 0.0})
    run = run_at(question, chosen.option, chosen.case, chosen.catalog, step_s)
    return forecast(replace(run, band=(1.0, 1.0)), conditions, chosen.catalog, bars=False)
