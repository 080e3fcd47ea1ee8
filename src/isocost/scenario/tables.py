"""The tables of a scenario: what interrupts, slows and pays for a run, and what a model is to be trained for.

Every key has a dated default (``None`` here), so that a table holds only what its writer knows better.
"""

# No "from __future__ import annotations": the keys are read off the annotations.

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, TypeAlias

from isocost.scenario.keys import MOST_RUNS, Key

if TYPE_CHECKING:
    from isocost.reliability.posterior import Event, Posterior
    from isocost.scaling.law import Law
    from isocost.scaling.shapes import Sparsity
    from isocost.scenario.training import Quality
    from isocost.scenario.values import Model
    from isocost.stats.distributions import Distribution

_Amount: TypeAlias = float | None
_Spread: TypeAlias = "Distribution | float | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: its values in SI units, and the text that they were read from, to be written again."""

    given: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility(Table):
    """Where the cluster stands."""

    tier: Annotated[str | None, Key(kind="tier", meaning="uptime tier of the building", left_out="III")] = None
    availability_frac: Annotated[
        _Amount,
        Key(
            name="availability",
            kind="availability",
            unit="1",
            left_out="that of the tier",
            meaning="of power and cooling together, such as '99.995 %'",
        ),
    ] = None
    cooling: Annotated[str | None, Key(kind="cooling", meaning="of the chips", left_out="air")] = None
    power_frac: Annotated[
        _Amount,
        Key(
            name="power",
            unit="1",
            above=True,
            left_out="100 %",
            meaning="power and cooling there is, over the draw at full clock",
        ),
    ] = None
    maintenance_s_per_month: Annotated[
        _Amount,
        Key(
            name="maintenance", unit="s", most=2_629_800.0, left_out="dated default", meaning="announced stops a month"
        ),
    ] = None
    throttle: Annotated[
        _Spread,
        Key(kind="bounded_spread", unit="1", left_out="dated default, by cooling", meaning="time lost to hot chips"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability(Table):
    """What interrupts and slows a run."""

    failures_per_node_day: Annotated[
        _Spread,
        Key(
            name="failures",
            kind="per_thousand",
            unit="ratio",
            left_out="published rates",
            meaning="that stop a job, per 1000 node-days",
        ),
    ] = None
    events: Annotated[
        "tuple[Event, ...]",
        Key(
            kind="events",
            path=True,
            meaning="CSV file of your own stops; with watched_nodes and watched",
            flag="--events",
            metavar="FILE.csv",
            help="Your own stops: start, end, node, cause.",
        ),
    ] = ()
    watched_nodes: Annotated[
        _Amount,
        Key(
            unit="ratio",
            above=True,
            meaning="nodes of 8 GPUs on which the events were counted",
            metavar="N",
            help="Nodes on which they were counted.",
        ),
    ] = None
    watched_s: Annotated[
        _Amount,
        Key(
            name="watched",
            unit="s",
            above=True,
            meaning="for how long they were counted",
            metavar="TIME",
            help="For how long: '70 d'.",
        ),
    ] = None
    age_s: Annotated[
        _Amount,
        Key(name="age", unit="s", left_out="past its youth", meaning="at the first step: new ones fail more"),
    ] = None
    lemon_factor: Annotated[
        _Amount, Key(unit="ratio", above=True, left_out="1", meaning="factor on the rate of failures for lemon nodes")
    ] = None
    straggler: Annotated[
        _Spread, Key(kind="spread", unit="1", left_out="dated default", meaning="time lost to slow machines")
    ] = None
    posterior: "Posterior | None" = None  # of the rate of failures, from the events


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Table):
    """How training state is saved."""

    saves: Annotated[str | None, Key(kind="saves", left_out="asynchronous", meaning="how a save holds up the run")] = (
        None
    )
    interval_s: Annotated[
        _Amount,
        Key(
            name="interval",
            kind="interval",
            unit="s",
            left_out="auto",
            meaning="between saves; auto: of least loss",
            flag="--checkpoint-interval",
            metavar="TIME",
            help="'10 min', or auto: that of least loss.",
        ),
    ] = None
    kept: Annotated[_Amount, Key(kind="pieces", left_out="2", meaning="checkpoints kept")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage(Table):
    """Where checkpoints and data are."""

    write_bytes_per_s: Annotated[
        _Amount, Key(name="write", unit="B/s", above=True, left_out="dated default", meaning="of the whole cluster")
    ] = None
    read_bytes_per_s: Annotated[
        _Amount, Key(name="read", unit="B/s", above=True, left_out="dated default", meaning="of the whole cluster")
    ] = None
    capacity_bytes: Annotated[
        _Amount,
        Key(
            name="capacity",
            unit="B",
            above=True,
            left_out="no limit",
            meaning="room for checkpoints",
        ),
    ] = None
    price_usd_per_byte_per_s: Annotated[
        _Spread, Key(name="price", kind="spread", unit="USD/B/s", left_out="catalogue", meaning="of stored bytes")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Support(Table):
    """Who looks after the cluster."""

    level: Annotated[str | None, Key(kind="level", left_out="standard", meaning="how quickly faults are found")] = None
    standby: Annotated[
        str | None, Key(kind="standby", left_out="cold", meaning="warm spare nodes run, cold ones are scheduled")
    ] = None
    spares: Annotated[
        _Amount, Key(kind="spares", left_out="run out 1 % of the time", meaning="spare nodes; 0 for none")
    ] = None
    bring_up: Annotated[
        _Spread, Key(kind="spread", unit="s", left_out="of the level", meaning="from hand-over to the first step")
    ] = None
    response: Annotated[
        _Spread, Key(kind="spread", unit="s", left_out="of the level", meaning="until somebody looks at a fault")
    ] = None
    by_hand: Annotated[
        _Spread,
        Key(kind="bounded_spread", unit="1", left_out="of the level", meaning="interruptions that wait for somebody"),
    ] = None
    fee_frac: Annotated[
        _Amount, Key(name="fee", unit="1", left_out="0", meaning="of support, over the rent of accelerators and host")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase(Table):
    """How capacity is bought."""

    price_usd_per_s: Annotated[
        _Spread, Key(name="price", kind="spread", unit="USD/s", left_out="catalogue", meaning="of an accelerator")
    ] = None
    resold_frac: Annotated[
        _Amount,
        Key(name="resold", unit="1", left_out="0", meaning="of the price of idle committed time"),
    ] = None
    host_usd_per_s: Annotated[
        _Amount, Key(name="host", unit="USD/s", left_out="0", meaning="of the host, for each accelerator")
    ] = None
    available: Annotated[_Amount, Key(kind="pieces", left_out="no limit", meaning="GPUs that the offer has")] = None
    lead_time_s: Annotated[
        _Amount,
        Key(
            name="lead_time",
            unit="s",
            left_out="0",
            meaning="to hand-over: a deadline counts from today, a run from there",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned(Table):
    """What owning takes; its fields are inputs of ``money.own``."""

    server_usd: Annotated[
        _Spread,
        Key(
            name="server",
            kind="spread",
            unit="USD",
            left_out="catalogue",
            meaning="accelerator with its share of the server",
        ),
    ] = None
    years: Annotated[
        _Amount,
        Key(name="lifetime", kind="lifetime", unit="s", left_out="catalogue", meaning="until it is sold"),
    ] = None
    interest_frac: Annotated[
        _Amount, Key(name="interest", unit="1", left_out="catalogue", meaning="on the capital, a year")
    ] = None
    residual_frac: Annotated[
        _Amount, Key(name="residual", unit="1", left_out="catalogue", meaning="resale value over the price")
    ] = None
    utilisation_frac: Annotated[
        _Amount,
        Key(name="utilisation", unit="1", above=True, left_out="80 %", meaning="hours in use over all hours"),
    ] = None
    site: Annotated[str | None, Key(kind="site", left_out="colocation", meaning="rented, or built")] = None
    maintenance_frac: Annotated[
        _Amount, Key(name="maintenance", unit="1", left_out="catalogue", meaning="a year, over the hardware")
    ] = None
    network_frac: Annotated[
        _Amount,
        Key(name="network", kind="bounded", unit="1", left_out="catalogue", meaning="over the hardware, in all"),
    ] = None
    storage_frac: Annotated[
        _Amount,
        Key(name="storage", kind="bounded", unit="1", left_out="catalogue", meaning="over the hardware, in all"),
    ] = None
    installation_frac: Annotated[
        _Amount, Key(name="installation", unit="1", left_out="catalogue", meaning="over the hardware, once")
    ] = None
    staff_per_gpu: Annotated[_Amount, Key(name="staff", unit="ratio", left_out="catalogue", meaning="people a GPU")] = (
        None
    )
    colocation_usd_per_w_per_s: Annotated[
        _Amount, Key(name="colocation", unit="USD/W/s", left_out="catalogue", meaning="rent of the site, by power")
    ] = None
    electricity_usd_per_j: Annotated[
        _Amount, Key(name="electricity", unit="USD/J", left_out="catalogue", meaning="price of energy")
    ] = None
    pue: Annotated[
        _Amount,
        Key(kind="bounded", unit="ratio", left_out="catalogue", meaning="power at the meter over the chips'"),
    ] = None
    draw_frac: Annotated[
        _Amount, Key(name="draw", unit="1", left_out="catalogue", meaning="power in training over full draw")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Table):
    """What is run and paid for around the final run."""

    failed_runs: Annotated[
        _Amount, Key(unit="ratio", most=MOST_RUNS, left_out="0", meaning="failed runs, over the final one")
    ] = None
    exploratory_runs: Annotated[
        _Amount, Key(unit="ratio", most=MOST_RUNS, left_out="0", meaning="small runs before it, over the final one")
    ] = None
    people: Annotated[
        _Amount,
        Key(
            unit="ratio",
            left_out="from the GPUs",
            meaning="people on the programme",
            metavar="N",
            help="People on the programme.",
        ),
    ] = None
    salary_usd_per_s: Annotated[
        _Spread,
        Key(
            name="salary",
            kind="spread",
            unit="USD/s",
            left_out="catalogue",
            meaning="cost of one of them",
            metavar="MONEY",
            help="Cost of one of them a year: '300 kUSD'.",
        ),
    ] = None
    capital_raised_usd: Annotated[
        _Amount,
        Key(
            name="capital_raised",
            unit="USD",
            above=True,
            meaning="to which the bill is compared",
            flag="--raised",
            metavar="MONEY",
            help="Capital raised: '50 MUSD'.",
        ),
    ] = None
    value_of_time_usd_per_s: Annotated[
        _Amount, Key(name="value_of_time", unit="USD/s", left_out="0", meaning="of having the result earlier")
    ] = None
    items: Annotated[
        str | None,
        Key(
            kind="file",
            path=True,
            left_out="the shipped shares",
            meaning="TOML file of [[item]] tables",
            metavar="FILE.toml",
            help="Your own [[item]] tables; left out: shipped.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning(Table):
    """What was measured of the software."""

    mfu: Annotated[
        _Amount,
        Key(unit="1", above=True, left_out="predicted", meaning="measured, in the predicted one's place"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier(Table):
    """What a model is to be trained with and for, when its size is the question."""

    data_tokens: Annotated[
        _Amount,
        Key(
            name="data",
            unit="token",
            above=True,
            left_out="no limit",
            meaning="unique tokens there are",
            metavar="AMOUNT",
            help="Unique tokens there are: '3 T'.",
        ),
    ] = None
    serve_tokens: Annotated[
        _Amount,
        Key(
            name="serve",
            unit="token",
            left_out="0",
            meaning="tokens served over the life of the model",
            metavar="AMOUNT",
            help="Tokens served over the life of the model: '50 T'.",
        ),
    ] = None
    laws: Annotated[
        "tuple[Law, ...]",
        Key(
            kind="laws",
            path=True,
            left_out="besiroglu",
            meaning="scaling laws by name or file; the first one answers",
            flag="--law",
            metavar="LAW,...",
            help="Laws, or files of laws; the first is the answer. [besiroglu]",
        ),
    ] = ()
    family: Annotated[
        "tuple[Model, ...]",
        Key(
            kind="family",
            path=True,
            left_out="shapes of any size",
            meaning="models to choose among",
            metavar="MODEL,...",
            help="Choose among these models or configurations.",
        ),
    ] = ()
    serving_cost: Annotated[
        _Amount,
        Key(
            unit="ratio",
            above=True,
            left_out="1",
            meaning="of a FLOP that serves over one that trains",
            metavar="RATIO",
            help="Cost of a FLOP that serves over one that trains; 1.",
        ),
    ] = None
    usd_per_token: Annotated[
        _Amount,
        Key(
            name="token_price",
            kind="per_billion",
            unit="USD",
            left_out="0",
            meaning="of a billion unique tokens",
            metavar="MONEY",
            help="Of a billion unique tokens: '500 USD'.",
        ),
    ] = None
    experts: Annotated[
        "Sparsity | None",
        Key(
            kind="experts",
            left_out="dense models",
            meaning="mixtures of experts, such as '8/128'",
            metavar="K/N",
            help="Mixtures of experts: '8/128', '8/256+1'.",
        ),
    ] = None
    loss_of: Annotated[
        "Quality | None",
        Key(
            kind="quality",
            meaning="a loss to reach: '70 B on 1.4 T', or in nats",
            metavar="QUALITY",
            help="Cheapest way to it: '70 B on 1.4 T', or a loss.",
        ),
    ] = None
    licence_usd: Annotated[
        _Amount,
        Key(
            name="licence",
            unit="USD",
            left_out="0",
            meaning="of the data, whatever their amount",
            metavar="MONEY",
            help="Of the data, whatever their amount: '300 kUSD'.",
        ),
    ] = None
