"""What a fleet is made of: capacity that can be had, workloads that need some of it, and who gets what when.

Times are seconds from the day the fleet is planned for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SLACK_S = 1.0  # two times closer than this are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """One offer: nodes that can be held from a time on, their price, and the least time they are paid for."""

    name: str
    accelerator: str
    term: str
    gpus_per_node: int
    price_usd_per_s: float  # of one GPU, host included
    steps: tuple[tuple[float, int], ...]  # (from, GPUs that can be held from then on), neither of them falling
    lead_s: float = 0.0  # already in the steps; kept to say what it costs
    commitment_s: float = 0.0
    increment_s: float = 0.0  # step in which time is sold; 0: by the second
    longest_s: float = math.inf  # of one contract
    resold_frac: float = 0.0  # of the price of idle hours, by resale or other work

    @property
    def ready_s(self) -> float:
        """When the first GPUs are handed over."""
        return self.steps[0][0]

    @property
    def most_nodes(self) -> int:
        """Nodes that can be held in the end."""
        return self.steps[-1][1] // self.gpus_per_node

    def nodes_at(self, time_s: float) -> int:
        """Return the nodes that can be held at a time."""
        held = [gpus for begins, gpus in self.steps if begins <= time_s + SLACK_S]
        return held[-1] // self.gpus_per_node if held else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way to run a workload: so many nodes of one supply for so long."""

    supply: int  # place among the supplies
    gpus: int  # of one run, or of the whole service
    at_once: int  # runs side by side
    nodes: int
    duration_s: float
    useful_gpu_s: float  # accelerator-seconds of the runs, without nodes that wait for the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A workload: how it can be run, and between which times."""

    name: str
    kind: str  # "runs" or "service"
    count: int
    from_s: float
    until_s: float
    priority: int  # 1 comes first where not everything can be had
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A workload in its place."""

    demand: Demand
    shape: Shape
    start_s: float

    @property
    def end_s(self) -> float:
        """When it is done."""
        return self.start_s + self.shape.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Nodes of one supply, paid from a time to a time; what is not used of it is idle."""

    supply: int
    nodes: int
    from_s: float
    until_s: float
    used_s: float  # of each node

    @property
    def paid_s(self) -> float:
        """Time that is paid for."""
        return self.until_s - self.from_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Who gets what when, what is bought for it, and what could not be served."""

    placements: tuple[Placement, ...]
    contracts: tuple[Contract, ...]
    cost_usd: float
    left_out: tuple[Demand, ...] = ()
