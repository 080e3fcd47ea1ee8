"""How large a batch, and with it a cluster, still shortens a run; and how short a run can be at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.laws.batch_size import (
    deepseek_batch_tokens,
    deepseek_rate,
    schaipp_batch_tokens,
    step_law_batch_tokens,
    step_law_rate,
    steps_at_batch,
    timescale_frac,
    tokens_at_batch,
)
from isocost.laws.critical_batch import critical_batch_tokens, expected_loss
from isocost.laws.scaling import train_6nd_flop
from isocost.scaling.limits import check_amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAdvice:
    """Batch and peak learning rate by one law; ``None`` where it has none of the two."""

    law: str
    batch_tokens: float | None
    rate: float | None
    note: str


def batch_advice(params: float, tokens: float) -> tuple[BatchAdvice, ...]:
    """Return what each published law says; ``params`` without embedding and head."""
    check_amounts(params=params, tokens=tokens)
    flop = float(train_6nd_flop(params=params, tokens=tokens))
    critical = float(critical_batch_tokens(loss=expected_loss(params=params, tokens=tokens)))
    weight = float(timescale_frac(tokens_per_param=tokens / params))
    return (
        BatchAdvice(
            law="critical batch (kaplan2020, mccandlish2018)",
            batch_tokens=critical,
            rate=None,
            note="twice the tokens and twice the steps of the two ideals",
        ),
        BatchAdvice(
            law="Step Law (li2025steplaw)",
            batch_tokens=float(step_law_batch_tokens(tokens=tokens)),
            rate=float(step_law_rate(params=params, tokens=tokens)),
            note="least loss, 3,700 runs",
        ),
        BatchAdvice(
            law="schaipp2026",
            batch_tokens=float(schaipp_batch_tokens(tokens=tokens)),
            rate=None,
            note="within 5 % of waste over a range of four times",
        ),
        BatchAdvice(
            law="DeepSeek LLM (deepseek2024)",
            batch_tokens=float(deepseek_batch_tokens(flop=flop)),
            rate=float(deepseek_rate(flop=flop)),
            note="at the best allocation; coefficients from memory",
        ),
        BatchAdvice(
            law="AdamW timescale (bergsma2025)",
            batch_tokens=None,
            rate=None,
            note=f"weight decay such that batch / (rate x decay x tokens) = {weight:.3g}",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The largest batch at a given waste, the cluster it feeds, and the time of the run there and at the limit."""

    critical_tokens: float
    batch_tokens: float
    tokens: float  # needed at that batch
    steps: float
    gpus: int
    run_s: float
    floor_s: float  # no cluster is faster at this micro-batch and this replica


def largest_useful(
    *,
    params: float,
    tokens: float,
    critical_tokens: float,
    seq_len: int,
    replica_gpus: int,
    replica_flop_per_s: float,
    waste_frac: float = 0.2,
    micro_batch: int = 1,
) -> Reach:
    """Return the largest cluster whose batch wastes no more than a share of the tokens, and the floor of the time.

    A replica of ``replica_gpus`` accelerators runs one micro-batch a step at a sustained ``replica_flop_per_s``: the
    most that data parallelism can spread a batch. The floor is the least number of steps, D / Bcrit, at that speed.
    """
    check_amounts(
        params=params,
        tokens=tokens,
        critical_tokens=critical_tokens,
        seq_len=seq_len,
        replica_gpus=replica_gpus,
        replica_flop_per_s=replica_flop_per_s,
        waste_frac=waste_frac,
        micro_batch=micro_batch,
    )
    each = float(seq_len * micro_batch)
    replicas = max(int(waste_frac * critical_tokens // each), 1)
    batch = replicas * each
    step_s = float(train_6nd_flop(params=params, tokens=each)) / replica_flop_per_s
    steps = float(steps_at_batch(tokens=tokens, batch_tokens=batch, critical_tokens=critical_tokens))
    return Reach(
        critical_tokens=critical_tokens,
        batch_tokens=batch,
        tokens=float(tokens_at_batch(tokens=tokens, batch_tokens=batch, critical_tokens=critical_tokens)),
        steps=steps,
        gpus=replicas * replica_gpus,
        run_s=steps * step_s,
        floor_s=float(np.divide(tokens, critical_tokens)) * step_s,
    )
