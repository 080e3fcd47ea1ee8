"""What a program asks of the scaling laws, the functions of ``isocost.scaling``: laws by name or file, plain numbers.

The verbs of 'isocost scaling' show the same answers as tables. Parameters, tokens and FLOP are numbers here; a law is a
name that 'isocost scaling list' shows, the path of a law file, or a ``Law``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from isocost.num import Num
from isocost.scaling import store
from isocost.scaling.cluster import BatchAdvice, batch_advice
from isocost.scaling.fit import Fit, fit
from isocost.scaling.law import Law, loss
from isocost.scaling.optimum import Optimum, optimum
from isocost.scaling.runs import read_runs
from isocost.scaling.serving import Serving, params_at_loss, serving_optimum, tokens_to_reach
from isocost.scaling.shapes import Sparsity, shape
from isocost.workload.architecture import Architecture


def all_laws() -> Mapping[str, Law]:
    """Return the shipped laws by name."""
    return store.laws()


def law_of(law: str | Path | Law = store.DEFAULT_LAW) -> Law:
    """Return a law: a shipped one by name, or that of a file which ``fit_law`` and ``law_file`` made.

    Example:
        >>> scaling.law_of("besiroglu").value("alpha")
        0.3478
    """
    return law if isinstance(law, Law) else store.find_law(str(law))


def loss_of(params: Num, tokens: Num, law: str | Path | Law = store.DEFAULT_LAW, *, unique_tokens: Num = np.inf) -> Num:
    """Return the loss of models on tokens, numbers or arrays, in nats a token of the law's own corpus.

    Example:
        >>> round(float(scaling.loss_of(70e9, 1.4e12)), 3)
        1.974
    """
    return loss(law_of(law), params, tokens, unique_tokens)


def best_size(flop: float, law: str | Path | Law = store.DEFAULT_LAW, *, unique_tokens: float | None = None) -> Optimum:
    """Return the size and the tokens of least loss for an amount of arithmetic, 6 N D, with intervals where known.

    Example:
        >>> best = scaling.best_size(1e24)
        >>> f"{best.params / 1e9:.1f} B on {best.tokens / 1e12:.2f} T"
        '95.9 B on 1.74 T'
    """
    return optimum(law_of(law), flop, unique_tokens)


def best_served(
    loss: float,
    served_tokens: float,
    law: str | Path | Law = store.DEFAULT_LAW,
    *,
    serving_cost: float = 1.0,
    unique_tokens: float | None = None,
) -> Serving:
    """Return the model of least arithmetic over training and serving, 6 N D + 2 N S r, among those that reach a loss.

    Example:
        >>> paper = scaling.best_served(float(scaling.loss_of(70e9, 4.26e12, "sardana")), 10e12, "sardana")
        >>> f"{paper.params / 1e9:.1f} B on {paper.tokens / 1e12:.1f} T, {paper.saved_frac:.0%} saved"
        '41.6 B on 7.9 T, 12% saved'
    """
    return serving_optimum(law_of(law), loss, served_tokens, serving_cost, unique_tokens)


def size_for_loss(loss: float, law: str | Path | Law = store.DEFAULT_LAW) -> float:
    """Return the parameters that reach a loss with the least training."""
    return params_at_loss(law_of(law), loss)


def tokens_for_loss(
    loss: float, params: Num, law: str | Path | Law = store.DEFAULT_LAW, *, unique_tokens: float = np.inf
) -> Num:
    """Return the tokens that models of these sizes need for a loss; infinity where one cannot reach it."""
    return tokens_to_reach(law_of(law), loss, params, unique_tokens)


def fit_law(runs: str | Path, name: str = "my_law") -> Fit:
    """Return the law fitted to a CSV file of runs, its intervals, and what to know of it; the law is its ``law``."""
    return fit(read_runs(runs), name=name)


def law_file(law: str | Path | Law) -> str:
    """Return a law as TOML: written to a file, its path is a law everywhere."""
    return store.law_text(law_of(law))


def make_shape(params: float, *, experts: int = 0, topk: int = 0, shared: int = 0, tp: int = 8) -> Architecture:
    """Return an architecture of a size that can be built; of a mixture, the size is what a token uses.

    Example:
        >>> scaling.make_shape(8e9).layers
        32
    """
    return shape(params, sparsity=Sparsity(experts=experts, topk=topk, shared=shared) if experts else None, tp=tp)


def batches(params: float, tokens: float) -> tuple[BatchAdvice, ...]:
    """Return what the published laws of batch and learning rate say; ``params`` without embedding and head."""
    return batch_advice(params, tokens)
