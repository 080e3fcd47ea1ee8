"""The rate of failures of one's own cluster: published prior, narrowed by counted events (Gamma-Poisson)."""

from __future__ import annotations

import csv
import datetime
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from isocost.catalog.reliability import load_reliability
from isocost.errors import InputError, Problem, nearest
from isocost.reliability.causes import rate_prior
from isocost.stats.gamma import Gamma
from isocost.units import DAY_S

_COLUMNS = ("start", "end", "node", "cause")
_STOPS = ("", "restart_s")  # a file of all pauses of a run has a bucket: others than these did not stop the job
_MOST_BYTES = 50_000_000
_USUAL_GPUS_PER_NODE = 8.0
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One stop of a job: from when to when it did not run, where, and why."""

    start: datetime.datetime
    end: datetime.datetime
    node: str
    cause: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What events say about a cluster."""

    prior: Gamma  # of a node of 8 GPUs
    total: Gamma
    by_cause: Mapping[str, Gamma]  # per node-day; the published shares are their prior
    events: int
    node_days: float  # of nodes of 8 GPUs, without the time the job was down
    mean_recovery_s: float

    def interval(self, share: float = 0.8) -> tuple[float, float, float]:
        """Return low, median and high of the total rate per node-day, between equal tails."""
        tail = (1.0 - share) / 2.0
        return self.total.quantile(tail), self.total.quantile(0.5), self.total.quantile(1.0 - tail)


def read_events(path: str | Path) -> tuple[Event, ...]:
    """Return the events of a CSV file with the columns start, end, node and cause, in order of their start.

    Times are ISO 8601. ``node`` and ``cause`` may be blank. Where there is a column ``bucket``, as in the files that
    ``isocost doctor --events-out`` writes, only its restarts are stops. Everything wrong with the file is one
    InputError.
    """
    shown = str(path)
    rows = list(_rows(Path(path), shown))
    problems: list[Problem] = []
    known = [fact.id for fact in load_reliability().causes] + ["operator", UNKNOWN]
    events = []
    for line, row in rows:
        if row.get("bucket", "").strip() not in _STOPS:
            continue
        where = f"{shown}:{line}"
        start, end = (_time(row, key, where, problems) for key in ("start", "end"))
        cause = (row.get("cause") or "").strip() or UNKNOWN
        if cause not in known:
            problems.append(
                Problem(
                    f"{where}: cause",
                    "is unknown",
                    cause,
                    ", ".join(known),
                    nearest(cause, known),
                    "leave it blank where nobody knows",
                )
            )
        if start is None or end is None:
            continue
        if (start.tzinfo is None) != (end.tzinfo is None):
            fix = "give both the same kind of time, with or without a zone"
            problems.append(Problem(f"{where}: end", "has a zone where start has none, or the reverse", fix=fix))
        elif end < start:
            problems.append(
                Problem(f"{where}: end", f"is before start {start.isoformat()}", end.isoformat(), fix="swap")
            )
        else:
            node = (row.get("node") or "").strip()
            events.append(Event(start=start, end=end, node=node, cause=cause, line=line))
    if len({event.start.tzinfo is None for event in events}) > 1:
        problems.append(Problem(shown, "mixes times with and without a zone", fix="write all with a zone"))
    else:
        problems += _overlaps(events, shown)
    if problems:
        raise InputError(problems)
    return tuple(sorted(events, key=lambda event: event.start))


def narrow(
    events: tuple[Event, ...], *, nodes: float, days: float, gpus_per_node: float = 8.0, prior: Gamma | None = None
) -> Posterior:
    """Return the rate of a cluster of ``nodes`` nodes watched for ``days`` days in which ``events`` happened.

    ``days`` without an event narrow it too: no events in a long time is a low rate, not an unknown one.
    """
    problems = [
        Problem(name, "is not more than 0", value)
        for name, value in (("nodes", nodes), ("days", days), ("gpus_per_node", gpus_per_node))
        if not (math.isfinite(value) and value > 0)
    ]
    span = (events[-1].end - events[0].start).total_seconds() / DAY_S if events else 0.0
    if span > days:
        fix = f"give the whole time that was watched, at least {span:.1f}"
        problems.append(Problem("days", f"is less than the events span ({span:.1f} days)", days, fix=fix))
    if problems:
        raise InputError(problems)
    facts = load_reliability()
    start = prior or rate_prior(facts)
    down_s = [(event.end - event.start).total_seconds() for event in events]
    watched = max(days - math.fsum(down_s) / DAY_S, 0.0) * nodes * gpus_per_node / _USUAL_GPUS_PER_NODE
    stops = [event for event in events if event.cause != "operator"]  # of the job, not of nodes
    counted = Counter(event.cause for event in stops)
    known = sum(fact.events for fact in facts.causes)
    by_cause = {
        fact.id: Gamma(shape=start.shape * fact.events / known, node_days=start.node_days).after(
            counted[fact.id], watched
        )
        for fact in facts.causes
    }
    return Posterior(
        prior=start,
        total=start.after(len(stops), watched),
        by_cause=by_cause,
        events=len(stops),
        node_days=watched,
        mean_recovery_s=math.fsum(down_s) / len(down_s) if down_s else math.nan,
    )


def _rows(path: Path, shown: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            fix = "keep the stops only, as start, end, node and cause"
            raise InputError([Problem(shown, f"is larger than {_MOST_BYTES // 10**6} MB", fix=fix)])
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError([Problem(shown, "is not UTF-8 text", fix="save it as UTF-8")]) from None
    except (OSError, ValueError) as error:
        raise InputError([Problem(shown, f"cannot be read: {getattr(error, 'strerror', None) or error}")]) from None
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        missing = [name for name in _COLUMNS[:2] if name not in header]
        if missing:
            raise InputError([Problem(shown, f"lacks the column {', '.join(missing)}", allowed=", ".join(_COLUMNS))])
        reader.fieldnames = header
        for row in reader:
            yield reader.line_num, {key: value or "" for key, value in row.items() if isinstance(key, str)}
    except csv.Error as error:
        raise InputError([Problem(f"{shown}:{reader.line_num}", f"is not CSV: {error}")]) from None


def _time(row: Mapping[str, str], key: str, where: str, problems: list[Problem]) -> datetime.datetime | None:
    text = row.get(key, "").strip()
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        fix = "write e.g. 2026-05-03T14:05"
        problems.append(Problem(f"{where}: {key}", "is not a time", text, "ISO 8601", fix=fix))
        return None


def _overlaps(events: list[Event], shown: str) -> Iterator[Problem]:
    """Yield a problem for every event that begins before the previous one of its node is over."""
    last: dict[str, Event] = {}
    for event in sorted(events, key=lambda event: (event.start, event.line)):
        before = last.get(event.node)
        if before is not None and event.start < before.end:
            whom = f"node {event.node}" if event.node else "the job"
            message = f"overlaps line {before.line}, where {whom} is down until {before.end.isoformat()}"
            fix = "merge them, or count the later one from the end of the earlier"
            yield Problem(f"{shown}:{event.line}: start", message, event.start.isoformat(), fix=fix)
        last[event.node] = event if before is None or event.end > before.end else before
