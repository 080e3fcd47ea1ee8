"""The public names of the package, and the examples in their docstrings."""

from __future__ import annotations

import datetime
import doctest
import inspect
import os
from pathlib import Path
from typing import Any

import pytest

import isocost

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(name for name in isocost.__all__ if inspect.isfunction(getattr(isocost, name)))


def _examples(name: str) -> list[doctest.DocTest]:
    given: dict[str, Any] = {"isocost": isocost, "datetime": datetime, "Path": Path}
    found = doctest.DocTestFinder(recurse=False).find(getattr(isocost, name), name, globs=given)
    return [test for test in found if test.examples]


def test_the_public_names_are_these() -> None:
    """Forty-three names, each of which exists; a change of the list is a decision."""
    assert len(isocost.__all__) == 43
    assert {name for name in isocost.__all__ if name != "__version__"} == set(isocost._HOMES)
    assert all(getattr(isocost, name) is not None for name in isocost.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        isocost.nothing  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_function_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every public function has an example in its docstring, which prints what it shows."""
    for folder in ("examples", "evidence"):
        os.symlink(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    examples = _examples(name)
    assert examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert [runner.run(test).failed for test in examples] == [0] * len(examples)
