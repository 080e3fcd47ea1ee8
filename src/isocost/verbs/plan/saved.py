"""A plan read back from its JSON: enough to evaluate the chosen layout again."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from isocost.catalog import Catalog
from isocost.catalog.records import TRAINING_PRECISIONS
from isocost.errors import InputError, NoPlanError, Problem
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.layout import AXES, COUNTS, RECOMPUTES, SHARDINGS, Layout
from isocost.perf.predict import predict
from isocost.render import saved
from isocost.render.result import SCHEMA_VERSION
from isocost.scenario import read_scenario
from isocost.scenario.question import question_of
from isocost.search.evaluator import base_case, nic_bytes_per_s
from isocost.search.question import Question
from isocost.units import counted
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.chosen import Chosen
from isocost.verbs.plan.layouts import LAYOUT

LIMITS: Final = ("deadline", "budget", "power_cap", "confidence")  # keys that say nothing of the chosen layout
_FIX: Final = "make one with: isocost plan ... --format json -o plan.json"


def _refuse(place: str, message: str, fix: str = _FIX) -> InputError:
    return InputError([Problem(place, message, fix=fix)])


def chosen_of_plan(plan: Plan) -> Chosen:
    """Return the chosen layout of a plan in hand; a plan without one is an error."""
    found = plan.answer.chosen
    if found is None:
        raise NoPlanError([Problem("", plan.sentence, fix="relax a limit: isocost plan lists ways out")])
    label = (found.option.accelerator.id, found.option.fabric.id, found.option.term)
    question = replace(plan.answer.question, global_batch_seqs=found.global_batch_seqs)
    chosen = _chosen(question, plan.catalog, label, found.precision, found.layout, found.steps)
    return replace(chosen, measured_over_predicted=_measured_over_predicted(chosen, found.step_s))


def chosen_of_file(path: str | Path) -> Chosen:
    """Return the chosen layout of a plan in a JSON file."""
    return chosen_of_values(values_of_file(path), str(path))


def values_of_file(path: str | Path) -> dict[str, Any]:
    """Return the plain values of a plan in a JSON file; not yet checked."""
    return saved.values_of_file(path, "plan", _FIX)


def chosen_of_values(values: Mapping[str, Any], place: str) -> Chosen:
    """Return the chosen layout of a plan as plain values."""
    if values.get("schema_version") != SCHEMA_VERSION:
        message = f"has schema_version {values.get('schema_version')!r}; this isocost reads {SCHEMA_VERSION}"
        raise _refuse(f"{place}: schema_version", message)
    inputs, chosen = values.get("inputs"), values.get("chosen")
    if chosen is None and "chosen" in values:
        raise _refuse(f"{place}: chosen", "is null: no layout met the question", "relax a limit: see 'relaxations'")
    if not isinstance(inputs, dict) or not isinstance(chosen, dict) or not isinstance(inputs.get("scenario"), dict):
        raise _refuse(place, "is not a plan: inputs, inputs.scenario and chosen must be objects")
    tables = {key: value for key, value in inputs["scenario"].items() if key not in LIMITS}
    scenario, catalog = read_scenario(tables, {key: f"{place}: inputs.scenario.{key}" for key in tables})
    question, _ = question_of(scenario, catalog, datetime.date.today())
    missing = [
        key for key in (*LAYOUT, "accelerator", "fabric", "term", "global_batch_seqs", "steps") if key not in chosen
    ]
    if missing:
        raise _refuse(f"{place}: chosen", f"lacks {', '.join(missing)}")
    label = tuple(str(chosen[key]) for key in ("accelerator", "fabric", "term"))
    wrong = [key for key in _COUNTS if type(chosen[key]) is not int or not 1 <= chosen[key] < _MOST]
    wrong += [key for key, known in _CHOICES.items() if chosen[key] not in known]
    wrong += [] if isinstance(chosen["sequence_parallel"], bool) else ["sequence_parallel"]
    if wrong:
        raise _refuse(f"{place}: chosen", f"has no usable value for {', '.join(wrong)}")
    layout = Layout(**{name: chosen[name] for name in AXES})
    if layout.gpus != chosen["gpus"]:
        message = f"has tp x pp x cp x dp = {layout.gpus:,} for {counted(chosen['gpus'], 'GPU')}"
        raise _refuse(f"{place}: chosen", message)
    question = replace(question, global_batch_seqs=chosen["global_batch_seqs"])
    result = _chosen(question, catalog, label, chosen["precision"], layout, chosen["steps"])
    step_s = chosen.get("step_s")
    return (
        replace(result, measured_over_predicted=_measured_over_predicted(result, step_s))
        if isinstance(step_s, float) and step_s > 0
        else result
    )


def _measured_over_predicted(chosen: Chosen, step_s: float) -> float:
    """Return measured over predicted step time: 1 unless the plan took its step time from a measured MFU."""
    if chosen.question.measured_mfu is None:
        return 1.0
    return step_s / float(predict([chosen.case], chosen.constants).step_s[0])


_COUNTS: Final = ("gpus", *COUNTS, "global_batch_seqs", "steps")


_MOST: Final = 10**12
_CHOICES: Final = {
    "precision": TRAINING_PRECISIONS,
    "recompute": RECOMPUTES,
    "sharding": SHARDINGS,
    "schedule": tuple(SCHEDULES),
}


def _chosen(
    question: Question, catalog: Catalog, label: tuple[str, ...], precision: str, layout: Layout, steps: int
) -> Chosen:
    options = [o for o in question.options if (o.accelerator.id, o.fabric.id, o.term) == label]
    if not options:
        raise _refuse("plan", f"was made on {' '.join(label)}, which its inputs do not name")
    case = base_case(question, options[0], precision, nic_bytes_per_s(options[0]))
    constants = question.constants
    return Chosen(
        question=question,
        option=options[0],
        case=replace(case, layout=layout),
        catalog=catalog,
        constants=constants,
        gpus=layout.gpus,
        steps=steps,
    )
