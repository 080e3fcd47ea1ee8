"""Scaling laws: what must hold of any of them, their files, and what is refused."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from isocost.errors import InputError
from isocost.scaling import law as law_module
from isocost.scaling.law import HAS_LOSS, Law, drawn, loss, surface
from isocost.scaling.limits import stock, stock_warning
from isocost.scaling.optimum import optimum
from isocost.scaling.serving import params_at_loss, serving_optimum
from isocost.scaling.store import DEFAULT_LAW, find_law, law_text, laws, read_laws

LAWS = laws()
every_surface = pytest.mark.parametrize("law", [each for each in LAWS.values() if each.has_surface], ids=lambda e: e.id)


def test_the_default_is_besiroglu() -> None:
    """The default law is the one whose fit has been repeated, with its covariance."""
    assert DEFAULT_LAW == "besiroglu"
    assert LAWS[DEFAULT_LAW].covariance


@every_surface
def test_closed_form_is_the_minimum(law: Law) -> None:
    """No other size on the same arithmetic has less loss, on a fine grid around the closed form."""
    best = optimum(law, 1e23, draws=0)
    sizes = best.params * np.geomspace(0.1, 10.0, 2001)
    around = np.asarray(loss(law, sizes, 1e23 / 6 / sizes))
    assert around.argmin() == 1000
    assert around.min() == pytest.approx(best.loss, rel=1e-14)


@every_surface
def test_isoloss_inverts_the_loss(law: Law) -> None:
    """The tokens for a loss give that loss, repeated or not; a model too small for it never gets there."""
    at = surface(law)
    for unique in (np.inf, 20e9):
        target = float(at.loss(5e9, 100e9, unique))
        assert at.tokens_for(target, 5e9, unique) == pytest.approx(100e9, rel=1e-9)
    assert at.tokens_for(at.irreducible + 1e-3, 1e9) == np.inf
    assert at.tokens_for(float(at.loss(5e9, 1e15)), 5e9, 1e9) == np.inf


@every_surface
def test_size_at_loss_is_on_the_optimal_line(law: Law) -> None:
    """The size of least training for the loss of an optimum is that optimum's."""
    best = optimum(law, 1e22, draws=0)
    assert best.loss is not None
    assert params_at_loss(law, best.loss) == pytest.approx(best.params, rel=1e-9)


def test_granularity_has_diminishing_gains() -> None:
    """Finer experts lower the loss, each doubling by less; the law is loss only."""
    got = np.asarray(loss(LAWS["krajewski"], 1e10, 1e11, granularity=2.0 ** np.arange(6)))
    gains = -np.diff(got)
    assert (gains > 0).all()
    assert (np.diff(gains) < 0).all()
    with pytest.raises(InputError, match="not for choosing"):
        optimum(LAWS["krajewski"], 1e22)


def test_limited_data_moves_to_smaller_models() -> None:
    """With too few unique tokens the best run repeats them, on a smaller model than it would otherwise be."""
    free, limited = optimum(LAWS["besiroglu"], 1e24), optimum(LAWS["besiroglu"], 1e24, 200e9)
    assert limited.params < free.params
    assert limited.params * limited.tokens == pytest.approx(free.params * free.tokens, rel=1e-9)
    assert limited.loss is not None
    assert free.loss is not None
    assert limited.loss > free.loss
    sizes = limited.params * np.geomspace(0.2, 5.0, 401)
    assert np.asarray(loss(LAWS["besiroglu"], sizes, 1e24 / 6 / sizes, 200e9)).min() >= limited.loss - 1e-12


def test_enough_data_changes_nothing() -> None:
    """Unique tokens beyond the optimum's leave it alone."""
    free, enough = optimum(LAWS["besiroglu"], 1e22), optimum(LAWS["besiroglu"], 1e22, 1e12)
    assert (enough.params, enough.tokens, enough.loss, enough.epochs) == (free.params, free.tokens, free.loss, 1.0)


def test_intervals_hold_the_optimum_and_agree_with_the_published_power() -> None:
    """Draws of the default law surround its optimum, and its power is 0.513 with a standard error of 0.020."""
    found = optimum(LAWS["besiroglu"], 1e24)
    assert found.params_interval is not None
    assert found.params_interval.low < found.params < found.params_interval.high
    draws = drawn(LAWS["besiroglu"], 4000)
    assert draws is not None
    power = np.asarray(draws.tokens_power) / (np.asarray(draws.params_power) + np.asarray(draws.tokens_power))
    assert power.mean() == pytest.approx(0.513, abs=0.003)
    assert power.std() == pytest.approx(0.020, abs=0.002)


def test_unknown_uncertainty_is_unknown() -> None:
    """A law without a published covariance has no interval, not a guessed one."""
    assert optimum(LAWS["hoffmann"], 1e24).params_interval is None
    assert optimum(LAWS["llama3"], 1e24).loss is None


def test_stock_of_text() -> None:
    """A run is warned above a tenth of the public text there is, with interval and year."""
    assert (stock().low, stock().median, stock().high) == (100e12, 300e12, 1000e12)
    assert stock_warning(30e12) == ()
    (said,) = stock_warning(31e12)
    assert "100 to 1000 T" in said
    assert "2024" in said
    assert any("stock of public text" in note for note in optimum(LAWS["besiroglu"], 1e27).notes)


@pytest.mark.parametrize("law", [each for each in LAWS.values() if each.has_loss], ids=lambda each: each.id)
def test_more_is_never_worse(law: Law) -> None:
    """More parameters and more tokens never raise a loss."""
    sizes = np.geomspace(1e8, 1e12, 50)
    assert (np.diff(np.asarray(loss(law, sizes, 1e11))) < 0).all()
    assert (np.diff(np.asarray(loss(law, 1e9, sizes * 10))) < 0).all()


@pytest.mark.parametrize("name", sorted(LAWS))
def test_a_law_survives_its_file(name: str) -> None:
    """Written and read again, a law is the same value."""
    assert read_laws(tomllib.loads(law_text(LAWS[name])), "file") == {name: LAWS[name]}


def test_text_of_a_law_is_escaped() -> None:
    """Quotes, backslashes and line ends in a title come back as they were."""
    odd = replace(LAWS["hoffmann"], title='a "b" \\ c\n\x7f')
    assert read_laws(tomllib.loads(law_text(odd)), "file")["hoffmann"] == odd


def test_every_source_is_in_the_bibliography() -> None:
    """Every source of a law is a key of sources.toml."""
    from importlib import resources

    known = tomllib.loads((resources.files("isocost") / "data/sources.toml").read_text("utf-8"))["source"]
    keys = {key.strip() for law in LAWS.values() for key in law.source.split(",")} | {stock().source}
    assert keys <= set(known)


@pytest.mark.parametrize(
    "values", [(-1.0, 1e9, np.inf), (1e9, -1.0, np.inf), (1e9, 1e9, -5.0), (math.nan, 1e9, np.inf)]
)
def test_negative_amounts_are_refused(values: tuple[float, float, float]) -> None:
    """A loss is asked for positive parameters, tokens and data only."""
    with pytest.raises(InputError, match="not positive"):
        loss(LAWS["besiroglu"], *values)


def test_a_loss_under_the_floor_is_refused() -> None:
    """No size reaches a loss at or under the irreducible one."""
    with pytest.raises(InputError, match="irreducible"):
        serving_optimum(LAWS["besiroglu"], 1.8172, 1e12)


def test_laws_without_loss_refuse_to_predict_one() -> None:
    """An allocation has no loss and no surface, and says so."""
    with pytest.raises(InputError, match="predicts no loss"):
        loss(LAWS["llama3"], 1e9, 1e10)
    with pytest.raises(InputError, match="no loss surface"):
        surface(LAWS["llama3"])
    assert "llama3" not in {law.id for law in LAWS.values() if law.form in HAS_LOSS}
    assert law_module.loss is loss


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("parameters.beta]", "parameters.betta]"), "parameters.beta: is missing"),
        (("low = 0.331\nhigh = 0.415", "low = 0.415\nhigh = 0.331"), "reversed interval"),
        (("value = 0.3658", "value = 0.9"), "outside its own interval"),
        (("value = 0.3478\nsd = 0.0154\nlow = 0.317\nhigh = 0.373", "value = 482.01"), "exchanged"),
        (("value = 1.8172\nsd", "value = -1.8172\nsd"), "not positive"),
        (("57000000.0,\n    16200000000.0", "16200000000.0,\n    57000000.0"), "is reversed"),
        (('form = "additive"', 'form = "aditive"'), "did you mean additive?"),
        (('grade = "measured"', ""), "grade: is missing"),
        (("        0.00018588", "        -0.00018588"), "not a covariance"),
        (('corpus = "MassiveText"', 'corpus = "MassiveText"\ncorpse = 1'), "did you mean corpus?"),
        (("besiroglu.parameters", "besiroglu.parametres"), "did you mean parameters?"),
    ],
)  # fmt: skip
def test_malformed_laws(change: tuple[str, str], said: str) -> None:
    """A law file with a missing, reversed or impossible entry is refused with its place."""
    text = law_text(LAWS["besiroglu"])
    assert change[0] in text
    with pytest.raises(InputError) as caught:
        read_laws(tomllib.loads(text.replace(*change)), "my.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("my.toml: law.besiroglu")


def test_unknown_law_names_the_nearest() -> None:
    """A misspelt law is an error with the nearest spelling."""
    with pytest.raises(InputError, match="did you mean besiroglu"):
        find_law("besirogul")
