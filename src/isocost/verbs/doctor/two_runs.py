"""What changed between two runs: two logs by step time, efficiency, pauses and buckets, or two traces by operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from isocost.errors import InputError, Problem
from isocost.measure.logs.change import Change, compare_counts, compare_means, compare_values, median_of, spread_of
from isocost.measure.logs.records import Column
from isocost.measure.logs.steady import sort_steps
from isocost.measure.logs.step_times import Known
from isocost.measure.logs.summary import RunSummary
from isocost.measure.traces.trace import TraceSummary
from isocost.render.document import Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.units import DAY_S, HOUR_S
from isocost.verbs.doctor.examination import figures, four
from isocost.verbs.doctor.of_traces import Examination, LogExamination, RunExamination, TraceExamination

_RATES = (
    ("tokens_per_s_per_gpu", "tokens/s/GPU"),
    ("tflops_per_gpu", "TFLOP/s/GPU, as printed"),
    ("mfu", "MFU, as printed"),
    ("data_s", "waiting for data, s"),
    ("power_w", "power of a GPU, W"),
)


def compare_runs(old: Examination, new: Examination, tokens_left: float | None = None) -> TwoRuns:
    """Return what changed from one run to another; both are logs, or both traces."""
    if isinstance(old, LogExamination) and isinstance(new, LogExamination):
        changes, buckets = tuple(_of_logs(old, new)), tuple(_buckets(old.summary, new.summary))
        if isinstance(old, RunExamination) and isinstance(new, RunExamination):
            changes = (*changes, *_of_traces(old.trace.summary, new.trace.summary))
        return TwoRuns(old, new, changes, buckets, _facts(old, new), tokens_left)
    if isinstance(old, TraceExamination) and isinstance(new, TraceExamination):
        return TwoRuns(old, new, tuple(_of_traces(old.summary, new.summary)), (), {}, tokens_left)
    fix = "compare a log with a log, or traces with traces"
    raise InputError([Problem("--against", "is a log where the other run has a trace, or the reverse", fix=fix)])


def _of_logs(old: LogExamination, new: LogExamination) -> Iterator[Change]:
    sides = [sort_steps(found.reading, _known(found)) for found in (old, new)]
    before, after = (rows.step_s[rows.steady] for rows in sides)
    yield compare_values("step time, s", before, after, median_of)
    yield compare_values("spread of step times, middle 90 % over the median", before, after, spread_of, 0.0)
    for column, name in _RATES:
        values = [rows.steps.column(column)[rows.steady] for rows in sides]
        known = [column_of[np.isfinite(column_of)] for column_of in values]
        if all(len(column_of) for column_of in known):
            yield compare_values(name, known[0], known[1], median_of)
    yield from _mfu(old.summary, new.summary, before, after)
    hours = [(found.summary.wall_s or 0.0) / HOUR_S for found in (old, new)]
    if min(hours) > 0.0:
        counts = [_events(found.summary) for found in (old, new)]
        stops, pauses = ([count["restart_s"] for count in counts], [_paused(count) for count in counts])
        yield compare_counts("pauses an hour", pauses[0], pauses[1], hours[0], hours[1])
        yield compare_counts("stops a day", stops[0], stops[1], hours[0] / 24.0, hours[1] / 24.0)
    lost = [round(found.summary.skipped + found.summary.nan) for found in (old, new)]
    steps = [max(float(rows.span.sum()), 1.0) / 1000.0 for rows in sides]
    yield compare_counts("skipped and NaN iterations in 1,000", lost[0], lost[1], steps[0], steps[1])


def _known(found: LogExamination) -> Known:
    """Return what the examination was told of the run, as far as step times need it."""
    summary = found.summary
    if not summary.derived or summary.step_s is None or summary.tokens_per_s_per_gpu is None:
        return Known()
    return Known(tokens_per_step=summary.tokens_per_s_per_gpu.median * summary.step_s.median, gpus=1.0)


def _mfu(old: RunSummary, new: RunSummary, before: Column, after: Column) -> Iterator[Change]:
    """Yield MFU under the scenario's definition: as many times more as the steps are shorter."""
    if old.mfu is None or new.mfu is None:
        return
    faster = compare_values("", 1.0 / before, 1.0 / after, median_of)
    yield Change(
        name="MFU, of the scenario",
        old=old.mfu,
        new=new.mfu,
        change_frac=new.mfu / old.mfu - 1.0,
        low_frac=faster.low_frac,
        high_frac=faster.high_frac,
        verdict=faster.verdict,
    )


def _events(summary: RunSummary) -> Counter[str]:
    return Counter(event.bucket for event in summary.events)


def _paused(count: Counter[str]) -> int:
    return sum(count[name] for name in ("checkpoint_stall_s", "evaluation_s", "straggler_s", "unexplained_s"))


def _buckets(old: RunSummary, new: RunSummary) -> Iterator[dict[str, Any]]:
    """Yield the share of each bucket in both runs, and whether there are more events of it."""
    totals = [sum(found.buckets.values()) or 1.0 for found in (old, new)]
    counts = [_events(found) for found in (old, new)]
    for name in dict.fromkeys((*old.buckets, *new.buckets)):
        shares = [found.buckets.get(name, 0.0) / total for found, total in zip((old, new), totals, strict=True)]
        tested = compare_counts(name, counts[0][name], counts[1][name], totals[0], totals[1])
        yield {
            "bucket": name,
            "old_frac": shares[0],
            "new_frac": shares[1],
            "old_events": counts[0][name],
            "new_events": counts[1][name],
            "verdict": "" if name == "useful_s" else f"events: {tested.verdict}",
        }


def _of_traces(old: TraceSummary, new: TraceSummary) -> Iterator[Change]:
    """Yield the step and its parts, of all ranks' profiler steps."""
    sides = [_steps(found) for found in (old, new)]
    for name in dict.fromkeys((*sides[0], *sides[1])):
        before, after = (side.get(name, np.zeros(len(side["step, s"]))) for side in sides)
        yield compare_means(name, before, after)


def _steps(found: TraceSummary) -> dict[str, Column]:
    """Return the seconds of every profiler step, and of its parts."""
    parts: dict[str, list[float]] = {}
    for rank in found.ranks:
        for name in rank.step_parts_s:
            parts.setdefault(name, [])
    for rank in found.ranks:
        for name, values in parts.items():
            values += rank.step_parts_s.get(name, (0.0,) * len(rank.step_s))
    whole = {"step, s": np.array([time for rank in found.ranks for time in rank.step_s])}
    return whole | {f"{name}, s": np.array(values) for name, values in parts.items()}


def _facts(old: LogExamination, new: LogExamination) -> dict[str, tuple[float | None, float | None]]:
    """Return what the headers say differently."""
    said = [found.reading.facts for found in (old, new)]
    return {
        name: (said[0].get(name), said[1].get(name))
        for name in dict.fromkeys((*said[0], *said[1]))
        if said[0].get(name) != said[1].get(name)
    }


class TwoRuns(Result):
    """The answer of ``isocost doctor`` on two runs."""

    def __init__(
        self,
        old: Examination,
        new: Examination,
        changes: tuple[Change, ...],
        buckets: tuple[dict[str, Any], ...],
        facts: dict[str, tuple[float | None, float | None]],
        tokens_left: float | None,
    ) -> None:
        self.old, self.new, self.changes, self.buckets = old, new, changes, buckets
        self.facts, self.tokens_left = facts, tokens_left

    def events_csv(self) -> str:
        """Refuse: the events are of one run."""
        raise InputError([Problem("--events-out", "needs one run", fix="give the log of one")])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        old, new = self.old.to_dict(), self.new.to_dict()
        return {
            "schema_version": SCHEMA_VERSION,
            "input": {"old": old["input"], "new": new["input"]},
            "measured": {"old": old["measured"], "new": new["measured"]},
            "changes": [
                {name: getattr(change, name) for name in (*Change.__slots__, "significant")} for change in self.changes
            ],
            "buckets": list(self.buckets),
            "facts": {name: {"old": before, "new": after} for name, (before, after) in self.facts.items()},
            "days_saved": self._days_saved(),
            "unknown": self._unknown(),
        }

    def _days_saved(self) -> float | None:
        """Return days of steps on the tokens left at the new run's throughput, less those at the old one's."""
        sides = [found.summary for found in (self.old, self.new) if isinstance(found, LogExamination)]
        rates = [side.tokens_per_s_per_gpu.median for side in sides if side.tokens_per_s_per_gpu is not None]
        gpus = [found.reading.facts.get("gpus") for found in (self.old, self.new) if isinstance(found, LogExamination)]
        if self.tokens_left is None or len(rates) < 2 or len(set(gpus)) != 1 or not gpus[0]:
            return None
        before, after = (self.tokens_left / rate / gpus[0] / DAY_S for rate in rates)
        return before - after

    def _unknown(self) -> list[str]:
        found = ["why: the change of a part says where to look, not what was changed"]
        if any(change.verdict == "too few steps to tell" for change in self.changes):
            found.append("whether changes are more than chance where there are too few steps: record more of them")
        if isinstance(self.old, TraceExamination):
            found.append("pauses and stops: traces are too short for them, give the logs")
        return found

    def lead(self) -> str:
        """Return the answer in one sentence."""
        step = self.changes[0]
        if step.change_frac is None or step.old is None or step.new is None:
            return f"The step times of the two runs cannot be compared.{self.new.refused()}"
        times = f"{four(step.old)} to {four(step.new)} s"
        if step.low_frac is None or step.high_frac is None:
            return f"A step took {times}, {step.change_frac:+.1%}: {step.verdict}.{self.new.refused()}"
        interval = f"90 % interval {step.low_frac:+.1%} to {step.high_frac:+.1%}"
        word = step.verdict if step.verdict not in ("more", "less") else "a change beyond chance"
        days = self._days_saved()
        more = "" if days is None else f"; {days:,.1f} days of steps saved on the tokens left"
        return f"A step took {times}, {step.change_frac:+.1%} ({interval}): {word}{more}.{self.new.refused()}"

    def document(self) -> Document:
        """Return the sentence and the sections."""
        sections = [Section(title="What changed", body=(self.rows(),))]
        if self.buckets:
            keys = ("bucket", "old_frac", "new_frac", "old_events", "new_events", "verdict")
            heads = ("bucket", "old", "new", "events, old", "events, new", "")
            shown = [
                row | {"old_frac": f"{row['old_frac']:.2%}", "new_frac": f"{row['new_frac']:.2%}"}
                for row in self.buckets
            ]
            sections.append(Section(title="Share of the time by bucket", body=(figures(keys, heads, shown),)))
        if self.facts:
            said = tuple(f"{name}: {_fact(old)} to {_fact(new)}" for name, (old, new) in self.facts.items())
            sections.append(Section(title="What the headers say differently", body=said))
        unknown = Section(title="Not known from this input", body=tuple(self._unknown()))
        return Document(lead=self.lead(), sections=(*sections, unknown))

    def rows(self) -> Table:
        """Return the changes with their intervals."""
        rows: list[dict[str, Any]] = [
            {
                "name": change.name,
                "old": change.old,
                "new": change.new,
                "change": _signed(change.change_frac),
                "interval": _interval(change),
                "verdict": change.verdict,
            }
            for change in self.changes
        ]
        heads = ("measure", "old", "new", "change", "90 % interval", "verdict")
        return figures(("name", "old", "new", "change", "interval", "verdict"), heads, rows)


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.1%}"


def _interval(change: Change) -> str | None:
    if change.low_frac is None or change.high_frac is None:
        return None
    high = f"{change.high_frac:+.1%}" if np.isfinite(change.high_frac) else "any"
    return f"{change.low_frac:+.1%} to {high}"


def _fact(value: float | None) -> str:
    return "not said" if value is None else f"{value:,.10g}"
