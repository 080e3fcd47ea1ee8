"""From a scenario to the frontier: what there is, what is asked for, and the laws that answer."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from isocost.catalog import Catalog
from isocost.constants import shipped
from isocost.errors import InputError, Problem
from isocost.laws.scaling import train_6nd_flop
from isocost.report.frontier import FrontierResult
from isocost.scaling.candidates import Choice, Limits, isocost_line
from isocost.scaling.joint import cheapest_to, joint_optimum
from isocost.scaling.law import Law, loss
from isocost.scaling.planner import Frontier, Planner, frontier, on_line
from isocost.scaling.serving import params_at_loss, tokens_to_reach
from isocost.scaling.store import DEFAULT_LAW, find_law
from isocost.scenario import Scenario, read_scenario
from isocost.scenario.question import default_seq_len, question_of
from isocost.scenario.settings import Settings
from isocost.scenario.training import Quality

TABLE: Final = "frontier"
# The template of the planner's questions: sizes and tokens are the answer here, so any will do.
_ANY: Final[Mapping[str, object]] = {"model": "llama-3.1-8b", "tokens": "1 T"}
_REPLACED: Final = ("model", "architecture", "tokens")
_NOTHING: Final = Settings(given={}, values={})


def ask_frontier(
    tables: Mapping[str, object] | None,
    changes: Mapping[str, object],
    places: Mapping[str, str] | None = None,
    today: datetime.date | None = None,
    **own: Any,
) -> FrontierResult:
    """Return what to train for a budget (and deadline, data, market).

    Args:
        tables: of a scenario; its model and tokens are left aside.
        changes: keys of a scenario that override it.
        places: where the user wrote each key.
        today: when a deadline given as a date starts to count.
        own: keys of the table [frontier] that override it.
    """
    day = today or datetime.date.today()
    checked, catalog = _read(tables or {}, changes, own, places or {}, day)
    said = checked.frontier or _NOTHING
    family = said.get("family", ())
    quality: Quality | None = said.get("loss_of")
    if checked.budget_usd is None and quality is None:
        raise InputError([Problem("--budget", "is missing", fix="write e.g. --budget '2 MUSD', or --loss-of")])
    if family and "experts" in said.values:
        raise InputError([Problem("--experts", "has no use with a family of models", fix="keep one of the two")])
    if family:  # the sequence length that is usual for all of them
        shortest = min(family, key=lambda model: default_seq_len(model.architecture))
        checked = replace(checked, model=shortest)
    question, assumed = question_of(checked, catalog, day)
    laws: tuple[Law, ...] = said.get("laws", (find_law(DEFAULT_LAW),))
    planner = Planner(replace(question, tornado=False), catalog, shipped())
    target = None if quality is None else _target(quality, laws[0])
    limits = Limits(
        budget_usd=checked.budget_usd or _usual_usd(quality, laws[0], planner),
        deadline_s=np.inf if checked.deadline_s is None else checked.deadline_s,
        unique_tokens=said.get("data", np.inf),
        served_tokens=said.get("serve", 0.0),
        serving_cost=said.get("serving_cost", 1.0),
        usd_per_unique_token=said.get("token_price", 0.0),
    )
    if family:
        found = frontier(planner, limits, laws[0], family=[model.architecture for model in family])
    else:
        found = frontier(planner, limits, laws[0], said.get("experts"))
    cheapest = None
    if target is not None:
        most_usd = np.inf if checked.budget_usd is None else checked.budget_usd
        cheapest = cheapest_to(found.table, replace(limits, budget_usd=most_usd), laws[0], target)
    chosen = found.joint.chosen if cheapest is None else cheapest.chosen
    return FrontierResult(
        found=found,
        others=_side_by_side(found, limits, laws),
        plan=None if chosen is None else planner.plan(chosen),
        cheapest=cheapest,
        assumed=tuple(note for note in assumed if note.name not in ("model", "tokens")),
    )


def _read(
    tables: Mapping[str, object],
    changes: Mapping[str, object],
    own: Mapping[str, object],
    places: Mapping[str, str],
    day: datetime.date,
) -> tuple[Scenario, Catalog]:
    """Return the scenario and its catalogue; a problem of a flag is told with the name of the flag."""
    given = {key: value for key, value in changes.items() if value is not None}
    flags = {key: value for key, value in own.items() if value is not None}
    kept = {key: value for key, value in tables.items() if key not in _REPLACED}
    inner = kept.get(TABLE, {})
    if flags:
        kept[TABLE] = {**inner, **flags} if isinstance(inner, Mapping) else inner
    try:
        return read_scenario({**_ANY, **kept, **given}, places, day)
    except InputError as error:
        before = f"{places.get(TABLE, TABLE)}."
        named = {before + key: "--law" if key == "laws" else f"--{key.replace('_', '-')}" for key in flags}
        raise InputError([replace(p, path=named.get(p.path, p.path)) for p in error.problems]) from None


def _target(quality: Quality, law: Law) -> float:
    """Return the loss to reach; one that the law cannot reach is refused."""
    target = quality.nats
    if target is None:
        target = float(np.asarray(loss(law, quality.params, quality.tokens)))
    try:
        params_at_loss(law, target)
    except InputError as error:
        raise InputError([replace(p, path="--loss-of") for p in error.problems]) from None
    return target


def _usual_usd(quality: Quality | None, law: Law, planner: Planner) -> float:
    """Return about what a quality costs, to place the sizes where no budget is given."""
    assert quality is not None, "there is a budget or a quality"
    params, tokens = quality.params, quality.tokens
    if quality.nats is not None:
        params = params_at_loss(law, quality.nats)
        tokens = float(np.asarray(tokens_to_reach(law, quality.nats, np.asarray(params))))
    return max(
        float(train_6nd_flop(params=params, tokens=tokens)) * planner.cheapest_flop_usd(), planner.gpu_hour_usd()
    )


def _side_by_side(found: Frontier, limits: Limits, laws: tuple[Law, ...]) -> tuple[tuple[str, Choice], ...]:
    """Return what each law would choose on the isocost line of the first."""
    if len(laws) == 1 or found.joint.chosen is None:
        return ()
    line = isocost_line(found.table, limits, laws[0])
    rows: list[tuple[str, Choice]] = []
    for law in laws:
        own: Any = joint_optimum(found.table, limits, law).chosen if law.has_surface else None
        rows.append((law.id, own if own is not None else on_line(line, law)))
    return tuple(rows)
