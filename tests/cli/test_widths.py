"""Every verb fits the screen: no line is wider than 80, 100 or 140 columns."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from isocost.cli import run

ROOT = Path(__file__).parents[2]
VERBS = (  # plans of every example are in tests/verbs/plan/test_one_screen.py
    "estimate examples/llama-3.1-70b.toml --gpus 1024 --budget '10 MUSD' --explain --show all",
    "estimate --model llama-3.1-405b --tokens '1 T' --on l4-24gb --gpus 1 --show all",
    "explain PLAN step_time",
    "explain PLAN memory",
    "explain PLAN cost",
    "show PLAN --show all",
    "compare examples/purpose-built.toml examples/conventional.toml",
    "compare PLAN examples/run.log",
    "goodput examples/run.toml --checkpoint-interval auto",
    "tco examples/run.toml --years 1,3,5 --wait '6 months'",
    "program examples/startup.toml",
    "frontier --budget '2 MUSD' --deadline '60 d' --on b200-sxm-180gb --data '3 T'",
    "fleet examples/fleet/short.toml",
    "doctor examples/run.log",
    "doctor examples/run.log --scenario examples/run.toml",
    "calibrate examples/my_runs.csv --log examples/run.log --scenario examples/run.toml",
    "validate --runs examples/my_runs.csv",
    "model deepseek-v3",
    *(f"catalog list {kind}" for kind in ("accelerators", "nodes", "fabrics", "offers", "rates", "stacks", "models")),
    "catalog show h100-sxm5-80gb",
    "catalog show megatron-core",
    "catalog check",
    "scaling list",
    "scaling show besiroglu",
    "scaling optimum --law besiroglu --flop 1e24",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the saved plan of the example that has a log."""
    path = tmp_path_factory.mktemp("saved") / "plan.json"
    assert run(["plan", str(ROOT / "examples" / "run.toml"), "-o", str(path)]) == 0
    return path


@pytest.mark.parametrize("command", VERBS)
def test_no_line_is_wider_than_the_screen(
    command: str, saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a verb prints fits the screen; it prints something at every width."""
    monkeypatch.chdir(ROOT)
    arguments = [str(saved) if word == "PLAN" else word for word in shlex.split(command)]
    for width in (80, 100, 140):
        monkeypatch.setenv("COLUMNS", str(width))
        assert run(arguments) in (0, 4)
        lines = capsys.readouterr().out.splitlines()
        assert lines
        assert [line for line in lines if len(line) > width] == []
