"""Size of the global batch where larger ones stop paying, for questions that state none."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term

# Fits of kaplan2020: table 2 (loss against parameters and tokens) and equation 5.3 (critical batch against loss).
PARAMS_AT_ONE = 6.4e13
TOKENS_AT_ONE = 1.8e13
PARAMS_POWER = 0.076
TOKENS_POWER = 0.103
BATCH_AT_ONE = 2.1e8
BATCH_POWER = 0.21


@term(unit="ratio", source="kaplan2020", domain={"params": (1e6, 1e13), "tokens": (1e9, 1e14)})
def expected_loss(*, params: Num, tokens: Num) -> Num:
    """((6.4e13 / N)^(0.076 / 0.103) + 1.8e13 / D)^0.103

    Loss in nats a token that a language model of N parameters outside the embedding reaches on D tokens.

    params: parameters without embeddings, N (of a mixture of experts: those a token uses). tokens: of the run, D.
    Ignores: data, tokenizer and the gains in architecture since; only the batch below is taken from it, which moves by
    less than a factor of two with them.
    Source: kaplan2020, table 2.
    """
    by_size = np.power(np.divide(PARAMS_AT_ONE, params), PARAMS_POWER / TOKENS_POWER)
    loss: Num = np.power(by_size + np.divide(TOKENS_AT_ONE, tokens), TOKENS_POWER)
    return loss


@term(unit="ratio", source="kaplan2020, mccandlish2018", domain={"loss": (1.5, 4.0)})
def critical_batch_tokens(*, loss: Num) -> Num:
    """2.1e8 / loss^(1 / 0.21)

    Tokens of a batch at which a run needs twice the steps and twice the tokens of its two ideals. Below it, doubling
    the batch nearly halves the steps; above it, accelerators are added for little. Published runs of the largest
    models (4 to 16 million tokens) sit at or below it.

    loss: nats a token at the end of the run.
    Ignores: that the batch may grow during the run, and that the optimizer and data move it.
    Source: kaplan2020, equation 5.3; mccandlish2018 (the idea).
    """
    return BATCH_AT_ONE * np.power(loss, -1.0 / BATCH_POWER)
