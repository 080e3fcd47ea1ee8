"""How many nodes of which offer a mix of workloads needs, and when."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from isocost.verbs.fleet.answer import FleetResult
from isocost.verbs.fleet.question import ask_fleet
from isocost.verbs.options import Argument, Command

_FLEET = Argument(metavar="FLEET.toml", about="[[workload]] and [[offer]] tables.", kind=str)
_ABOUT = """Say how many nodes of which offer a mix of sweeps, large runs and inference needs, and when.

Offers have GPUs from a date on, a lead time and a commitment; workloads have deadlines and priorities. The planner
sizes every run. Leaves with 4 when not every workload finds a place, and says what would make room.

\b
[[workload]]                      [[offer]]
name = "sweep"                    name = "one year"
scenario = "run.toml"             accelerator = "h100-sxm5-80gb"
count = 40                        term = "reserved_1y"
deadline = "12 weeks"             available = 1024
                                  lead_time = "6 weeks"
[[workload]]
name = "assistant"                Times are durations from start (the first
serve = "400 ktoken/s"            day; today if left out), or dates. All keys:
model = "llama-3.1-70b"           docs/capacity.md
efficiency = "15 %"
until = "52 weeks"
"""


@Command(_ABOUT, doing="planning")
def fleet(
    given: Annotated[str | Path | Mapping[str, object], _FLEET], /, *, today: datetime.date | None = None
) -> FleetResult:
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
        >>> isocost.fleet({"start": "2027-01-04", "workload": [sweep], "offer": [rented]}).feasible
        True
    """
    return FleetResult(answered=ask_fleet(given, today))
