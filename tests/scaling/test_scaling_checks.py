"""Scaling laws: the values that their papers print, each to the digits of its source."""

from __future__ import annotations

import math

import pytest

from isocost.errors import InputError
from isocost.laws import batch_size
from isocost.laws import scaling as formulas
from isocost.laws.critical_batch import critical_batch_tokens
from isocost.scaling.law import loss, surface
from isocost.scaling.optimum import allocate, optimum
from isocost.scaling.serving import serving_optimum
from isocost.scaling.store import laws

LAWS = laws()


# hoffmann2022, table 3: parameters, FLOP, tokens.
TABLE_3 = [
    (400e6, 1.92e19, 8.0e9),
    (1e9, 1.21e20, 20.2e9),
    (10e9, 1.23e22, 205.1e9),
    (67e9, 5.76e23, 1.5e12),
    (175e9, 3.85e24, 3.7e12),
    (280e9, 9.90e24, 5.9e12),
    (520e9, 3.43e25, 11.0e12),
    (1e12, 1.27e26, 21.2e12),
    (10e12, 1.30e28, 216.2e12),
]


@pytest.mark.parametrize(("params", "flop", "tokens"), TABLE_3)
def test_table_3_of_chinchilla(params: float, flop: float, tokens: float) -> None:
    """Approach 1 gives every printed row, and every row is 6 N D, both within the rounding of its tokens."""
    found = optimum(LAWS["hoffmann-1"], flop)
    assert found.params == pytest.approx(params, rel=0.013)
    assert found.tokens == pytest.approx(tokens, rel=0.06)
    assert formulas.train_6nd_flop(params=params, tokens=tokens) == pytest.approx(flop, rel=0.05)


# Budget, then N, D (billions) and loss of the printed, the TeX and the Besiroglu parameters.
BY_BUDGET = [
    (1e19, (0.228, 7.31, 2.986), (0.271, 6.15, 2.922), (0.262, 6.36, 2.927)),
    (1e20, (0.645, 25.9, 2.600), (0.775, 21.5, 2.553), (0.854, 19.5, 2.553)),
    (1e21, (1.824, 91.4, 2.329), (2.217, 75.2, 2.296), (2.778, 60.0, 2.306)),
    (1e22, (5.160, 323, 2.139), (6.343, 263, 2.115), (9.045, 184, 2.141)),
    (1e23, (14.60, 1142, 2.005), (18.15, 918, 1.989), (29.45, 566, 2.032)),
    (5.76e23, (32.2, 2980, 1.931), (40.4, 2380, 1.918), (72.3, 1330, 1.974)),
    (1e24, (41.3, 4040, 1.911), (51.9, 3210, 1.900), (95.9, 1740, 1.960)),
    (1e25, (117, 14300, 1.845), (149, 11200, 1.838), (312, 5340, 1.912)),
    (3.8e25, (214, 29700, 1.817), (273, 23200, 1.811), (619, 10200, 1.892)),
    (1e26, (331, 50400, 1.799), (425, 39200, 1.795), (1016, 16400, 1.880)),
]


@pytest.mark.parametrize("column", range(3), ids=["hoffmann-printed", "hoffmann", "besiroglu"])
@pytest.mark.parametrize("row", BY_BUDGET, ids=lambda row: f"{row[0]:g}")
def test_optimum_by_budget(row: tuple[float, tuple[float, float, float]], column: int) -> None:
    """The closed form gives the tabulated size, data and loss to the digits shown."""
    law = LAWS[("hoffmann-printed", "hoffmann", "besiroglu")[column]]
    params, tokens, expected = row[1 + column]
    found = optimum(law, row[0], draws=0)
    assert found.params == pytest.approx(params * 1e9, rel=3e-3)
    assert found.tokens == pytest.approx(tokens * 1e9, rel=4e-3)
    assert found.loss == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(
    ("params", "tokens", "expected"), [(70e9, 1.4e12, (1.937, 1.921, 1.974)), (280e9, 300e9, (1.993, 1.967, 2.000))]
)
def test_loss_at_chinchilla_and_gopher(params: float, tokens: float, expected: tuple[float, ...]) -> None:
    """The three parameter sets give the known losses of the two models."""
    got = [loss(LAWS[name], params, tokens) for name in ("hoffmann-printed", "hoffmann", "besiroglu")]
    assert got == pytest.approx(expected, abs=6e-4)


def test_approach_2_of_chinchilla() -> None:
    """Approach 2 passes through the rows of the paper's appendix, the middle one within its rounding."""
    for params, flop in ((67e9, 6.88e23), (175e9, 4.54e24), (1e12, 1.59e26)):
        assert allocate(LAWS["hoffmann-2"], flop)[0] == pytest.approx(params, rel=0.03)


@pytest.mark.parametrize(("params", "expected"), [(1e8, 2.830), (1e9, 2.376), (1e10, 1.994), (1.75e11, 1.604)])
def test_kaplan_by_size(params: float, expected: float) -> None:
    """With unlimited data Kaplan's law is (8.8e13 / N)^0.076."""
    assert loss(LAWS["kaplan"], params, 1e30) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(("tokens", "expected"), [(1e9, 2.816), (1e10, 2.262), (1e11, 1.818), (3e11, 1.638)])
def test_kaplan_by_data(tokens: float, expected: float) -> None:
    """With an unlimited model Kaplan's law is (5.4e13 / D)^0.095."""
    assert loss(LAWS["kaplan"], 1e30, tokens) == pytest.approx(expected, abs=6e-4)


def test_kaplan_at_both() -> None:
    """1.5 B parameters on 23 B tokens: 2.372."""
    assert loss(LAWS["kaplan"], 1.5e9, 23e9) == pytest.approx(2.372, abs=6e-4)


def test_kaplan_chooses_no_size() -> None:
    """Kaplan's law is refused for allocation, and the error says what to use."""
    with pytest.raises(InputError, match="besiroglu"):
        optimum(LAWS["kaplan"], 1e24)


@pytest.mark.parametrize(("at", "tokens"), [(4.0, 0.272e6), (3.0, 1.07e6), (2.5, 2.55e6), (2.0, 7.37e6)])
def test_critical_batch(at: float, tokens: float) -> None:
    """Table 5 prints 2.1e8 where the equation has 2e8: the shipped law is 1.05 times the equation's."""
    assert critical_batch_tokens(loss=at) / 1.05 == pytest.approx(tokens, rel=6e-3)


def test_llama3_is_not_its_printed_pair() -> None:
    """The legend's pair gives the flagship within 5 %; the pair in the text is a third off."""
    found = optimum(LAWS["llama3"], 3.8e25)
    assert found.tokens == pytest.approx(16.29e12, rel=2e-3)
    assert found.params == pytest.approx(389e9, rel=2e-3)
    assert (found.params, found.tokens) == pytest.approx((402e9, 16.55e12), rel=0.05)
    assert pytest.approx(10.5e12, rel=5e-3) == 0.29 * 3.8e25**0.53


@pytest.mark.parametrize(
    ("flop", "work", "tokens", "batch", "rate"),
    [
        (1e20, 5.25e9, 19.1e9, 1.02e6, 9.86e-4),
        (1e22, 5.87e10, 170e9, 4.59e6, 5.55e-4),
        (3e23, 3.49e11, 859e9, 13.96e6, 3.62e-4),
    ],
)
def test_deepseek(flop: float, work: float, tokens: float, batch: float, rate: float) -> None:
    """FLOPs a token, tokens, batch and learning rate of DeepSeek LLM; work times tokens is the budget."""
    params, found = allocate(LAWS["deepseek"], flop)
    assert 6 * params == pytest.approx(work, rel=3e-3)
    assert found == pytest.approx(tokens, rel=3e-3)
    assert 6 * params * found == pytest.approx(flop, rel=2e-4)
    assert batch_size.deepseek_batch_tokens(flop=flop) == pytest.approx(batch, rel=6e-3)
    assert batch_size.deepseek_rate(flop=flop) == pytest.approx(rate, rel=2e-3)


@pytest.mark.parametrize(
    ("params", "tokens", "rate", "batch"),
    [
        (1e9, 2e10, 9.96e-4, 0.442e6),
        (7e9, 1e12, 8.27e-4, 4.12e6),
        (7e10, 1.4e12, 1.78e-4, 5.00e6),
        (4.05e11, 1.56e13, 1.06e-4, 19.8e6),
    ],
)
def test_step_law(params: float, tokens: float, rate: float, batch: float) -> None:
    """Learning rate and batch of the Step Law at four sizes."""
    assert batch_size.step_law_rate(params=params, tokens=tokens) == pytest.approx(rate, rel=5e-3)
    assert batch_size.step_law_batch_tokens(tokens=tokens) == pytest.approx(batch, rel=5e-3)


def test_batch_hyperbola() -> None:
    """At the critical batch tokens and steps are both twice their least; everywhere (S/Smin - 1)(E/Emin - 1) = 1."""
    given = {"tokens": 1e12, "critical_tokens": 4e6}
    assert batch_size.tokens_at_batch(batch_tokens=4e6, **given) == 2e12
    assert batch_size.steps_at_batch(batch_tokens=4e6, **given) == 2 * 1e12 / 4e6
    for batch in (1e5, 1e6, 3e7):
        tokens = batch_size.tokens_at_batch(batch_tokens=batch, **given)
        steps = batch_size.steps_at_batch(batch_tokens=batch, **given)
        assert steps * batch == pytest.approx(tokens, rel=1e-12)
        assert (steps / (1e12 / 4e6) - 1) * (tokens / 1e12 - 1) == pytest.approx(1.0, rel=1e-9)


def test_gpt3_arithmetic() -> None:
    """GPT-3, 174.6 B parameters on 300 B tokens, took 3.14e23 FLOP."""
    assert formulas.train_6nd_flop(params=174.6e9, tokens=300e9) == pytest.approx(3.14e23, rel=1e-3)


@pytest.mark.parametrize(
    ("epochs", "worth", "each"), [(2, 1.968, 0.984), (4, 3.726, 0.931), (8, 6.624, 0.828), (16, 10.583, 0.661),
                                  (40, 15.168, 0.379), (1e6, 16.388, 0.0)],
)  # fmt: skip
def test_repeated_tokens(epochs: float, worth: float, each: float) -> None:
    """Repeated tokens are worth what muennighoff2023 says; the limit is 1 + R*."""
    got = formulas.effective_amount(amount=epochs * 1e9, unique=1e9, half=15.387756) / 1e9
    assert got == pytest.approx(worth, abs=6e-4)
    assert got / epochs == pytest.approx(each, abs=6e-4)


def test_no_repetition_no_loss() -> None:
    """Fewer tokens than there are count in full."""
    assert formulas.effective_amount(amount=0.5e9, unique=1e9, half=15.0) == 0.5e9


@pytest.mark.parametrize(
    ("params", "tokens", "unique", "expected"),
    [(2.8e9, 55e9, 55e9, 2.3544), (8.7e9, 178e9, 25e9, 2.2269), (6.3e9, 242e9, 25e9, 2.2259)],
)
def test_muennighoff_losses(params: float, tokens: float, unique: float, expected: float) -> None:
    """Three losses of the repeated-data law; on 25 B unique tokens the smaller, longer run is the better one."""
    assert loss(LAWS["muennighoff"], params, tokens, unique) == pytest.approx(expected, abs=1.1e-4)


def test_muennighoff_effective_amounts() -> None:
    """8.7 B parameters on 178 B of 25 B unique tokens count as 5.783 B on 151.2 B; 19.6 tokens feed a parameter."""
    at = surface(LAWS["muennighoff"])
    fed = formulas.params_for_tokens(
        tokens=25e9, params_scale=at.params_scale, tokens_scale=at.tokens_scale, params_power=at.params_power,
        tokens_power=at.tokens_power,
    )  # fmt: skip
    assert fed / 25e9 == pytest.approx(0.05099, abs=1e-5)
    assert formulas.effective_amount(amount=8.7e9, unique=fed, half=at.params_half) == pytest.approx(5.783e9, rel=1e-3)
    assert formulas.effective_amount(amount=178e9, unique=25e9, half=at.tokens_half) == pytest.approx(151.2e9, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "served", "params", "tokens", "saved"),
    [
        ("sardana", 30e9, 5e12, 16.41e9, 3.265e12, 0.163),
        ("sardana", 70e9, 10e12, 41.55e9, 7.922e12, 0.119),
        ("besiroglu", 30e9, 5e12, 13.7e9, 1.73e12, 0.31),
        ("besiroglu", 70e9, 10e12, 32.8e9, 3.67e12, 0.29),
    ],
)
def test_serving_aware_optimum(
    name: str, size: float, served: float, params: float, tokens: float, saved: float
) -> None:
    """The worked cases of sardana2024, and the same questions under the default law."""
    law = LAWS[name]
    at = surface(law)
    best = formulas.params_for_tokens  # of a size: solve for its tokens at least training
    low, high = 1e9, 1e15
    for _ in range(200):
        middle = math.sqrt(low * high)
        fed = best(tokens=middle, params_scale=at.params_scale, tokens_scale=at.tokens_scale,
                   params_power=at.params_power, tokens_power=at.tokens_power)  # fmt: skip
        low, high = (middle, high) if fed < size else (low, middle)
    found = serving_optimum(law, float(at.loss(size, low)), served)
    assert found.train_params == pytest.approx(size, rel=1e-6)
    assert found.params == pytest.approx(params, rel=3e-3)
    assert found.tokens == pytest.approx(tokens, rel=3e-3)
    assert found.saved_frac == pytest.approx(saved, abs=6e-3)


@pytest.mark.parametrize(("flop", "ratio"), [(1e18, 25.7), (1e26, 16.1)])
def test_tokens_a_parameter_of_besiroglu(flop: float, ratio: float) -> None:
    """Under the default law the best ratio falls slowly with the arithmetic, about twenty everywhere."""
    found = optimum(LAWS["besiroglu"], flop, draws=0)
    assert found.tokens / found.params == pytest.approx(ratio, abs=0.06)
