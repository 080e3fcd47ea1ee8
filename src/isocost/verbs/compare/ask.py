"""Two offers for one run side by side, or a plan beside the log of its run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeGuard

from isocost.errors import InputError, Problem
from isocost.scenario.written import Given, tables_of
from isocost.verbs.compare.answer import Comparison, comparison
from isocost.verbs.meter.answer import PlanAgainstActual, against_actual
from isocost.verbs.options import Argument, Command
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.ask import estimated

_A = Argument(metavar="A.toml|PLAN.json", about="An offer for a run; or a plan, for its log.", kind=str)
_B = Argument(metavar="B.toml|LOG", about="Another offer for the same run; or the log.", kind=str)


@Command(
    "Compare two offers for one run (days, dollars, what makes the difference), or a plan with the run's log.",
    doing="comparing",
)
def compare(a: Annotated[Given | Plan, _A], b: Annotated[Given, _B], /) -> Comparison | PlanAgainstActual:
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
    if isinstance(a, Plan) or _is_saved_plan(a):
        if not isinstance(b, (str, Path)):
            raise InputError([Problem("B", "is not the path of a log", fix="a plan is compared with a log")])
        return against_actual(a, b)
    if isinstance(b, (str, Path)) and Path(b).suffix != ".toml":
        fix = "compare two scenarios, or a plan's JSON (isocost plan ... --format json -o plan.json), first, with a log"
        raise InputError([Problem(str(b), "is not a scenario", fix=fix)])
    wrote = {name: str(side) if isinstance(side, (str, Path)) else name for name, side in {"A": a, "B": b}.items()}
    return comparison(
        tables_of(a), tables_of(b), wrote, lambda tables, places: estimated(tables, {}, places, tornado=False)
    )


def _is_saved_plan(given: Given) -> TypeGuard[str | Path | Mapping[str, Any]]:
    """Return whether this is a plan that was made, not a scenario to plan."""
    if isinstance(given, (str, Path)):
        return Path(given).suffix == ".json"
    return isinstance(given, Mapping) and "schema_version" in given
