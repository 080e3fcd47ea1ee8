"""The cheapest way to a loss over training and serving: a smaller model, trained for longer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.errors import InputError, Problem
from isocost.laws.scaling import lifetime_flop
from isocost.num import Num
from isocost.scaling.law import Law, surface
from isocost.scaling.limits import check_amounts, warnings
from isocost.scaling.optimum import least


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The cheapest way to one loss over training and serving, beside the way of least training."""

    law: Law
    loss: float
    served_tokens: float
    serving_cost: float
    params: float
    tokens: float
    flop: float  # of training and serving, at the price of training
    train_params: float
    train_tokens: float
    train_flop: float  # the same sum for the way of least training
    notes: tuple[str, ...]

    @property
    def saved_frac(self) -> float:
        """Share of the lifetime arithmetic that the smaller model saves."""
        return 1.0 - self.flop / self.train_flop


def serving_optimum(
    law: Law, loss: float, served_tokens: float, serving_cost: float = 1.0, unique_tokens: float | None = None
) -> Serving:
    """Return the size of least lifetime arithmetic, 6 N D + 2 N S r, among those that reach a loss."""
    check_amounts(served_tokens=served_tokens, serving_cost=serving_cost, data=unique_tokens)
    at = surface(law)
    start = params_at_loss(law, loss)
    limit = np.inf if unique_tokens is None else unique_tokens

    def lifetime(params: Num, served: float = served_tokens) -> Num:
        tokens = at.tokens_for(loss, params, limit)
        return lifetime_flop(params=params, tokens=tokens, served_tokens=served, serving_cost=serving_cost)

    base = float(least(lambda n: lifetime(n, 0.0), start))
    params = float(least(lifetime, base))
    tokens = float(at.tokens_for(loss, params, limit))
    if not np.isfinite(tokens):
        fix = "ask for a higher loss, or give more unique tokens"
        raise InputError([Problem("loss", f"is not within reach of {limit:.3g} unique tokens", loss, fix=fix)])
    return Serving(
        law=law,
        loss=loss,
        served_tokens=served_tokens,
        serving_cost=serving_cost,
        params=params,
        tokens=tokens,
        flop=float(lifetime(params)),
        train_params=base,
        train_tokens=float(at.tokens_for(loss, base, limit)),
        train_flop=float(lifetime(base)),
        notes=warnings(law, params, tokens, None, unique_tokens),
    )


def tokens_to_reach(law: Law, loss: float, params: Num, unique_tokens: float = np.inf) -> Num:
    """Return the tokens that each size needs for a loss; infinity where it cannot reach it."""
    _check_loss(law, loss)
    return surface(law).tokens_for(loss, params, unique_tokens)


def params_at_loss(law: Law, loss: float) -> float:
    """Return the size that reaches a loss with the least training, in closed form.

    At that size the two reducible parts stand as beta to alpha, whatever the loss.
    """
    _check_loss(law, loss)
    at = surface(law)
    share = at.tokens_power / (at.params_power + at.tokens_power)
    room = (loss - at.irreducible) * share
    return float(np.power(np.divide(at.params_scale, room), np.divide(1.0, at.params_power)))


def _check_loss(law: Law, loss: float) -> None:
    floor = float(surface(law).irreducible)
    if not (np.isfinite(loss) and loss > floor):
        fix = "ask for a higher loss, in nats a token of this law's own corpus"
        message = f"is not above the irreducible loss of {law.id}, {floor:g}"
        raise InputError([Problem("loss", message, loss, fix=fix)])
