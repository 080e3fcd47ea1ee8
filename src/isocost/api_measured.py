"""The verbs on measured runs in Python: what predictions are worth, calibration on the user's own, the doctor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from isocost.api import Given, ask
from isocost.calibration.refit import GROUPS, left_out_groups
from isocost.catalog import load_catalog
from isocost.errors import InputError, Problem, nearest
from isocost.evidence.measured import measured
from isocost.evidence.runs import read_runs
from isocost.perf.case import Case
from isocost.perf.constants import shipped
from isocost.perf.site import SiteCalibration
from isocost.perf.site_file import refuse_to_replace
from isocost.scenario import Scenario, load_tables, scenario_tables
from isocost.verbs.calibrate.answer import Calibration, own_runs, proposed
from isocost.verbs.doctor.examine import Diagnosis
from isocost.verbs.doctor.examine import diagnose as read_and_judge
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.saved import chosen_of_file, chosen_of_plan
from isocost.verbs.validate.leave_out import LeaveOut


def validate(runs: str | Path | None = None) -> Any:
    """Return the comparison of predictions with measured runs: the shipped ones, or those of a CSV file.

    Args:
        runs: a CSV file in the format of docs/evidence-format.md; None for the shipped runs.

    Raises:
        InputError: the file cannot be read, or has no row. Rows that cannot be scored are counted, with the reason.

    Example:
        >>> found = isocost.validate()
        >>> len(found.runs) > 3000
        True
    """
    return import_module("isocost.verbs.validate.ask").validate(runs)


def left_out(
    by: str,
    *,
    runs: str | Path | None = None,
    only: Sequence[str] = (),
    calibrated: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> LeaveOut:
    """Return the errors of each source, stack or chip by a fit without it; minutes, as each is a fit of all others.

    Args:
        by: source, stack or chip.
        runs: a CSV file of measured runs; None for the shipped ones.
        only: names of the groups to leave out; empty for all.
        calibrated: also calibrate on so many runs of each group, and judge on its others.
        say: is told which group comes next.

    Raises:
        InputError: there is no such group or name, or the file cannot be read.

    Example:
        >>> isocost.left_out("chip", only=["tpu-v5p"]).groups  # doctest: +SKIP
    """
    if by not in GROUPS:
        raise InputError([Problem("--leave-out", "is not a group", by, ", ".join(GROUPS), nearest(by, GROUPS))])
    if calibrated < 0:
        raise InputError([Problem("--calibrated", "is not a number of runs", calibrated, "a whole number from 1")])
    shipped_runs = import_module("isocost.verbs.validate.ask").shipped_runs
    evidence = measured(read_runs(shipped_runs() if runs is None else runs).runs, load_catalog())
    groups = left_out_groups(evidence, by, shipped(), only=only, calibrated=calibrated, say=say)
    return LeaveOut(by=by, calibrated=calibrated, groups=tuple(groups))


def calibrated(
    runs: str | Path | None = None,
    output: str | Path | None = None,
    *,
    logs: Sequence[tuple[str | Path, str | Path | Mapping[str, object]]] = (),
    plan: str | Path | Plan | None = None,
    name: str | None = None,
) -> Calibration:
    """Return multipliers for your stack and site, fitted on your runs, from one run up.

    Args:
        runs: CSV file of measured runs in the evidence format (docs/evidence-format.md).
        logs: logs of runs, each with the scenario of its run (a TOML file or a mapping), which leaves nothing open.
        output: file to write, for ``calibration=`` of a plan; only another calibration is replaced.
        plan: what the next measurements are for: a plan, its JSON file, or a scenario; None for the largest run.
        name: name of the calibration; None for that of ``output``, ``runs`` or the first log.

    Raises:
        InputError: there is no usable run; or a log has no step time, its scenario leaves something of the run open,
            or the two are of different runs. Every problem is listed.

    Example:
        >>> print(isocost.calibrated("examples/my_runs.csv").sentence)
        6 runs of internevo on a100-sxm4-80gb: mean error ... before, ... after, ...
    """
    if runs is None and not logs:
        fix = "name a CSV file of runs, or a log with --log and the scenario of its run with --scenario"
        raise InputError([Problem("RUNS.csv", "is missing: there is nothing to calibrate on", fix=fix)])
    if output is not None:
        refuse_to_replace(output)
    own = own_runs(runs, logs, load_catalog(), name=name or Path(output or runs or logs[0][0]).stem)
    result = proposed(own, None if plan is None else ("the plan", _goal(plan, own.site)))
    if output is not None:
        result.save(output)
    return result


def _goal(plan: str | Path | Plan, own: SiteCalibration) -> Case:
    """Return the case of a plan, which must be of a stack and a chip of the user's runs."""
    if isinstance(plan, Plan):
        case = chosen_of_plan(plan).case
    elif Path(plan).suffix == ".json":
        case = chosen_of_file(plan).case
    else:
        named = "stack" in load_tables(plan)
        case = chosen_of_plan(ask("plan", plan, {} if named else {"stack": own.stacks[0]})).case
    if not own.applies_to(case):
        message = f"is for {case.recipe.id} on {case.accelerator.id}: the runs say little about it"
        allowed = f"{', '.join(own.stacks)} on {', '.join(own.chips)}"
        raise InputError([Problem("--plan", message, allowed=allowed, fix="plan on the stack and chip of your runs")])
    return case


def diagnose(
    *files: str | Path,
    scenario: Given = None,
    against: str | Path | Sequence[str | Path] = (),
    format_of: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    step_time: str | float | None = None,
    tokens_left: str | None = None,
    **changes: object,
) -> Diagnosis:
    """Return what a run's log or traces say; with its scenario, where its MFU goes and what would raise it.

    ``isocost doctor`` in Python. Times of the result's ``to_dict()`` are in seconds a step, MFU is a share of the dense
    peak of the run's precision, savings are in days and dollars of the tokens left.

    Args:
        files: a log, in any format that the doctor reads, or the traces of one or more ranks; two logs are compared.
        scenario: what the run is (a TOML file, a mapping, a scenario): model, accelerator, GPU count, batch, layout.
        against: files of another, earlier run, to compare with.
        format_of: the log's format; None: it is found.
        columns: of a table or of JSON Lines, {"step": "it", "step_ms": "dt"}.
        step_time: of the run, without a log: "11.2 s", or seconds.
        tokens_left: such as "0.4 T"; None: all of the scenario.
        changes: other keys of the scenario.

    Raises:
        InputError: there is nothing to read, no step can be read, or the scenario is wrong; every problem is listed.

    Example:
        >>> sorted(isocost.diagnose("examples/run.log").to_dict())
        ['best_combination', 'input', 'levers', 'measured', 'schema_version', 'unknown', 'waterfall']
    """
    path = str(scenario) if isinstance(scenario, (str, Path)) else None
    if isinstance(scenario, Scenario):
        changes = scenario_tables(scenario) | changes
    elif isinstance(scenario, Mapping):
        changes = dict(scenario) | changes
    others = [against] if isinstance(against, (str, Path)) else against
    if isinstance(columns, Mapping):
        columns = ",".join(f"{key}={name}" for key, name in columns.items())
    return read_and_judge(
        [str(file) for file in files], against=[str(file) for file in others], format_of=format_of, columns=columns,
        scenario=path, step_time=None if step_time is None else str(step_time), tokens_left=tokens_left,
        changes=changes,
    )  # fmt: skip
