"""From a scenario to the frontier: what there is, what is asked for, and the laws that answer."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from isocost.catalog import Catalog
from isocost.errors import InputError, Problem
from isocost.laws.scaling import train_6nd_flop
from isocost.scaling.law import Law, loss
from isocost.scaling.serving import params_at_loss, tokens_to_reach
from isocost.scaling.store import DEFAULT_LAW, find_law
from isocost.scenario import Scenario, read_scenario
from isocost.scenario import tables as records
from isocost.scenario.keys import keys_of
from isocost.scenario.question import default_seq_len, question_of
from isocost.scenario.training import Quality
from isocost.scenario.values import Model
from isocost.verbs.frontier.answer import FrontierResult
from isocost.verbs.frontier.candidates import Choice, Limits, isocost_line
from isocost.verbs.frontier.frontier import Frontier, frontier, on_line
from isocost.verbs.frontier.joint import best_of
from isocost.verbs.frontier.sizes import Planner

TABLE: Final = "frontier"
# The template of the planner's questions: sizes and tokens are the answer here, so any will do.
_ANY: Final[Mapping[str, object]] = {"model": "llama-3.1-8b", "tokens": "1 T"}
_REPLACED: Final = ("model", "architecture", "tokens")
# A deadline too short for any run still leaves sizes to say so of: about 100 M parameters on 20 tokens each.
_LEAST_FLOP: Final = 1e18


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
        places: where each key of the tables was written.
        today: when a deadline given as a date starts to count.
        own: keys of the table [frontier] that override it.
    """
    given = {key: value for key, value in own.items() if value is not None}
    try:
        return _ask(tables or {}, changes, given, places or {}, today or datetime.date.today())
    except InputError as error:
        named = _places(places or {}, given)
        raise InputError([replace(p, path=named.get(p.path, p.path)) for p in error.problems]) from None


def _places(places: Mapping[str, str], given: Mapping[str, object]) -> dict[str, str]:
    """Return where the user wrote what a problem calls by another name: as an argument, or in the table."""
    table = places.get(TABLE, TABLE)
    own = {key: key if key in given else f"{table}.{key}" for key in keys_of(records.Frontier)}
    inside = {f"{table}.{key}": own[key] for key in given}
    return {**places, **own, **inside, "law": own["laws"], "loss": own["loss_of"]}


def _ask(
    tables: Mapping[str, object],
    changes: Mapping[str, object],
    own: Mapping[str, object],
    places: Mapping[str, str],
    day: datetime.date,
) -> FrontierResult:
    checked, catalog = _read(tables, changes, own, places, day)
    said = checked.frontier
    quality, family = said.loss_of, said.family
    _refuse_useless(checked)
    dropped: tuple[str, ...] = ()
    if family:
        checked, family, dropped = _in_reach(checked, family)
    question, assumed = question_of(checked, catalog, day)
    constants = question.constants
    laws = said.laws or (find_law(DEFAULT_LAW),)
    planner = Planner(question, catalog, constants)
    limits = _limits(checked)
    if limits.budget_usd < planner.gpu_hour_usd():
        least = f"give at least ${planner.gpu_hour_usd():.2f}, and for a model that is of use far more"
        raise InputError([Problem("budget", "is less than an hour of one accelerator", limits.budget_usd, fix=least)])
    target = None if quality is None else _target(quality, laws[0])
    found = frontier(
        planner,
        limits,
        laws[0],
        flop=_bought_flop(limits, quality, laws[0], planner),
        target=target,
        sparsity=said.experts,
        family=[model.architecture for model in family],
    )
    return FrontierResult(
        found=found,
        asked=checked,
        others=_side_by_side(found, limits, laws),
        dropped=dropped,
        assumed=tuple(note for note in assumed if note.name not in ("model", "tokens")),
        top=question.top,
    )


def _read(
    tables: Mapping[str, object],
    changes: Mapping[str, object],
    own: Mapping[str, object],
    places: Mapping[str, str],
    day: datetime.date,
) -> tuple[Scenario, Catalog]:
    """Return the scenario, the model of a plan replaced by any, and its catalog."""
    kept = {key: value for key, value in tables.items() if key not in _REPLACED}
    inner = kept.get(TABLE, {})
    if own:
        kept[TABLE] = {**inner, **own} if isinstance(inner, Mapping) else inner
    given = {key: value for key, value in changes.items() if value is not None}
    return read_scenario({**_ANY, **kept, **given}, places, day)


def _refuse_useless(checked: Scenario) -> None:
    """Refuse a question without a goal, and what would be left aside without a word."""
    problems, said = [], checked.frontier
    if checked.budget_usd is None and said.loss_of is None:
        fix = "give budget = '2 MUSD', as a flag --budget '2 MUSD', or a loss to reach: loss_of, --loss-of"
        problems.append(Problem("budget", "is missing", fix=fix))
    if said.family and said.experts:
        problems.append(Problem("experts", "has no use with a family of models", fix="keep one of the two"))
    if said.serving_cost is not None and said.serve_tokens is None:
        fix = "say how many tokens are served (serve), or leave it out"
        problems.append(Problem("serving_cost", "has no use without tokens to serve", fix=fix))
    if problems:
        raise InputError(problems)


def _in_reach(checked: Scenario, family: Sequence[Model]) -> tuple[Scenario, tuple[Model, ...], tuple[str, ...]]:
    """Return a family without the models whose positions end before the sequence does, and why they are left out.

    Where no length is asked for, it is the one that is usual for all of them.
    """
    shortest = min(family, key=lambda model: default_seq_len(model.architecture))
    seq_len = checked.seq_len or default_seq_len(shortest.architecture)
    kept = tuple(model for model in family if seq_len <= (model.architecture.max_seq_len or seq_len))
    left_out = tuple(
        f"{model.given}: left out, its positions end at {model.architecture.max_seq_len:,}, before the sequence of "
        f"{seq_len:,} tokens does"
        for model in family
        if model not in kept
    )
    if not kept:
        longest = max(model.architecture.max_seq_len or 0 for model in family)
        fix = f"ask for sequences of {longest:,} tokens at most, or for other models"
        raise InputError([Problem("family", "; ".join(left_out), fix=fix)])
    return replace(checked, model=shortest), kept, left_out


def _limits(checked: Scenario) -> Limits:
    said = checked.frontier
    return Limits(
        budget_usd=np.inf if checked.budget_usd is None else checked.budget_usd,
        deadline_s=np.inf if checked.deadline_s is None else checked.deadline_s,
        unique_tokens=np.inf if said.data_tokens is None else said.data_tokens,
        served_tokens=said.serve_tokens or 0.0,
        serving_cost=1.0 if said.serving_cost is None else said.serving_cost,
        usd_per_unique_token=said.usd_per_token or 0.0,
        licence_usd=said.licence_usd or 0.0,
    )


def _target(quality: Quality, law: Law) -> float:
    """Return the loss to reach; one that the law cannot reach is refused."""
    target = quality.nats
    if target is None:
        target = float(np.asarray(loss(law, quality.params, quality.tokens)))
    params_at_loss(law, target)
    return target


def _bought_flop(limits: Limits, quality: Quality | None, law: Law, planner: Planner) -> float:
    """Return about how much arithmetic money and time allow, or that of the quality to reach."""
    if quality is None:
        bought = limits.budget_usd / planner.cheapest_flop_usd()
        within = max(planner.most_flop(limits.deadline_s), _LEAST_FLOP) if np.isfinite(limits.deadline_s) else np.inf
        return min(bought, within)
    params, tokens = quality.params, quality.tokens
    if quality.nats is not None:
        params = params_at_loss(law, quality.nats)
        tokens = float(np.asarray(tokens_to_reach(law, quality.nats, np.asarray(params))))
    return float(train_6nd_flop(params=params, tokens=tokens))


def _side_by_side(found: Frontier, limits: Limits, laws: tuple[Law, ...]) -> tuple[tuple[str, Choice], ...]:
    """Return what each law would choose on the isocost line of the first; a loss to reach is that of one law only.

    The first law's own choice is the recommended one, as its plan has it.
    """
    first, line = found.joint.chosen, found.joint.line
    if len(laws) == 1 or first is None or found.joint.target is not None:
        return ()
    rows: list[tuple[str, Choice]] = [(laws[0].id, first)]
    for law in laws[1:]:
        own = best_of(isocost_line(found.table, limits, law)) if law.has_surface else on_line(line, law)
        rows.append((law.id, own))
    return tuple(rows)
