"""Loss of a language model against its size and data, and the size and data that a budget of arithmetic buys.

Losses are nats a token on the corpus and with the tokenizer of the law's own authors: those of two laws are never
compared. What is compared is what each law advises. Parameters of the published laws are data (scaling_laws.toml).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from isocost.num import Num
from isocost.term import term

# Arithmetic of a token and parameter: forward 2 (a multiplication and an addition), backward twice that.
TRAIN_FLOP: Final = 6.0
SERVE_FLOP: Final = 2.0

_SIZES = {"params": (1e8, 1e12), "tokens": (1e9, 1e14)}
_ADDITIVE = {
    "irreducible": (1.5, 2.0),
    "params_scale": (300.0, 600.0),
    "tokens_scale": (400.0, 2500.0),
    "params_power": (0.3, 0.4),
    "tokens_power": (0.25, 0.4),
}


@term(unit="flop", source="kaplan2020, hoffmann2022", domain=_SIZES)
def train_6nd_flop(*, params: Num, tokens: Num) -> Num:
    """6 N D

    Arithmetic of a training run as scaling laws count it: two FLOPs forward and four backward a parameter and token.

    params: N, as the law counts them. tokens: D, repeated ones each time.
    Ignores: attention over the sequence (1 to 15 % more), and the embedding, which is looked up, not multiplied.
    Source: kaplan2020, section 2.1; hoffmann2022.
    """
    return TRAIN_FLOP * params * tokens


@term(unit="ratio", source="kaplan2020, hoffmann2022", domain={"flop": (1e18, 1e27), "params": (1e8, 1e12)})
def tokens_for_flop(*, flop: Num, params: Num) -> Num:
    """C / (6 N)

    Tokens that a budget of arithmetic buys at a given size.

    flop: of the run, C. params: N.
    Ignores: what 6 N D ignores.
    Source: kaplan2020, hoffmann2022.
    """
    return np.divide(flop, TRAIN_FLOP * params)


@term(unit="ratio", source="hoffmann2022", domain=_SIZES | _ADDITIVE)
def additive_loss(
    *,
    params: Num,
    tokens: Num,
    irreducible: Num,
    params_scale: Num,
    tokens_scale: Num,
    params_power: Num,
    tokens_power: Num,
) -> Num:
    """E + A / N^alpha + B / D^beta

    Loss as the entropy of text, plus what a finite model and finite data lack. Holds within the sizes and the ratios
    of tokens to parameters of the fit; beyond some 1,000 tokens a parameter it overrates tokens.

    params: N. tokens: D, unique ones (see effective_amount). irreducible: E. params_scale, params_power: A, alpha.
    tokens_scale, tokens_power: B, beta.
    Ignores: the shape of the model, the quality of the data, the schedule of the learning rate.
    Source: hoffmann2022, equation 2.
    """
    by_size = np.divide(params_scale, np.power(params, params_power))
    by_data = np.divide(tokens_scale, np.power(tokens, tokens_power))
    return irreducible + by_size + by_data


@term(unit="ratio", source="hoffmann2022", domain={"flop": (1e18, 1e27), **_ADDITIVE})
def optimal_params(*, flop: Num, params_scale: Num, tokens_scale: Num, params_power: Num, tokens_power: Num) -> Num:
    """G (C / 6)^(beta / (alpha + beta)), G = (alpha A / (beta B))^(1 / (alpha + beta))

    Parameters that make the additive loss least for a given amount of arithmetic, 6 N D.

    flop: of the run, C. params_scale, params_power: A, alpha. tokens_scale, tokens_power: B, beta.
    Ignores: price, time, serving and data that run out; the loss is flat about this point.
    Source: hoffmann2022, equation 4.
    """
    both = params_power + tokens_power
    balance = np.power(np.divide(params_power * params_scale, tokens_power * tokens_scale), np.divide(1.0, both))
    best: Num = balance * np.power(np.divide(flop, TRAIN_FLOP), np.divide(tokens_power, both))
    return best


@term(unit="ratio", source="hoffmann2022", domain={"tokens": (1e9, 1e14), **_ADDITIVE})
def params_for_tokens(
    *, tokens: Num, params_scale: Num, tokens_scale: Num, params_power: Num, tokens_power: Num
) -> Num:
    """(alpha A D^beta / (beta B))^(1 / alpha)

    Parameters for which D tokens are the best amount: where a further FLOP gains as much in size as in data.

    tokens: D. params_scale, params_power: A, alpha. tokens_scale, tokens_power: B, beta.
    Ignores: what optimal_params ignores.
    Source: hoffmann2022, equation 4, solved for N.
    """
    ratio = np.divide(params_power * params_scale, tokens_power * tokens_scale)
    best: Num = np.power(ratio * np.power(tokens, tokens_power), np.divide(1.0, params_power))
    return best


@term(
    unit="ratio",
    source="hoffmann2022, sardana2024",
    domain={"loss": (3.0, 4.0), "params": (1e9, 1e12), **_ADDITIVE},
)
def tokens_at_loss(
    *,
    loss: Num,
    params: Num,
    irreducible: Num,
    params_scale: Num,
    tokens_scale: Num,
    params_power: Num,
    tokens_power: Num,
) -> Num:
    """(B / (L - E - A / N^alpha))^(1 / beta)

    Tokens that a model of N parameters needs for a given loss: an isoloss line. Unlimited where the model is too small
    to reach it on any amount of data.

    loss: L. params: N. irreducible: E. params_scale, params_power: A, alpha. tokens_scale, tokens_power: B, beta.
    Ignores: what additive_loss ignores.
    Source: hoffmann2022, equation 2, solved for D; sardana2024.
    """
    room = loss - irreducible - np.divide(params_scale, np.power(params, params_power))
    reached = room > 0.0
    base = np.divide(tokens_scale, np.where(reached, room, 1.0))
    needed = np.power(base, np.divide(1.0, tokens_power))
    return np.where(reached, needed, np.inf)[()]


@term(
    unit="ratio", source="muennighoff2023", domain={"amount": (1e9, 1e13), "unique": (1e9, 1e12), "half": (5.0, 16.0)}
)
def effective_amount(*, amount: Num, unique: Num, half: Num) -> Num:
    """U (1 + R* (1 - exp(-R / R*))), R = max(amount / U - 1, 0); the amount itself where it is below U

    Unique tokens that repeated ones are worth (or parameters, those beyond what the unique tokens can feed). The
    first few repetitions are nearly as good as new data; the value decays with R*, to nothing.

    amount: tokens seen (or parameters). unique: unique tokens U (or the parameters that they can feed). half: R*.
    Ignores: that stronger weight decay and better data move R*; fitted on 7 M to 9 B parameters, 1 to 500 epochs.
    Source: muennighoff2023.
    """
    excess = np.maximum(np.divide(amount, unique) - 1.0, 0.0)
    return np.minimum(amount, unique) * (1.0 - half * np.expm1(np.divide(-excess, half)))


@term(
    unit="ratio",
    source="kaplan2020",
    domain={
        **_SIZES,
        "params_at_one": (6e13, 9e13),
        "tokens_at_one": (1e13, 6e13),
        "params_power": (0.07, 0.08),
        "tokens_power": (0.09, 0.11),
    },
)
def kaplan_loss(
    *, params: Num, tokens: Num, params_at_one: Num, tokens_at_one: Num, params_power: Num, tokens_power: Num
) -> Num:
    """((Nc / N)^(aN / aD) + Dc / D)^aD

    Loss of a model of N parameters outside the embedding on D tokens, as the first scaling laws had it. Not for
    choosing a size: the fit left out head and embedding and used one warm-up and schedule for all sizes.

    params: N, without embeddings. tokens: D. params_at_one, params_power: Nc, aN. tokens_at_one, tokens_power: Dc, aD.
    Ignores: an irreducible loss: it goes to zero.
    Source: kaplan2020, equation 1.5.
    """
    by_size = np.power(np.divide(params_at_one, params), np.divide(params_power, tokens_power))
    loss: Num = np.power(by_size + np.divide(tokens_at_one, tokens), tokens_power)
    return loss


@term(
    unit="ratio",
    source="kaplan2020, hoffmann2022, llama3herd, deepseek2024",
    domain={"flop": (1e18, 1e27), "coefficient": (0.05, 6.0), "power": (0.3, 0.7)},
)
def power_of_flop(*, flop: Num, coefficient: Num, power: Num) -> Num:
    """k C^p

    A quantity (parameters, tokens, FLOPs a token) that runs with the best allocation show as a power of arithmetic.

    flop: of the run, C. coefficient: k. power: p.
    Ignores: curvature; a power fitted at small runs is a straight line drawn far beyond them.
    Source: kaplan2020, hoffmann2022 (approaches 1 and 2), llama3herd, deepseek2024.
    """
    return coefficient * np.power(flop, power)


@term(
    unit="ratio",
    source="krajewski2024",
    domain={**_SIZES, "granularity": (1.0, 64.0)},
)
def granular_loss(*, params: Num, tokens: Num, granularity: Num) -> Num:
    """0.47 + (2.1 / G^0.58 + 18.1) / N^0.115 + 30.8 / D^0.147

    Loss of a mixture of experts with 64 times the feed-forward of its dense base, cut into experts G times finer.

    params: N, without embeddings, idle experts included. tokens: D. granularity: G, width of the feed-forward of the
    dense base over that of an expert.
    Ignores: other numbers of experts.
    Source: krajewski2024.
    """
    by_size = np.divide(2.1 / np.power(granularity, 0.58) + 18.1, np.power(params, 0.115))
    return 0.47 + by_size + np.divide(30.8, np.power(tokens, 0.147))


@term(
    unit="flop",
    source="sardana2024",
    domain={**_SIZES, "served_tokens": (1e9, 1e14), "serving_cost": (0.5, 4.0)},
)
def lifetime_flop(*, params: Num, tokens: Num, served_tokens: Num, serving_cost: Num) -> Num:
    """6 N D + 2 N S r

    Arithmetic of training on D tokens and serving S, in FLOPs at the price of training.

    params: N. tokens: D. served_tokens: S, read and written ones over the life of the model. serving_cost: r, the cost
    of a FLOP that serves over that of one that trains: the ratio of the utilisations when on the same accelerators.
    Ignores: that reading and writing a token differ in cost; attention.
    Source: sardana2024.
    """
    return TRAIN_FLOP * params * tokens + SERVE_FLOP * params * served_tokens * serving_cost
