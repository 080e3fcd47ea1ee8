"""What a reader gives: step records held as columns, and a reading of a whole file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]

# What is printed, times apart, has at most seven digits: single precision holds it. A log of 1 GB has millions of rows.
DTYPES: Final[Mapping[str, type[np.generic]]] = {
    "step": np.int32,
    "step_s": np.float64,
    "tokens_per_s_per_gpu": np.float32,
    "tflops_per_gpu": np.float32,
    "mfu": np.float32,
    "loss": np.float32,
    "memory_bytes": np.float32,
    "skipped": np.float32,
    "nan": np.float32,
    "time_stamp": np.float64,
    "global_batch": np.float32,
    "batch_tokens": np.float32,
    "samples_per_s": np.float32,
    "tokens_per_s": np.float32,
    "data_s": np.float32,
    "power_w": np.float32,
    "rank": np.int32,
    "line": np.int32,
}
NO_RANK: Final = -1
_SPARE: Final = 8  # a column that is full grows by an eighth
_ALWAYS: Final = ("step", "rank", "line")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One printed step; what the line does not say is None."""

    step: int
    step_s: float | None = None
    tokens_per_s_per_gpu: float | None = None
    tflops_per_gpu: float | None = None
    mfu: float | None = None
    loss: float | None = None
    memory_bytes: float | None = None
    skipped: float | None = None  # iterations since the line before that were skipped
    nan: float | None = None  # iterations since the line before with a NaN
    time_stamp: float | None = None  # seconds since 1970, or since the start where the log only says that
    global_batch: float | None = None  # samples in a step
    batch_tokens: float | None = None  # tokens in a step that are not padding
    samples_per_s: float | None = None  # of the whole job
    tokens_per_s: float | None = None  # of the whole job
    data_s: float | None = None  # of the step: waiting for data
    power_w: float | None = None  # of a GPU
    rank: int | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps(Sequence[StepRecord]):
    """Step records as columns; a column that no line filled is absent. Behaves as a sequence of records."""

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.columns["step"])

    def column(self, name: str) -> Column:
        """Return a column as float64, NaN where unknown."""
        found = self.columns.get(name)
        return np.full(len(self), np.nan) if found is None else found.astype(np.float64)

    def has(self, name: str) -> bool:
        """Return whether any line has a value for the column."""
        return name in self.columns

    def take(self, where: Column) -> Steps:
        """Return the rows of a mask or of indices."""
        return Steps(columns={name: column[where] for name, column in self.columns.items()})

    @overload
    def __getitem__(self, place: int) -> StepRecord: ...
    @overload
    def __getitem__(self, place: slice) -> Steps: ...
    def __getitem__(self, place: int | slice) -> StepRecord | Steps:
        if isinstance(place, slice):
            return Steps(columns={name: column[place] for name, column in self.columns.items()})
        values = {name: _plain(column[place]) for name, column in self.columns.items()}
        values["rank"] = None if values["rank"] == NO_RANK else values["rank"]
        return StepRecord(**values)

    def __iter__(self) -> Iterator[StepRecord]:
        return (self[place] for place in range(len(self)))


def _plain(value: np.generic) -> Any:
    if isinstance(value, np.integer):
        return int(value)
    if np.isnan(value):
        return None
    return float(str(value)) if isinstance(value, np.float32) else float(value)  # 0.1, not 0.10000000149


class StepsBuilder:
    """Collects blocks of rows in columns that grow in place: copying them together would need the memory twice."""

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {name: np.empty(0, dtype=DTYPES[name]) for name in _ALWAYS}
        self.rows = 0

    def add(self, values: Mapping[str, Column], rows: int) -> None:
        """Add a block of rows; a column without a finite value in any block is not kept."""
        self._grow(self.rows + rows)
        for name, column in values.items():
            if name not in self._columns and not np.isnan(column).all():
                self._columns[name] = np.full(len(self._columns["step"]), np.nan, dtype=DTYPES[name])
        for name, whole in self._columns.items():
            whole[self.rows : self.rows + rows] = values.get(name, NO_RANK if name in _ALWAYS else np.nan)
        self.rows += rows

    def _grow(self, rows: int) -> None:
        room = len(self._columns["step"])
        if rows > room:
            for column in self._columns.values():
                column.resize(rows + rows // _SPARE, refcheck=False)

    def build(self) -> Steps:
        """Return all rows as columns."""
        for column in self._columns.values():
            column.resize(self.rows, refcheck=False)
        return Steps(columns={name: self._columns[name] for name in DTYPES if name in self._columns})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line that is no step but says what the job was doing: a checkpoint or an evaluation."""

    kind: str  # checkpoint or evaluation
    line: int
    time_stamp: float | None = None
    duration_s: float | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A file as read: its steps, what was dropped and why, and the facts its header states."""

    format: str
    lines: int
    records: Steps
    dropped: Mapping[str, int] = field(default_factory=dict)  # lines that looked like a step, by reason
    facts: Mapping[str, float] = field(default_factory=dict)  # gpus, tp, pp, global_batch, seq_len, parameters, ...
    marks: tuple[Mark, ...] = ()
    notes: tuple[str, ...] = ()  # what was odd about the file
    unknown: tuple[str, ...] = ()  # names of values in a table that say nothing, the first of them

    @property
    def steps_seen(self) -> int:
        """Lines that looked like a step, used or not."""
        return len(self.records) + sum(self.dropped.values())
