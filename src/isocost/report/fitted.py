"""The fitted constants behind a step time: which ones, where the prior stood, and on how many runs each rests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from isocost.cases import Case, levels_of
from isocost.constants import Constant, names_of
from isocost.evaluate.inputs import Coefficients
from isocost.report.table import Column, Section, Table

TITLE = "Fitted constants of this step: a coefficient is the product of its lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One constant in the product that makes a coefficient of a case."""

    coefficient: str
    level: str  # "" for the base, else what the runs it rests on have in common: "chip=h100-sxm5-80gb"
    constant: Constant


def used_constants(case: Case, constants: Mapping[str, Constant]) -> tuple[Used, ...]:
    """Return every constant that a case reads, the base of each coefficient before its multipliers."""
    levels = levels_of(case)
    return tuple(
        Used(coefficient=f.name, level=name.partition("|")[2], constant=constants[name])
        for f in fields(Coefficients)
        for name in names_of(f.name, levels, constants)
    )


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
    Column(head="runs", key="rows", value=lambda u: u.constant.rows),
    Column(head="meaning, or the runs it rests on", key="meaning", value=_meaning, left=True),
)


def fitted_section(used: tuple[Used, ...]) -> Section:
    """Return the constants as a table, base constants with their multipliers below."""
    return Section(title=TITLE, body=(Table(columns=_COLUMNS, rows=used),))
