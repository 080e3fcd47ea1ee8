"""What a log or a trace of a run says, as an answer: what was read, what was measured, what cannot be told from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from isocost.errors import InputError, Problem
from isocost.measure.records import Reading
from isocost.measure.summary import Interval, RunSummary
from isocost.measure.trace import RankTrace, TraceSummary
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.table import Column, Report, Section, Table

NEEDS_SCENARIO = (
    "the waterfall from peak to MFU, the changes that would raise it, and what they save: give the model, the GPUs "
    "and the layout of the run with --scenario run.toml, or as flags"
)
_INTERVALS = (
    ("step_s", "step time, s"),
    ("tokens_per_s_per_gpu", "tokens/s/GPU"),
    ("tflops_per_gpu", "TFLOP/s/GPU, as printed"),
    ("printed_mfu", "MFU, as printed"),
)
_PARTS = (
    ("compute_s", "compute"),
    ("exposed_communication_s", "exposed communication"),
    ("exposed_copy_s", "exposed copies"),
    ("host_wait_s", "idle: waiting for the host"),
    ("kernel_wait_s", "idle: between launch and kernel"),
    ("unknown_wait_s", "idle: cause not recorded"),
)


def _four(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, (int, float)) and abs(float(value)) < 1e4 else f"{value:,.0f}"


def _table(keys: tuple[str, ...], heads: tuple[str, ...], rows: list[dict[str, Any]], title: str = "") -> Table:
    columns = tuple(
        Column(
            head=head,
            key=key,
            value=lambda row, key=key: row[key],  # type: ignore[misc]
            show=lambda value: _four(value) if isinstance(value, float) else f"{value}",
            left=not place,
        )
        for place, (key, head) in enumerate(zip(keys, heads, strict=True))
    )
    return Table(columns=columns, rows=tuple(rows), title=title)


class Examination(Result):
    """The answer of ``isocost doctor`` on one file or the traces of several ranks, without a scenario."""

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods, one a row; a trace has none."""
        raise InputError([Problem("--events-out", "needs a log: a trace is too short for events")])

    def _values(self, given: Mapping[str, Any], measured: Mapping[str, Any], unknown: list[str]) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "input": dict(given),
            "measured": dict(measured),
            "waterfall": None,
            "levers": None,
            "best_combination": None,
            "unknown": [*unknown, NEEDS_SCENARIO],
        }

    def _unknown(self) -> Section:
        return Section(title="Not known from this input", body=tuple(self.to_dict()["unknown"]))


class LogExamination(Examination):
    """What a log says."""

    def __init__(self, path: str, reading: Reading, summary: RunSummary) -> None:
        self.path, self.reading, self.summary = path, reading, summary

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
        own = {field.name: getattr(summary, field.name) for field in dataclasses.fields(summary)}
        for name in ("steps_seen", "steps_used", "dropped", "notes"):
            own.pop(name)
        return self._values(given, own, self._missing())

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods, one a row."""
        return self.summary.events_csv()

    def _missing(self) -> list[str]:
        summary, missing = self.summary, []
        if summary.step_s is None:
            missing.append("step time: no line has one, nor a time stamp; record either on every step")
        if summary.tokens_per_s_per_gpu is None:
            missing.append(
                "tokens per second per GPU: the log prints none, and not both tokens of a step and GPU count"
            )
        if summary.printed_mfu is None and summary.tflops_per_gpu is None:
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
            return f"{self.reading.format}: {summary.steps_seen:,} steps seen, none with a time."
        rate = summary.tokens_per_s_per_gpu
        more = f", {_four(rate.p50)} tokens/s/GPU" if rate else ""
        printed = f", {summary.printed_mfu.p50:.1%} MFU as printed" if summary.printed_mfu else ""
        return (
            f"{_four(summary.step_s.p50)} s a step{more}{printed} ({self.reading.format}: {summary.steps_used:,} of "
            f"{summary.steps_seen:,} steps used, {summary.timed_by})."
        )

    def report(self) -> Report:
        """Return the sentence and the sections."""
        summary = self.summary
        sections = [Section(title="Steady steps", body=(self.rows(),))] if self.rows().rows else []
        if summary.dropped:
            dropped: list[dict[str, Any]] = [
                {"reason": name, "lines": count} for name, count in summary.dropped.items()
            ]
            table = _table(("reason", "lines"), ("reason", "lines"), dropped)
            sections.append(Section(title="Lines that look like a step and were not used", body=(table,)))
        if summary.buckets:
            total = sum(summary.buckets.values())
            spent = [
                {"bucket": name, "s": seconds, "frac": f"{seconds / total:.1%}"}
                for name, seconds in summary.buckets.items()
                if total > 0.0
            ]
            table = _table(("bucket", "s", "frac"), ("bucket", "s", "share"), spent)
            sections.append(Section(title="Time by bucket, as far as the log tells", body=(table,)))
        notes = (*self.reading.notes, *summary.notes, *self._drift())
        if notes:
            sections.append(Section(title="Notes", body=notes))
        return Report(lead=self.lead(), sections=(*sections, self._unknown()))

    def _drift(self) -> tuple[str, ...]:
        drift = self.summary.drift_frac
        if drift is None or abs(drift) < 0.02:  # the noise floor of a comparison
            return ()
        return (
            f"steps became {abs(drift):.1%} {'slower' if drift > 0.0 else 'faster'} from the first to the last third",
        )

    def rows(self) -> Table:
        """Return the measured intervals."""
        found: list[tuple[str, Interval | None]] = [(head, getattr(self.summary, name)) for name, head in _INTERVALS]
        rows = [{"measure": head, "p05": i.p05, "p50": i.p50, "p95": i.p95} for head, i in found if i is not None]
        return _table(("measure", "p05", "p50", "p95"), ("measure", "p05", "p50", "p95"), rows)


class TraceExamination(Examination):
    """What the traces of one or more ranks say."""

    def __init__(self, summary: TraceSummary) -> None:
        self.summary = summary

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        ranks = self.summary.ranks
        times = sorted(time for rank in ranks for time in rank.step_s)
        given: dict[str, Any] = {
            "path": [rank.path for rank in ranks],
            "format": "kineto",
            "lines": None,
            "events": sum(rank.events for rank in ranks),
            "steps_seen": len(times),
            "steps_used": len(times),
            "dropped": {},
            "notes": [*self.summary.notes, *(note for rank in ranks for note in rank.notes)],
        }
        interval = {"p05": _at(times, 0.05), "p50": _at(times, 0.5), "p95": _at(times, 0.95)} if times else None
        measured = {
            "step_s": interval,
            "ranks": list(ranks),
            "skew_frac": dict(self.summary.skew_frac),
            "slow_rank": self.summary.slow_rank,
        }
        unknown = ["tokens per second and MFU: a trace has no tokens, and the model is not known"]
        if any(rank.kernels and rank.gemm_flop is None for rank in ranks):
            unknown.append("GEMM FLOPs: profile with record_shapes=True")
        if any(part.bus_bytes_per_s is None for rank in ranks for part in rank.collectives):
            unknown.append("bandwidth of collectives: the trace has no message sizes (newer PyTorch records them)")
        return self._values(given, measured, unknown)

    def lead(self) -> str:
        """Return the answer in one sentence."""
        rank = self.summary.ranks[0]
        step = f"{_four(self.summary.step_s)} s a step" if self.summary.step_s is not None else "no profiler steps"
        if not rank.kernels or rank.window_s == 0.0:
            return f"{step}; no GPU kernels in the trace."
        return (
            f"{step}: {rank.compute_s / rank.window_s:.1%} compute, "
            f"{rank.exposed_communication_s / rank.window_s:.1%} exposed communication, "
            f"{rank.idle_s / rank.window_s:.1%} idle ({rank.kernels:,} kernels, {len(rank.steps)} steps"
            f"{'' if rank.rank is None else f', rank {rank.rank}'})."
        )

    def report(self) -> Report:
        """Return the sentence and the sections."""
        sections = [Section(title="Time of the GPU", body=(self.rows(),))]
        for rank in self.summary.ranks:
            sections += _sections_of(rank)
        skew = tuple(f"{name} differs by {value:.1%} between ranks" for name, value in self.summary.skew_frac.items())
        slow = (
            () if self.summary.slow_rank is None else (f"rank {self.summary.slow_rank} waits least and computes most",)
        )
        notes = (*self.summary.notes, *(note for rank in self.summary.ranks for note in rank.notes), *skew, *slow)
        if notes:
            sections.append(Section(title="Notes", body=notes))
        return Report(lead=self.lead(), sections=(*sections, self._unknown()))

    def rows(self) -> Table:
        """Return where the time of each rank went; the parts sum to the window."""
        rows = []
        for name, head in _PARTS:
            row: dict[str, Any] = {"part": head}
            for place, rank in enumerate(self.summary.ranks):
                row[f"rank_{place}_s"] = getattr(rank, name)
            rows.append(row)
        rows.append({"part": "sum"} | {f"rank_{place}_s": r.window_s for place, r in enumerate(self.summary.ranks)})
        keys = ("part", *(f"rank_{place}_s" for place in range(len(self.summary.ranks))))
        heads = ("part", *(_name(rank, place) for place, rank in enumerate(self.summary.ranks)))
        return _table(keys, heads, rows)


def _name(rank: RankTrace, place: int) -> str:
    return f"rank {rank.rank}, s" if rank.rank is not None else f"file {place + 1}, s"


def _at(values: list[float], share: float) -> float:
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _sections_of(rank: RankTrace) -> list[Section]:
    title = f" of rank {rank.rank}" if rank.rank is not None else ""
    sections = []
    if rank.by_class_s:
        ordered = sorted(rank.by_class_s.items(), key=lambda part: -part[1])
        classes = [{"class": name, "s": seconds} for name, seconds in ordered]
        table = _table(("class", "s"), ("class", "kernel time, s"), classes)
        flop = rank.gemm_flop_per_s
        said = (f"GEMMs ran at {flop / 1e12:,.1f} TFLOP/s while they ran",) if flop else ()
        sections.append(Section(title=f"Kernels{title} by class", body=(table, *said)))
    if rank.collectives:
        rows = [
            {
                "kind": part.kind,
                "number": part.number,
                "s": part.kernel_s,
                "bus": None if part.bus_bytes_per_s is None else part.bus_bytes_per_s / 1e9,
                "best": None if part.best_bus_bytes_per_s is None else part.best_bus_bytes_per_s / 1e9,
            }
            for part in rank.collectives
        ]
        heads = ("collective", "number", "kernel time, s", "bus bandwidth, GB/s", "best, GB/s")
        keys = ("kind", "number", "s", "bus", "best")
        sections.append(Section(title=f"Collectives{title}", body=(_table(keys, heads, rows),)))
    return sections
