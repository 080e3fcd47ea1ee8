"""What trying a change costs, and what it is worth to try it before committing the run to it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from isocost.catalog.reliability import load_reliability
from isocost.perf.site import NINETY
from isocost.units import DAY_S, HOUR_S

NOISE_FRAC: Final = 0.02  # two runs of the same configuration differ by as much
MOST_STEPS: Final = 200  # of a trial, however uneven the steps are


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A short run with a change, long enough to tell a gain from noise."""

    attempts: int  # starts of the job until the change runs
    steps: int  # timed
    hours: float
    gpu_hours: float
    usd: float | None

    @property
    def days(self) -> float:
        """Length of the trial."""
        return self.hours * HOUR_S / DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is to be expected of a change that is tried first and kept only if it proves a gain."""

    gain_probability: float  # that it is faster by more than the noise
    saved_frac: float  # of the time left, expected; nothing where it proves none


@cache
def _facts() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("isocost.data").joinpath("doctor.toml").read_text("utf-8"))


def timed_steps(step_noise_frac: float | None) -> int:
    """Return steps after which the means of two runs are known apart to the noise floor, with 90 % confidence."""
    facts = _facts()["steps"]
    spread = facts["noise_frac"] if step_noise_frac is None else step_noise_frac
    enough = math.ceil((NINETY * math.sqrt(2.0) * spread / NOISE_FRAC) ** 2)
    return min(max(enough, int(facts["least"])), MOST_STEPS)


def trial_of(
    effort: str, *, step_s: float, gpus: int, usd_per_gpu_s: float | None, step_noise_frac: float | None = None
) -> Trial | None:
    """Return the trial of a change on all GPUs of the run; None where its own machines cannot try it."""
    attempts = _facts()["attempts"].get(effort)
    if attempts is None:
        return None
    defaults = load_reliability().defaults
    start_s = defaults["restart"].median + defaults["warm-up"].median
    steps = timed_steps(step_noise_frac)
    length_s = attempts * start_s + steps * step_s
    gpu_s = length_s * gpus
    return Trial(
        attempts=attempts,
        steps=steps,
        hours=length_s / HOUR_S,
        gpu_hours=gpu_s / HOUR_S,
        usd=None if usd_per_gpu_s is None else gpu_s * usd_per_gpu_s,
    )


def outcome(*, ratio: float, sd: float, fits_probability: float) -> Outcome:
    """Return what to expect of a change to ``ratio`` of the step time: its median, with ``sd`` that of its logarithm.

    It is kept where it fits and takes less than 1 / (1 + noise) of the run's step; the mean of 1 - ratio there is that
    of a log-normal variable cut off, as in the price of an option.
    """
    kept = 1.0 / (1.0 + NOISE_FRAC)
    if sd <= 0.0:
        gains = float(ratio < kept)
        return Outcome(gain_probability=gains, saved_frac=fits_probability * gains * (1.0 - ratio))
    distance = math.log(kept / ratio) / sd
    mean = ratio * math.exp(0.5 * sd**2)
    saved = _normal(distance) - mean * _normal(distance - sd)
    return Outcome(gain_probability=_normal(distance), saved_frac=fits_probability * saved)


def _normal(deviate: float) -> float:
    """Share of a normal distribution below a deviate."""
    return 0.5 * math.erfc(-deviate / math.sqrt(2.0))
