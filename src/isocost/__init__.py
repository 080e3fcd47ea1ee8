"""isocost: what a training run needs in time, memory and money, and why.

Every verb of the command line is a function of the same name: ``isocost.plan``, ``isocost.goodput``, ...
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from isocost.verbs.registry import VERBS
from isocost.version import __version__

if TYPE_CHECKING:
    from isocost.catalog import Accelerator, Catalog, Fabric, Offer, load_catalog
    from isocost.errors import CalibrationError, DataError, InputError, IsocostError, Problem
    from isocost.scenario import Scenario, load_scenario, scenario_toml
    from isocost.search.question import Answer, Candidate
    from isocost.verbs.calibrate.ask import calibrate
    from isocost.verbs.catalog.ask import catalog_check, catalog_list, catalog_show
    from isocost.verbs.compare.ask import compare
    from isocost.verbs.doctor.ask import doctor
    from isocost.verbs.fleet.ask import fleet
    from isocost.verbs.frontier.ask import frontier
    from isocost.verbs.goodput.ask import goodput
    from isocost.verbs.model.answer import ModelSummary
    from isocost.verbs.model.ask import load_model, model
    from isocost.verbs.plan.answer import Plan
    from isocost.verbs.plan.ask import estimate, plan
    from isocost.verbs.plan.explain import explain
    from isocost.verbs.program.ask import program
    from isocost.verbs.scaling.ask import scaling_fit, scaling_list, scaling_optimum, scaling_show
    from isocost.verbs.show.ask import show
    from isocost.verbs.tco.ask import tco
    from isocost.verbs.validate.ask import leave_out, validate
    from isocost.workload.architecture import Architecture, Block

# Where each public name lives. They are imported when first used, so that ``isocost --help`` comes at once.
_HOMES = {verb.function: verb.module for verb in VERBS} | {
    "leave_out": "isocost.verbs.validate.ask",
    "load_model": "isocost.verbs.model.ask",
    "Accelerator": "isocost.catalog",
    "Catalog": "isocost.catalog",
    "Fabric": "isocost.catalog",
    "Offer": "isocost.catalog",
    "load_catalog": "isocost.catalog",
    "CalibrationError": "isocost.errors",
    "DataError": "isocost.errors",
    "InputError": "isocost.errors",
    "IsocostError": "isocost.errors",
    "Problem": "isocost.errors",
    "ModelSummary": "isocost.verbs.model.answer",
    "Plan": "isocost.verbs.plan.answer",
    "Scenario": "isocost.scenario",
    "load_scenario": "isocost.scenario",
    "scenario_toml": "isocost.scenario",
    "Answer": "isocost.search.question",
    "Candidate": "isocost.search.question",
    "Architecture": "isocost.workload.architecture",
    "Block": "isocost.workload.architecture",
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
    "calibrate",
    "catalog_check",
    "catalog_list",
    "catalog_show",
    "compare",
    "doctor",
    "estimate",
    "explain",
    "fleet",
    "frontier",
    "goodput",
    "leave_out",
    "load_catalog",
    "load_model",
    "load_scenario",
    "model",
    "plan",
    "program",
    "scaling_fit",
    "scaling_list",
    "scaling_optimum",
    "scaling_show",
    "scenario_toml",
    "show",
    "tco",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'isocost' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
