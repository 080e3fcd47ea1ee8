"""What predictions are worth: measured runs beside them, and errors on groups that the fit did not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from isocost.calibration.refit import GROUPS, left_out_groups
from isocost.catalog import load_catalog
from isocost.errors import InputError, Problem, nearest
from isocost.evidence.measured import measured
from isocost.evidence.runs import read_runs
from isocost.perf.constants import shipped
from isocost.verbs.options import Command, Option
from isocost.verbs.validate.answer import Validation
from isocost.verbs.validate.leave_out import LeaveOut
from isocost.verbs.validate.predicted import shipped_runs, validated

_RUNS = Option(metavar="FILE.csv", about="Your measured runs, in the format of docs/evidence-format.md.")
_LEAVE_OUT = Option(metavar="GROUP", about="Refit without each source, stack or chip.")
_ONLY = Option(metavar="NAME", about="Leave out this group only.")
_CALIBRATED = Option(metavar="N", about="With --leave-out: then calibrate on N runs of it.", kind=int)


def _silent(text: str) -> None:
    """Say nothing."""


@Command("Compare predictions with measured runs: the shipped ones, or your own.", doing="predicting every run")
def validate(
    runs: Annotated[str | Path | None, _RUNS] = None,
    *,
    leave_out: Annotated[str | None, _LEAVE_OUT] = None,
    only: Annotated[str | None, _ONLY] = None,
    calibrated: Annotated[int, _CALIBRATED] = 0,
    say: Callable[[str], None] = _silent,
) -> Validation | LeaveOut:
    """Return the comparison of predictions with measured runs: the shipped ones, or those of a CSV file.

    Args:
        runs: a CSV file in the format of docs/evidence-format.md; None for the shipped runs.
        leave_out: source, stack or chip: the errors of each by a fit without it, see ``leave_out``.
        only: the name of the one group to leave out.
        calibrated: with ``leave_out``, see there.
        say: is told which group comes next.

    Raises:
        InputError: the file cannot be read, or has no row. Rows that cannot be scored are counted, with the reason.

    Example:
        >>> found = isocost.validate()
        >>> len(found.runs) > 3000
        True
    """
    if leave_out is not None:
        return _left_out(leave_out, "leave_out", runs, [only] if only else [], calibrated, say)
    if only or calibrated:
        name = "only" if only else "calibrated"
        fix = "say of which groups: --leave-out source, stack or chip"
        raise InputError([Problem(name, "leaves nothing out without --leave-out", only or calibrated, fix=fix)])
    return validated(runs)


def leave_out(
    by: str,
    *,
    runs: str | Path | None = None,
    only: Sequence[str] = (),
    calibrated: int = 0,
    say: Callable[[str], None] = _silent,
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
        >>> isocost.leave_out("chip", only=["tpu-v5p"]).groups  # doctest: +SKIP
    """
    return _left_out(by, "by", runs, only, calibrated, say)


def _left_out(
    by: str, place: str, runs: str | Path | None, only: Sequence[str], calibrated: int, say: Callable[[str], None]
) -> LeaveOut:
    if by not in GROUPS:
        raise InputError([Problem(place, "is not a group", by, ", ".join(GROUPS), nearest(by, GROUPS))])
    if calibrated < 0:
        raise InputError([Problem("calibrated", "is not a number of runs", calibrated, "a whole number from 1")])
    evidence = measured(read_runs(shipped_runs() if runs is None else runs).runs, load_catalog())
    groups = left_out_groups(evidence, by, shipped(), only=only, calibrated=calibrated, say=say)
    return LeaveOut(by=by, calibrated=calibrated, groups=tuple(groups))
