"""Accelerator time of a run whose layout is not known: arithmetic over what is reached of the peak."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term


@term(unit="flop", source="kaplan2020")
def dense_training_flop(*, active_params: Num, tokens: Num) -> Num:
    """6 * params * tokens

    Arithmetic of training: two operations a parameter and token forward, four backward.

    active_params: parameters one token uses. tokens: trained on, repeats counted.
    Ignores: attention over the sequence, which adds 2 to 15 % at sequences of 2k to 8k; recompute; evaluation.
    Source: kaplan2020.
    """
    return 6.0 * active_params * tokens


@term(unit="s", source="definition")
def training_accelerator_s(*, flop: Num, peak_flop_per_s: Num, mfu_frac: Num, goodput_frac: Num) -> Num:
    """flop / (peak * MFU * goodput)

    Accelerator-seconds of a run from start to end, losses in.

    flop: arithmetic of the model. peak_flop_per_s: dense peak of an accelerator. mfu_frac: reached in steady state, by
    the same count of arithmetic. goodput_frac: useful share of the time held.
    Ignores: that MFU falls with scale and changes with layout: this is for runs whose layout nobody published.
    Source: definition.
    """
    return np.divide(flop, peak_flop_per_s * mfu_frac * goodput_frac)
