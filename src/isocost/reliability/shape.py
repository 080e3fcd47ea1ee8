"""What a forecast has to know of a plan: how large it is, how fast, on what, and how that is bought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.catalog.reliability import load_reliability
from isocost.laws.checkpoint import checkpoint_bytes
from isocost.num import Num
from isocost.reliability.spot import CALM


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShape:
    """A run as planned, before anything interrupts it; counts and times may be arrays."""

    chip: str
    gpus: Num
    gpus_per_node: Num
    step_s: Num
    steps: float
    tokens: float
    params: float
    param_state_bytes: float | None = None  # of a parameter in a checkpoint; None: as measured of published ones
    band: tuple[float, float] = (1.0, 1.0)  # 90 % interval of measured over predicted step time, as factors
    # --- purchase
    term: str = "on_demand"
    pool: str = CALM  # of spot capacity, on that term
    price_usd_per_s: tuple[float, float, float] | None = None  # low, median, high of an accelerator; None: not priced
    # --- power
    tdp_w: float | None = None
    power_over_tdp: float = 1.0
    pue: str = "colocation"
    electricity: str = "us"
    draw: str = "gpu"

    @property
    def nodes(self) -> Num:
        """Nodes, whole ones."""
        return np.ceil(np.divide(self.gpus, self.gpus_per_node))

    @property
    def tokens_per_step(self) -> float:
        """Tokens of one step."""
        return self.tokens / self.steps

    @property
    def state_bytes(self) -> float:
        """Size of a checkpoint."""
        each = self.param_state_bytes or load_reliability().default("checkpoint-param").median
        return float(checkpoint_bytes(params=self.params, param_bytes=each))

    @property
    def step_name(self) -> str:
        """Name of the step time among the inputs: predictions for one chip are off together."""
        return f"step time on {self.chip}"

    @property
    def price_name(self) -> str:
        """Name of the price among the inputs."""
        return f"price of {self.chip}"
