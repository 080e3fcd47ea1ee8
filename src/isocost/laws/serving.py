"""Serving: accelerators that a stream of tokens needs at its peak."""

from __future__ import annotations

import numpy as np

from isocost.laws.scaling import SERVE_FLOP
from isocost.num import Num
from isocost.term import term


@term(
    unit="ratio",
    source="derived",
    domain={
        "tokens_per_s": (1e4, 1e6),
        "params": (1e9, 1e12),
        "served_flop_per_s": (1e14, 1e15),
        "model_gpus": (1.0, 8.0),
        "efficiency_frac": (0.1, 0.9),
    },
)
def serving_gpus(
    *, tokens_per_s: Num, params: Num, served_flop_per_s: Num, efficiency_frac: Num, model_gpus: Num
) -> Num:
    """ceil(2 N rate / (efficiency peak) / copy) copy

    Accelerators that serve a rate of tokens, in whole copies of the model: 2 FLOP a token and active parameter at a
    share of the dense peak.

    tokens_per_s: read and written, at the peak of the day. params: active ones. served_flop_per_s: dense peak of one
    accelerator in the precision of serving. efficiency_frac: share of it that serving reaches, which latency limits
    keep far below training's. model_gpus: accelerators of one copy of the model.
    Ignores: attention over the context, memory of the key-value cache, the mix of reading and writing: they are in
    the efficiency, which has to be measured.
    Source: derived from 2 FLOP a parameter and token (kaplan2020), as in lifetime_flop.
    """
    needed = np.divide(SERVE_FLOP * params * tokens_per_s, efficiency_frac * served_flop_per_s)
    return np.ceil(np.divide(needed, model_gpus)) * model_gpus
