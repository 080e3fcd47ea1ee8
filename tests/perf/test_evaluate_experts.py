"""Step time of mixtures of experts: width, launches, sinks, and traffic beside compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from samples.cases import case, step_s, varied

from isocost.catalog.stacks import recipe
from isocost.perf.case import Case, levels_of
from isocost.perf.predict import predict


def _experts(width: int, *, experts: int = 64, topk: int = 8) -> Case:
    """Qwen3-30B-A3B with experts of another width and number, on H100s; no traffic between ranks."""
    one = case("qwen3-30b-a3b", seq_len=4096, dp=1, shard_group=1, global_batch_seqs=1, sharding="none")
    blocks = tuple(
        replace(b, moe_ffn_hidden=width, experts=experts, experts_topk=topk) for b in one.architecture.blocks
    )
    return replace(one, architecture=replace(one.architecture, blocks=blocks))


def test_wide_experts_run_near_the_rate_of_dense_products() -> None:
    """At 16,384 wide, arithmetic decides: the experts reach 55 to 75 % of an H100's peak; narrow ones lose more."""
    wide, narrow = _experts(16384, experts=8, topk=2), _experts(512)
    parts = np.ravel(predict([wide, narrow]).step.expert_s)
    rates = []
    for one, seconds in zip((wide, narrow), parts, strict=True):
        block = one.architecture.blocks[0]
        flop = 3 * 6.0 * one.seq_len * block.experts_topk * one.architecture.hidden * block.moe_ffn_hidden * block.count
        rates.append(flop / seconds / 989.4e12)
    assert 0.55 < rates[0] < 0.75
    assert rates[1] < rates[0] / 1.33


def test_every_local_expert_takes_a_launch() -> None:
    """With the same work, more experts on a rank make the host the limit; spread over ranks they do not."""
    few, many = (replace(_experts(64, experts=n, topk=1), seq_len=512) for n in (8, 128))
    waits = np.ravel(predict([few, many]).step.host_s)
    assert waits[1] > 3.0 * waits[0] > 0.0


def test_one_kernel_for_all_experts_is_one_launch() -> None:
    """Stacks with grouped kernels (torchtitan, MaxText) pay the host for a block of experts, not for each of them."""
    few, many = (
        replace(_experts(64, experts=n, topk=1), seq_len=512, recipe=recipe("torchtitan-2025")) for n in (8, 128)
    )
    waits = np.ravel(predict([few, many]).step.host_s)
    assert waits[1] == pytest.approx(waits[0], rel=0.1)


def test_attention_sinks_are_slower_than_attention_without() -> None:
    """gpt-oss adds a sink to every softmax, for which training kernels were slow: backward by the fitted factor."""
    sinks = case("gpt-oss-20b", seq_len=4096)
    blocks = tuple(replace(block, attention_sinks=False) for block in sinks.architecture.blocks)
    plain = replace(sinks, architecture=replace(sinks.architecture, blocks=blocks))
    with_sinks, without = np.ravel(predict([sinks, plain]).step.attention_s)
    assert with_sinks > 2.0 * without
    assert (levels_of(sinks)["sinks"], levels_of(plain)["sinks"]) == ("yes", "")


def test_dualpipe_hides_expert_traffic_behind_the_paired_chunk() -> None:
    """Beside enough compute, what is left of the traffic is the slowdown of sharing the chip; nothing else changes."""
    spread = {"ep": 64, "dp": 128, "shard_group": 128, "pp": 16, "seq_len": 4096, "global_batch_seqs": 15360}
    plain = case("deepseek-v3", "h800-sxm5-80gb", precision="fp8", schedule="1f1b", **spread)
    dense, routed = plain.architecture.blocks  # as many blocks as make equal stages, and a light end
    blocks = (dense, replace(routed, count=64 - dense.count))
    plain = replace(plain, architecture=replace(plain.architecture, blocks=blocks, mtp_layers=0, vocab=32000))
    paired = varied(plain, schedule="dualpipe")
    step = predict([plain, paired]).step
    before, after = np.ravel(step.ep_s)
    assert 0.0 < after < 0.75 * before
    for part in ("gemm_s", "expert_s", "attention_s", "pointwise_s"):
        alone, beside = np.ravel(getattr(step, part))
        assert beside == pytest.approx(alone, rel=1e-12)


def test_pairing_changes_nothing_without_experts() -> None:
    """A dense model has no expert traffic: alone or beside a paired schedule its step is the same."""
    dense = case(pp=4, dp=2, shard_group=2, schedule="1f1b")
    paired = case("deepseek-v3", ep=8, pp=2, dp=64, shard_group=64, schedule="dualpipe", global_batch_seqs=512)
    assert step_s(dense, paired)[0] == pytest.approx(step_s(dense)[0], rel=1e-12)
