"""What is asked for is used or refused: limits of an estimate, confidence, stacks, catalogues, groups left out."""

from __future__ import annotations

from pathlib import Path

import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.units import counted
from isocost.verbs.calibrate.answer import Calibration

ROOT = Path(__file__).parents[2]
SMALL = {
    "model": "llama-3.1-8b", "tokens": "100 B", "on": "h100-sxm5-80gb", "gpus": 64, "seq_len": 4096,
    "global_batch": 512, "stack": "megatron-core",
}  # fmt: skip
FLAGS = [part for key, value in SMALL.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def test_an_estimate_is_judged_by_its_limits() -> None:
    """The layout is that without limits; chances are shares of the same draws, and the power cap holds or does not."""
    free = isocost.estimate(SMALL)
    chosen, forecast = free.answer.chosen, free.answer.forecast
    assert chosen is not None
    assert forecast is not None
    assert forecast.cost_usd is not None
    assert free.to_dict()["limits"] == dict.fromkeys(
        ("deadline_chance_frac", "budget_chance_frac", "power_cap_holds")
    )  # fmt: skip
    middle = float(sorted(forecast.wall_s)[299]), float(sorted(forecast.cost_usd)[199])
    for power, holds in ((1.1, True), (0.9, False)):
        limits = {
            "deadline": f"{middle[0]!r} s", "budget": f"{middle[1]!r} USD", "power_cap": f"{power * chosen.power_w!r} W"
        }  # fmt: skip
        found = isocost.estimate({**SMALL, **limits})
        values = found.to_dict()
        assert values["limits"] == {
            "deadline_chance_frac": 0.3, "budget_chance_frac": 0.2, "power_cap_holds": holds
        }  # fmt: skip
        assert values["inputs"]["deadline_s"] == pytest.approx(middle[0], rel=1e-12)
        assert {**values["chosen"], "limit": ""} == {**free.to_dict()["chosen"], "limit": ""}
        text = found.table()
        assert "Limits of the scenario (an estimate is judged by them, not chosen)" in text
        assert f"kW: {'holds' if holds else 'does not hold'}, " in text
    assert "Limits of the scenario" not in free.table()


def test_limits_of_an_estimate_are_flags_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Flags of limits are judged as keys of a scenario are; a layout that misses them is still an answer."""
    assert run(["estimate", *FLAGS, "--deadline", "1 h", "--budget", "1 USD"]) == 0
    text = capsys.readouterr().out
    assert "deadline of 60 min: kept with a chance of 0%, " in text
    assert "budget of $1.00: kept with a chance of 0%, " in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--confidence", "90 %"], "--confidence: '90 %' has no limit to keep; fix: add a deadline or a budget"),
        (["--stack", "maxtext-tpu"], "stack: 'maxtext-tpu' does not run on h100-sxm5-80gb; fix: ask about TPUs only"),
        (["--on", "tpu-v5p"], "stack: 'megatron-core' does not run on tpu-v5p; fix: ask about GPUs only"),
    ],
    ids=["confidence", "TPU stack", "GPU stack"],
)
def test_what_cannot_apply_is_refused(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A confidence without a limit and a stack on chips that it does not run on: one line and exit code 2."""
    assert run(["plan", *FLAGS, *flags]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_confidence_with_a_limit_is_used() -> None:
    """With a deadline the same confidence is an answer."""
    assert isocost.plan(SMALL, deadline="300 d", confidence="90 %").feasible


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_catalogue_is_an_error(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of facts without a fact is refused by name."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    assert run(["plan", *FLAGS, "--catalog", str(path)]) == 2
    assert "mine.toml: has no facts in it" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--only", "internevo"], ["--calibrated", "5"]], ids=" ".join)
def test_groups_are_of_something(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--only and --calibrated need --leave-out to say of which groups."""
    assert run(["validate", *flags]) == 2
    assert f"{flags[0]}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fixed", "first"),
    [
        ({"tp": 3}, "heads not divisible by tp"),
        ({"cp": 3}, "sequence not divisible by 2 cp"),
        ({"micro_batch": 7}, "micro-batch"),
    ],
    ids=str,
)
def test_the_fault_of_a_flag_comes_first(fixed: dict[str, object], first: str) -> None:
    """Why no layout is legal starts with a rule that names what was fixed."""
    found = isocost.plan(SMALL, **fixed)
    assert not found.feasible
    assert first in found.answer.why.removeprefix("no layout is legal: ").split(", ")[0]


def test_a_calibration_says_what_it_does_not_cover(tmp_path: Path) -> None:
    """The note of the calibration names the chips and the stack of the question that the runs were not of."""
    path = tmp_path / "mine.toml"
    own = isocost.calibrate(ROOT / "examples" / "my_runs.csv", output=path)
    assert isinstance(own, Calibration)
    asked = {key: value for key, value in SMALL.items() if key not in ("stack", "on")} | {"calibration": str(path)}

    def note(**changes: object) -> str:
        return next(note.value for note in isocost.plan(asked, **changes).assumed if note.name == "calibration")

    assert "does not cover" not in note(on="a100-sxm4-80gb")
    both = ["a100-sxm4-80gb", "h100-sxm5-80gb"]
    assert "; it does not cover h100-sxm5-80gb: only what belongs to the stack applies there" in note(on=both)
    other = note(on=both, stack="megatron-core")
    assert "; it does not cover megatron-core: of it only fabric, sustained rate and attention apply" in other
    assert other.endswith("; it does not cover h100-sxm5-80gb: nothing of it applies there")
    with pytest.raises(InputError, match="nothing of it applies to this question"):
        isocost.plan(asked, on="h100-sxm5-80gb", stack="megatron-core")


def test_one_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    """One GPU has no s, in words and in the explanation of a run on one."""
    assert [counted(n, "GPU") for n in (0, 1, 2, 2048)] == ["0 GPUs", "1 GPU", "2 GPUs", "2,048 GPUs"]
    one = isocost.plan(model="gpt2", tokens="1 B", on="h100-sxm5-80gb", gpus=1)
    assert ": 1 GPU for " in isocost.explain(one, "cost").lead
    assert "1 GPUs" not in one.table()
