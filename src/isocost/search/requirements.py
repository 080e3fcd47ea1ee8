"""What a chosen plan needs of its site: bandwidth of the fabric and of storage, power, racks and cooling.

The layout stays as it was chosen; only the fabric under it changes. Racks and cooling follow from the greatest power of
a server and from what a rack may draw under each way of cooling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from isocost.catalog.records import Accelerator, Rate
from isocost.catalog.reliability import load_reliability
from isocost.catalog.store import Catalog
from isocost.forecast import Forecast
from isocost.laws.storage import retained_bytes, training_read_bytes_per_s
from isocost.money.rent import facility_power_w
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.predict import step_times
from isocost.search.evaluator import nic_bytes_per_s
from isocost.search.plan import case_of
from isocost.search.question import Candidate, Question

WITHIN: Final = 0.02  # a step that is longer by no more than this is as good
COOLING: Final = ("air", "rear-door", "liquid", "immersion")
_BUILT: Final = ("infiniband", "roce")  # kinds that anyone can buy; the others come with their cloud
_SLOWEST, _FASTEST = 1e7, 1e14  # bytes per second: far below and above any link
_POINTS, _ROUNDS = 16, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricNeed:
    """Fabrics that give the chosen layout the same bandwidth, and its step on them."""

    fabrics: tuple[str, ...]
    bytes_per_s: float  # of one accelerator: no more than its own NIC takes
    slower_frac: float  # step over that of unlimited bandwidth, minus 1
    over_best_frac: float  # step over that of the best fabric for this chip, minus 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Racks:
    """The servers of a plan under one way of cooling; no racks where one of them draws more than a rack may."""

    cooling: str
    limit_w: float
    servers: int  # in a rack; 0: it cannot be cooled so
    racks: int
    rack_w: float
    fact: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Power and racks of a plan."""

    server: str  # what stands in a rack: a server, or the rack itself
    servers: int
    server_w: float  # at its greatest
    it_w: float
    site_w: float  # with cooling and conversion
    pue: float
    mean_site_w: float  # while training
    racks: tuple[Racks, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What storage has to give."""

    write_bytes_per_s: float  # to have a save safe before the next one begins
    there_bytes_per_s: float
    read_bytes_per_s: float  # of training data
    checkpoint_bytes: float  # room of those kept and the one being written
    data_bytes: float  # room of the tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRequirements:
    """What a plan needs; what is not known is None."""

    fabric_bytes_per_s: float | None  # of one accelerator; None: the run stays on the scale-up link
    fabrics: tuple[FabricNeed, ...]  # leanest first
    planned_slower_frac: float  # of the planned fabric; 0 without one
    storage: Storage | None  # None: the question has no conditions
    power: Power | None  # None: the power of the chip is not known

    @property
    def leanest(self) -> FabricNeed | None:
        """The fabrics of least bandwidth nearly as good as the best for this chip; None where none is needed."""
        return next((f for f in self.fabrics if f.over_best_frac <= WITHIN), None)


def site_requirements(
    question: Question,
    chosen: Candidate,
    forecast: Forecast | None,
    catalog: Catalog,
    constants: Mapping[str, Constant],
) -> SiteRequirements:
    """Return what the chosen layout of a question needs."""
    case = case_of(question, chosen)
    bytes_per_s: float | None = None
    fabrics: tuple[FabricNeed, ...] = ()
    planned = 0.0
    if chosen.gpus > max(chosen.option.accelerator.scaleup_domain, 1):
        bytes_per_s = _enough_bytes_per_s(case, constants)
        fabrics, planned = _fabrics(case, chosen, catalog, constants)
    return SiteRequirements(
        fabric_bytes_per_s=bytes_per_s,
        fabrics=fabrics,
        planned_slower_frac=planned,
        storage=None if forecast is None else _storage(question, chosen, forecast),
        power=_power(question, chosen, catalog),
    )


def _slower(case: Case, wires: Sequence[tuple[float, float]], constants: Mapping[str, Constant]) -> list[float]:
    """Return the step over that of unlimited bandwidth, minus 1, at each bandwidth and latency."""
    unlimited = replace(case, nic_bytes_per_s=_FASTEST)
    cases = [replace(case, nic_bytes_per_s=rate, nic_latency_s=latency) for rate, latency in wires]
    step_s = np.asarray(step_times([unlimited, *cases], constants).total_s)
    return [float(value) for value in step_s[1:] / step_s[0] - 1.0]


def _enough_bytes_per_s(case: Case, constants: Mapping[str, Constant]) -> float:
    """Return the least bandwidth that is enough, at the latency of the planned fabric: a finer grid each round."""
    low, high = _SLOWEST, _FASTEST
    for _ in range(_ROUNDS):
        grid = np.geomspace(low, high, _POINTS)
        slower = _slower(case, [(float(rate), case.nic_latency_s) for rate in grid], constants)
        enough = next(k for k, value in enumerate(slower) if value <= WITHIN)
        low, high = float(grid[max(enough - 1, 0)]), float(grid[enough])
    return high


def _fabrics(
    case: Case, chosen: Candidate, catalog: Catalog, constants: Mapping[str, Constant]
) -> tuple[tuple[FabricNeed, ...], float]:
    """Return the fabrics that could be built, leanest first, and how much slower the planned one is than unlimited.

    Those with a thinner spine are left out: what crosses a spine is not modeled, so that they would pass for better
    than they are.
    """
    own = chosen.option.fabric
    kinds = _BUILT if own.kind in _BUILT else (own.kind,)
    even = [
        f for f in catalog.fabrics.values() if f.kind in kinds and all(tier.oversubscription == 1.0 for tier in f.tiers)
    ]
    wires = [(nic_bytes_per_s(replace(chosen.option, fabric=f)), f.tiers[0].latency_s) for f in (*even, own)]
    *slower, planned = _slower(case, wires, constants)
    by_rate: dict[float, list[tuple[float, str]]] = {}
    for fabric, (rate, _), value in zip(even, wires, slower, strict=False):
        by_rate.setdefault(rate, []).append((value, fabric.id))
    best = min(slower, default=0.0)
    found = [
        FabricNeed(
            fabrics=tuple(name for _, name in some),
            bytes_per_s=rate,
            slower_frac=min(some)[0],
            over_best_frac=(1.0 + min(some)[0]) / (1.0 + best) - 1.0,
        )
        for rate, some in sorted(by_rate.items())
    ]
    return tuple(found), planned


def _storage(question: Question, chosen: Candidate, forecast: Forecast) -> Storage:
    kept = question.conditions.checkpoints_kept if question.conditions is not None else 0.0
    token_bytes = load_reliability().default("token-bytes").median
    tokens_per_s = chosen.tokens_per_s_per_gpu * chosen.gpus
    return Storage(
        write_bytes_per_s=forecast.state_bytes / forecast.interval_s,
        there_bytes_per_s=forecast.write_bytes_per_s,
        read_bytes_per_s=float(training_read_bytes_per_s(tokens_per_s=tokens_per_s, token_bytes=token_bytes)),
        checkpoint_bytes=float(retained_bytes(state_bytes=forecast.state_bytes, checkpoints_kept=kept)),
        data_bytes=question.tokens * token_bytes,
    )


def _power(question: Question, chosen: Candidate, catalog: Catalog) -> Power | None:
    chip = chosen.option.accelerator
    if chip.tdp_w is None:
        return None
    tdp, node = chip.tdp_w, catalog.node_of(chip)
    pue = catalog.rate("pue", question.pue).median
    draw = catalog.rate("draw", chip.device).median

    def watts(gpus: float, site_pue: float, draw_frac: float) -> float:
        return float(
            facility_power_w(
                gpus=gpus, tdp_w=tdp, power_over_tdp=node.power_over_tdp, pue=site_pue, draw_frac=draw_frac
            )
        )

    each = chip.scaleup_domain if in_racks(chip) else node.gpus_per_node
    servers, server_w = math.ceil(chosen.gpus / each), watts(each, 1.0, 1.0)
    tall = int(catalog.rate("rack", "accelerators").median)
    most = 1 if in_racks(chip) else max(tall // each, 1)
    return Power(
        server=f"{'rack' if in_racks(chip) else 'server'} of {each}",
        servers=servers,
        server_w=server_w,
        it_w=watts(chosen.gpus, 1.0, 1.0),
        site_w=watts(chosen.gpus, pue, 1.0),
        pue=pue,
        mean_site_w=watts(chosen.gpus, pue, draw),
        racks=tuple(_racks(chip, catalog.rate("density", cooling), servers, server_w, most) for cooling in COOLING),
    )


def in_racks(chip: Accelerator) -> bool:
    """Say whether a chip comes by the rack."""
    return chip.packaging == "rack"


def _racks(chip: Accelerator, fact: Rate, servers: int, server_w: float, most: int) -> Racks:
    """Return the racks under one way of cooling; ``most`` is what a rack holds by its height."""
    liquid_only = chip.cooling == "liquid" and fact.id != "liquid"
    held = 0 if liquid_only else min(most, int(fact.median // server_w))
    return Racks(
        cooling=fact.id,
        limit_w=fact.median,
        servers=held,
        racks=math.ceil(servers / held) if held else 0,
        rack_w=min(held, servers) * server_w,
        fact=fact,
    )
