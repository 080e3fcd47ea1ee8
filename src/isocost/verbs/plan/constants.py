"""The fitted constants behind a step time: which ones, where the prior stood, and on how many runs each rests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocost.perf.case import Case, coefficients_of, levels_of
from isocost.perf.columns import Coefficients
from isocost.perf.constants import Constant, names_of
from isocost.perf.lowering import columns
from isocost.perf.predict import step_of
from isocost.render.document import Column, Section, Table

_STEP = 1e-3  # of the logarithm: far above rounding, far below any bend of the laws
_LEAST = 5e-4  # what moves a step by less would show as nothing
_NOTE = (
    "sd: of the logarithm, before and after the fit. step: what 1 % more of the constant does to this step. Constants "
    "that move it by less than 0.0005 % are left out."
)
TITLE = "Fitted constants of this step: a coefficient is the product of its lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One constant in the product that makes a coefficient of a case."""

    coefficient: str
    level: str  # "" for the base, else what the runs it rests on have in common: "chip=h100-sxm5-80gb"
    constant: Constant
    elasticity: float  # d ln(step) / d ln(constant)


def used_constants(case: Case, constants: Mapping[str, Constant]) -> tuple[Used, ...]:
    """Return every constant that moves the step of a case, the base of each coefficient before its multipliers."""
    levels, values, c = levels_of(case), coefficients_of(case, dict(constants)), columns([case])

    def step_s(**moved: float) -> float:
        found: dict[str, Any] = values | moved
        return float(np.asarray(step_of(c, Coefficients(**found)).total_s)[0])

    base, used = step_s(), []
    for name, value in values.items():
        elasticity = math.log(step_s(**{name: value * math.exp(_STEP)}) / base) / _STEP
        if abs(elasticity) < _LEAST:
            continue
        for key in names_of(name, levels, constants):
            used.append(
                Used(coefficient=name, level=key.partition("|")[2], constant=constants[key], elasticity=elasticity)
            )
    return tuple(used)


def constant_dict(used: Used) -> dict[str, Any]:
    """Return a constant as plain values; spreads are of the natural logarithm."""
    c = used.constant
    return {
        "coefficient": used.coefficient,
        "level": used.level,
        "value": c.value,
        "prior": c.prior,
        "unit": c.unit,
        "prior_sd_ln": c.sd,
        "posterior_sd_ln": c.posterior_sd,
        "z_score": c.z_score,
        "step_elasticity": used.elasticity,
        "rows": c.rows,
        "meaning": c.meaning,
    }


def _meaning(used: Used) -> str:
    return f"times, for {used.level}" if used.level else used.constant.meaning


_COLUMNS = (
    Column(head="coefficient", key="coefficient", value=lambda u: "" if u.level else u.coefficient, left=True),
    Column(head="value", key="value", value=lambda u: u.constant.value, show=lambda x: f"{x:.4g}"),
    Column(head="prior", key="prior", value=lambda u: u.constant.prior, show=lambda x: f"{x:.4g}"),
    Column(head="sd, prior", key="prior_sd_ln", value=lambda u: u.constant.sd, show=lambda x: f"{x:.1%}"),
    Column(
        head="sd, fitted", key="posterior_sd_ln", value=lambda u: u.constant.posterior_sd, show=lambda x: f"{x:.1%}"
    ),
    Column(head="step", key="step_elasticity", value=lambda u: u.elasticity, show=lambda x: f"{x:+.3f}%"),
    Column(head="runs", key="rows", value=lambda u: u.constant.rows),
    Column(head="meaning, or the runs it rests on", key="meaning", value=_meaning, left=True),
)


def fitted_section(used: tuple[Used, ...]) -> Section:
    """Return the constants as a table, base constants with their multipliers below."""
    return Section(title=TITLE, body=(Table(columns=_COLUMNS, rows=used), _NOTE))
