"""The verbs in Python: the same as on the command line, with the keys of a scenario as keyword arguments.

import isocost
plan = isocost.plan(model="llama-3.1-70b", tokens="15 T", deadline="60 d", on=["h100-sxm5-80gb"])
print(plan.table())
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from isocost.errors import InputError, Problem
from isocost.perf.constants import shipped
from isocost.scenario import Scenario, load_tables, read_scenario, scenario_tables
from isocost.scenario.program import terms_of
from isocost.scenario.question import question_of
from isocost.search.plan import estimate as smallest
from isocost.search.plan import plan as search
from isocost.verbs.compare.answer import Comparison, comparison
from isocost.verbs.fleet.answer import FleetResult
from isocost.verbs.fleet.question import ask_fleet
from isocost.verbs.frontier.answer import FrontierResult
from isocost.verbs.frontier.question import ask_frontier as frontier_of
from isocost.verbs.goodput.answer import GoodputReport, goodput_report
from isocost.verbs.meter.answer import PlanAgainstActual, against_actual
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.explanation import Explanation, explanation
from isocost.verbs.plan.limits import judged, unlimited
from isocost.verbs.plan.program import programme_around, programme_beside
from isocost.verbs.plan.saved import chosen_of_file, chosen_of_plan, chosen_of_values
from isocost.verbs.program.answer import ProgramResult
from isocost.verbs.tco.answer import YEARS, Tco
from isocost.verbs.tco.answer import tco as ways_to_pay
from isocost.verbs.tco.wait import wait_asked

Given = str | Path | Mapping[str, object] | Scenario | None


def plan(scenario: Given = None, /, **changes: object) -> Plan:
    """Return the best plan, and what it was chosen from, for a scenario.

    Args:
        scenario: a TOML file, a mapping, or a scenario; None: the keyword arguments say it all.
        changes: keys of a scenario, which override those given, as text with its unit ("60 d", "40 MUSD") or as
            numbers in the unit of the key (docs/how-to.md).

    Raises:
        InputError: the scenario is wrong; every problem is listed. A question without a plan is no error: the answer
            is then not ``feasible`` and says what stands in the way.

    Example:
        >>> found = isocost.plan(model="llama-3.1-8b", tokens="1 T", on="h100-sxm5-80gb", gpus=[64, 128])
        >>> found.feasible, found.answer.chosen.gpus
        (True, 64)
    """
    return ask("plan", scenario, changes)


def estimate(scenario: Given = None, /, *, explain: bool = False, **changes: object) -> Plan:
    """Return what a given number of GPUs takes and costs.

    The layout is the best whatever deadline, budget and power cap; the answer says the chance of each. ``explain`` adds
    the terms of its step time and the fitted constants that they rest on. Arguments and errors are those of ``plan``.

    Example:
        >>> found = isocost.estimate("examples/llama-3.1-70b.toml", gpus=1024, tp=8, pp=4)
        >>> found.answer.chosen.tp, found.answer.chosen.pp
        (8, 4)
    """
    return ask("estimate", scenario, changes, explained=explain)


def ask(
    verb: str,
    scenario: Given,
    changes: Mapping[str, object],
    places: Mapping[str, str] | None = None,
    today: datetime.date | None = None,
    *,
    explained: bool = False,
    tornado: bool = True,
) -> Plan:
    """Return the answer to a scenario with changes; ``places`` is where the user wrote the changed keys."""
    day = today or datetime.date.today()
    tables: dict[str, object] = {}
    wrote: dict[str, str] = {}
    if isinstance(scenario, Scenario):
        tables = scenario_tables(scenario)
    elif isinstance(scenario, Mapping):
        tables = dict(scenario)
    elif scenario is not None:
        tables = load_tables(scenario)
        wrote = {key: f"{scenario}: {key}" for key in tables}
    given = {key: value for key, value in changes.items() if value is not None}
    if "model" in given:
        tables.pop("architecture", None)
    if verb == "estimate":
        _need_gpus(tables | given)
    checked, catalog = read_scenario(tables | given, {**wrote, **(places or {})}, day)
    question, assumed = question_of(checked, catalog, day)
    question = replace(question, tornado=tornado)
    constants = question.calibration.merged(shipped()) if question.calibration else shipped()
    free = unlimited(question) if verb == "estimate" else question
    answer = judged(search(free, catalog, constants), question)
    misfit = None
    if verb == "estimate" and answer.chosen is None and answer.layouts_considered:
        misfit = smallest(free, catalog, constants)
    found = Plan(
        scenario=checked,
        catalog=catalog,
        answer=answer,
        misfit=misfit,
        assumed=assumed,
        today=day,
        verb=verb,
    )
    found = replace(found, programme=programme_beside(found))
    if explained and found.feasible:
        return replace(found, explained=explanation(chosen_of_plan(found), "step_time"))
    return found


def _need_gpus(tables: Mapping[str, object]) -> None:
    if "gpus" not in tables:
        fix = "add gpus = 1024, as a flag --gpus 1024"
        raise InputError([Problem("gpus", "is missing: an estimate is for a given number of GPUs", fix=fix)])


def goodput_of(
    scenario: Given,
    /,
    *,
    checkpoint_interval: str | None = None,
    events: str | Path | None = None,
    watched_nodes: float | str | None = None,
    watched: str | None = None,
    **changes: object,
) -> GoodputReport:
    """Return where the time of the chosen plan goes.

    Args:
        scenario: a TOML file, a mapping, or a scenario.
        checkpoint_interval: "10 min", or "auto" for that of least loss; None as the scenario has it.
        events: CSV of your own stops; watched_nodes and watched say on how many nodes and for how long.
        watched_nodes: nodes of 8 GPUs.
        watched: such as "70 d".
        changes: other keys of the scenario.

    Raises:
        InputError: the scenario or the file of stops is wrong; or no plan meets the scenario.

    Example:
        >>> found = isocost.goodput_of("examples/llama-3.1-70b.toml", checkpoint_interval="auto").to_dict()
        >>> abs(sum(found["buckets"].values()) - found["wall_s"]) < 1.0
        True
    """
    tables = _tables(scenario)
    own: dict[str, object] = {"events": events and str(events), "watched_nodes": watched_nodes, "watched": watched}
    if isinstance(watched_nodes, str):
        own["watched_nodes"] = float(watched_nodes) if watched_nodes.replace(".", "", 1).isdigit() else watched_nodes
    more: dict[str, Mapping[str, object]] = {
        "checkpoint": {"interval": checkpoint_interval} if checkpoint_interval else {},
        "reliability": {key: value for key, value in own.items() if value is not None},
    }
    given = {name: {**_table(tables, name), **values} for name, values in more.items() if values}
    return goodput_report(ask("plan", tables | given, changes))


def _is_plan(given: Given | Plan) -> bool:
    """Whether this is a plan that was made, not a scenario to plan."""
    if isinstance(given, (str, Path)):
        return Path(given).suffix == ".json"
    return isinstance(given, Plan) or (isinstance(given, Mapping) and "schema_version" in given)


def compare(a: Given | Plan, b: Given, /) -> Comparison | PlanAgainstActual:
    """Return two offers for one run side by side, or a plan beside the log of its run.

    Args:
        a: an offer, as a scenario (a TOML file, a mapping); or a plan: a ``Plan``, or its JSON as a file or a mapping.
        b: another offer for the same run, whose difference is shared out among what differs in the two; after a plan
            the path of a log, in any format that ``doctor`` reads.

    Raises:
        InputError: the offers are of two runs; or the log is a trace, has no step times, or is of another run.

    Example:
        >>> print(isocost.compare("examples/purpose-built.toml", "examples/conventional.toml").verdict)
        purpose-built is worth up to $... an hour and asks $2.60: conventional costs ... more for the run
    """
    if _is_plan(a):
        if not isinstance(b, (str, Path)):
            raise InputError([Problem("B", "is not the path of a log", fix="a plan is compared with a log")])
        return against_actual(a, b)  # type: ignore[arg-type]  # a plan, by _is_plan
    if isinstance(b, (str, Path)) and Path(b).suffix != ".toml":
        fix = "compare two scenarios, or a plan's JSON (isocost plan ... --format json -o plan.json), first, with a log"
        raise InputError([Problem(str(b), "is not a scenario", fix=fix)])
    given = {"A": a, "B": b}
    sides = {name: _tables(side) for name, side in given.items() if not isinstance(side, Plan)}
    wrote = {name: str(side) if isinstance(side, (str, Path)) else name for name, side in given.items()}
    return comparison(
        sides["A"], sides["B"], wrote, lambda tables, places: ask("estimate", tables, {}, places, tornado=False)
    )


def tco(
    scenario: Given, /, *, years: Sequence[float] = YEARS, regions: Sequence[str] = (), wait: str | None = None,
    late: str | None = None, next_chip: str | None = None, **changes: object,
) -> Tco:  # fmt: skip
    """Return every way to pay for the chosen plan, and where owning breaks even over so many years.

    Args:
        scenario: a TOML file, a mapping, or a scenario; changes: other keys of it.
        years: until owned servers are sold. regions: for energy and carbon, such as "us-tx"; empty for the default.
        wait: "6 months" until the next chip. late: how much later it may come; None for as long again.
        next_chip: one of the catalogue; None for the next generation.

    Raises:
        InputError: the scenario, a region or the chip is wrong; or no plan meets the scenario.

    Example:
        >>> isocost.tco("examples/llama-3.1-70b.toml", years=[3]).ways[0].name
        'on demand'
    """
    asked = wait_asked(wait, late, next_chip)

    def ask_next(chip: str, gpus: int) -> Plan:
        return ask("estimate", scenario, {**changes, "on": chip, "gpus": gpus}, tornado=False)

    found = ask("plan", scenario, changes, tornado=False)
    return ways_to_pay(found, years, regions=regions, wait=asked, ask_next=ask_next)


def frontier(
    scenario: Given = None,
    /,
    *,
    data: object = None,
    serve: object = None,
    serving_cost: object = None,
    token_price: object = None,
    licence: object = None,
    laws: str | Sequence[str] | None = None,
    family: str | Sequence[str] | None = None,
    experts: str | None = None,
    loss_of: str | float | None = None,
    **changes: object,
) -> FrontierResult:
    """Return what to train: the model, tokens and cluster of least loss for a budget, a deadline, data and a market.

    Args:
        scenario: a TOML file, a mapping, or a scenario; its model and tokens are left aside.
        data: unique tokens; serve: tokens served over the life of the model.
        serve: see data.
        serving_cost: of a FLOP that serves over one that trains.
        token_price: of a billion unique tokens; licence: of the data, whatever their amount.
        licence: see token_price.
        laws: names or files; the first one answers.
        family: names or paths of the models to choose among; None for shapes of any size.
        experts: "8/128" for mixtures of experts.
        loss_of: "70 B on 1.4 T", or a loss: the cheapest way to it.
        changes: other keys of the scenario.

    Raises:
        InputError: nothing limits the choice, or a value is wrong; every problem is listed.

    Example:
        >>> found = isocost.frontier(budget="2 MUSD", deadline="60 d", on="b200-sxm-180gb", data="3 T")
        >>> found.feasible
        True
    """
    own: dict[str, Any] = {"data": data, "serve": serve, "serving_cost": serving_cost, "token_price": token_price}
    own |= {"licence": licence, "laws": laws, "family": family, "experts": experts, "loss_of": loss_of}
    return ask_frontier(scenario, changes, **own)


def ask_frontier(
    scenario: Given, changes: Mapping[str, object], places: Mapping[str, str] | None = None, **own: Any
) -> FrontierResult:
    """Return the frontier of a scenario with changes; ``places`` is where the user wrote the changed keys."""
    return frontier_of(_tables(scenario), changes, _wrote(scenario) | dict(places or {}), **own)


def program(
    scenario: Given = None,
    /,
    *,
    items: str | None = None,
    people: object = None,
    salary: object = None,
    raised: object = None,
    **changes: object,
) -> ProgramResult:
    """Return the bill of the whole programme around a plan: small runs, failed runs, post-training, people.

    Args:
        scenario: a TOML file, a mapping, or a scenario; its table [programme] holds what is left out here.
        items: TOML file of [[item]] tables; None for the shipped shares.
        people: on the programme; salary: of one of them a year.
        salary: see people.
        raised: capital raised.
        changes: other keys of the scenario.

    Raises:
        InputError: the scenario, the items or a value is wrong; every problem is listed.

    Example:
        >>> isocost.program("examples/startup.toml", people=8, salary="300 kUSD").bill.total_usd.median > 1e6
        True
    """
    return ask_program(scenario, changes, items=items, people=people, salary=salary, raised=raised)


def ask_program(
    scenario: Given, changes: Mapping[str, object], places: Mapping[str, str] | None = None, **own: Any
) -> ProgramResult:
    """Return the programme of a scenario with changes; ``places`` is where the user wrote the changed keys."""
    tables, wrote = _tables(scenario), _wrote(scenario) | dict(places or {})
    given = tables | {key: value for key, value in changes.items() if value is not None}
    if "model" in changes:
        given.pop("architecture", None)
    checked, _ = read_scenario(given, wrote)
    terms = terms_of(checked.programme, wrote.get("programme", "programme"), places, **own)
    # The plan is that of isocost plan, people and failed runs in; on the bill they are then lines of their own.
    stated: dict[str, object] = {}
    if terms.usd_per_year is not None and own.get("people") is not None:
        stated["people"] = terms.people
    if terms.usd_per_year is not None and own.get("salary") is not None:
        stated["salary"] = f"{terms.usd_per_year.median!r} USD/year"
    if stated:
        given["programme"] = {**_table(given, "programme"), **stated}
    return programme_around(ask("plan", given, {}, wrote, tornado=False), terms)


def fleet_of(given: str | Path | Mapping[str, object], /, *, today: datetime.date | None = None) -> FleetResult:
    """Return how many nodes of which offer a mix of workloads needs, and when.

    Args:
        given: a TOML file, or a mapping, of [[workload]] and [[offer]] tables (docs/capacity.md).
        today: the first day where the file names none (start); None for now.

    Raises:
        InputError: a table is wrong; every problem is listed. Workloads without a place are no error: the answer is
            then not ``feasible`` and says what would make room.

    Example:
        >>> sweep = {"name": "sweep", "scenario": "examples/gpt2-small.toml", "count": 4, "deadline": "12 weeks"}
        >>> rented = {"name": "rented", "accelerator": "h100-sxm5-80gb", "term": "on_demand", "available": 64}
        >>> isocost.fleet_of({"start": "2027-01-04", "workload": [sweep], "offer": [rented]}).feasible
        True
    """
    return FleetResult(answered=ask_fleet(given, today))


def _wrote(scenario: Given) -> dict[str, str]:
    """Return where each key of a scenario's file was written."""
    if not isinstance(scenario, (str, Path)):
        return {}
    return {key: f"{scenario}: {key}" for key in load_tables(scenario)}


def _tables(scenario: Given) -> dict[str, object]:
    if isinstance(scenario, Scenario):
        return scenario_tables(scenario)
    if isinstance(scenario, Mapping):
        return dict(scenario)
    return {} if scenario is None else load_tables(scenario)


def _table(tables: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = tables.get(name, {})
    return found if isinstance(found, Mapping) else {}


def explain(of: Plan | str | Path | Mapping[str, Any], topic: str = "step_time") -> Explanation:
    """Return why: the chosen layout of a plan (or of its JSON) evaluated once more, term by term.

    Args:
        of: a plan; or its JSON, as a file or a mapping.
        topic: step_time (seconds of a step), memory (bytes of a GPU) or cost (US dollars).

    Raises:
        InputError: the topic is unknown, the plan chose nothing, or the file is not a plan.

    Example:
        >>> found = isocost.estimate("examples/llama-3.1-70b.toml", gpus=1024, tp=8, pp=4)
        >>> isocost.explain(found, "memory").topic
        'memory'
    """
    if isinstance(of, Plan):
        return explanation(chosen_of_plan(of), topic)
    if isinstance(of, Mapping):
        return explanation(chosen_of_values(of, "plan"), topic)
    return explanation(chosen_of_file(of), topic)
