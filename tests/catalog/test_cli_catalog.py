"""Facts on the command line: what the catalogue lists and shows, own prices, models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples.small_plan import SMALL

from isocost.cli import run

ROOT = Path(__file__).parents[2]


def test_catalog_check_can_fail_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --strict findings are information, with it they are exit code 1."""
    assert run(["catalog", "check", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("kind,subject,message\n")
    assert run(["catalog", "check", "--strict"]) == 1


@pytest.mark.parametrize("kind", ["accelerators", "nodes", "fabrics", "offers", "rates", "stacks", "models"])
def test_catalog_lists_every_kind_in_every_format(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Text, JSON and CSV have the same number of entries."""
    counts = []
    for form in ("table", "json", "csv"):
        assert run(["catalog", "list", kind, "--format", form]) == 0
        out = capsys.readouterr().out
        lines = out.splitlines()
        rule = next((place for place, line in enumerate(lines) if set(line) == {"-"}), 0)
        # A line with an indent goes on with the one above; the last one may name columns that had no room.
        own = [line for line in lines[rule + 1 :] if not line.startswith((" ", "in CSV"))]
        counts.append(len(json.loads(out)[kind]) if form == "json" else len(own))
    table, plain, rows = counts
    assert table == plain == rows > 0


@pytest.mark.parametrize("name", ["h100-sxm5-80gb", "hgx-h100-8", "ib-400", "pue.air", "megatron-core", "gpt2"])
def test_catalog_shows_provenance(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every entry says as of when it is, how it is known, and where it is from."""
    assert run(["catalog", "show", name]) == 0
    assert "Where it is from\n  as of 20" in capsys.readouterr().out


def test_own_prices_lie_over_the_shipped_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A private quote of another term prices the accelerators of the plan at that quote."""
    quotes = tmp_path / "quotes.toml"
    quotes.write_text(
        '[[offer]]\naccelerator = "h100-sxm5-80gb"\nprovider = "us"\nregion = "any"\ninstance = "8 x H100"\n'
        'gpus_per_instance = 8\nterm = "quote"\nprice = "1 USD/gpu/h"\nsource = "our quote"\nas_of = "2026-05"\n'
        'grade = "reported"\n',
        encoding="utf-8",
    )
    assert run(["plan", *SMALL, "--catalog", str(quotes), "--term", "quote", "--format", "json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["chosen"]
    assert chosen["price_usd_median"] == pytest.approx(chosen["gpu_hours"], rel=1e-9)
    assert chosen["gpu_hours"] < chosen["cost_usd_median"] < 1.2 * chosen["gpu_hours"]  # staff, storage, traffic


def test_model_prints_what_was_promised(capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters, active parameters, layers, FLOPs per token by operator forward and backward, bytes of state."""
    assert run(["model", str(ROOT / "examples/models/llama-3.1-70b/config.json"), "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["params"], values["layers"]) == (70_553_706_496, 80)
    assert values["active_params"] == values["params"]
    forward, backward = (values["flop_per_token"]["causal"][phase] for phase in ("forward", "backward"))
    assert backward["total"] == 2 * forward["total"] > 0
    assert values["state_bytes"]["total"] == 16 * values["params"]


def test_the_kind_of_an_entry_is_that_of_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What a chip is does not stand in the place of what kind of entry it is."""
    assert run(["catalog", "show", "tpu-v5p", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["kind"], values["device"]) == ("accelerator", "tpu")
