"""Published whole runs beside their predictions: accelerator-hours from first to last, losses in.

Any function from a published run to an ``Estimate`` can be scored. ``generic_estimate`` knows nothing of the layout and
takes published MFU and goodput for everybody: a planner that sees the layout has to beat it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isocost.catalog.prices import distribution_of
from isocost.catalog.records import Rate, rates_by_precision
from isocost.catalog.store import Catalog
from isocost.errors import DataError, InputError, Problem
from isocost.money.work import dense_training_flop, training_accelerator_s
from isocost.stats.distributions import SplitLognormal, draw
from isocost.stats.quantiles import interval
from isocost.units import HOUR_S

_NUMBERS = ("params_b", "active_params_b", "tokens_b", "gpus", "gpu_hours", "days", "energy_mwh", "co2_t", "usd")
_COLUMNS = ("model", "accelerator", "notes", "source", "verified", *_NUMBERS)
_MISS_FACTOR = 1.25  # a prediction further off than this, either way, is a miss that has to be explained
_QUARTILES_TO_90 = 2.4387  # 90 % over 50 % interval of a normal distribution: 1.6449 / 0.6745
_DRAWS = 4000
_MAX_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """One run as published; ``None`` is not known."""

    model: str
    accelerator: str
    params_b: float | None  # billions, as in the file
    active_params_b: float | None
    tokens_b: float | None
    gpus: float | None
    gpu_hours: float | None
    days: float | None
    energy_mwh: float | None
    co2_t: float | None
    usd: float | None
    notes: str
    source: str
    verified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Predicted accelerator-seconds of a whole run: the middle, and the range that should hold 90 % of runs."""

    low_s: float
    median_s: float
    high_s: float


Estimator = Callable[[PublishedRun], Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One run with its prediction."""

    run: PublishedRun
    estimate: Estimate
    why: str  # what is known about a miss; "" for none

    @property
    def ratio(self) -> float:
        """Predicted over published accelerator-hours."""
        return self.estimate.median_s / HOUR_S / (self.run.gpu_hours or float("nan"))

    @property
    def inside(self) -> bool:
        """Whether the published figure is in the interval."""
        published_s = (self.run.gpu_hours or float("nan")) * HOUR_S
        return self.estimate.low_s <= published_s <= self.estimate.high_s

    @property
    def miss(self) -> bool:
        """Whether the prediction is off by more than a quarter, either way."""
        return bool(abs(np.log(self.ratio)) > np.log(_MISS_FACTOR))


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRuns:
    """The table of published runs: what was predicted, and what could not be."""

    rows: tuple[Compared, ...]
    left_out: Mapping[str, str]  # model -> what is not known

    @property
    def median_error_frac(self) -> float:
        """Median of |predicted / published - 1|."""
        return float(np.median([abs(row.ratio - 1.0) for row in self.rows])) if self.rows else float("nan")

    @property
    def inside_frac(self) -> float:
        """Share of published figures inside their interval; 0.9 is the aim."""
        return float(np.mean([row.inside for row in self.rows])) if self.rows else float("nan")

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Misses nobody has explained."""
        return tuple(row.run.model for row in self.rows if row.miss and not row.why)

    def markdown(self) -> str:
        """Return the table, what was left out, and the reason of every miss."""
        head = [
            "| run | accelerator | published, GPU-h | predicted, GPU-h | 90 % interval | predicted / published |",
            "|---|---|---:|---:|---:|---:|",
        ]
        misses = [f"* {row.run.model}: {row.why or 'not explained'}." for row in self.rows if row.miss]
        left = [f"* {model}: {reason}." for model, reason in self.left_out.items()]
        score = (
            f"{len(self.rows)} runs: median error {self.median_error_frac:.0%}, "
            f"{self.inside_frac:.0%} of published figures inside the 90 % interval."
        )
        parts = [*head, *(_line(row) for row in self.rows), "", score]
        parts += ["", "Off by more than a quarter:", "", *misses] if misses else []
        parts += ["", "Not predicted:", "", *left] if left else []
        return "\n".join(parts) + "\n"


def _line(row: Compared) -> str:
    low, median, high = (s / HOUR_S for s in (row.estimate.low_s, row.estimate.median_s, row.estimate.high_s))
    mark = "" if row.inside else " (outside)"
    cells = (row.run.model, row.run.accelerator, _hours(row.run.gpu_hours or 0.0), _hours(median))
    return f"| {' | '.join(cells)} | {_hours(low)} to {_hours(high)}{mark} | {row.ratio:.2f} |"


def _hours(hours: float) -> str:
    return f"{float(f'{hours:.3g}'):,.0f}"


def read_published(path: str | Path) -> tuple[PublishedRun, ...]:
    """Return the runs of a CSV file, or raise one DataError that lists every problem with its line."""
    file = Path(path)
    rows = _table(file, _COLUMNS)
    problems: list[Problem] = []
    runs = [_run(row, f"{file.name}:{line}", problems) for line, row in rows]
    if problems:
        raise DataError(problems)
    return tuple(run for run in runs if run is not None)


def read_reasons(path: str | Path) -> dict[str, str]:
    """Return why a run is hard to predict, by model, from a CSV file with the columns model and why."""
    return {row["model"]: row["why"].rstrip(".") for _, row in _table(Path(path), ("model", "why"))}


def _table(file: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise DataError([Problem(str(file), "is larger than 10 MB")])
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, restval="", restkey="")
            rows = [(reader.line_num, row) for row in reader]
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError([Problem(str(file), f"cannot be read: {error}")]) from None
    if missing:
        raise DataError([Problem(str(file), f"lacks the column {name}") for name in missing])
    return rows


def _run(row: Mapping[str, str], place: str, problems: list[Problem]) -> PublishedRun | None:
    before = len(problems)
    numbers: dict[str, float | None] = {}
    for name in _NUMBERS:
        text = row[name].strip()
        try:
            numbers[name] = float(text) if text else None
        except ValueError:
            problems.append(Problem(f"{place}: {name}", "is not a number", text))
            continue
        value = numbers[name]
        if value is not None and not 0 < value < float("inf"):
            problems.append(Problem(f"{place}: {name}", "is not above zero", text, fix="leave an unknown blank"))
    if len(problems) > before:
        return None
    texts = {name: row[name].strip() for name in ("model", "accelerator", "notes", "source", "verified")}
    return PublishedRun(
        **texts,
        params_b=numbers["params_b"],
        active_params_b=numbers["active_params_b"],
        tokens_b=numbers["tokens_b"],
        gpus=numbers["gpus"],
        gpu_hours=numbers["gpu_hours"],
        days=numbers["days"],
        energy_mwh=numbers["energy_mwh"],
        co2_t=numbers["co2_t"],
        usd=numbers["usd"],
    )


def generic_estimate(catalog: Catalog, mfu: Rate | None = None, goodput: Rate | None = None) -> Estimator:
    """Return an estimator by 6 N D over the 16-bit peak, with published MFU and goodput for every run alike."""
    mfu = mfu or catalog.rate("share", "mfu-published")
    goodput = goodput or catalog.rate("share", "goodput-published")
    # The facts give quartiles of MFU; the draws want 90 %.
    low = mfu.median * (mfu.low / mfu.median) ** _QUARTILES_TO_90
    high = min(mfu.median * (mfu.high / mfu.median) ** _QUARTILES_TO_90, 1.0)
    drawn = draw(
        {
            "mfu_frac": SplitLognormal(low=low, median=mfu.median, high=high),
            "goodput_frac": distribution_of(goodput),
        },
        _DRAWS,
    )

    def estimate(run: PublishedRun) -> Estimate | None:
        rates = rates_by_precision(catalog.accelerator(run.accelerator))
        peak = rates["bf16"] or rates["fp16"]
        if peak is None or run.active_params_b is None or run.tokens_b is None:
            return None
        flop = dense_training_flop(active_params=run.active_params_b * 1e9, tokens=run.tokens_b * 1e9)
        found = interval(
            np.asarray(
                training_accelerator_s(
                    flop=flop,
                    peak_flop_per_s=peak,
                    mfu_frac=np.minimum(drawn["mfu_frac"], 1.0),
                    goodput_frac=drawn["goodput_frac"],
                )
            )
        )
        return Estimate(low_s=found.low, median_s=found.median, high_s=found.high)

    return estimate


def compare_runs(
    runs: Iterable[PublishedRun], estimator: Estimator, reasons: Mapping[str, str] | None = None
) -> WholeRuns:
    """Return published runs beside an estimator's predictions; one that lacks what is needed is named, not dropped."""
    reasons = reasons or {}
    rows: list[Compared] = []
    left: dict[str, str] = {}
    for run in runs:
        unknown = [name for name in ("gpu_hours", "tokens_b", "active_params_b") if getattr(run, name) is None]
        if unknown:
            left[run.model] = f"{' and '.join(unknown)} not published"
            continue
        try:
            estimate = estimator(run)
        except InputError as error:
            left[run.model] = str(error.problems[0])
            continue
        if estimate is None:
            left[run.model] = "the estimator has no prediction"
            continue
        compared = Compared(run=run, estimate=estimate, why="")
        why = reasons.get(run.model, "") if compared.miss else ""
        rows.append(Compared(run=run, estimate=estimate, why=why))
    return WholeRuns(rows=tuple(rows), left_out=left)
