"""Checkpoints: how large, how long they block, and how often to write them."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term

_NEWTON_STEPS = 8  # convex from the right: quadratic from the first step on, exact to the last bit by the sixth
_MTTF = (3600.0, 1e6)


@term(unit="B", source="bloom_chronicles, mlperf_storage", domain={"params": (1e8, 1e12), "param_bytes": (8.0, 18.0)})
def checkpoint_bytes(*, params: Num, param_bytes: Num) -> Num:
    """params * bytes per parameter

    Size of a checkpoint with everything that a restart needs (F12): 13 to 14 bytes a parameter as measured (weights in
    16 bit, master weights and two moments in 32 bit, no gradients); 16 is the safe rule.

    params: parameters of the model. param_bytes: of each.
    Source: bloom_chronicles (2.3 TB for 176B); mlperf_storage (0.912 TB for 70B, 5.29 TB for 405B).
    """
    return params * param_bytes


@term(unit="s", source="daly2006", domain={"save_s": (1.0, 60.0), "mttf_s": _MTTF})
def young_interval_s(*, save_s: Num, mttf_s: Num) -> Num:
    """sqrt(2 d M)

    Interval with least loss to first order.

    save_s: blocking part of a save, d. mttf_s: M.
    Source: daly2006, after Young 1974.
    """
    return np.sqrt(2.0 * save_s * mttf_s)


@term(unit="s", source="daly2006", domain={"save_s": (1.0, 60.0), "mttf_s": _MTTF})
def daly_interval_s(*, save_s: Num, mttf_s: Num) -> Num:
    """sqrt(2 d M) (1 + sqrt(d / 2M) / 3 + (d / 2M) / 9) - d for d < 2M, else M

    Interval with least loss to higher order.

    save_s: d. mttf_s: M.
    Source: daly2006, equation 37.
    """
    ratio = np.divide(save_s, 2.0 * mttf_s)
    series = np.sqrt(2.0 * save_s * mttf_s) * (1.0 + np.divide(np.sqrt(ratio), 3.0) + np.divide(ratio, 9.0)) - save_s
    return np.where(ratio < 1.0, series, mttf_s)[()]


@term(unit="s", source="derived, daly2006", domain={"save_s": (1.0, 60.0), "mttf_s": _MTTF})
def exact_interval_s(*, save_s: Num, mttf_s: Num) -> Num:
    """tau = M y, with 1 - y = exp(-y - d / M)

    Interval that maximises the exact renewal form; recovery and persistence do not move it. Newton's method from
    min(1, sqrt(2 d / M)), which is never left of the root of a convex function.

    save_s: d. mttf_s: M.
    Source: derived from the renewal form of daly2006.
    """
    blocked = np.divide(save_s, mttf_s)
    y = np.minimum(1.0, np.sqrt(2.0 * blocked))
    for _ in range(_NEWTON_STEPS):
        slope = -np.expm1(-(y + blocked))
        y = y - np.divide(y - slope, np.maximum(slope, 1e-300))
    return mttf_s * np.maximum(y, 0.0)


@term(unit="s", source="derived", domain={"gpus": (8.0, 16384.0)})
def copy_s(*, state_bytes: Num, gpus: Num, copy_bytes_per_s: Num, start_s: Num) -> Num:
    """start + bytes / gpus / rate

    Time for which an asynchronous save blocks: every GPU copies its part of the state to the memory of its host.

    state_bytes: of the checkpoint. gpus: that hold a part each. copy_bytes_per_s: of one GPU to its host, achieved.
    start_s: fixed cost of collecting tensors.
    Ignores: that parts may be uneven.
    Source: derived.
    """
    return start_s + np.divide(np.divide(state_bytes, gpus), copy_bytes_per_s)


@term(unit="s", source="derived", domain={"persist_s": (10.0, 900.0), "interval_s": (60.0, 4000.0)})
def asynchronous_stall_s(*, copy_s: Num, persist_s: Num, interval_s: Num) -> Num:
    """copy + max(0, persist - tau)

    Time for which an asynchronous save blocks the run (F10): the copy, and what of the last write is left when the next
    save is due.

    copy_s: device to host. persist_s: host to storage. interval_s: tau.
    Ignores: that writing in the background slows the steps (below 1 % as published).
    Source: derived.
    """
    return copy_s + np.maximum(0.0, persist_s - interval_s)
