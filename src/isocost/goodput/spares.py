"""Spare nodes: how many, and how often they are not enough. Nodes in repair are Poisson (M/G/infinity)."""

from __future__ import annotations

import math

import numpy as np

from isocost.num import Num

SHORT_FRAC = 0.01  # of the time, by convention: spares run out


def short_frac(mean_in_repair: Num, spares: Num) -> Num:
    """Return the probability that more nodes are in repair than there are spares."""
    mean, most = np.broadcast_arrays(np.asarray(mean_in_repair, dtype=float), np.asarray(spares, dtype=float))
    total, term = np.zeros(mean.shape), _poisson(mean, 0)
    for count in range(int(np.max(most, initial=0.0)) + 1):
        total = np.where(count <= most, total + term, total)
        term = _next(mean, count, term)
    return np.clip(1.0 - total, 0.0, 1.0)[()]


def spares_needed(mean_in_repair: Num, short: float = SHORT_FRAC, correlated_nodes: float = 0.0) -> Num:
    """Return the fewest spares that run out at most ``short`` of the time, plus those for one correlated event."""
    mean = np.asarray(mean_in_repair, dtype=float)
    needed = np.full(mean.shape, np.nan)
    total, count = np.zeros(mean.shape), 0
    term = _poisson(mean, 0)
    while np.isnan(needed).any():
        total = total + term
        term = _next(mean, count, term)
        needed = np.where(np.isnan(needed) & (total >= 1.0 - short), count, needed)
        count += 1
        if count > np.max(mean) + 40.0 * math.sqrt(np.max(mean)) + 100.0:  # rounding kept the sum below 1 - short
            needed = np.where(np.isnan(needed), count, needed)
    return (needed + correlated_nodes)[()]


def wait_for_repair_s(mean_in_repair: Num, spares: Num, repair_s: Num) -> Num:
    """Return the mean wait of a stop for a node: where spares have run out, for the next of spares + 1 repairs."""
    return short_frac(mean_in_repair, spares) * np.divide(repair_s, np.asarray(spares, dtype=float) + 1.0)


# Beyond this mean exp(-mean) underflows, and terms cannot be had from the ones before them.
_MOST_MEAN = 500.0


def _next(mean: Num, count: int, term: Num) -> Num:
    """Return the term after one: from that one, which is cheap, or anew where its beginning is too small a number."""
    if np.max(mean, initial=0.0) > _MOST_MEAN:
        return _poisson(mean, count + 1)
    with np.errstate(under="ignore"):
        return term * np.divide(mean, count + 1.0)


def _poisson(mean: Num, count: int) -> Num:
    safe = np.maximum(mean, 1e-300)
    with np.errstate(under="ignore"):  # a term too small to matter
        return np.exp(count * np.log(safe) - safe - math.lgamma(count + 1.0))
