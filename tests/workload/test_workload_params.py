"""Exact parameter counts: against transformers, against published totals, and by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from isocost.workload.hf import DEFAULTS, IMPORTERS, architecture_from_config, load_config
from isocost.workload.params import OPERATORS, ParameterCount, block_params, parameter_count, state_bytes
from isocost.workload.presets import preset, preset_facts, preset_names

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((ROOT / "tests/golden/params.json").read_text())
VARIANTS = json.loads((ROOT / "tests/golden/config_variants.json").read_text())
PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "gpt2": 124_439_808,
    "qwen2.5-7b": 7_615_616_512,
    "gemma-2-9b": 9_241_705_984,
    "falcon-40b": 41_303_293_952,
    "bloom-176b": 176_247_271_424,
    "gpt-oss-120b": 116_829_156_672,
}


@pytest.mark.parametrize("name", preset_names())
def test_presets_equal_transformers(name: str) -> None:
    """Every shipped model has exactly the parameters that transformers builds for its configuration."""
    assert parameter_count(preset(name)).total == GOLDEN["presets"][name]


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_odd_variants_equal_transformers(name: str) -> None:
    """Every switch of a family (biases, ties, head sizes, listed layers) changes the count as in transformers."""
    assert parameter_count(architecture_from_config(VARIANTS[name], name)).total == GOLDEN["variants"][name]


def test_golden_table_covers_every_preset_and_family() -> None:
    """The table holds exactly the shipped models and the variants, and both cover all supported model types."""
    assert set(GOLDEN["presets"]) == set(preset_names())
    assert set(GOLDEN["variants"]) == set(VARIANTS)
    assert {config["model_type"] for config in VARIANTS.values()} == set(IMPORTERS)
    assert {preset_facts(name).config["model_type"] for name in preset_names()} == set(IMPORTERS)
    assert set(DEFAULTS) <= set(IMPORTERS)


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_published_totals(name: str, total: int) -> None:
    """Known totals of published models are met to the parameter."""
    assert parameter_count(preset(name)).total == total


@pytest.mark.parametrize("folder", sorted((ROOT / "examples/models").iterdir()), ids=lambda folder: folder.name)
def test_example_configs_are_the_shipped_models(folder: Path) -> None:
    """A full published config.json describes the same architecture as the shipped preset of that name."""
    assert load_config(folder) == preset(folder.name)
    assert load_config(folder / "config.json") == preset(folder.name)


def test_deepseek_v3_total_active_and_prediction_layer() -> None:
    """DeepSeek-V3 has 671.0 B parameters, 37.6 B of them active, and 11.6 B more in its prediction layer."""
    count = parameter_count(preset("deepseek-v3"))
    assert count.total == 671_026_404_352
    assert count.total - count.active == 58 * (256 - 8) * 3 * 7168 * 2048  # the experts that a token does not use
    assert count.active == pytest.approx(37.55e9, rel=1e-4)
    # one expert block (256 + 1 experts of 3 x 7168 x 2048, router, MLA, norms), 2 h^2, and three norms
    mla = 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168
    norms = 2 * 7168 + 1536 + 512
    block = 257 * 3 * 7168 * 2048 + 256 * 7168 + mla + norms
    assert count.mtp == block + 2 * 7168**2 + 3 * 7168
    assert count.trained == count.total + count.mtp


@pytest.mark.parametrize(
    ("name", "active"),
    [("mixtral-8x7b", 12.88e9), ("qwen3-235b-a22b", 22.19e9), ("qwen3-30b-a3b", 3.35e9), ("llama-4-scout", 17.17e9)],
)
def test_active_parameters_of_expert_models(name: str, active: float) -> None:
    """Active parameters are those the model's name promises: routed experts at top-k, all the rest."""
    assert parameter_count(preset(name)).active == pytest.approx(active, rel=1e-3)


def test_a_dense_model_is_fully_active() -> None:
    """Without experts every parameter is active."""
    count = parameter_count(preset("llama-3.1-8b"))
    assert count.active == count.total == count.trained


def test_operators_of_gpt2_by_hand() -> None:
    """GPT-2: 4 h^2 attention, 8 h^2 feed-forward, 9 h biases, 4 h norms a layer; tied head; learned positions."""
    count, h, layers = parameter_count(preset("gpt2")), 768, 12
    assert count == ParameterCount(
        embedding=50257 * h,
        position=1024 * h,
        attention=layers * 4 * h * h,
        ffn=layers * 8 * h * h,
        norms=layers * 4 * h + 2 * h,
        biases=layers * 9 * h,
    )
    assert count.total == sum(getattr(count, part) for part in OPERATORS)


def test_idle_experts_include_their_biases() -> None:
    """gpt-oss experts carry biases; those of the experts a token does not use are not active."""
    arch = preset("gpt-oss-20b")
    (block, _), width = arch.blocks, 2880
    one = block_params(block, arch.hidden)
    assert one.idle_experts == 28 * (3 * width * width + 2 * width + width)
    assert one.experts == 32 * (3 * width * width + 3 * width)


def test_untied_head_costs_one_more_table() -> None:
    """Untying adds vocab x hidden, no more."""
    arch = preset("gemma-2-9b")
    untied = parameter_count(replace(arch, tied_embeddings=False)).total
    assert untied - parameter_count(arch).total == 256_000 * 3584


def test_state_is_sixteen_bytes_a_parameter() -> None:
    """Mixed precision with Adam holds 2 + 2 + 4 + 4 + 4 bytes for each parameter."""
    parts = state_bytes(1e9)
    assert list(parts.values()) == [2e9, 2e9, 4e9, 4e9, 4e9]
