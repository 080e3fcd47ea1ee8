"""What calibration on the user's own runs gives: constants of a stack and site, and how far they can be trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.perf.case import Case, coefficients_of, levels_of
from isocost.perf.constants import Constant, shipped
from isocost.perf.lowering import columns
from isocost.perf.sensitivity import Index, sensitivity

Array = NDArray[np.float64]


Bools = NDArray[np.bool_]


# Level at which a coefficient is the user's own, and the spread of its logarithm. What software decides belongs to
# (user, stack), what the machines decide to (user, chip). Spreads are those of stacks and sites in priors.toml;
# sustained_frac is tight, or it would absorb every other error.
USER: Final[Mapping[str, tuple[str, float]]] = {
    "pointwise": ("user", 0.35),
    "norm": ("user", 0.5),
    "host_s": ("user", 0.6),
    "host_step_s": ("user", 0.5),
    "tp_exposed": ("user", 0.5),
    "ep_exposed": ("user", 0.5),
    "pp_exposed": ("user", 0.5),
    "dp_exposed": ("user", 0.5),
    "fsdp_interference": ("user", 0.5),
    "expert": ("user", 0.3),
    "fabric": ("user_chip", 0.6),
    "sustained_frac": ("user_chip", 0.05),
    "attention_forward": ("user_chip", 0.25),
    "attention_backward": ("user_chip", 0.25),
}


# A stack that the shipped constants know differs less between two users than two stacks do.
KNOWN_STACK = 0.5


# What the multipliers leave unexplained, before the user's own left-out errors say so: the spread of rows of a known
# stack and chip that no fit saw (median error 5 %), worth so many of the user's layouts.
SPREAD, SPREAD_ROWS = 0.08, 4


NINETY = 1.645  # standard deviations on either side that hold 90 % of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A row that was not used, where it is in the file, and why."""

    line: int
    id: str
    column: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the user: measured, and the error (predicted over measured, minus 1) before, after and left out."""

    id: str
    gpus: int
    measured_s: float
    before_frac: float
    after_frac: float
    left_out_frac: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Absolute error of the step time over the user's rows, as a share of the measured one."""

    median_frac: float
    mean_frac: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteCalibration:
    """Multipliers of one user, what they are worth, and where they apply."""

    name: str
    created_from: str
    row_count: int
    layout_count: int
    strength: float  # share of the prior spreads that was allowed; 0: nothing was moved
    constants: Mapping[str, Constant]
    covariance: Array  # of the logs of the constants, in their order
    spread: float  # of the log of a step, beyond that of the constants
    band: tuple[float, float]  # 90 % interval of measured over predicted, on layouts like those measured
    base: str  # fingerprint of the constants it rests on
    stacks: tuple[str, ...]
    chips: tuple[str, ...]
    before: Errors
    after: Errors
    left_out: Errors | None
    checks: tuple[Check, ...] = ()
    unused: tuple[Unused, ...] = ()
    notes: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()

    def applies_to(self, case: Case) -> bool:
        """Whether both the stack and the chip of a case are those of the user's runs."""
        return case.recipe.id in self.stacks and case.accelerator.id in self.chips

    def of_user(self, cases: Sequence[Case]) -> list[Case]:
        """Return the cases as the user's own, so that the multipliers apply where stack or chip are the user's."""
        return [replace(case, user=self.name) for case in cases]

    def merged(self, constants: Mapping[str, Constant]) -> dict[str, Constant]:
        """Return the shipped constants with the user's own on top."""
        return {**constants, **self.constants}

    def log_spread(self, cases: Sequence[Case], constants: Mapping[str, Constant]) -> Array:
        """Return the standard deviation of the log of each step: of the constants, and of what they do not explain."""
        by_constant, covariance = self.linear(cases, constants)
        variance = np.einsum("ij,jk,ik->i", by_constant, covariance, by_constant)
        return np.asarray(np.sqrt(variance + self.spread**2))

    def interval(self, case: Case, low: float, high: float) -> tuple[float, float] | None:
        """Factors of the 90 % interval of a case, given those without own runs; None where the runs say nothing."""
        if not self.strength or not self.applies_to(case):
            return None
        own_low, own_high = (float(ends[0]) for ends in self.bands([case], shipped()))
        # Runs that the model describes as well as it should tell no less than none: the narrower of the two holds.
        return (max(own_low, low), min(own_high, high)) if self.spread <= SPREAD else (own_low, own_high)

    def bands(self, cases: Sequence[Case], constants: Mapping[str, Constant]) -> tuple[Array, Array]:
        """Lower and upper factor of the 90 % interval of each case's step."""
        spread = NINETY * self.log_spread(cases, constants)
        return np.exp(-spread), np.exp(spread)

    def linear(self, cases: Sequence[Case], constants: Mapping[str, Constant]) -> tuple[Array, Array]:
        """Return the derivative of the log of each case's step by the log of each multiplier, and their covariance.

        Multipliers that the cases have and the user's runs have not (another chip, experts) come last, as unsure as
        before any run.
        """
        mine = self.of_user(cases)
        more = user_index(mine, constants)
        new = [i for i, key in enumerate(more.names) if key not in self.constants]
        idx = user_index(mine, constants, names=(*self.constants, *(more.names[i] for i in new)))
        old = len(self.constants)
        covariance = np.zeros((len(idx.names), len(idx.names)))
        covariance[:old, :old] = self.covariance
        covariance[old:, old:] = np.diag(more.sd[new] ** 2)
        logs = np.append(np.log([constant.value for constant in self.constants.values()]), np.zeros(len(new)))
        return sensitivity(columns(mine), idx, logs), covariance

    def names(self, cases: Sequence[Case], constants: Mapping[str, Constant]) -> tuple[str, ...]:
        """Names of the multipliers of ``linear``, in its order."""
        more = user_index(self.of_user(cases), constants).names
        return (*self.constants, *(name for name in more if name not in self.constants))


def fingerprint(constants: Mapping[str, Constant]) -> str:
    """Return a short name of a set of constants: a calibration is on top of one set and no other."""
    text = "\n".join(f"{name}={constants[name].value!r}" for name in sorted(constants))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def user_index(
    cases: Sequence[Case], constants: Mapping[str, Constant], *, names: Sequence[str] = (), strength: float = 1.0
) -> Index:
    """Return the user's multipliers of these cases, on top of the shipped product; ``names`` fixes their order."""
    plain = [coefficients_of(replace(case, user=""), dict(constants)) for case in cases]
    fixed = {name: np.log([row[name] for row in plain]) for name in plain[0]}
    levels = [levels_of(case) for case in cases]
    keys = {name: [f"{name}|{level}={row[level]}" for row in levels] for name, (level, _) in USER.items()}
    moe = any(block.experts for case in cases for block in case.architecture.blocks)
    of_experts = () if moe else ("expert", "ep_exposed")
    found = [key for name in USER if name not in of_experts for key in sorted(set(keys[name]))]
    order = tuple(names) or tuple(found)
    place = {key: i for i, key in enumerate(order)}
    sd = [USER[key.split("|")[0]][1] * strength * (KNOWN_STACK if _known(key, constants) else 1.0) for key in order]
    return Index(
        names=order,
        prior=np.zeros(len(order)),
        sd=np.array(sd),
        fixed=fixed,
        uses={name: np.array([[place.get(key, len(order)) for key in keys[name]]]) for name in USER},
    )


def _known(key: str, constants: Mapping[str, Constant]) -> bool:
    """Whether the stack of a multiplier has constants of its own among the shipped ones."""
    level, value = key.split("|")[1].split("=", 1)
    return level == "user" and any(name.endswith(f"|stack={value.split(':', 1)[-1]}") for name in constants)
