"""Where the time of the chosen plan goes, and how often to save."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Unpack

from isocost.scenario.given import Changes
from isocost.scenario.written import Given, table_of, tables_of
from isocost.verbs import options
from isocost.verbs.goodput.answer import GoodputReport, goodput_report
from isocost.verbs.options import Command, Option
from isocost.verbs.plan.ask import planned

_INTERVAL = Option(metavar="TIME", about="'10 min', or auto: that of least loss.")
_EVENTS = Option(metavar="FILE.csv", about="Your own stops: start, end, node, cause.")
_NODES = Option(metavar="N", about="Nodes on which they were counted.")
_WATCHED = Option(metavar="TIME", about="For how long: '70 d'.")


@Command(
    "Show where the time of the chosen plan goes: every loss a bucket, and how often to save.",
    ({"gpus": options.WHERE["gpus"]},),
    doing="searching",
)
def goodput(
    scenario: Annotated[Given, options.ONE_SCENARIO],
    /,
    *,
    checkpoint_interval: Annotated[str | None, _INTERVAL] = None,
    events: Annotated[str | Path | None, _EVENTS] = None,
    watched_nodes: Annotated[float | str | None, _NODES] = None,
    watched: Annotated[str | None, _WATCHED] = None,
    **changes: Unpack[Changes],
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
        >>> found = isocost.goodput("examples/llama-3.1-70b.toml", checkpoint_interval="auto").to_dict()
        >>> abs(sum(found["buckets"].values()) - found["wall_s"]) < 1.0
        True
    """
    tables = tables_of(scenario)
    own: dict[str, object] = {"events": events and str(events), "watched_nodes": watched_nodes, "watched": watched}
    if isinstance(watched_nodes, str):
        own["watched_nodes"] = float(watched_nodes) if watched_nodes.replace(".", "", 1).isdigit() else watched_nodes
    more: dict[str, Mapping[str, object]] = {
        "checkpoint": {"interval": checkpoint_interval} if checkpoint_interval else {},
        "reliability": {key: value for key, value in own.items() if value is not None},
    }
    given = {name: {**table_of(tables, name), **values} for name, values in more.items() if values}
    return goodput_report(planned(tables | given, changes))
