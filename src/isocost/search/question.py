"""What the search is asked and what it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from isocost.catalog.records import Accelerator, Fabric, Fact
from isocost.catalog.stacks import Recipe
from isocost.forecast import Forecast
from isocost.perf.constants import Constant, shipped
from isocost.perf.intervals import Certainty
from isocost.perf.layout import Layout
from isocost.perf.peak import MemoryBreakdown
from isocost.perf.site import SiteCalibration
from isocost.perf.step import StepTime
from isocost.reliability.conditions import Conditions
from isocost.stats.quantiles import Interval
from isocost.units import DAY_S, HOUR_S
from isocost.workload.architecture import Architecture

OWNED = "owned"
# A layout counts as fitting when its predicted peak fits with this probability, given the spread of the prediction.
FIT_PROBABILITY = 0.9

MFU_DEFINITION = (
    "model FLOPs (6 a token and active parameter without the input embedding, and attention over the full sequence or "
    "window, masked part included, as in the PaLM report; no recompute) over the dense peak of the precision; "
    "mfu_16bit is over the dense 16-bit peak"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to buy: accelerator, network and price of an accelerator-second."""

    accelerator: Accelerator
    fabric: Fabric
    label: str
    term: str = "on_demand"
    low_usd_per_s: float | None = None  # per accelerator, host included; None where nobody lists a price
    median_usd_per_s: float | None = None
    high_usd_per_s: float | None = None
    fact: Fact | None = None  # where the price is from


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to train, on what, by when and for how much; ``None`` leaves a value or a limit out."""

    architecture: Architecture
    tokens: float
    seq_len: int
    options: tuple[Option, ...]
    gpu_counts: tuple[int, ...]
    recipe: Recipe
    attention_kernel: str = ""  # empty: that of the recipe
    norm_kernel: str = ""
    tp_overlap: bool = False
    recipe_assumed: bool = False  # nobody said which stack: its memory may be that of any of the family
    global_batch_seqs: int | None = None  # None: from the critical-batch law
    precisions: tuple[str, ...] = ("bf16",)
    kind: str = "pretrain"
    deadline_s: float | None = None
    budget_usd: float | None = None
    power_w: float | None = None  # at the meter, at full draw
    fixed: Mapping[str, object] = field(default_factory=dict)  # of a layout: {"tp": 8, "recompute": "full"}
    schedules: tuple[str, ...] = ()  # empty: those of the stack
    fit_probability: float = FIT_PROBABILITY
    near_frac: float = 0.05
    top: int = 8
    calibration: SiteCalibration | None = None  # the user's own multipliers
    pue: str = "colocation"  # ids of the catalog's site rates
    electricity: str = "us"
    conditions: Conditions | None = None  # None: steps only, nothing interrupts them, and no bill beyond the rent
    confidence: float = 0.5  # deadline and budget are to be kept with this probability
    tornado: bool = True  # say which inputs move the chosen plan most
    measured_mfu: float | None = None  # over the dense peak of the precision: takes the place of the predicted one

    @property
    def constants(self) -> Mapping[str, Constant]:
        """The shipped constants of the step time, with the user's own on top."""
        return self.calibration.merged(shipped()) if self.calibration else shipped()

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return math.ceil(self.tokens / ((self.global_batch_seqs or 1) * self.seq_len))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The ends of a 90 % interval of a figure that stands elsewhere."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One layout on one option, evaluated. ``limit`` is the first limit it breaks, "" if none."""

    option: Option
    precision: str
    layout: Layout
    global_batch_seqs: int
    micro_batches: int
    steps: int
    step_s: float
    time: StepTime
    memory: MemoryBreakdown
    peak_bytes: float
    capacity_bytes: float
    fits_probability: float
    fits: bool
    mfu: float | None  # see MFU_DEFINITION; None where the peak is not known
    mfu_16bit: float | None
    tokens_per_s_per_gpu: float
    compute_s: float  # all steps, nothing in between
    run_s: float  # wall clock, bring-up and interruptions in; the median
    gpu_s: float
    goodput: float  # steps over wall clock
    price_usd: Interval | None  # low and high with those of the step time; None: not priced
    energy_j: float | None  # None: power of the chip is not known
    energy_usd: Interval | None  # information; part of ``cost_usd`` only where the chips are owned
    cost_usd: Interval | None
    power_w: float | None  # at the meter at full draw
    binds: str  # memory, compute, network, batch or host
    certainty: Certainty
    intervals: Mapping[str, Range]  # by name of the figure
    limit: str = ""

    # The axes of the layout, as figures of the plan: ``answer.chosen.tp``.
    gpus = property(attrgetter("layout.gpus"))
    tp = property(attrgetter("layout.tp"))
    pp = property(attrgetter("layout.pp"))
    vp = property(attrgetter("layout.vp"))
    cp = property(attrgetter("layout.cp"))
    ep = property(attrgetter("layout.ep"))
    dp = property(attrgetter("layout.dp"))
    micro_batch = property(attrgetter("layout.micro_batch"))
    sequence_parallel = property(attrgetter("layout.sequence_parallel"))
    recompute = property(attrgetter("layout.recompute"))
    sharding = property(attrgetter("layout.sharding"))
    schedule = property(attrgetter("layout.schedule"))

    @property
    def days(self) -> float:
        """Length of the run."""
        return self.run_s / DAY_S

    @property
    def gpu_hours(self) -> float:
        """Accelerator-hours of the run."""
        return self.gpu_s / HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A plan that costs nearly as little, and what is different about it."""

    candidate: Candidate
    cost_frac: float  # over the chosen plan's cost, minus 1
    days: float  # beyond the chosen plan's
    differs: Mapping[str, tuple[object, object]]  # name: (chosen, here)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedOption:
    """An option that was not chosen: its best plan, if it has one, and why it lost."""

    label: str
    reason: str
    candidate: Candidate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """Something the question left open and how it was filled."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The plan, what it was chosen from, and on what assumptions."""

    question: Question
    chosen: Candidate | None
    why: str  # what binds the chosen plan, or what keeps every layout out
    frontier: tuple[Candidate, ...]  # days against cost, over all that fits; fastest first
    alternatives: tuple[Alternative, ...]
    others: tuple[RejectedOption, ...]
    rejected: Mapping[str, int]  # legal layouts by the first limit they break
    illegal: Mapping[str, int]  # combinations by the first rule they break
    relaxations: tuple[str, ...]  # nearest ways out when nothing is chosen
    layouts_considered: int  # legal, memory evaluated
    layouts_evaluated: int  # memory and step time both
    seconds: float
    forecast: Forecast | None  # of the chosen plan; None where the question has no conditions
    held: tuple[float, float] | None  # time and bill of the chosen plan that the search held against the limits
    assumptions: tuple[Assumption, ...]
    not_modelled: tuple[str, ...]
