"""A newcomer adds one thing by the one place that docs/design.md names, and asks for an answer with it."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import tomli_w

import isocost
from isocost.catalog.stacks import recipe, recipes
from isocost.cli import run
from isocost.laws.pipeline import SCHEDULES
from isocost.measure.logs import detect, log
from isocost.measure.logs.readers import READERS
from isocost.measure.logs.readers.base import PatternReader
from isocost.num import Num
from isocost.perf.columns import Machine
from isocost.perf.groups import ALGORITHMS, Group
from isocost.render.document import Document, Section, Table
from isocost.render.formats import FORMATS
from isocost.render.result import Result
from isocost.verbs import registry
from isocost.verbs.options import Argument, Command, Option

ROOT = Path(__file__).parents[1]
RUN = {
    "model": "llama-3.1-8b",
    "tokens": "100 B",
    "on": "h100-sxm5-80gb",
    "gpus": 64,
    "global_batch": 256,
    "seq_len": 8192,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Doubled(Result):
    """The answer of the toy verb."""

    of: float

    def to_dict(self) -> dict[str, Any]:
        """Return the number and its double."""
        return {"of": self.of, "doubled": 2 * self.of}

    def rows(self) -> Table:
        """Return no table."""
        return Table(columns=(), rows=())

    def document(self) -> Document:
        """Return one sentence."""
        return Document(lead=f"twice {self.of:g} is {2 * self.of:g}", sections=(Section(title="Proof", body=("add",)),))


@Command("Double a number.")
def double(
    of: Annotated[str, Argument(metavar="NUMBER", about="What to double.", kind=str)],
    /,
    *,
    plus: Annotated[str, Option(metavar="N", about="Added first.", kind=str)] = "0",
) -> Doubled:
    """Return a number doubled."""
    if not plus.isdigit():
        raise isocost.InputError([isocost.Problem("plus", "is not a number", plus)])
    return Doubled(of=float(of) + float(plus))


@pytest.fixture
def toy_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb by its folder, here a module, and its line of the registry."""
    module = ModuleType("toy_ask")
    module.double = double  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_ask", module)
    line = registry.Verb("double", "toy_ask", "Double a number.", "isocost double 21")
    monkeypatch.setattr("isocost.cli.app.VERBS", (*registry.VERBS, line))


@pytest.mark.usefixtures("toy_verb")
def test_a_verb_is_a_folder_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line, its help, its formats and the flag in an error come from the function."""
    assert run(["double", "20", "--plus", "1", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["of"], values["doubled"]) == (21.0, 42.0)
    assert run(["double", "--help"]) == 0
    assert re.search(r"--plus N +Added first\.", capsys.readouterr().out)
    assert run(["double", "20", "--plus", "x"]) == 2
    assert capsys.readouterr().err == "isocost: --plus: 'x' is not a number\n"


def test_a_format_is_an_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb can be printed in a new format; the name of a file need not say it."""
    monkeypatch.setitem(FORMATS, "shout", lambda document: document.lead.upper() + "\n")
    assert run(["model", "gpt2", "--format", "shout"]) == 0
    assert capsys.readouterr().out.startswith("GPT2")


def test_a_schedule_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule that idles nowhere is at least as fast as the one that it is made of, and its plan is legal."""
    monkeypatch.setitem(SCHEDULES, "toy", replace(SCHEDULES["1f1b"], forward_coef=0.0, input_coef=0.0, weight_coef=0.0))
    layout = {"tp": 2, "pp": 4, "micro_batch": 1, "recompute": "none", "sharding": "zero1"}
    plain, toy = (isocost.estimate(RUN, **layout, schedule=name).answer.chosen for name in ("1f1b", "toy"))
    assert plain is not None
    assert toy is not None
    assert toy.layout.schedule == "toy"
    assert toy.step_s < plain.step_s


def test_a_collective_is_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group takes the fastest algorithm: one that costs nothing shortens the step, a slow one changes nothing."""
    before = isocost.estimate(RUN, tp=8, recompute="full").answer.chosen

    def free(payload_bytes: Num, over: Group, machine: Machine) -> Num:
        return np.asarray(payload_bytes) * 0.0

    def slow(payload_bytes: Num, over: Group, machine: Machine) -> Num:
        return np.asarray(payload_bytes) + 1e6

    monkeypatch.setitem(ALGORITHMS, "slow", slow)
    same = isocost.estimate(RUN, tp=8, recompute="full").answer.chosen
    monkeypatch.setitem(ALGORITHMS, "free", free)
    after = isocost.estimate(RUN, tp=8, recompute="full").answer.chosen
    assert before is not None
    assert same is not None
    assert after is not None
    assert same.step_s == before.step_s
    assert after.step_s < 0.99 * before.step_s


def test_a_chip_is_a_table(tmp_path: Path) -> None:
    """A chip in the user's own file, with twice the rates of a shipped one and its links, is planned on and priced."""
    shipped = tomllib.loads((ROOT / "src/isocost/data/accelerators.toml").read_text(encoding="utf-8"))
    row = dict(shipped["accelerator"]["h100-sxm5-80gb"])
    row |= {name: f"{2 * float(row[name].split()[0])} TFLOP/s" for name in ("tf32", "fp16", "bf16", "fp8")}
    offer = {
        "accelerator": "toy-chip", "provider": "me", "region": "here", "instance": "8 x toy", "gpus_per_instance": 8,
        "term": "on_demand", "price": "2 USD/gpu/h",
        "source": "epoch_chips", "as_of": "2026-11-01", "grade": "reported",
    }  # fmt: skip
    mine = tmp_path / "mine.toml"
    mine.write_text(tomli_w.dumps({"accelerator": {"toy-chip": row}, "offer": [offer]}), encoding="utf-8")
    run_of = {**RUN, "catalog": str(mine)}
    old, new = (isocost.estimate(run_of, on=chip).answer.chosen for chip in ("h100-sxm5-80gb", "toy-chip"))
    assert old is not None
    assert new is not None
    assert new.option.accelerator.id == "toy-chip"
    assert new.step_s < old.step_s
    assert new.cost_usd is not None


def test_a_stack_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack like another that reduces gradients in 16 bit is planned with, by its own name."""
    row = replace(recipe("megatron-core"), id="toy-stack", title="A toy", gradient_bytes=2.0)
    monkeypatch.setitem(recipes(), "toy-stack", row)
    found = isocost.plan({**RUN, "stack": "toy-stack"})
    assert found.answer.question.recipe.id == "toy-stack"
    assert found.answer.chosen is not None
    assert any(note.value.startswith("toy-stack: A toy") for note in found.assumptions())


class ToyReader(PatternReader):
    """Reads ``toy 3 took 0.25``."""

    sign = re.compile(r"toy \d+ took [\d.]+")
    word = "toy "
    pattern = re.compile(r"toy (?P<step>\d+) took (?P<time>[\d.]+)")
    scales: ClassVar = {"step": ("step", 1.0), "time": ("step_s", 1.0)}
    need = "time"


def test_a_log_format_is_a_file_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor finds the new format by its sign and reads the step time."""
    readers = {"toy": lambda _: ToyReader(), **READERS}
    for module in (detect, log):
        monkeypatch.setattr(module, "READERS", readers)
    path = tmp_path / "train.log"
    path.write_text("".join(f"toy {k} took 0.25\n" for k in range(1, 80)), encoding="utf-8")
    found = isocost.doctor(path).to_dict()
    assert found["input"]["format"] == "toy"
    assert found["measured"]["step_s"]["p50"] == pytest.approx(0.25)
