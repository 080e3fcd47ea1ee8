"""What a log says, without a scenario: what was read, what was measured, what cannot be told from it."""

from __future__ import annotations

import dataclasses
from typing import Any

from isocost.measure.logs.records import Reading
from isocost.measure.logs.steady import DRIFT_FRAC
from isocost.measure.logs.summary import RunSummary
from isocost.render.document import Report, Section, Table
from isocost.stats.quantiles import Interval
from isocost.units import DAY_S
from isocost.verbs.doctor.examination import Examination, figures, four

_INTERVALS = (
    ("step_s", "step time, s"),
    ("tokens_per_s_per_gpu", "tokens/s/GPU"),
    ("tflops_per_gpu", "TFLOP/s/GPU, as printed"),
    ("printed_mfu", "MFU, as printed"),
    ("data_s", "of it waiting for data, s"),
    ("power_w", "power of a GPU, W"),
)
_GPUS_PER_NODE = 8.0  # of the rates of goodput


class LogExamination(Examination):
    """What a log says."""

    def __init__(self, path: str, reading: Reading, summary: RunSummary, against: tuple[str, ...] = ()) -> None:
        self.path, self.reading, self.summary, self.against = path, reading, summary, against

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        summary = self.summary
        given = {
            "path": self.path,
            "format": self.reading.format,
            "lines": self.reading.lines,
            "steps_seen": summary.steps_seen,
            "steps_used": summary.steps_used,
            "dropped": dict(summary.dropped),
            "facts": dict(self.reading.facts),
            "notes": [*self.reading.notes, *summary.notes],
        }
        found = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
        own = {name: x.percentiles() if isinstance(x, Interval) else x for name, x in found.items()}
        for name in ("steps_seen", "steps_used", "dropped", "notes"):
            own.pop(name)
        return self.values(given, own, self._missing())

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods, one a row."""
        return self.summary.events_csv()

    def _missing(self) -> list[str]:
        summary, missing = self.summary, []
        if summary.step_s is None:
            names = ", ".join(self.reading.unknown)
            known = f", or name it with --columns step_s=NAME: {names} are not known" if names else ""
            missing.append(f"step time: no line has one, nor a time stamp; record either on every step{known}")
        if summary.tokens_per_s_per_gpu is None:
            missing.append(
                "tokens per second per GPU: the log prints none, and not both tokens of a step and GPU count"
            )
        if summary.definition is not None:
            pass  # the scenario says the model
        elif summary.printed_mfu is None and summary.tflops_per_gpu is None:
            missing.append("MFU: the log prints neither MFU nor TFLOP/s, and the model is not known")
        elif summary.mfu is None:
            missing.append("the definition of the printed MFU or TFLOP/s: which FLOPs it counts")
        if summary.buckets.get("unexplained_s"):
            missing.append("the cause of some pauses: no line near them tells of a checkpoint or an evaluation")
        return missing

    def lead(self) -> str:
        """Return the answer in one sentence."""
        summary = self.summary
        if summary.step_s is None:
            return f"{self.reading.format}: {summary.steps_seen:,} steps seen, none with a time.{self.refused()}"
        rate = summary.tokens_per_s_per_gpu
        more = f", {four(rate.median)} tokens/s/GPU" if rate else ""
        printed = f", {summary.printed_mfu.median:.1%} MFU as printed" if summary.printed_mfu else ""
        return (
            f"{four(summary.step_s.median)} s a step{more}{printed} ({self.reading.format}: {summary.steps_used:,} of "
            f"{summary.steps_seen:,} steps used, {summary.timed_by}).{self.refused()}"
        )

    def report(self) -> Report:
        """Return the sentence and the sections."""
        return Report(lead=self.lead(), sections=(*self.sections(), self.unknown()))

    def sections(self) -> list[Section]:
        """Return what was measured, section by section."""
        summary = self.summary
        sections = [Section(title="Steady steps", body=(self.rows(),))] if self.rows().rows else []
        if summary.dropped:
            dropped: list[dict[str, Any]] = [
                {"reason": name, "lines": count} for name, count in summary.dropped.items()
            ]
            table = figures(("reason", "lines"), ("reason", "lines"), dropped)
            sections.append(Section(title="Lines that look like a step and were not used", body=(table,)))
        total = sum(summary.buckets.values())
        if total > 0.0:
            spent = [
                {"bucket": name, "s": seconds, "frac": f"{seconds / total:.1%}"}
                for name, seconds in summary.buckets.items()
            ]
            table = figures(("bucket", "s", "frac"), ("bucket", "s", "share"), spent)
            sections.append(Section(title="Time by bucket, as far as the log tells", body=(table,)))
        if evidence := self._evidence():
            sections.append(Section(title="As evidence for isocost goodput", body=tuple(evidence)))
        notes = (*self.reading.notes, *summary.notes, *self._drift(), *self._memory())
        if notes:
            sections.append(Section(title="Notes", body=notes))
        return sections

    def _evidence(self) -> list[str]:
        """Return what goodput can use of this run, with the command."""
        summary, lines = self.summary, []
        days = (summary.wall_s or 0.0) / DAY_S
        gpus = self.reading.facts.get("gpus")
        if summary.restarts and days > 0.0:
            nodes = f"{gpus / _GPUS_PER_NODE:g}" if gpus else "N"
            lines.append(
                f"{summary.restarts:,} stops in {days:,.3g} days: write them with --events-out events.csv, then "
                f"isocost goodput run.toml --events events.csv --watched-nodes {nodes} --watched '{days:.3g} d'"
            )
        slow, useful = summary.buckets.get("straggler_s", 0.0), summary.buckets.get("useful_s", 0.0)
        if slow > 0.0:
            lines.append(f"slow periods took {slow / (slow + useful):.2%} of step time: straggler in [reliability]")
        return lines

    def _drift(self) -> tuple[str, ...]:
        drift = self.summary.drift_frac
        if drift is None or abs(drift) < DRIFT_FRAC:
            return ()
        return (
            f"steps became {abs(drift):.1%} {'slower' if drift > 0.0 else 'faster'} from the first to the last third",
        )

    def _memory(self) -> tuple[str, ...]:
        full = self.summary.memory_bytes
        return () if full is None else (f"memory of a GPU: at most {full / 1e9:,.4g} GB, as printed",)

    def rows(self) -> Table:
        """Return the measured intervals."""
        found: list[tuple[str, Interval | None]] = [(head, getattr(self.summary, name)) for name, head in _INTERVALS]
        rows = [{"measure": head, **i.percentiles()} for head, i in found if i is not None]
        return figures(("measure", "p05", "p50", "p95"), ("measure", "p05", "p50", "p95"), rows)
