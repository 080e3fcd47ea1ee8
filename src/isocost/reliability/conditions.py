"""Under which conditions a run takes place: facility, reliability, saves, storage, support, purchase, program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from isocost.num import Num
from isocost.reliability.facility import Facility
from isocost.stats.distributions import Distribution
from isocost.stats.gamma import Gamma

DRAWS = 1000
OWNED_SITES = ("colocation", "build")
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a plan assumes beyond its layout; ``None`` is the dated default.

    ``given`` holds the user's values of facts of ``data/reliability.toml`` by name ("bring-up", "straggler", ...).
    """

    facility: Facility = field(default_factory=Facility)
    given: Mapping[str, Distribution | float] = field(default_factory=dict)
    # --- reliability
    node_rate: Gamma | None = None  # of a node of 8 GPUs a day: a posterior from own events, or a stated rate
    own_recovery_s: float | None = None  # mean length of own stops, told beside what is assumed
    lemon_factor: float = 1.0
    age_s: float | None = None
    # --- saves and storage
    saves: str = "asynchronous"
    interval_s: Num | None = None  # the best
    checkpoints_kept: float = 2.0
    write_bytes_per_s: float | None = None
    read_bytes_per_s: float | None = None
    storage_bytes: float = math.inf
    # --- purchase and program
    recovered_frac: float = 0.0
    host_usd_per_s: float = 0.0
    support_frac: float = 0.0
    failed_runs: float = 0.0
    exploratory_runs: float = 0.0
    people: float | None = None
    raised_usd: float | None = None
    delay_usd_per_s: float = 0.0  # value of having the result earlier: no line of the bill
    draws: int = DRAWS
    seed: int = SEED
