"""A scaling law as a value: its form, its parameters with their uncertainty, and where and on what it was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.errors import InputError, Problem
from isocost.laws.scaling import (
    additive_loss,
    effective_amount,
    granular_loss,
    kaplan_loss,
    params_for_tokens,
    tokens_at_loss,
)
from isocost.num import Num

Array = NDArray[np.float64]

ADDITIVE: Final = "additive"
REPEATED: Final = "repeated"  # additive, with the decay of repeated tokens fitted too
KAPLAN: Final = "kaplan"
POWER_PARAMS: Final = "power_params"  # N = k C^p
POWER_TOKENS: Final = "power_tokens"  # D = k C^p
POWER_WORK: Final = "power_work"  # FLOPs a token = k C^p, D = k C^p
GRANULAR: Final = "granular"
INFORMATION: Final = "information"  # parameters to read, not to evaluate

_SURFACE: Final = ("E", "A", "B", "alpha", "beta")
FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    ADDITIVE: _SURFACE,
    REPEATED: (*_SURFACE, "tokens_half", "params_half"),
    KAPLAN: ("params_at_one", "tokens_at_one", "params_power", "tokens_power"),
    POWER_PARAMS: ("coefficient", "power"),
    POWER_TOKENS: ("coefficient", "power"),
    POWER_WORK: ("work_coefficient", "work_power", "tokens_coefficient", "tokens_power"),
    GRANULAR: (),
    INFORMATION: (),
}
HAS_LOSS: Final = (ADDITIVE, REPEATED, KAPLAN, GRANULAR)
HAS_SURFACE: Final = (ADDITIVE, REPEATED)
COUNTS: Final = ("all", "non_embedding", "active")
GRADES: Final = ("measured", "vendor", "derived", "estimate", "reported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One fitted parameter; ``sd`` is its standard error, low and high its 95 % interval, ``None`` where unknown."""

    value: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """One scaling law. ``counts`` says which parameters its N means; ranges are those of the runs it was fitted to."""

    id: str
    title: str
    form: str
    parameters: Mapping[str, Parameter]
    counts: str
    corpus: str
    params_range: tuple[float, float] | None
    tokens_range: tuple[float, float] | None
    flop_range: tuple[float, float] | None
    source: str
    as_of: str
    grade: str
    note: str = ""
    allocation: bool = True  # whether to choose a size by it
    from_memory: bool = False  # not read in any source
    covariance: tuple[tuple[float, ...], ...] = field(default=())  # of (log E, log A, log B, alpha, beta)

    def value(self, name: str) -> float:
        """Return a parameter's value."""
        return self.parameters[name].value

    @property
    def has_loss(self) -> bool:
        """Whether the law predicts a loss."""
        return self.form in HAS_LOSS

    @property
    def has_surface(self) -> bool:
        """Whether the law is an additive surface, which has an optimum under any cost."""
        return self.form in HAS_SURFACE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """The numbers of an additive law; each may be a row of draws. ``tokens_half`` decides what repeating is worth."""

    irreducible: Num
    params_scale: Num
    tokens_scale: Num
    params_power: Num
    tokens_power: Num
    tokens_half: Num
    params_half: Num

    def loss(self, params: Num, tokens: Num, unique_tokens: Num = np.inf) -> Num:
        """Return the loss; tokens beyond the unique ones, and parameters those cannot feed, count for less."""
        if not np.all(np.isinf(unique_tokens)):
            params = self._fed(params, unique_tokens)
            tokens = effective_amount(amount=tokens, unique=unique_tokens, half=self.tokens_half)
        return additive_loss(
            params=params,
            tokens=tokens,
            irreducible=self.irreducible,
            params_scale=self.params_scale,
            tokens_scale=self.tokens_scale,
            params_power=self.params_power,
            tokens_power=self.tokens_power,
        )

    def tokens_for(self, loss: Num, params: Num, unique_tokens: Num = np.inf) -> Num:
        """Return the tokens that a size needs for a loss, repeated ones included; infinity where it cannot reach it."""
        limited = not np.all(np.isinf(unique_tokens))
        needed = tokens_at_loss(
            loss=loss,
            params=self._fed(params, unique_tokens) if limited else params,
            irreducible=self.irreducible,
            params_scale=self.params_scale,
            tokens_scale=self.tokens_scale,
            params_power=self.params_power,
            tokens_power=self.tokens_power,
        )
        if not limited:
            return needed
        # effective_amount, solved for the amount; repetition is worth tokens_half times the unique tokens at the most
        share = np.divide(np.maximum(np.divide(needed, unique_tokens) - 1.0, 0.0), self.tokens_half)
        repeats = -self.tokens_half * np.log1p(-np.where(share < 1.0, share, 0.0))
        return np.where(share < 1.0, np.minimum(needed, unique_tokens) * (1.0 + repeats), np.inf)[()]

    def _fed(self, params: Num, unique_tokens: Num) -> Num:
        """Return the parameters that count: those beyond what the unique tokens can feed are worth less."""
        fed = params_for_tokens(
            tokens=unique_tokens,
            params_scale=self.params_scale,
            tokens_scale=self.tokens_scale,
            params_power=self.params_power,
            tokens_power=self.tokens_power,
        )
        return effective_amount(amount=params, unique=fed, half=self.params_half)


# Decay of repeated tokens and of parameters they cannot feed, where a law has none of its own: muennighoff2023.
TOKENS_HALF: Final = 15.387756
PARAMS_HALF: Final = 5.309743


def surface(law: Law) -> Surface:
    """Return the additive surface of a law; a law without one is an error that says what to use instead."""
    if not law.has_surface:
        fix = "use a law with a loss surface, such as besiroglu"
        raise InputError([Problem("law", "has no loss surface, only powers of the arithmetic", law.id, fix=fix)])
    given = {name: law.value(name) for name in law.parameters}
    return Surface(
        irreducible=given["E"],
        params_scale=given["A"],
        tokens_scale=given["B"],
        params_power=given["alpha"],
        tokens_power=given["beta"],
        tokens_half=given.get("tokens_half", TOKENS_HALF),
        params_half=given.get("params_half", PARAMS_HALF),
    )


def drawn(law: Law, draws: int, seed: int = 0) -> Surface | None:
    """Return a law's surface with a column of draws, (draws, 1) each; ``None`` where its covariance is not known."""
    if not law.covariance or not law.has_surface:
        return None
    middle = surface(law)
    centre = [np.log(law.value(name)) for name in ("E", "A", "B")] + [law.value("alpha"), law.value("beta")]
    root = np.linalg.cholesky(np.array(law.covariance))
    normal = np.random.default_rng(seed).standard_normal((draws, len(centre)))
    rows = np.array(centre) + (normal[:, :, None] * root.T[None]).sum(axis=1)
    e, a, b, alpha, beta = (column[:, None] for column in rows.T)
    return replace(
        middle,
        irreducible=np.exp(e),
        params_scale=np.exp(a),
        tokens_scale=np.exp(b),
        params_power=alpha,
        tokens_power=beta,
    )


def loss(law: Law, params: Num, tokens: Num, unique_tokens: Num = np.inf, granularity: Num = 1.0) -> Num:
    """Return the loss a law predicts, in nats a token of its own corpus: never to be compared between laws."""
    _no_negative(params, tokens, unique_tokens)
    if law.has_surface:
        return surface(law).loss(params, tokens, unique_tokens)
    if law.form == GRANULAR:
        return granular_loss(params=params, tokens=tokens, granularity=granularity)
    if law.form != KAPLAN:
        problem = Problem("law", "predicts no loss", law.id, fix="use a law with a loss, such as besiroglu")
        raise InputError([problem])
    return kaplan_loss(
        params=params,
        tokens=tokens,
        params_at_one=law.value("params_at_one"),
        tokens_at_one=law.value("tokens_at_one"),
        params_power=law.value("params_power"),
        tokens_power=law.value("tokens_power"),
    )


def _no_negative(params: Num, tokens: Num, unique_tokens: Num) -> None:
    given = {"params": params, "tokens": tokens, "data": unique_tokens}
    problems = [
        Problem(name, "is not positive", float(np.min(value)), fix="give a count above zero")
        for name, value in given.items()
        if not np.all(np.asarray(value) > 0.0)
    ]
    if problems:
        raise InputError(problems)
