"""The chosen layout of a plan, complete enough to be evaluated once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isocost.catalog import Catalog
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.search.question import Option, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One layout on one option, with all that its evaluation reads."""

    question: Question
    option: Option
    case: Case
    catalog: Catalog
    constants: Mapping[str, Constant]
    gpus: int
    steps: int
    measured_over_predicted: float = 1.0  # measured over predicted step time, where an MFU was measured
