"""Multipliers for the user's own stack and site, fitted on a handful of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from isocost.catalog import load_catalog
from isocost.errors import InputError, Problem
from isocost.perf.case import Case
from isocost.perf.site import SiteCalibration
from isocost.perf.site_file import refuse_to_replace
from isocost.render.file import write_whole
from isocost.scenario import load_tables
from isocost.verbs.calibrate.answer import Calibration, own_runs, proposed
from isocost.verbs.options import Argument, Command, Option
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.ask import planned
from isocost.verbs.plan.saved import chosen_of_file, chosen_of_plan

RunScenario = str | Path | Mapping[str, object]
_RUNS = Argument(metavar="RUNS.csv", about="Your runs: see docs/evidence-format.md.")
_LOG = Option(metavar="FILE", about="The log of a run; may be repeated.", kind=list[str] | None)
_SCENARIO = Option(
    metavar="RUN.toml",
    about="What the log's run was, whole: one for each log in their order, or one for all.",
    kind=list[str] | None,
)
_OUTPUT = Option(metavar="FILE.toml", about="Write the calibration here.", flags=("-o", "--output"))
_ROWS_OUT = Option(metavar="FILE.csv", about="Write all runs here, as a RUNS.csv; a new file.")
_PLAN = Option(metavar="FILE", about="What to narrow: a scenario, or a plan in JSON.")
_NAME = Option(metavar="NAME", about="Left out: that of the file.")


@Command(
    "Fit your own stack and site on a handful of your runs: error before and after, and what to measure next.",
    doing="calibrating",
    hint="nothing was written; add -o my_site.toml to keep it",
)
def calibrate(
    runs: Annotated[str | Path | None, _RUNS] = None,
    /,
    *,
    log: Annotated[str | Path | Sequence[str | Path] | None, _LOG] = None,
    scenario: Annotated[RunScenario | Sequence[RunScenario] | None, _SCENARIO] = None,
    output: Annotated[str | Path | None, _OUTPUT] = None,
    rows_out: Annotated[str | Path | None, _ROWS_OUT] = None,
    plan: Annotated[str | Path | Plan | None, _PLAN] = None,
    name: Annotated[str | None, _NAME] = None,
) -> Calibration:
    """Return multipliers for your stack and site, fitted on your runs, from one run up.

    Args:
        runs: CSV file of measured runs in the evidence format (docs/evidence-format.md).
        log: logs of runs.
        scenario: what each log's run was, which leaves nothing open: a TOML file or a mapping, one for all logs or one
            for each in their order.
        output: file to write, for ``calibration=`` of a plan; only another calibration is replaced.
        rows_out: new file to write all runs to, as CSV in the evidence format.
        plan: what the next measurements are for: a plan, its JSON file, or a scenario; None for the largest run.
        name: name of the calibration; None for that of ``output``, ``runs`` or the first log.

    Raises:
        InputError: there is no usable run; or a log has no step time, its scenario leaves something of the run open,
            or the two are of different runs. Every problem is listed.

    Example:
        >>> print(isocost.calibrate("examples/my_runs.csv").sentence)
        6 runs of internevo on a100-sxm4-80gb: mean error ... before, ... after, ...
    """
    logs = _pairs(_several(log), _several(scenario))
    if rows_out is not None and Path(rows_out).is_file():
        fix = "name a new file: rows that could not be read are not in it"
        raise InputError([Problem("rows_out", "exists, and is left as it is", str(rows_out), fix=fix)])
    if runs is None and not logs:
        fix = "name a CSV file of runs, or a log with --log and the scenario of its run with --scenario"
        raise InputError([Problem("RUNS.csv", "is missing: there is nothing to calibrate on", fix=fix)])
    if output is not None:
        refuse_to_replace(output)
    own = own_runs(runs, logs, load_catalog(), name=name or Path(output or runs or logs[0][0]).stem)
    result = proposed(own, None if plan is None else ("the plan", _goal(plan, own.site)))
    if output is not None:
        result.save(output)
    if rows_out is not None:
        write_whole(rows_out, result.runs_csv(), "rows_out")
    return result


def _several(given: RunScenario | Sequence[RunScenario] | None) -> list[RunScenario]:
    """Return one or more as a list."""
    if given is None:
        return []
    return [given] if isinstance(given, (str, Path, Mapping)) else list(given)


def _pairs(logs: list[RunScenario], scenarios: list[RunScenario]) -> list[tuple[str | Path, RunScenario]]:
    """Return each log with its scenario."""
    if scenarios and not logs:
        fix = "name the log of its run with --log; what the next runs are for is --plan"
        raise InputError([Problem("scenario", "has no log", ", ".join(map(str, scenarios)), fix=fix)])
    if len(scenarios) == 1:
        scenarios = scenarios * len(logs)
    if len(scenarios) != len(logs):
        message = f"is given {len(scenarios)} times for {len(logs)} {'log' if len(logs) == 1 else 'logs'}"
        fix = "give one --scenario for each --log, in their order, or one for all"
        raise InputError([Problem("scenario", message, fix=fix)])
    return [(str(log), scenario) for log, scenario in zip(logs, scenarios, strict=True)]


def _goal(plan: str | Path | Plan, own: SiteCalibration) -> Case:
    """Return the case of a plan, which must be of a stack and a chip of the user's runs."""
    if isinstance(plan, Plan):
        case = chosen_of_plan(plan).case
    elif Path(plan).suffix == ".json":
        case = chosen_of_file(plan).case
    else:
        named = "stack" in load_tables(plan)
        case = chosen_of_plan(planned(plan, {} if named else {"stack": own.stacks[0]})).case
    if not own.applies_to(case):
        message = f"is for {case.recipe.id} on {case.accelerator.id}: the runs say little about it"
        allowed = f"{', '.join(own.stacks)} on {', '.join(own.chips)}"
        raise InputError([Problem("plan", message, allowed=allowed, fix="plan on the stack and chip of your runs")])
    return case
