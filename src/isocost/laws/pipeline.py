"""Pipeline schedules: bubble, exposed sends and micro-batches in flight, in closed form.

A schedule is a row of coefficients (``SCHEDULES``), looked up at the edge; the laws below take the coefficients as
numbers and never ask for a name, so one call evaluates layouts of every schedule. The seconds are those of one
micro-batch on one rank's whole share of the layers: forward F, gradient of the input B (with the recompute, if any),
gradient of the weights W. "Slowest" is the rank with the largest F + B + W; "sum" adds all ranks of one pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.num import Num, safe_div
from isocost.term import term


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule, or a column of several: coefficients, which the laws of this module read, then what is legal."""

    ramp_per_pp: Num = 1.0  # length of the ramp: ramp_per_pp * pp - 1 stages
    forward_coef: Num = 1.0  # share of F, B and W that a stage of the ramp leaves idle
    input_coef: Num = 1.0
    weight_coef: Num = 0.0
    fill_per_ramp: Num = 0.0  # weight gradients put into the idle time, per stage of the ramp
    vp_split: Num = 0.0  # 1: virtual stages shorten the ramp (interleaved)
    ramp_hops: Num = 2.0  # sends on the critical path per stage of the ramp
    steady_hops: Num = 0.0  # sends on the critical path per micro-batch and stage boundary
    in_flight_const: Num = 0.0
    in_flight_per_pp: Num = 0.0
    in_flight_per_stage: Num = 0.0
    in_flight_per_micro_batch: Num = 0.0
    model_copies: Num = 1.0  # parameter sets held by a rank, in units of its share
    paired: Num = 0.0  # 1: expert traffic of one micro-batch runs beside the compute of another
    folded: Num = 0.0  # 1: the pipeline is folded, and the first rank holds both ends of the model
    chunks: int = 1  # of the model on a rank, where it is not vp
    min_micro_batches_per_pp: int = 0  # the published order needs at least this times pp
    multiple_of_pp: bool = False  # the published order needs micro-batches in whole groups of pp
    paired_micro_batches: bool = False  # the published order needs an even number of micro-batches
    even_pp: bool = False  # the published order needs an even number of ranks


SCHEDULES: dict[str, Schedule] = {
    "none": Schedule(forward_coef=0.0, input_coef=0.0, ramp_hops=0.0, in_flight_const=1.0),
    "gpipe": Schedule(weight_coef=1.0, in_flight_per_micro_batch=1.0),
    "1f1b": Schedule(weight_coef=1.0, steady_hops=2.0, in_flight_per_pp=1.0, in_flight_per_stage=-1.0),
    "interleaved": Schedule(
        weight_coef=1.0,
        vp_split=1.0,
        steady_hops=2.0,
        in_flight_per_pp=1.0,
        in_flight_per_stage=-1.0,
        min_micro_batches_per_pp=1,
        multiple_of_pp=True,
    ),
    "zb-h1": Schedule(fill_per_ramp=1.0, ramp_hops=4.0, in_flight_per_pp=1.0),
    "zb-h2": Schedule(fill_per_ramp=2.0, in_flight_per_pp=2.0, in_flight_const=-1.0),
    "zb-v": Schedule(
        forward_coef=0.0,
        fill_per_ramp=1.0,
        ramp_hops=6.0,
        in_flight_per_pp=1.0,
        folded=1.0,
        chunks=2,
        min_micro_batches_per_pp=2,
    ),
    "dualpipe": Schedule(
        ramp_per_pp=0.5,
        input_coef=2.0,
        fill_per_ramp=1.0,
        ramp_hops=1.0,
        steady_hops=1.0,
        in_flight_per_pp=1.0,
        in_flight_const=1.0,
        model_copies=2.0,
        paired=1.0,
        folded=1.0,
        chunks=2,
        min_micro_batches_per_pp=2,
        paired_micro_batches=True,
        even_pp=True,
    ),
}


def _chunks(vp: Num, vp_split: Num) -> Num:
    """Virtual stages that count: vp for an interleaved schedule, 1 for every other."""
    return 1.0 + vp_split * (vp - 1.0)


@term(
    unit="s",
    source="narayanan2021, huang2019gpipe, qi2024, qi2024v, deepseekv3",
    domain={
        "micro_batches": (1, 512),
        "pp": (1, 64),
        "vp": (1, 8),
        "ramp_per_pp": (0.5, 1),
        "fill_per_ramp": (0, 2),
        "vp_split": (0, 1),
    },
)
def pipeline_bubble_s(
    *,
    micro_batches: Num,
    pp: Num,
    vp: Num,
    slowest_forward_s: Num,
    slowest_backward_input_s: Num,
    slowest_backward_weight_s: Num,
    sum_forward_s: Num,
    sum_backward_input_s: Num,
    sum_backward_weight_s: Num,
    ramp_per_pp: Num,
    forward_coef: Num,
    input_coef: Num,
    weight_coef: Num,
    fill_per_ramp: Num,
    vp_split: Num,
) -> Num:
    """max(0, r (cF F' + cB B' + cW W') - min(fill r (pp - 1), m - 1) min(W, F)) / v

    The slowest rank waits for the first micro-batch to pass the other stages and come back: F', B', W' are sums over
    the *other* stages, and r = (ramp_per_pp pp - 1) / (pp - 1) is the share of them in the ramp. Zero-bubble
    schedules put weight gradients into that wait, as many as the order holds back and at most the m - 1 that exist;
    one fills no more than the forward it stands for, hence min(W, F). With equal stages this is (pp - 1)(F + B + W) /
    v for GPipe, 1F1B and interleaved, (pp - 1)(F + B - W) for ZB-H1, (pp - 1)(F + B - 2 W) for ZB-H2, (pp - 1)(B - W)
    for ZB-V and (pp / 2 - 1)(F + 2 B - W) for DualPipe (DeepSeek writes B for input and weight gradient together).

    micro_batches, pp, vp: counts. slowest_*_s, sum_*_s: see the module. The rest: the row of ``SCHEDULES``.
    Ignores: the stagger of about (pp - 1) F by which ZB-H2 and (halved) ZB-V ranks start late, which counts when the
    optimizer step is a barrier (global norm clipping without post-validation); the overlap inside DualPipe's paired
    chunks; idle time when an uneven stage before the slowest one starves it. The tests state the error of each
    against an event simulation.
    Source: narayanan2021, huang2019gpipe, qi2024, qi2024v, deepseekv3; small m and min(W, F) from the simulation.
    """
    ramp = safe_div(ramp_per_pp * pp - 1.0, pp - 1.0)
    idle_s = ramp * (
        forward_coef * (sum_forward_s - slowest_forward_s)
        + input_coef * (sum_backward_input_s - slowest_backward_input_s)
        + weight_coef * (sum_backward_weight_s - slowest_backward_weight_s)
    )
    fills = np.minimum(fill_per_ramp * ramp * (pp - 1.0), micro_batches - 1.0)
    filled_s = fills * np.minimum(slowest_backward_weight_s, slowest_forward_s)
    return np.divide(np.maximum(idle_s - filled_s, 0.0), _chunks(vp, vp_split))


@term(
    unit="1",
    source="narayanan2021",
    domain={"micro_batches": (1, 512), "pp": (1, 64), "vp": (1, 8), "vp_split": (0, 1)},
)
def p2p_sends(*, micro_batches: Num, pp: Num, vp: Num, vp_split: Num) -> Num:
    """2 m v where pp > 1

    Point-to-point messages one rank sends in a step: an activation forward and its gradient backward for every
    micro-batch and every virtual stage it holds. The ends of the pipeline send half as many without interleaving; an
    inner rank decides. Interleaving multiplies the messages by v at the same size each, which is its price for the
    shorter ramp.

    micro_batches: per step and pipeline, m. pp, vp: pipeline degree and virtual stages of a rank. vp_split: the
    schedule's row.
    Ignores: ZB-V and DualPipe keep two chunks on a rank and send as often as v = 2, except at the turn of the V.
    Source: narayanan2021, section 2.2.
    """
    return 2.0 * micro_batches * _chunks(vp, vp_split) * np.minimum(pp - 1.0, 1.0)


@term(
    unit="s",
    source="narayanan2021",
    domain={"micro_batches": (1, 512), "pp": (1, 64), "vp": (1, 8), "vp_split": (0, 1), "blocking_frac": (0, 1)},
)
def p2p_exposed_s(
    *,
    micro_batches: Num,
    pp: Num,
    vp: Num,
    p2p_s: Num,
    ramp_hops: Num,
    steady_hops: Num,
    vp_split: Num,
    blocking_frac: Num = 0.0,
) -> Num:
    """max(ramp_hops (pp v - 1) + steady_hops floor((m - 1)(pp - 1) / pp), blocking 2 m v) p2p

    Sends that no computation hides, even when every one of them is asynchronous: they lie on the longest chain of
    dependencies. A ramp crosses every stage boundary. In the steady state of 1F1B a rank holds exactly as many
    micro-batches as a round trip needs, so every send of the trip shows, 2 (pp - 1) / pp for each micro-batch;
    schedules that keep more in flight (interleaved, zero bubble) have slack and pay in the ramp only. The counts were
    read off the event simulation: exact with equal stages for GPipe, 1F1B, interleaved and (with enough
    micro-batches) ZB-H1, within a few sends for the others. With ``blocking_frac`` 1 the sends sit in the compute
    stream (no overlap of p2p), and every one of a rank's own shows.

    p2p_s: seconds of one send (``collectives.p2p_s`` of 2 T h / tp bytes). ramp_hops, steady_hops, vp_split: the row.
    blocking_frac: share of the sends that run in the compute stream, 0 to 1.
    Ignores: sends longer than the slack of one chunk, which stall interleaved schedules in the steady state too.
    Source: narayanan2021 (4.1); counts from the event simulation of the tests.
    """
    chunks = _chunks(vp, vp_split)
    tight = 1.0 - np.minimum(chunks - 1.0, 1.0)  # 0 as soon as interleaving gives slack
    steady = steady_hops * tight * np.floor(np.divide((micro_batches - 1.0) * (pp - 1.0), pp))
    ramp = ramp_hops * (pp * chunks - 1.0) * np.minimum(pp - 1.0, 1.0)
    sends = p2p_sends(micro_batches=micro_batches, pp=pp, vp=vp, vp_split=vp_split)
    return np.maximum(ramp + steady, blocking_frac * sends) * p2p_s


@term(
    unit="1",
    source="korthikanti2022, qi2024, qi2024v, deepseekv3",
    domain={"stage": (0, 63), "pp": (1, 64), "vp": (1, 8), "micro_batches": (1, 512), "vp_split": (0, 1)},
)
def in_flight(
    *,
    stage: Num,
    pp: Num,
    vp: Num,
    micro_batches: Num,
    vp_split: Num,
    in_flight_const: Num,
    in_flight_per_pp: Num,
    in_flight_per_stage: Num,
    in_flight_per_micro_batch: Num,
) -> Num:
    """min(m, (c0 + cp pp + ci i + cm m + (v - 1) pp + (pp - 1 - i if v > 1)) / v)

    Most micro-batches whose activations a rank holds at once, in units of its whole share of layers. 1F1B: pp - i,
    since rank i runs pp - 1 - i forwards ahead. Interleaved: 2 (pp - 1 - i) + (v - 1) pp + 1 chunks of 1 / v. GPipe:
    all m. ZB-H1 and ZB-V: pp on every rank; ZB-H2: 2 pp - 1; DualPipe: pp + 1 with two copies of the parameters
    (``model_copies``).

    stage: rank in the pipeline, 0 first, i. pp, vp, micro_batches: counts. The rest: the row of ``SCHEDULES``.
    Ignores: what a zero-bubble schedule frees between B and W (attention and norm inputs are no longer needed): the
    activations count in full until W, which overstates them by up to a third on late ranks. Chunks of unequal size
    (embedding, head, dense first layers) hold other bytes than 1 / v of the rank.
    Source: korthikanti2022 (section 4.2.3), qi2024, qi2024v, deepseekv3 (DualPipe).
    """
    chunks = _chunks(vp, vp_split)
    interleaving = np.minimum(chunks - 1.0, 1.0)
    held = (
        in_flight_const
        + in_flight_per_pp * pp
        + in_flight_per_stage * stage
        + in_flight_per_micro_batch * micro_batches
        + (chunks - 1.0) * pp
        + interleaving * (pp - 1.0 - stage)
    )
    return np.minimum(micro_batches, np.divide(held, chunks))
