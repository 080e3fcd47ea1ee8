"""What the catalog holds: accelerators, nodes, fabrics, offers, site rates, and the provenance of each.

Every value is SI and one-directional; a rate or a size that no source states is ``None``, never zero.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from isocost.errors import InputError, Problem, nearest

GRADES = ("measured", "vendor", "derived", "estimate", "reported")
TERMS = ("on_demand", "spot", "reserved_1y", "reserved_3y", "capacity_block", "quote", "owned")
TRAINING_PRECISIONS = ("bf16", "fp16", "fp8", "mxfp8", "nvfp4")
PRECISIONS = ("fp32", "tf32", *TRAINING_PRECISIONS, "mxfp4", "int8")
DEVICES = ("gpu", "tpu")
PACKAGINGS = ("server", "rack")
COOLINGS = ("air", "liquid")
TOPOLOGIES = ("switch", "mesh", "torus-2d", "torus-3d", "bridge", "pcie", "none")
FABRIC_KINDS = ("infiniband", "roce", "efa", "tcp", "slingshot", "dcn", "other")


def first_day(as_of: str) -> datetime.date:
    """Return the first day of an ISO date, month or year: age counts from there, so nothing looks too fresh."""
    year, month, day = (*(int(part) for part in as_of.split("-")), 1, 1)[:3]
    return datetime.date(year, month, day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where facts come from: an entry of the bibliography."""

    key: str
    author: str
    title: str
    year: int
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """The provenance of a record: sources, date, grade, and which of its fields are weak."""

    sources: tuple[str, ...]  # keys of sources.toml; in a user's file also free text, such as "our quote of 3 May"
    as_of: str  # ISO date, month or year
    grade: str  # one of GRADES
    from_memory: tuple[str, ...] = ()  # fields that were not read in any source
    disputed: tuple[str, ...] = ()  # what the sources disagree on
    note: str = ""

    @property
    def day(self) -> datetime.date:
        """First day of the stated period."""
        return first_day(self.as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One GPU, TPU or other training chip (the unit that is rented and counted). Rates are dense."""

    id: str
    name: str
    vendor: str
    year: int
    form: str
    memory_bytes: float  # what a program can allocate before its own context; see the rule in accelerators.toml
    hbm_bytes_per_s: float
    scaleup_link: str
    scaleup_bytes_per_s: float  # one direction, per GPU, summed over its links
    scaleup_domain: int  # GPUs joined by that link in the default node
    node: str  # default node id
    fact: Fact
    fp32_flop_per_s: float | None = None
    tf32_flop_per_s: float | None = None
    fp16_flop_per_s: float | None = None
    bf16_flop_per_s: float | None = None
    fp8_flop_per_s: float | None = None
    mxfp8_flop_per_s: float | None = None
    nvfp4_flop_per_s: float | None = None
    mxfp4_flop_per_s: float | None = None
    int8_flop_per_s: float | None = None  # operations; multiply and add count as two
    nic_bytes_per_s: float | None = None  # one direction, per GPU
    tdp_w: float | None = None
    sms: int | None = None  # streaming multiprocessors, compute units, TensorCores or NeuronCores
    fabric: str | None = None  # default fabric id
    device: str = "gpu"  # one of DEVICES
    generation: str | None = None  # of the silicon, for which kernels are written; None: its own
    packaging: str = "server"  # one of PACKAGINGS
    cooling: str = "air"  # what it can do with, one of COOLINGS
    coherent_host: bool = False  # host memory is fast enough to hold activations
    fast_attention: str | None = None  # kernel that is faster than the older ones, of which runs were measured
    low_precision: tuple[str, ...] = ()  # below 16 bit, of which runs were measured
    same_link_as: str | None = None  # chip with the same scale-up link, on which it was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A server: how many GPUs it holds, which of them the scale-up link joins, and what the box adds in power."""

    id: str
    name: str
    gpus_per_node: int
    scaleup_domain: int  # may span nodes: NVL72, TPU slices
    topology: str  # one of TOPOLOGIES
    scaleup_latency_s: float  # of one step of a collective over the scale-up link
    power_over_tdp: float  # maximum server power over the TDP of its accelerators
    fact: Fact
    accelerator_price_frac: float | None = None  # accelerators and baseboard in the price of the server


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One level of a fabric: how many GPUs it reaches, at which latency, and how much thinner its links are."""

    reach_gpus: int | None  # None: every GPU
    latency_s: float  # of one step of a collective that crosses this tier
    oversubscription: float = 1.0  # bandwidth per GPU below over above; 1 is non-blocking


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """The scale-out network between scale-up domains."""

    id: str
    name: str
    kind: str  # one of FABRIC_KINDS
    bytes_per_s: float  # one direction, per GPU, at the NIC
    rail_optimised: bool
    in_switch_reduction: bool  # SHARP: the switches add
    tiers: tuple[Tier, ...]  # nearest first; the last reaches every GPU
    fact: Fact

    def tier(self, gpus: int) -> Tier:
        """Return the tier that a group spread over ``gpus`` GPUs has to cross."""
        return next(tier for tier in self.tiers if tier.reach_gpus is None or tier.reach_gpus >= gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A price of one accelerator for a second, host and network included; low, median and high over what was seen."""

    id: str
    accelerator: str
    provider: str
    region: str
    instance: str
    gpus_per_instance: int
    term: str  # one of TERMS
    low_usd_per_s: float  # per GPU
    median_usd_per_s: float  # per GPU
    high_usd_per_s: float  # per GPU
    quotes: int  # prices behind low, median and high
    fact: Fact
    contributors: tuple[str, ...] = ()  # of a reference offer: the ids of the offers it sums up


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate of a site, or a fact of cost: PUE, price of electricity, interest, carbon of a grid."""

    id: str
    kind: str  # one of schema.RATE_KINDS
    name: str
    unit: str  # of low, median and high, as in ``units.parse``
    low: float
    median: float
    high: float
    fact: Fact


def rates_by_precision(accelerator: Accelerator) -> dict[str, float | None]:
    """Return the dense peak in flop/s of every precision of PRECISIONS."""
    return {precision: getattr(accelerator, f"{precision}_flop_per_s") for precision in PRECISIONS}


def peak(accelerator: Accelerator, precision: str) -> tuple[float | None, str]:
    """Return the dense peak in flop/s and an empty string, or ``None`` and the reason there is none."""
    rates = rates_by_precision(accelerator)
    if precision not in rates:
        close = nearest(precision, PRECISIONS)
        raise InputError([Problem("precision", "is unknown", precision, ", ".join(PRECISIONS), close)])
    if rates[precision] is not None:
        return rates[precision], ""
    known = ", ".join(name for name in TRAINING_PRECISIONS if rates[name] is not None)
    return None, f"no {precision} rate is known for {accelerator.name}; known: {known}"
