"""Architectures described by hand."""

from dataclasses import asdict

import pytest

from isocost.errors import InputError
from isocost.workload.architecture import Architecture
from isocost.workload.params import parameter_count
from isocost.workload.presets import preset, preset_names
from isocost.workload.table import architecture_from_table

LLAMA_8B = {
    "name": "my-8b",
    "hidden": 4096,
    "vocab": 128256,
    "max_seq_len": 131072,
    "blocks": [{"count": 32, "heads": 32, "kv_heads": 8, "ffn_hidden": 14336}],
}


def _table(arch: Architecture) -> dict[str, object]:
    fields = asdict(arch)
    return fields | {"blocks": list(fields["blocks"])}


def test_a_few_fields_describe_llama() -> None:
    """Five lines by hand are Llama-3.1-8B to the parameter: norms and head size follow from the widths."""
    arch = architecture_from_table(LLAMA_8B)
    assert parameter_count(arch).total == 8_030_261_248
    assert arch.blocks == preset("llama-3.1-8b").blocks
    assert (arch.name, arch.model_type) == ("my-8b", "custom")


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_model_can_be_written_by_hand(name: str) -> None:
    """The table has a field for all that an import can find: writing a model out and reading it back loses nothing."""
    assert architecture_from_table(_table(preset(name))) == preset(name)


def test_layer_norm_doubles_the_default_norms() -> None:
    """A LayerNorm has a weight and a bias: the default counts of norms double."""
    plain = {"hidden": 64, "vocab": 100, "blocks": [{"count": 2, "heads": 4, "ffn_hidden": 256, "ffn_gated": False}]}
    rms, layer = (
        parameter_count(architecture_from_table(plain | {"layer_norm": flag})).norms for flag in (False, True)
    )
    assert (rms, layer) == (2 * 2 * 64 + 64, 2 * (2 * 2 * 64 + 64))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {},
            [
                "architecture: hidden: is missing; allowed: a whole number from 1 to 1,000,000; fix: add hidden",
                "architecture: vocab: is missing; allowed: a whole number from 1 to 100,000,000; fix: add vocab",
                "architecture: blocks: is missing; fix: add one [[architecture.blocks]] for each kind of layer",
            ],
        ),
        (
            LLAMA_8B | {"blocks": 3},
            [
                "architecture: blocks: 3 is not a list of tables; "
                "fix: add one [[architecture.blocks]] for each kind of layer"
            ],
        ),
        (
            LLAMA_8B | {"blocks": [{"count": 2, "heads": 32, "ffn_hiden": 8}], "name": 3},
            [
                "architecture: name: 3 is not text; fix: write name in quotes",
                "architecture: blocks[0].ffn_hiden: is not a field; did you mean ffn_hidden?; fix: use one of "
                "count, heads, kv_heads, head_dim, v_head_dim, window, chunked, q_lora_rank, kv_lora_rank, "
                "qk_rope_head_dim, attention_sinks, ffn_hidden, ffn_gated, experts, experts_topk, moe_ffn_hidden, "
                "shared_ffn_hidden, norm_params, bias_params, expert_bias_params, other_params",
                "architecture: blocks[0].ffn_hidden: is missing, and so are experts and shared_ffn_hidden; "
                "fix: add ffn_hidden",
            ],
        ),
        (
            LLAMA_8B | {"blocks": [{"count": 2, "heads": 30, "kv_heads": 8, "experts": 4, "chunked": True}]},
            [
                "architecture: blocks[0].heads: 30 is not a multiple of kv_heads = 8; fix: correct heads or kv_heads",
                "architecture: blocks[0].experts_topk: is needed with experts; fix: add experts_topk",
                "architecture: blocks[0].moe_ffn_hidden: is needed with experts; fix: add moe_ffn_hidden",
                "architecture: blocks[0].window: is needed with chunked; fix: add window",
            ],
        ),
        (
            LLAMA_8B | {"blocks": [{"count": 9_000, "heads": 32, "ffn_hidden": 8}] * 2},
            ["architecture: blocks: holds 18,000 layers; allowed: at most 10,000 layers; fix: correct count"],
        ),
        (
            LLAMA_8B | {"blocks": [{"count": 2, "heads": 30, "ffn_hidden": 8, "q_lora_rank": 4}]},
            [
                "architecture: blocks[0].heads: 30 does not divide hidden = 4,096; fix: add head_dim, or correct heads",
                "architecture: blocks[0].kv_lora_rank: is needed with q_lora_rank or qk_rope_head_dim (MLA); "
                "fix: add kv_lora_rank",
            ],
        ),
    ],
    ids=["empty", "not-a-list", "misspelt", "contradictions", "too-deep", "latent"],
)
def test_every_problem_of_a_table_at_once(table: dict[str, object], expected: list[str]) -> None:
    """A wrong table is one error that lists each problem with its place, the nearest spelling and a fix."""
    with pytest.raises(InputError) as caught:
        architecture_from_table(table)
    assert str(caught.value).splitlines() == expected
