"""What the traces of one or more ranks say, without a scenario; and a log and traces of one run together."""

from __future__ import annotations

from typing import Any

from isocost.measure.traces.trace import RankTrace, TraceSummary
from isocost.render.document import UNKNOWN, Document, Section, Table
from isocost.verbs.doctor.examination import NEEDS_SCENARIO, Examination, figures, four
from isocost.verbs.doctor.of_log import LogExamination

__all__ = ["NEEDS_SCENARIO", "Examination", "LogExamination", "RunExamination", "TraceExamination"]

NO_TOKENS = "tokens per second and MFU: a trace has no tokens, and the model is not known"
_PARTS = (
    ("compute_s", "compute"),
    ("exposed_communication_s", "exposed communication"),
    ("exposed_copy_s", "exposed copies"),
    ("host_wait_s", "idle: waiting for the host"),
    ("kernel_wait_s", "idle: between launch and kernel"),
    ("unknown_wait_s", "idle: cause not recorded"),
)


class TraceExamination(Examination):
    """What the traces of one or more ranks say."""

    def __init__(self, summary: TraceSummary, against: tuple[str, ...] = (), checked_against: bool = False) -> None:
        self.summary, self.against, self.checked_against = (
            summary,
            against,
            checked_against,
        )  # whether a scenario says the model

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
        unknown = [] if self.checked_against else [NO_TOKENS]
        if any(rank.cut for rank in ranks):
            unknown.append("compute, communication and idle time in full: kernels are missing, record the trace again")
        elif any(rank.gpu is not None for rank in ranks):
            unknown.append("GEMM FLOPs: the operators do not say which GPU they are of, record one process a GPU")
        elif any(rank.kernels and rank.gemm_flop is None for rank in ranks):
            unknown.append("GEMM FLOPs: profile with record_shapes=True")
        kinds = [part.kind for rank in ranks for part in rank.collectives if part.bus_bytes_per_s is None]
        if kinds:
            unknown.append(
                f"bandwidth of {', '.join(dict.fromkeys(kinds))}: the trace has no message sizes of them "
                "(newer PyTorch records them)"
            )
        return self.values(given, measured, unknown)

    def lead(self) -> str:
        """Return the answer in one sentence."""
        rank = self.summary.ranks[0]
        step = f"{four(self.summary.step_s)} s a step" if self.summary.step_s is not None else "no profiler steps"
        if not rank.kernels or rank.window_s == 0.0:
            return f"{step}; no GPU kernels in the trace.{self.refused()}"
        if rank.cut:
            return (
                f"{step}; the trace is cut off, and kernels are missing: the {rank.kernels:,} before the cut compute "
                f"for {rank.compute_s / rank.window_s:.1%} of the time.{self.refused()}"
            )
        steps = f"{len(rank.steps):,} step{'' if len(rank.steps) == 1 else 's'}"
        return (
            f"{step}: {rank.compute_s / rank.window_s:.1%} compute, "
            f"{rank.exposed_communication_s / rank.window_s:.1%} exposed communication, "
            f"{rank.idle_s / rank.window_s:.1%} idle ({rank.kernels:,} kernels, {steps}"
            f"{_of(rank).replace(' of', ',', 1)}).{self.refused()}"
        )

    def document(self) -> Document:
        """Return the sentence and the sections."""
        return Document(lead=self.lead(), sections=(*self.sections(), self.unknown()))

    def sections(self) -> list[Section]:
        """Return what was measured, section by section."""
        sections = [Section(title="Time of the GPU", body=(self.rows(),))]
        for rank in self.summary.ranks:
            sections += _sections_of(rank)
        skew = tuple(
            f"{name.removesuffix('_s')} differs by {value:.1%} between ranks"
            for name, value in self.summary.skew_frac.items()
        )
        slow = (
            () if self.summary.slow_rank is None else (f"rank {self.summary.slow_rank} waits least and computes most",)
        )
        data = tuple(
            f"{four(rank.data_wait_s)} s of the idle time{_of(rank)} wait for data"
            for rank in self.summary.ranks
            if rank.data_wait_s > 0.0
        )
        own = (note for rank in self.summary.ranks for note in rank.notes)
        notes = (*self.summary.notes, *own, *data, *skew, *slow)
        if notes:
            sections.append(Section(title="Notes", body=notes))
        return sections

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
        return figures(keys, heads, rows)


def _name(rank: RankTrace, place: int) -> str:
    return f"{_of(rank).removeprefix(' of ') or f'file {place + 1}'}, s"


def _of(rank: RankTrace) -> str:
    if rank.gpu is not None:
        return f" of GPU {rank.gpu}"
    return f" of rank {rank.rank}" if rank.rank is not None else ""


def _at(values: list[float], share: float) -> float:
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _sections_of(rank: RankTrace) -> list[Section]:
    title = _of(rank)
    sections = []
    if rank.by_class_s:
        ordered = sorted(rank.by_class_s.items(), key=lambda part: -part[1])
        classes = [{"class": name, "s": seconds, "alone": rank.alone_s.get(name)} for name, seconds in ordered]
        heads = ("class", "kernel time, s", "of it, each moment once, s")
        table = figures(("class", "s", "alone"), heads, classes)
        flop = rank.gemm_flop_per_s
        said = (f"GEMMs ran at {four(flop / 1e12)} TFLOP/s while they ran",) if flop else ()
        sections.append(Section(title=f"Kernels{title} by class", body=(table, *said)))
    if rank.collectives:
        sections.append(Section(title=f"Collectives{title}", body=(_collectives(rank),)))
    return sections


def _collectives(rank: RankTrace) -> Table:
    rows: list[dict[str, Any]] = [
        {
            "kind": part.kind,
            "group": part.group.description or UNKNOWN,
            "ranks": part.group.size,
            "number": part.number,
            "s": part.kernel_s,
            "exposed": part.exposed_s,
            "bus": None if part.bus_bytes_per_s is None else part.bus_bytes_per_s / 1e9,
            "best": None if part.best_bus_bytes_per_s is None else part.best_bus_bytes_per_s / 1e9,
        }
        for part in rank.collectives
    ]
    heads = ("collective", "group", "ranks", "number", "kernel time, s", "exposed, s", "bus GB/s", "best GB/s")
    return figures(("kind", "group", "ranks", "number", "s", "exposed", "bus", "best"), heads, rows)


class RunExamination(LogExamination):
    """What a log and the traces of a run say: the step time is that of the log, which has more steps."""

    def __init__(self, log: LogExamination, trace: TraceExamination, against: tuple[str, ...] = ()) -> None:
        super().__init__(log.path, log.reading, log.summary, against)
        self.trace = trace

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the log, and those of the traces beside them."""
        found, traced = super().to_dict(), self.trace.to_dict()
        found["input"]["trace"], found["measured"]["trace"] = traced["input"], traced["measured"]
        both = dict.fromkeys([*found["unknown"], *traced["unknown"]])
        found["unknown"] = [text for text in both if text != NO_TOKENS]
        return found

    def sections(self) -> list[Section]:
        """Return what was measured, section by section."""
        notes = []
        traced, usual = self.trace.summary.step_s, self.summary.step_s
        if traced is not None and usual is not None:
            notes.append(
                f"a step takes {four(traced)} s in the trace, {traced / usual.median - 1.0:+.1%} from the log: the "
                "cost of the profiler, or another run"
            )
        both = [Section(title="The trace beside the log", body=tuple(notes))] if notes else []
        return [*super().sections(), *both, *self.trace.sections()]
