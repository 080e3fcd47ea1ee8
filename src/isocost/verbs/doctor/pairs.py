"""How far the model was tested on a change: pairs of measured runs that differ in one lever and in nothing else."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from isocost.evidence.measured import Evidence
from isocost.perf.case import SIXTEEN_BIT, Case, generation
from isocost.perf.constants import Constant
from isocost.perf.predict import predict
from isocost.perf.site import NINETY
from isocost.perf.step import StepTime
from isocost.verbs.doctor.run import PARTS, Calibrated, calibrate_time
from isocost.verbs.doctor.switches import left_open

Pair = tuple[int, int]
Values = Callable[[Case], Hashable]
ENOUGH: Final = 30  # pairs for an interval of their own; levers with fewer have that of all
# What a lever sets in a case. The data-parallel degree and the stages' content follow from the others.
LEVERS: Final[Mapping[str, Values]] = {
    "tp": lambda c: (c.layout.tp, c.layout.sequence_parallel),
    "pp": lambda c: c.layout.pp,
    "schedule": lambda c: (c.layout.vp, c.layout.schedule),
    "cp": lambda c: c.layout.cp,
    "ep": lambda c: c.layout.ep,
    "sharding": lambda c: c.layout.sharding,
    "shard_group": lambda c: c.layout.sharded_over < c.layout.dp * c.layout.cp,
    "micro_batch": lambda c: c.layout.micro_batch,
    "recompute": lambda c: c.layout.recompute,
    "attention_kernel": lambda c: c.attention_kernel,
    "norm_kernel": lambda c: c.norm_kernel,
    "compile": lambda c: c.recipe.compiled,
    "gradient_precision": lambda c: c.recipe.gradient_bytes,
    "tp_overlap": lambda c: c.tp_overlap,
    "precision": lambda c: (c.precision, c.fp8_recipe),
    "global_batch": lambda c: c.global_batch_seqs,
}
ALL, SEVERAL = "all", "several"  # pairs that differ in any one lever; in more than one
MOST_PAIRS: Final = 4_000  # looked at for several levers, evenly over the rows
_SET_ELSEWHERE: Final = {"pp": ("schedule",), "compile": ("norm_kernel",)}  # levers whose values another one contains


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The pairs of one lever, and how far off the predicted change of the step time was."""

    pairs: int
    median_error_frac: float  # of the ratio of the two step times
    within_frac: float  # of pairs inside the 90 % interval that the model alone would have given
    widen: float  # factor on that interval with which it holds 90 % of the pairs, at least 1
    generations: Mapping[str, int]  # pairs by silicon
    sign_right_frac: float | None = None  # where the prediction was beyond the noise; None: it never was


@cache
def pair_figures() -> Mapping[str, Tested]:
    """Return the shipped figures, by lever; a lever without a pair is not there."""
    text = resources.files("isocost.data").joinpath("lever_pairs.toml").read_text("utf-8")
    return {name: Tested(**row) for name, row in tomllib.loads(text)["lever"].items()}


def widening(levers: Sequence[str]) -> float:
    """Factor on the spread of a predicted gain with which intervals hold 90 % of the pairs."""
    if len(levers) > 1:
        return pair_figures()[SEVERAL].widen
    own = [found.widen for name in levers if (found := pair_figures().get(name)) is not None and found.pairs >= ENOUGH]
    return own[0] if own else pair_figures()[ALL].widen


def pairs(evidence: Evidence, lever: str) -> list[Pair]:
    """Rows of two runs of one source, model and machine that differ in a lever only."""
    ignored = {lever, *_SET_ELSEWHERE.get(lever, ())}
    others = [values for name, values in LEVERS.items() if name not in ignored]
    value = LEVERS[lever]
    return [
        (one, two)
        for one, two in _alike(
            evidence, lambda case: [values(case) for values in others], any_release=lever == "compile"
        )
        if value(evidence.cases[one]) != value(evidence.cases[two])
    ]


def by_precision(evidence: Evidence, found: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Pairs of a 16-bit and another run, by the precision of the other; fp8 and nvfp4 are not one lever."""
    places: dict[str, list[Pair]] = defaultdict(list)
    for one, two in found:
        wide, other = sorted((evidence.cases[row].precision for row in (one, two)), key=lambda p: p not in SIXTEEN_BIT)
        if wide in SIXTEEN_BIT and other not in SIXTEEN_BIT:
            places[tested_as("precision", other)].append((one, two))
    return dict(sorted(places.items()))


def tested_as(lever: str, new: str) -> str:
    """Name of the figures of a change: that of its lever, and of the precision it goes to."""
    return f"{lever} {new}" if lever == "precision" else lever


def pairs_of_several(evidence: Evidence) -> list[Pair]:
    """Rows of two runs of one source, model and machine that differ in more than one lever, some thousands of them."""
    values = [[value(case) for value in LEVERS.values()] for case in evidence.cases]
    found = [
        (one, two)
        for one, two in _alike(evidence, lambda case: [], any_release=False)
        if sum(a != b for a, b in zip(values[one], values[two], strict=True)) > 1
    ]
    return found[:: max(len(found) // MOST_PAIRS, 1)]


def _alike(evidence: Evidence, held: Callable[[Case], list[Hashable]], *, any_release: bool) -> Iterator[Pair]:
    """Pairs of rows of one source, model and machine in which what is held is the same."""
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for row, (run, case) in enumerate(zip(evidence.runs, evidence.cases, strict=True)):
        stack = case.recipe.stack if any_release else case.recipe.id
        model = (repr(case.architecture), case.kind, case.seq_len)
        machine = (case.accelerator.id, case.gpus, case.nic_bytes_per_s)
        alike[(run.source, model, machine, stack, *held(case))].append(row)
    for rows in alike.values():
        yield from itertools.combinations(rows, 2)


def study(evidence: Evidence, constants: Mapping[str, Constant], noise_frac: float) -> dict[str, Tested]:
    """Every lever on every pair of it: the first run is what the doctor is given, the second what it predicts."""
    step = predict(list(evidence.cases), constants).step
    times = {part: np.broadcast_to(np.asarray(getattr(step, part), float), evidence.measured_s.shape) for part in PARTS}
    places = {lever: pairs(evidence, lever) for lever in LEVERS}
    places |= by_precision(evidence, places.pop("precision"))
    places |= {ALL: list(itertools.chain(*places.values())), SEVERAL: pairs_of_several(evidence)}
    found = {}
    for lever, rows in places.items():
        if rows:
            compared = [_compared(evidence, times, constants, one, two) for one, two in rows]
            chips = Counter(generation(evidence.cases[one].accelerator) for one, _ in rows)
            found[lever] = _tested(np.array(compared), chips, noise_frac)
    return found


def _compared(
    evidence: Evidence, times: Mapping[str, NDArray[np.float64]], constants: Mapping[str, Constant], one: int, two: int
) -> tuple[float, float, float]:
    """Return the logs of predicted and measured ratio of two rows' time for equal tokens, and the first's spread."""
    before, after = (StepTime(**{part: float(times[part][row]) for part in PARTS}) for row in (one, two))
    cases, measured = evidence.cases, evidence.measured_s
    fitted: Calibrated = calibrate_time(before, float(measured[one]))
    per_token = cases[one].global_batch_seqs / cases[two].global_batch_seqs
    predicted = math.log(float(fitted.seconds(after)) * per_token / float(measured[one]))
    unsure = left_open(cases[one], cases[two], constants, constants)
    return predicted, math.log(float(measured[two] / measured[one]) * per_token), fitted.gain_sd(before, after, unsure)


def _tested(rows: NDArray[np.float64], chips: Mapping[str, int], noise_frac: float) -> Tested:
    predicted, measured, sd = rows.T
    error = np.abs(predicted - measured)
    told = np.abs(predicted) > noise_frac
    # Two runs of one configuration differ by the noise: no interval is narrower.
    beyond = error / (NINETY * np.hypot(sd, noise_frac))
    return Tested(
        pairs=len(error),
        median_error_frac=round(float(np.median(np.expm1(error))), 4),
        sign_right_frac=round(float(np.mean((predicted > 0) == (measured > 0), where=told)), 4) if told.any() else None,
        within_frac=round(float(np.mean(beyond <= 1.0)), 4),
        widen=round(max(float(np.quantile(beyond, 0.9)), 1.0), 4),
        generations=dict(sorted(chips.items())),
    )


def as_toml(found: Mapping[str, Tested]) -> str:
    """Return the figures as a file."""
    lines = [
        "# Pairs of measured runs that differ in one lever only: how far off is one as predicted from the other.",
        "# Generated by `make pages`: do not edit. The constants were fitted on the same runs.",
        "",
        'source = "derived"',
        'as_of = "2026-11"',
        'grade = "derived"',
    ]
    for name, row in found.items():
        values: dict[str, Any] = {
            "pairs": row.pairs,
            "median_error_frac": row.median_error_frac,
            "sign_right_frac": row.sign_right_frac,
            "within_frac": row.within_frac,
            "widen": row.widen,
        }
        lines += ["", f'[lever."{name}"]', *(f"{key} = {value}" for key, value in values.items() if value is not None)]
        lines.append(f"generations = {{ {', '.join(f'{chip} = {n}' for chip, n in row.generations.items())} }}")
    return "\n".join(lines) + "\n"
