"""Every way to pay for the chosen plan, where owning breaks even, whether to wait, energy and carbon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Unpack

from isocost.errors import InputError, Problem
from isocost.scenario.given import Changes
from isocost.scenario.written import Given
from isocost.verbs import options
from isocost.verbs.options import Command, Option
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.ask import estimated, planned
from isocost.verbs.tco.answer import YEARS, Tco, ways_to_pay
from isocost.verbs.tco.wait import wait_question

_YEARS = Option(metavar="N,...", about="Years until owned servers are sold.", kind=str)
_WAIT = Option(metavar="TIME", about="Train now, or wait so long ('6 months') for the next chip?")
_LATE = Option(metavar="TIME", about="How much later it may come; left out: as long again.")
_CHIP = Option(metavar="NAME", about="That chip; left out: the next generation.")
_REGION = Option(metavar="NAME,...", about="Energy and carbon there: us-tx,no,de.")


@Command(
    "Show every way to pay for the chosen plan, where owning breaks even, whether to wait, energy and carbon.",
    ({name: options.WHERE[name] for name in ("gpus", "on", "term", "catalog")},),
    doing="searching",
)
def tco(
    scenario: Annotated[Given, options.ONE_SCENARIO],
    /,
    *,
    years: Annotated[str | Sequence[float], _YEARS] = ",".join(f"{year:g}" for year in YEARS),
    wait: Annotated[str | None, _WAIT] = None,
    late: Annotated[str | None, _LATE] = None,
    next_chip: Annotated[str | None, _CHIP] = None,
    region: Annotated[str | Sequence[str] | None, _REGION] = None,
    **changes: Unpack[Changes],
) -> Tco:
    """Return every way to pay for the chosen plan, and where owning breaks even over so many years.

    Args:
        scenario: a TOML file, a mapping, or a scenario; changes: other keys of it.
        years: until owned servers are sold: [1, 3, 5], or "1,3,5".
        wait: "6 months" until the next chip. late: how much later it may come; None for as long again.
        late: see wait.
        next_chip: one of the catalog; None for the next generation.
        region: for energy and carbon, such as "us-tx"; None for the default.
        changes: see scenario.

    Raises:
        InputError: the scenario, a region or the chip is wrong; or no plan meets the scenario.

    Example:
        >>> isocost.tco("examples/llama-3.1-70b.toml", years=[3]).ways[0].name
        'on demand'
    """
    horizons = _years(years)
    asked = wait_question(wait, late, next_chip)

    def ask_next(chip: str, gpus: int) -> Plan:
        return estimated(scenario, {**changes, "on": chip, "gpus": gpus}, tornado=False)

    found = planned(scenario, changes, tornado=False)
    return ways_to_pay(found, horizons, regions=_names(region), wait=asked, ask_next=ask_next)


def _years(given: str | Sequence[float]) -> list[float]:
    try:
        return [float(part) for part in (given.split(",") if isinstance(given, str) else given)]
    except ValueError:
        raise InputError([Problem("years", "is not a list of years", str(given), fix="write 1,3,5")]) from None


def _names(given: str | Sequence[str] | None) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given or ()
    return [part.strip() for part in parts if part.strip()]
