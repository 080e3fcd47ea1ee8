"""The scaling laws from Python: ``isocost.scaling`` gives what the command line prints."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest

from isocost import scaling
from isocost.cli import run
from isocost.errors import InputError
from isocost.scaling import ask

ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_functions() -> None:
    """Every example in a docstring gives what it shows, and there are five or more."""
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for name in scaling.__all__:
        for example in finder.find(getattr(scaling, name), name, globs={"scaling": scaling}):
            runner.run(example)
    assert runner.summarize().failed == 0
    assert runner.tries >= 5


def test_every_function_is_there_and_explained() -> None:
    """All that ``ask`` defines is a name of the package, with a docstring; other names are not."""
    defined = {name for name, value in vars(ask).items() if getattr(value, "__module__", "") == ask.__name__}
    assert set(scaling.__all__) == defined
    assert defined <= set(dir(scaling))
    assert all(getattr(scaling, name).__doc__ for name in defined)
    with pytest.raises(AttributeError, match="has no attribute 'besst_size'"):
        scaling.besst_size  # noqa: B018


def test_the_optimum_is_that_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Size, tokens, loss and intervals are those of 'isocost scaling optimum', bit for bit."""
    assert run(["scaling", "optimum", "--flop", "1e24", "--law", "hoffmann", "--data", "1 T", "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    best = scaling.best_size(1e24, "hoffmann", unique_tokens=1e12)
    assert (best.params, best.tokens, best.loss) == (printed["params"], printed["tokens"], printed["loss"])


def test_a_loss_there_and_back() -> None:
    """The tokens for a loss have that loss; the size of least training for an optimum's loss is the optimum."""
    sizes = np.array([30e9, 70e9])
    tokens = scaling.tokens_for_loss(2.0, sizes)
    assert np.allclose(scaling.loss_of(sizes, tokens), 2.0, rtol=1e-12)
    best = scaling.best_size(1e24)
    assert best.loss is not None
    assert scaling.size_for_loss(best.loss) == pytest.approx(best.params, rel=1e-9)


def test_a_fitted_law_is_a_law_by_its_file(tmp_path: Path) -> None:
    """A fit, its file and the law read from it give one optimum."""
    fitted = scaling.fit_law(ROOT / "evidence" / "chinchilla_points.csv")
    file = tmp_path / "ours.toml"
    file.write_text(scaling.law_file(fitted.law), encoding="utf-8")
    assert scaling.best_size(1e23, file) == scaling.best_size(1e23, fitted.law)


def test_mistakes_are_named() -> None:
    """A law that is none, FLOP that are none and a mixture that is none are input errors."""
    with pytest.raises(InputError, match="did you mean besiroglu"):
        scaling.best_size(1e24, "besirogul")
    with pytest.raises(InputError, match="flop"):
        scaling.best_size(float("nan"))
    with pytest.raises(InputError, match="experts"):
        scaling.make_shape(8e9, experts=8, topk=9)


def test_a_mixture_and_its_batches() -> None:
    """A mixture has the experts asked for; the laws of batch are those of the optimum."""
    made = scaling.make_shape(8e9, experts=64, topk=8, shared=1)
    assert (made.blocks[0].experts, made.blocks[0].experts_topk) == (64, 8)
    assert "Step Law (li2025steplaw)" in [each.law for each in scaling.batches(7e9, 1e12)]
