"""The fit of a law to runs: the published refit, exact recovery, determinism, and runs that cannot be fitted."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from isocost.errors import InputError
from isocost.scaling.fit import Fit, fit
from isocost.scaling.law import loss
from isocost.scaling.runs import Runs, read_runs
from isocost.scaling.solver import HUBER, huber, minimise, points_of, residuals
from isocost.scaling.store import law_text, laws

POINTS = Path(__file__).parents[2] / "evidence" / "chinchilla_points.csv"
DAY = datetime.date(2026, 11, 1)


@pytest.fixture(scope="module")
def refit() -> Fit:
    """Return the fit to the shipped points."""
    return fit(read_runs(POINTS), draws=400, today=DAY)


def test_shipped_points() -> None:
    """There are 245 points, of which the five with the highest loss are excluded, as published."""
    runs = read_runs(POINTS)
    assert (len(runs.loss), runs.excluded) == (240, 5)
    text = POINTS.read_text(encoding="utf-8").splitlines()[1:]
    excluded = [float(row.split(",")[2]) for row in text if row.endswith("yes")]
    assert min(excluded) > runs.loss.max()


@pytest.mark.parametrize("name", ["E", "A", "B", "alpha", "beta"])
def test_reproduces_besiroglu(refit: Fit, name: str) -> None:
    """Each parameter is within a tenth of a published standard error, and its own standard error within a fifth."""
    published = laws()["besiroglu"].parameters[name]
    assert published.sd is not None
    got = refit.law.parameters[name]
    assert abs(got.value - published.value) < 0.1 * published.sd
    assert got.sd == pytest.approx(published.sd, rel=0.2)
    assert got.low == pytest.approx(published.low, rel=0.06)
    assert got.high == pytest.approx(published.high, rel=0.06)


def test_the_refit_is_at_least_as_good_as_the_published_one(refit: Fit) -> None:
    """The sum of Huber losses is not above that of the published parameters; all starts end there."""
    runs = read_runs(POINTS)
    error = np.log(np.asarray(loss(laws()["besiroglu"], runs.params, runs.tokens)) / runs.loss)
    assert refit.objective <= float(huber(error[None], np.ones((1, len(error))))[0])
    assert refit.objective == pytest.approx(1.018274e-3, rel=1e-6)
    assert refit.starts_at_best == refit.starts
    assert refit.allocation_power == pytest.approx(0.513, abs=0.002)
    assert refit.allocation_sd == pytest.approx(0.020, abs=0.002)
    assert refit.warnings == ()


def test_the_shipped_covariance_is_that_of_the_fit(refit: Fit) -> None:
    """The covariance in the law file has the spread that resampling gives."""
    shipped, again = np.array(laws()["besiroglu"].covariance), np.array(refit.law.covariance)
    assert np.sqrt(np.diag(shipped)) == pytest.approx(np.sqrt(np.diag(again)), rel=0.1)


def test_bit_for_bit(refit: Fit) -> None:
    """The same runs give the same file, character for character."""
    assert law_text(fit(read_runs(POINTS), draws=400, today=DAY).law) == law_text(refit.law)


def test_a_local_minimum() -> None:
    """Moving any parameter either way raises the sum of Huber losses."""
    runs = read_runs(POINTS)
    points = points_of(runs.params, runs.tokens, runs.loss)
    ones = np.ones((1, len(runs.loss)))
    start = np.array([[np.log(2.0), np.log(0.3), np.log(0.3), 0.3, 0.3]])
    best = minimise(start, points, ones)
    value = huber(residuals(best, points)[0], ones)[0]
    for k in range(5):
        for step in (-1e-4, 1e-4):
            moved = best.copy()
            moved[0, k] += step
            assert huber(residuals(moved, points)[0], ones)[0] > value


def test_slopes_are_derivatives() -> None:
    """The derivatives of the residuals agree with differences."""
    rng = np.random.default_rng(1)
    points = points_of(rng.uniform(1e8, 1e10, 20), rng.uniform(1e9, 1e12, 20), rng.uniform(2.0, 3.0, 20))
    theta = np.array([[0.5, -1.0, -0.8, 0.3, 0.4]])
    slopes = residuals(theta, points)[1][:, 0]
    for k in range(5):
        ahead, behind = theta.copy(), theta.copy()
        ahead[0, k] += 1e-6
        behind[0, k] -= 1e-6
        rough = (residuals(ahead, points)[0] - residuals(behind, points)[0])[0] / 2e-6
        assert slopes[k] == pytest.approx(rough, abs=1e-8)


def test_huber() -> None:
    """Squares inside delta, straight lines outside, equal and as steep where they meet; summed, not averaged."""
    inside, outside = np.array([[HUBER / 2]]), np.array([[3 * HUBER]])
    one = np.ones((1, 1))
    assert huber(inside, one)[0] == pytest.approx(HUBER**2 / 8, rel=1e-12)
    assert huber(outside, one)[0] == pytest.approx(2.5 * HUBER**2, rel=1e-12)
    assert huber(np.full((1, 7), HUBER), np.ones((1, 7)))[0] == pytest.approx(7 * HUBER**2 / 2, rel=1e-12)


def _made(seed: int = 0, noise: float = 0.0, count: int = 60) -> Runs:
    rng = np.random.default_rng(seed)
    params, tokens = np.exp(rng.uniform(np.log(1e8), np.log(1e10), count)), np.exp(rng.uniform(21.0, 26.0, count))
    made = np.asarray(loss(laws()["hoffmann"], params, tokens)) * np.exp(noise * rng.standard_normal(count))
    return Runs(params=params, tokens=tokens, loss=made, excluded=0, place="made")


def test_recovers_a_known_law() -> None:
    """Runs without noise give back the law that made them."""
    got = fit(_made(), draws=20)
    for name in ("E", "A", "B", "alpha", "beta"):
        assert got.law.value(name) == pytest.approx(laws()["hoffmann"].value(name), rel=1e-5)


def test_outliers_hardly_move_it() -> None:
    """Three runs that diverged move the powers by less than two percent."""
    runs = _made(noise=0.002)
    broken = runs.loss.copy()
    broken[:3] *= 1.5
    clean = fit(runs, draws=20).law
    spoilt = fit(Runs(params=runs.params, tokens=runs.tokens, loss=broken, excluded=0, place="made"), draws=20).law
    for name in ("alpha", "beta"):
        assert spoilt.value(name) == pytest.approx(clean.value(name), rel=0.02)


def test_one_ratio_is_warned() -> None:
    """Runs at one ratio of tokens to parameters are fitted with a warning that says what to vary."""
    runs = _made(noise=0.002)
    fixed = Runs(params=runs.params, tokens=20 * runs.params, loss=runs.loss, excluded=0, place="made")
    made = np.asarray(loss(laws()["hoffmann"], fixed.params, fixed.tokens))
    got = fit(Runs(params=fixed.params, tokens=fixed.tokens, loss=made, excluded=0, place="made"), draws=20)
    assert any("vary the ratio" in said for said in got.warnings)


def test_a_narrow_span_is_warned() -> None:
    """Sizes within a factor of three are fitted with a warning."""
    rng = np.random.default_rng(3)
    params, tokens = rng.uniform(1e9, 3e9, 40), np.exp(rng.uniform(21.0, 26.0, 40))
    made = np.asarray(loss(laws()["hoffmann"], params, tokens)) * np.exp(0.001 * rng.standard_normal(40))
    got = fit(Runs(params=params, tokens=tokens, loss=made, excluded=0, place="made"), draws=50)
    assert any("params span only" in said for said in got.warnings)


def test_loss_that_rises_with_size_is_no_law() -> None:
    """Runs whose loss grows with size and data are refused."""
    runs = _made()
    upside = Runs(params=1e19 / runs.params, tokens=1e21 / runs.tokens, loss=runs.loss, excluded=0, place="made")
    with pytest.raises(InputError, match="made: shows no loss that falls"):
        fit(upside, draws=5)


GOOD = [f"{n:g},{d:g},{2 + 400 / n**0.3 + 400 / d**0.3:.6f}" for n in (1e8, 1e9, 1e10) for d in (1e9, 1e10, 1e11)]

ONE_SIZE = [f"1e9,{k}e9,{3 - k / 50}" for k in range(1, 10)]
ONE_LENGTH = [f"{k}e9,1e9,{3 - k / 50}" for k in range(1, 10)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "params: is a missing column"),
        ("params,loss\n1e8,3", "tokens: is a missing column: tokens, or flop"),
        ("params,tokens,los\n1e8,1e9,3", "did you mean loss?"),
        ("params,tokens,loss,loss\n1e8,1e9,3,3", "is a column twice"),
        ("\n".join(["params,tokens,loss", *GOOD[:5]]), "has 5 usable runs, fewer than the 5 parameters"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,-1e9,3"]), "row 11: tokens: -1000000000.0 is not positive"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,many,3"]), "row 11: tokens: 'many' is not a number"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,nan,3"]), "row 11: tokens: nan is not positive"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,1e300,3"]), "row 11: tokens: 1e+300 is beyond belief"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,1e9,1e300"]), "row 11: loss: 1e+300 is beyond belief"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,,3"]), "row 11: tokens: is blank"),
        ("\n".join(["params,tokens,loss", *GOOD, "1e8,1e9"]), "row 11: has 2 cells"),
        ("\n".join(["params,tokens,loss", *ONE_SIZE]), "params: has one value"),
        ("\n".join(["params,tokens,loss", *ONE_LENGTH]), "tokens: has one value"),
        ('params,tokens,loss\n"1e8,1e9,3', "is not CSV"),
    ],
)  # fmt: skip
def test_malformed_runs(text: str, said: str, tmp_path: Path) -> None:
    """A file of runs that cannot be fitted is refused with file, row and column."""
    path = tmp_path / "runs.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_runs(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_flop_stands_for_tokens(tmp_path: Path) -> None:
    """A column of FLOP gives the tokens by 6 N D, and a row may have either."""
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(["params,tokens,flop,loss", *_both()]), "utf-8")
    assert read_runs(path).tokens[:2] == pytest.approx([1e9, 1e10], rel=1e-12)


def _both() -> list[str]:
    rows = [line.split(",") for line in GOOD]
    return [
        f"{n},,{6 * float(n) * float(d):.17g},{value}" if k % 2 else f"{n},{d},,{value}"
        for k, (n, d, value) in enumerate(rows)
    ]


def test_missing_file_is_one_problem() -> None:
    """A file that is not there is named."""
    with pytest.raises(InputError, match=r"nowhere\.csv: cannot be read"):
        read_runs("nowhere.csv")
