"""The page on scaling laws and the verbs behind it: every example runs, every mistake is one line."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from isocost.cli import run
from isocost.scaling.store import law_text, laws
from isocost.scenario import read_scenario
from isocost.workload.params import parameter_count

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that has the evidence, as the working directory."""
    for name in ("evidence", "examples"):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command succeeds, in order, with nothing on standard error."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 19
    for command in commands:
        assert run(shlex.split(command)[1:]) == 0, command
    assert capsys.readouterr().err == ""


def test_every_python_example_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Python examples run and print."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/scaling.md", "exec"), {})
        assert "tokens" in capsys.readouterr().out


def test_the_scenario_of_the_page_is_read(folder: Path) -> None:
    """The table [frontier] of the page is read as written: every key, with its unit."""
    text = next(b for b in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[frontier]" in b)
    tables = tomllib.loads(text.replace("models/", "examples/models/"))
    said = read_scenario({"model": "gpt2", "tokens": "1 B", **tables})[0].frontier
    assert (said.data_tokens, said.serve_tokens, said.serving_cost) == (3e12, 50e12, 1.5)
    assert said.usd_per_token == 500 / 1e9
    assert [law.id for law in said.laws] == ["besiroglu", "hoffmann", "llama3"]
    assert [round(parameter_count(m.architecture).total / 1e9) for m in said.family] == [8, 71]


def test_every_law_is_on_the_page() -> None:
    """The table of the page names every shipped law."""
    assert [name for name in laws() if f"`{name}`" not in PAGE] == []


def test_optimum_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON of an optimum has parameters, tokens and loss at the top, and each law's own below."""
    assert run(["scaling", "optimum", "--law", "besiroglu,llama3", "--flop", "1e24", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["law"] == "besiroglu"
    assert values["params"] == pytest.approx(95.9e9, rel=1e-3)
    assert values["tokens"] == pytest.approx(1.74e12, rel=2e-3)
    assert values["loss"] == pytest.approx(1.960, abs=6e-4)
    assert [each["law"] for each in values["optima"]] == ["besiroglu", "llama3"]
    assert values["optima"][1]["loss"] is None
    assert values["params_spread"] > 1.0
    assert values["shape"]["hidden"] % 128 == 0


@pytest.mark.parametrize("form", ["table", "csv", "md", "html", "json"])
def test_every_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb prints in every format."""
    for arguments in (["list"], ["show", "muennighoff"], ["show", "gadre"], ["optimum", "--flop", "3.8e25"]):
        assert run(["scaling", *arguments, "--format", form]) == 0
        assert capsys.readouterr().out


def test_flop_may_carry_a_unit(capsys: pytest.CaptureFixture[str]) -> None:
    """ "1 YFLOP" is 1e24."""
    outputs = []
    for given in ("1e24", "1 YFLOP", "1e24 flop"):
        assert run(["scaling", "optimum", "--flop", given]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] == outputs[2]


def test_fit_writes_a_law_that_optimum_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file that a fit writes is a law under the name that was given."""
    rows = [
        f"{n:g},{d:g},{1.8 + 480 / n**0.35 + 2000 / d**0.36:.9f}" for n in (1e8, 1e9, 1e10) for d in (1e9, 1e10, 1e11)
    ]
    Path("runs.csv").write_text("\n".join(["params,tokens,loss", *rows]), encoding="utf-8")
    assert run(["scaling", "fit", "runs.csv", "--name", "ours", "-o", "ours.toml"]) == 0
    assert tomllib.loads(Path("ours.toml").read_text("utf-8"))["law"]["ours"]["parameters"]["E"]["value"] == (
        pytest.approx(1.8, rel=1e-4)
    )
    capsys.readouterr()
    assert run(["scaling", "optimum", "--law", "ours.toml", "--flop", "1e22", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["law"] == "ours"


def test_laws_without_a_covariance_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a law has no interval the output names it and says why; the default law has one."""
    assert run(["scaling", "optimum", "--flop", "1e24", "--law", "hoffmann,besiroglu,llama3"]) == 0
    assert "no interval: the covariance of hoffmann, llama3 is not published" in capsys.readouterr().out
    assert run(["scaling", "optimum", "--flop", "1e24"]) == 0
    assert "no interval" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optimum", "--flop", "-1e24"], "--flop"),
        (["optimum", "--flop", "many"], "--flop"),
        (["optimum", "--flop", "0"], "--flop: 0.0 is not positive"),
        (["optimum", "--flop", "nan"], "--flop"),
        (["optimum", "--flop", "1e24", "--data", "-3 T"], "--data"),
        (["optimum", "--flop", "1e24", "--data", "3"], "--data"),
        (["optimum", "--flop", "1e24", "--data", "0 T"], "--data: 0.0 is not positive"),
        (["optimum", "--flop", "1e24", "--serve", "0 T"], "--serve: 0.0 is not positive"),
        (["optimum", "--flop", "1e24", "--law", "absurd.toml"], "make inf parameters the best size"),
        (["optimum", "--flop", "1e24", "--law", "binary.toml"], "binary.toml: is not UTF-8 text"),
        (["optimum", "--flop", "1e24", "--law", "besirogul"], "did you mean besiroglu?"),
        (["optimum", "--flop", "1e24", "--law", ","], "names no law"),
        (["optimum", "--flop", "1e24", "--law", "kaplan"], "not for choosing a size"),
        (["optimum", "--flop", "1e24", "--law", "gone.toml"], "gone.toml: cannot be read"),
        (["optimum", "--flop", "1e24", "--law", "broken.toml"], "broken.toml: is not TOML"),
        (["optimum", "--flop", "1e24", "--law", "empty.toml"], "has no table [law.NAME]"),
        (["optimum", "--flop", "1e24", "--law", "missing.toml"], "parameters.beta: is missing"),
        (["optimum", "--flop", "1e24", "--law", "reversed.toml"], "has a reversed interval"),
        (["optimum", "--flop", "1e24", "--law", "two.toml"], "holds 2 laws"),
        (["optimum", "--flop", "1e24", "--serving-cost", "2"], "--serving-cost: '2' has no use without tokens"),
        (["show", "nothing"], "is not a known law"),
        (["fit", "few.csv", "--name", 'a"b'], "--name: 'a\"b' is not a name of a law"),
        (["fit", "few.csv", "--name", ""], "--name: '' is not a name of a law"),
        (["fit", "gone.csv"], "gone.csv: cannot be read"),
        (["fit", "few.csv"], "fewer than the 5 parameters"),
        (["fit", "one_size.csv"], "params: has one value in all runs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_malformed(arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake is one line that names the place; exit code 2, nothing on standard output."""
    good = law_text(laws()["besiroglu"])
    files = {
        "broken.toml": "[law",
        "empty.toml": "",
        "missing.toml": good[: good.index("[law.besiroglu.parameters.beta]")],
        "reversed.toml": good.replace("low = 0.331\nhigh = 0.415", "low = 0.415\nhigh = 0.331"),
        "two.toml": good + good.replace("besiroglu", "again"),
        "absurd.toml": good.replace("value = 482.01\nsd = 124.5\nlow = 285.0\nhigh = 744.0\n", "value = 1e300\n"),
        "few.csv": "params,tokens,loss\n1e8,1e9,3.5\n",
        "one_size.csv": "params,tokens,loss\n" + "".join(f"1e9,{k}e9,{3 - k / 50}\n" for k in range(1, 12)),
    }
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("binary.toml").write_bytes(b"\xff\xfe")
    assert run(["scaling", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("isocost: ")
    assert err.count("\n") == 1
    assert said in err
