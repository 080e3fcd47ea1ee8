"""Names that tables and metric loggers give to what a step is, and the column map of the user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from isocost.errors import InputError, Problem, nearest
from isocost.measure.logs.figures import figure
from isocost.measure.logs.prefix import time_of
from isocost.units import GIB

# What a user can map: key -> column of a record, factor. A factor of 0 means the inverse: batches a second.
KEYS: Final[Mapping[str, tuple[str, float]]] = {
    "step": ("step", 1.0),
    "step_s": ("step_s", 1.0),
    "step_ms": ("step_s", 1e-3),
    "steps_per_s": ("step_s", 0.0),
    "tokens_per_s_per_gpu": ("tokens_per_s_per_gpu", 1.0),
    "tokens_per_s": ("tokens_per_s", 1.0),
    "samples_per_s": ("samples_per_s", 1.0),
    "tflops_per_gpu": ("tflops_per_gpu", 1.0),
    "flop_per_s_per_gpu": ("tflops_per_gpu", 1e-12),
    "mfu": ("mfu", 1.0),
    "mfu_percent": ("mfu", 0.01),
    "loss": ("loss", 1.0),
    "memory_bytes": ("memory_bytes", 1.0),
    "memory_gib": ("memory_bytes", GIB),
    "global_batch": ("global_batch", 1.0),
    "data_s": ("data_s", 1.0),
    "power_w": ("power_w", 1.0),
    "skipped": ("skipped", 1.0),
    "nan": ("nan", 1.0),
    "time_stamp": ("time_stamp", 1.0),
    "rank": ("rank", 1.0),
}
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "step": (
        "step",
        "global_step",
        "_step",
        "iteration",
        "iter",
        "trainer/global_step",
        "batches",
    ),
    "step_s": (
        "step_s",
        "step_time",
        "step_time_s",
        "iter_time",
        "iteration_time",
        "time_per_step",
        "train_step_timing in s",
        "perf/step_time",
        "seconds",
        "step_seconds",
    ),
    "step_ms": (
        "step_ms",
        "step_time_ms",
        "iter_time_ms",
        "time_per_iteration_ms",
        "dt_ms",
        "elapsed_time_per_iteration_ms",
    ),
    "steps_per_s": (
        "steps_per_s",
        "throughput/batches_per_sec",
        "device|batches_per_sec",
        "throughput/device/bps",
        "steps_per_second",
        "perf/steps_per_sec",
    ),
    "tokens_per_s_per_gpu": (
        "tokens_per_s_per_gpu",
        "tps",
        "throughput(tps)",
        "tokens_per_sec_per_gpu",
        "throughput/device/tokens_per_sec",
        "throughput/device/tps",
        "perf/tokens_per_sec_per_gpu",
        "tgs",
    ),
    "tokens_per_s": (
        "tokens_per_s",
        "tokens_per_sec",
        "throughput/tokens_per_sec",
        "train_tokens_per_second",
    ),
    "samples_per_s": (
        "samples_per_s",
        "throughput/samples_per_sec",
        "samples_per_sec",
    ),
    "tflops_per_gpu": (
        "tflops_per_gpu",
        "tflops",
        "model_tflops_per_gpu",
        "perf/tflops_per_gpu",
    ),
    "flop_per_s_per_gpu": (
        "flop_per_s_per_gpu",
        "throughput/device/flops_per_sec",
        "device|flops_per_sec",
    ),
    "mfu": (
        "mfu",
        "throughput/device/mfu",
        "device|mfu",
        "perf/mfu",
    ),
    "mfu_percent": (
        "mfu_percent",
        "mfu(%)",
        "mfu%",
    ),
    "loss": (
        "loss",
        "train_loss",
        "lm_loss",
        "lm loss",
        "train/loss",
        "loss/train/total",
        "train/ce loss",
        "reduced_train_loss",
        "loss_metrics/global_avg_loss",
    ),
    "memory_gib": (
        "memory_gib",
        "memory/max_reserved(gib)",
        "max_memory_gib",
    ),
    "memory_bytes": (
        "memory_bytes",
        "max_memory_bytes",
    ),
    "global_batch": (
        "global_batch",
        "global_batch_size",
        "batch_size",
    ),
    "data_s": (
        "data_s",
        "data_time",
        "throughput/device/data loading (s)",
        "time_metrics/data_loading(s)",
    ),
    "power_w": (
        "power_w",
        "power",
    ),
    "skipped": (
        "skipped",
        "skipped_iterations",
    ),
    "nan": (
        "nan",
        "nan_iterations",
    ),
    "time_stamp": (
        "time_stamp",
        "timestamp",
        "_timestamp",
        "wall_time",
        "walltime",
        "time",
    ),
    "rank": ("rank",),
}
_ALIASES: Final = {name: key for key, names in _NAMES.items() for name in names}

_TRAINING: Final = "train/"  # that loggers of several phases put in front of a name
_MOST_UNKNOWN: Final = 12


class ColumnMap:
    """Turns named values into the columns of a step, by the user's map first and known names after it."""

    def __init__(self, given: Mapping[str, str] | None) -> None:
        problems = [
            Problem("columns", "is not something a step has", key, ", ".join(KEYS), nearest(key, KEYS))
            for key in given or {}
            if key not in KEYS
        ]
        if problems:
            raise InputError(problems)
        self._given = {name.strip().casefold(): key for key, name in (given or {}).items()}
        self._mapped = {KEYS[key][0] for key in given or {}}
        self.unknown: list[str] = []  # names that say nothing, for the user to map

    def known(self, name: str) -> tuple[str, float] | None:
        """Return the column and the factor of a name, or None."""
        folded = name.strip().casefold()
        if folded in self._given:
            return KEYS[self._given[folded]]
        key = _ALIASES.get(folded) or _ALIASES.get(folded.removeprefix(_TRAINING))
        if key is None and len(self.unknown) < _MOST_UNKNOWN and name.strip() not in self.unknown:
            self.unknown.append(name.strip())
        return None if key is None or KEYS[key][0] in self._mapped else KEYS[key]

    def values(self, named: Mapping[str, object]) -> dict[str, float]:
        """Return the columns of a record; the first of several names for a column counts."""
        values: dict[str, float] = {}
        for name, value in named.items():
            column = self.known(name)
            if column is None or column[0] in values:
                continue
            number = scaled(value, column)
            if not math.isnan(number):
                values[column[0]] = number
        return values


def scaled(value: object, column: tuple[str, float]) -> float:
    """Return a value in the unit of its column; text and times are understood, anything else is unknown."""
    name, factor = column
    if isinstance(value, bool) or value is None:
        return math.nan
    if isinstance(value, str):
        number = figure(value)
        if math.isnan(number) and name == "time_stamp":
            number = time_of(value)
    elif isinstance(value, (int, float)):
        number = float(value)
    else:
        return math.nan
    if factor == 0.0:
        return 1.0 / number if number > 0.0 else math.nan
    return number / round(1.0 / factor) if 1e-9 < factor < 1.0 else number * factor
