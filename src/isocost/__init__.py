"""isocost: what a training run needs in time, memory and money, and why."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from isocost.version import __version__

if TYPE_CHECKING:
    from isocost.api import compare, estimate, explain, fleet_of, frontier, goodput_of, plan, program, tco
    from isocost.api_facts import catalog_check, catalog_list, catalog_show, load_model, model_summary
    from isocost.api_measured import calibrated, diagnose, left_out, validate
    from isocost.catalog import Accelerator, Catalog, Fabric, Offer, load_catalog
    from isocost.errors import CalibrationError, DataError, InputError, IsocostError, Problem
    from isocost.scenario import Scenario, load_scenario, scenario_toml
    from isocost.search.question import Answer, Candidate
    from isocost.units import parse, show
    from isocost.verbs.model.answer import ModelSummary
    from isocost.verbs.plan.answer import Plan
    from isocost.workload.architecture import Architecture, Block

# Where each public name lives. They are imported when first used, so that ``isocost --help`` comes at once.
_HOMES = {
    "calibrated": "api_measured",
    "catalog_check": "api_facts",
    "catalog_list": "api_facts",
    "catalog_show": "api_facts",
    "compare": "api",
    "diagnose": "api_measured",
    "estimate": "api",
    "explain": "api",
    "fleet_of": "api",
    "frontier": "api",
    "goodput_of": "api",
    "left_out": "api_measured",
    "load_model": "api_facts",
    "model_summary": "api_facts",
    "plan": "api",
    "program": "api",
    "tco": "api",
    "validate": "api_measured",
    "Accelerator": "catalog",
    "Catalog": "catalog",
    "Fabric": "catalog",
    "Offer": "catalog",
    "load_catalog": "catalog",
    "CalibrationError": "errors",
    "DataError": "errors",
    "InputError": "errors",
    "IsocostError": "errors",
    "Problem": "errors",
    "ModelSummary": "verbs.model.answer",
    "Plan": "verbs.plan.answer",
    "Scenario": "scenario",
    "load_scenario": "scenario",
    "scenario_toml": "scenario",
    "Answer": "search.question",
    "Candidate": "search.question",
    "parse": "units",
    "show": "units",
    "Architecture": "workload.architecture",
    "Block": "workload.architecture",
}

__all__ = [
    "Accelerator",
    "Answer",
    "Architecture",
    "Block",
    "CalibrationError",
    "Candidate",
    "Catalog",
    "DataError",
    "Fabric",
    "InputError",
    "IsocostError",
    "ModelSummary",
    "Offer",
    "Plan",
    "Problem",
    "Scenario",
    "__version__",
    "calibrated",
    "catalog_check",
    "catalog_list",
    "catalog_show",
    "compare",
    "diagnose",
    "estimate",
    "explain",
    "fleet_of",
    "frontier",
    "goodput_of",
    "left_out",
    "load_catalog",
    "load_model",
    "load_scenario",
    "model_summary",
    "parse",
    "plan",
    "program",
    "scenario_toml",
    "show",
    "tco",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'isocost' has no attribute {name!r}")
    return getattr(import_module(f"isocost.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
