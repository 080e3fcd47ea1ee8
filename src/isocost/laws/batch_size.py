"""Batch and learning rate by published laws, and what a batch above the critical one costs."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term

_SIZES = {"params": (1e8, 1e12), "tokens": (1e9, 1e14)}
_BATCH = {"tokens": (1e9, 1e14), "batch_tokens": (1e5, 1e8), "critical_tokens": (1e5, 1e8)}


@term(unit="ratio", source="mccandlish2018", domain=_BATCH)
def tokens_at_batch(*, tokens: Num, batch_tokens: Num, critical_tokens: Num) -> Num:
    """D (1 + B / Bcrit)

    Tokens for the same loss at a batch of B: twice as many at the critical batch, few more far below it. From
    (S / Smin - 1)(E / Emin - 1) = 1 with E = B S.

    tokens: D, needed at a small batch. batch_tokens: B. critical_tokens: Bcrit.
    Ignores: that the critical batch grows during the run; schedules with a ramp lose less.
    Source: mccandlish2018, equation 2.11.
    """
    return tokens * (1.0 + np.divide(batch_tokens, critical_tokens))


@term(unit="ratio", source="mccandlish2018", domain=_BATCH)
def steps_at_batch(*, tokens: Num, batch_tokens: Num, critical_tokens: Num) -> Num:
    """(D / Bcrit) (1 + Bcrit / B)

    Optimizer steps for the same loss at a batch of B: at least D / Bcrit, twice that at the critical batch.

    tokens: D, needed at a small batch. batch_tokens: B. critical_tokens: Bcrit.
    Ignores: what tokens_at_batch ignores.
    Source: mccandlish2018, equation 2.11.
    """
    return np.divide(tokens, critical_tokens) * (1.0 + np.divide(critical_tokens, batch_tokens))


@term(unit="ratio", source="li2025steplaw", domain=_SIZES)
def step_law_rate(*, params: Num, tokens: Num) -> Num:
    """1.79 N^-0.713 D^0.307

    Peak learning rate with the least loss in 3,700 runs.

    params: N, without embeddings. tokens: D.
    Ignores: the batch; optimizers other than AdamW.
    Source: li2025steplaw.
    """
    return 1.79 * np.power(params, -0.713) * np.power(tokens, 0.307)


@term(unit="ratio", source="li2025steplaw", domain=_SIZES)
def step_law_batch_tokens(*, tokens: Num) -> Num:
    """0.58 D^0.571

    Tokens of the batch with the least loss in 3,700 runs.

    tokens: D.
    Ignores: time: the batch with the least loss is not the one that ends first.
    Source: li2025steplaw.
    """
    return 0.58 * np.power(tokens, 0.571)


@term(unit="ratio", source="schaipp2026", domain=_SIZES)
def schaipp_batch_tokens(*, tokens: Num) -> Num:
    """0.667 D^0.566

    Tokens of the batch with the least loss; within 5 % of waste the batch may be some four times larger or smaller in
    all.

    tokens: D.
    Ignores: the size of the model.
    Source: schaipp2026.
    """
    return 0.667 * np.power(tokens, 0.566)


@term(unit="ratio", source="deepseek2024", domain={"flop": (1e17, 1e26)})
def deepseek_batch_tokens(*, flop: Num) -> Num:
    """0.2920 C^0.3271

    Tokens of a batch near the best, over runs from 1e17 to 2e19 FLOP.

    flop: C, non-embedding FLOPs of a token times tokens.
    Ignores: the ratio of tokens to parameters: at the best allocation only.
    Source: deepseek2024, equation 1.
    """
    return 0.2920 * np.power(flop, 0.3271)


@term(unit="ratio", source="deepseek2024", domain={"flop": (1e17, 1e26)})
def deepseek_rate(*, flop: Num) -> Num:
    """0.3118 C^-0.1250

    Peak learning rate near the best, over runs from 1e17 to 2e19 FLOP.

    flop: C, non-embedding FLOPs of a token times tokens.
    Ignores: what deepseek_batch_tokens ignores.
    Source: deepseek2024, equation 1.
    """
    return 0.3118 * np.power(flop, -0.1250)


@term(unit="1", source="bergsma2025", domain={"tokens_per_param": (5.0, 1000.0)})
def timescale_frac(*, tokens_per_param: Num) -> Num:
    """1.084 (D / N)^-0.527

    Best timescale of the weight average that AdamW keeps, as a share of the run: B / (lr wd D). It gives the weight
    decay for a batch and a rate.

    tokens_per_param: D / N.
    Ignores: optimizers other than AdamW.
    Source: bergsma2025.
    """
    return 1.084 * np.power(tokens_per_param, -0.527)
