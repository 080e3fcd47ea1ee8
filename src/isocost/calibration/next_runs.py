"""What to measure next: small runs by how much they would narrow one plan, for what they cost.

The log of a step is taken as linear in the logs of the user's multipliers (their covariance is known from the
calibration), so what a run would tell about a plan follows without measuring it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.calibration.fit import HUBER_FRAC
from isocost.calibration.priors import PRIORS
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.predict import fit_probability, step_times
from isocost.perf.site import NINETY, SiteCalibration
from isocost.units import HOUR_S
from isocost.workload.architecture import Architecture

Array = NDArray[np.float64]

SETUP_S: Final = 300.0  # start of the job, compilation, first steps: paid for on every GPU
STEPS: Final = 30  # of which the median is kept
NOISE: Final = HUBER_FRAC  # of the log of one measured step, as the fit has it
EVEN_ODDS: Final = 0.5  # a proposal fits with at least this probability
# Runs that tell little are cheap: one must tell at least this share of what the best could, and of the plan's variance.
LEAST_OF_BEST, LEAST_OF_PLAN = 0.4, 0.02
# Blocks left in a cut model, replicas, and factors on the sequence that are tried.
CUTS, SEQUENCES = (4, 8, 16), (0.25, 1.0, 4.0)
ROUNDS: Final = 4  # micro-batches a stage: enough for the pipeline to be in its steady state


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One run worth making: what it is, what it costs, what it would tell."""

    case: Case
    differs: str
    gpus: int
    step_s: float
    gpu_hours: float
    half_width_frac: float  # of the 90 % interval of the plan's step, after this run and those before it
    tells: str
    reason: str


def next_runs(
    calibration: SiteCalibration, plan: Case, constants: Mapping[str, Constant], most: int = 3
) -> tuple[float, tuple[Proposal, ...]]:
    """Half-width of the plan's 90 % interval now, and the runs that narrow it most for their GPU-hours, in order.

    Each run is chosen as if those before it had been made, so that two runs do not tell the same thing.
    """
    plan = replace(plan, user=calibration.name)
    tried = list(candidates(plan))
    fits = fit_probability(tried) >= EVEN_ODDS if tried else np.zeros(0, bool)
    tried = [case for case, fit in zip(tried, fits, strict=True) if fit]
    cases = [plan, *tried]
    slopes, covariance = calibration.linear(cases, constants)
    names = calibration.names(cases, constants)
    seconds = np.asarray(step_times(cases, calibration.merged(constants)).total_s)[1:]
    gpu_hours = np.array([case.gpus for case in tried]) * (SETUP_S + STEPS * seconds) / HOUR_S
    goal, runs = slopes[0], slopes[1:]
    now = _half_width(goal, covariance, calibration.spread)
    found: list[Proposal] = []
    taken: list[int] = []
    while len(found) < most and tried:
        told = (runs @ covariance @ goal) ** 2 / (np.einsum("ij,jk,ik->i", runs, covariance, runs) + NOISE**2)
        variance = float(goal @ covariance @ goal) + calibration.spread**2
        if told.max() < LEAST_OF_PLAN * variance:
            break
        worth = np.where(told >= LEAST_OF_BEST * told.max(), told / gpu_hours, 0.0)
        worth[taken] = 0.0  # a repeat tells of the noise, not of the plan
        k = int(worth.argmax())
        if worth[k] == 0.0:
            break
        taken.append(k)
        gain = covariance @ runs[k]
        by_name = goal * gain * float(goal @ gain)  # parts of what is told, by multiplier
        told_name = names[int(by_name.argmax())].split("|")[0]
        covariance = covariance - np.outer(gain, gain) / float(runs[k] @ gain + NOISE**2)
        found.append(
            Proposal(
                case=tried[k],
                differs=differs(plan, tried[k]),
                gpus=tried[k].gpus,
                step_s=float(seconds[k]),
                gpu_hours=float(gpu_hours[k]),
                half_width_frac=_half_width(goal, covariance, calibration.spread),
                tells=told_name,
                reason=f"{told_name}: {PRIORS[told_name].meaning}",
            )
        )
    return now, tuple(found)


def _half_width(goal: Array, covariance: Array, spread: float) -> float:
    log_half = NINETY * float(np.sqrt(goal @ covariance @ goal + spread**2))
    return float(np.sinh(log_half))  # half of exp(x) - exp(-x)


def candidates(plan: Case) -> Iterator[Case]:
    """Small variations of a plan that can be run: fewer replicas, fewer blocks, another sequence length, same tp."""
    x = plan.layout
    seen = {repr(plan)}
    whole = plan.architecture
    shapes = [(x.pp, x.vp, whole)]
    shapes += [(1, 1, cut(whole, blocks)) for blocks in CUTS if len(whole.blocks) <= blocks < whole.layers]
    if x.pp > 2:
        per = max(whole.layers // (x.pp * x.vp), 1)
        shapes.append((2, x.vp, cut(whole, max(per * 2 * x.vp, len(whole.blocks)))))
    for pp, vp, model in shapes:
        for factor in SEQUENCES:
            seq_len = int(plan.seq_len * factor)
            replica = x.tp * pp * x.cp
            replicas = 1
            while replicas <= x.dp:
                case = _small(plan, model, seq_len, pp, vp, replicas)
                if case is not None and replica * replicas <= plan.gpus and repr(case) not in seen:
                    seen.add(repr(case))
                    yield case
                replicas *= 2


def _small(plan: Case, model: Architecture, seq_len: int, pp: int, vp: int, dp: int) -> Case | None:
    """Return the plan with these values, or None where they make no layout."""
    x = plan.layout
    ranks = x.tp * x.cp * dp
    experts = max((block.experts for block in model.blocks), default=0)
    ep = min(x.ep, ranks)
    if seq_len < 1 or seq_len % x.cp or ranks % ep or (ep > 1 and experts % ep):
        return None
    micro_batches = min(plan.global_batch_seqs // (x.dp * x.micro_batch), ROUNDS * pp) or 1
    if vp > 1 and micro_batches % pp:
        return None
    schedule = "none" if pp == 1 else x.schedule
    layout = replace(x, pp=pp, vp=vp, dp=dp, ep=ep, schedule=schedule, shard_group=0)
    batch = dp * layout.micro_batch * micro_batches
    return replace(plan, architecture=model, seq_len=seq_len, global_batch_seqs=batch, layout=layout)


def cut(model: Architecture, layers: int) -> Architecture:
    """Return the model with so many blocks in all, of each kind in proportion and at least one."""
    blocks = [replace(block, count=max(round(block.count * layers / model.layers), 1)) for block in model.blocks]
    largest = max(range(len(blocks)), key=lambda i: blocks[i].count)
    rest = sum(block.count for i, block in enumerate(blocks) if i != largest)
    blocks[largest] = replace(blocks[largest], count=max(layers - rest, 1))
    return replace(model, name=f"{model.name}, {layers} blocks", blocks=tuple(blocks))


def differs(plan: Case, case: Case) -> str:
    """Return what a run is, as its layout, and where it differs from the plan's."""
    words = []
    if case.architecture.layers != plan.architecture.layers:
        words.append(f"{case.architecture.layers} of {plan.architecture.layers} blocks")
    for name in ("seq_len", "layout.pp", "layout.vp", "layout.ep", "layout.dp", "global_batch_seqs"):
        here, there = attrgetter(name)(case), attrgetter(name)(plan)
        if here != there:
            words.append(f"{name.removeprefix('layout.')} {here:,} (not {there:,})")
    return ", ".join(words)
