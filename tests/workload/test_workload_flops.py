"""FLOPs per token: known figures, limiting cases, and sums."""

import json

import pytest

from isocost.workload.architecture import Architecture, Block
from isocost.workload.flops import (
    attended_tokens,
    backward_flop_per_token,
    block_flop_per_token,
    forward_flop_per_token,
    recompute_flop_per_token,
    train_flop_per_token,
)
from isocost.workload.params import parameter_count
from isocost.workload.presets import preset, preset_names
from isocost.workload.summary import kv_values_per_token, summary


def test_llama_70b_at_8192() -> None:
    """Llama-3-70B at 8,192 tokens: 481.4 GFLOP a token with full attention, 449.2 with the masked half left out."""
    arch = preset("llama-3.1-70b")
    assert train_flop_per_token(arch, 8192, causal=False) / 1e9 == pytest.approx(481.4348, abs=1e-4)
    assert train_flop_per_token(arch, 8192, causal=True) / 1e9 == pytest.approx(449.2225, abs=1e-4)


@pytest.mark.parametrize("name", ["gpt3-175b", "llama-3.1-405b", "bloom-176b", "qwen2.5-72b"])
def test_six_n_plus_attention(name: str) -> None:
    """A dense model trains at 6 FLOPs a matrix weight and token, plus 12 layers x heads x head_dim x sequence."""
    arch, seq_len = preset(name), 2048
    count, (block,) = parameter_count(arch), arch.blocks
    head = count.head or count.embedding
    expected = 6 * (count.attention + count.ffn + head)
    expected += 12 * arch.layers * block.heads * block.head_dim * seq_len
    assert train_flop_per_token(arch, seq_len, causal=False) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", preset_names())
def test_operators_sum_and_backward_is_twice_forward(name: str) -> None:
    """For every shipped model the operators sum to the total, and each costs twice as much backward."""
    arch = preset(name)
    forward = forward_flop_per_token(arch, 4096)
    operators = forward.to_dict()
    total = operators.pop("total")
    assert total == pytest.approx(sum(operators.values()), rel=1e-12)
    assert backward_flop_per_token(arch, 4096).to_dict() == {k: 2 * v for k, v in forward.to_dict().items()}
    assert train_flop_per_token(arch, 4096) == 3 * total


def test_active_weights_bound_an_expert_model() -> None:
    """Without attention, an expert model's forward is two FLOPs for each active matrix weight outside the embedding."""
    arch = preset("mixtral-8x7b")
    count = parameter_count(arch)
    forward = forward_flop_per_token(arch, 4096)
    matrices = count.active - count.embedding - count.norms
    assert forward.total - forward.scores - forward.values == 2 * matrices


@pytest.mark.parametrize(
    ("seq_len", "window", "chunked", "causal", "expected"),
    [
        (4096, 0, False, False, 4096),
        (4096, 0, False, True, 2048),
        (4096, 4096, False, True, 2048),  # a window of the whole sequence is full attention
        (4096, 100_000, False, True, 2048),
        (4096, 1024, False, False, 1024),
        (4096, 1024, False, True, 896),  # 1024 (1 - 1024 / 8192)
        (4096, 1024, True, True, 512),  # chunks are short full sequences
        (4096, 1024, True, False, 1024),
        (3072, 2048, True, False, (2048**2 + 1024**2) / 3072),  # the last chunk is not full
    ],
)
def test_attended_tokens(seq_len: int, window: int, chunked: bool, causal: bool, expected: float) -> None:
    """Full, causal, sliding and chunked attention meet the number of keys worked out by hand."""
    assert attended_tokens(seq_len, window, chunked=chunked, causal=causal) == expected


def test_sliding_window_agrees_with_counting() -> None:
    """The mean over all queries of the keys inside a causal window, diagonal at half weight, is the closed form."""
    seq_len, window = 512, 96
    keys = [min(query + 1, window) for query in range(seq_len)]
    # the closed form is the continuous limit: it differs by half a key a query, the diagonal
    assert attended_tokens(seq_len, window) == pytest.approx(sum(keys) / seq_len - 0.5 * window / seq_len, abs=1e-9)


def test_mla_operators_by_hand() -> None:
    """Latent attention: down and up projections, scores over nope + rope, values over the value width."""
    block = Block(
        count=1,
        heads=4,
        kv_heads=4,
        head_dim=24,
        v_head_dim=20,
        q_lora_rank=12,
        kv_lora_rank=10,
        qk_rope_head_dim=8,
        ffn_hidden=50,
    )
    flop = block_flop_per_token(block, 32, 100, causal=False)
    assert flop.qkv == 2 * (32 * 12 + 12 * 4 * 24 + 32 * 18 + 10 * 4 * (16 + 20))
    assert flop.scores == 2 * 4 * 24 * 100
    assert flop.values == 2 * 4 * 20 * 100
    assert flop.out == 2 * 4 * 20 * 32
    assert flop.ffn == 2 * 3 * 32 * 50
    assert kv_values_per_token(block) == 18


def test_recompute_policies() -> None:
    """None repeats nothing, selective the attention core, full everything but the head."""
    arch = preset("gpt3-175b")
    forward = forward_flop_per_token(arch, 2048)
    assert recompute_flop_per_token(arch, 2048, "none").total == 0
    assert recompute_flop_per_token(arch, 2048, "selective").total == forward.scores + forward.values
    assert recompute_flop_per_token(arch, 2048, "full").total == pytest.approx(forward.total - forward.head, rel=1e-12)


def test_prediction_layer_adds_a_block_a_join_and_a_head() -> None:
    """A multi-token-prediction layer costs one more block of the last kind, a 2h x h product and a second head."""
    arch = preset("deepseek-v3")
    forward = forward_flop_per_token(arch, 4096)
    block = block_flop_per_token(arch.blocks[-1], arch.hidden, 4096).total
    assert forward.head == 2 * 2 * 129_280 * 7168
    assert forward.mtp == block + 4 * 7168**2


def test_narrow_embedding_projects_in_and_out() -> None:
    """An embedding narrower than the model costs two projections, and a head at its own width."""
    block = Block(count=2, heads=2, kv_heads=2, head_dim=8, v_head_dim=8, ffn_hidden=64, ffn_gated=False)
    arch = Architecture(name="n", model_type="custom", hidden=16, vocab=100, blocks=(block,), embedding_dim=4)
    assert forward_flop_per_token(arch, 32).head == 2 * (100 * 4 + 2 * 16 * 4)


def test_summary_is_json_and_consistent() -> None:
    """The summary is plain JSON whose totals are those of the counts, with both attention conventions."""
    data = json.loads(json.dumps(summary(preset("gemma-2-9b"), 8192)))
    assert data["params"] == 9_241_705_984 == sum(data["params_by_operator"].values())
    assert data["layers"] == 42
    assert data["state_bytes"]["total"] == 16 * data["params"]
    assert data["kv"]["values_per_token"] == 42 * 8 * 512
    causal, full = data["flop_per_token"]["causal"], data["flop_per_token"]["full"]
    # 21 full layers are halved; 21 layers with a window of 4,096 keep 1 - 4096 / 16384 of it
    per_key = 2 * 16 * 256
    assert full["forward"]["scores"] == 21 * per_key * (8192 + 4096)
    assert causal["forward"]["scores"] == 21 * per_key * (4096 + 3072)
    assert causal["train_total"] == causal["forward"]["total"] + causal["backward"]["total"]
