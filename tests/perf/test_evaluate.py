"""Step time of cases: parts add up, limits hold, more of a resource never hurts, neighbours change nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from samples.cases import CATALOG, case, step_s, varied

from isocost.catalog.stacks import recipe_of, recipes
from isocost.laws.operators import mean_keys, misaligned_factor, sustained_frac
from isocost.perf.case import Case
from isocost.perf.peak import paced_blocks
from isocost.perf.predict import predict
from isocost.perf.step import StepTime
from isocost.workload.presets import preset

VARIED = [
    case(),
    case(tp=2, dp=4, shard_group=4, sequence_parallel=True),
    case(pp=4, vp=2, dp=2, shard_group=2, schedule="interleaved"),
    case("deepseek-v3", "b200-sxm-180gb", precision="fp8", ep=8, dp=64, shard_group=64, global_batch_seqs=512),
    case("gemma-2-9b", recompute="full", cp=2, dp=4, shard_group=8),
    case("gpt2", "a100-sxm4-80gb", attention_kernel="fused-softmax", seq_len=1024),
    case(sharding="zero3", recompute="selective"),
]


def test_the_parts_of_a_step_add_up() -> None:
    """The fields of StepTime sum to its total, and none is negative."""
    step = predict(VARIED).step
    parts = np.array([np.broadcast_to(getattr(step, f.name), (len(VARIED),)) for f in fields(StepTime)])
    assert np.all(parts >= 0)
    np.testing.assert_allclose(parts.sum(axis=0), step.total_s, rtol=1e-12)


def test_a_case_alone_equals_the_case_among_others() -> None:
    """Kinds of block and neighbours are padding: they change no number."""
    together = step_s(*VARIED)
    assert [step_s(one)[0] for one in VARIED] == pytest.approx(together, rel=1e-12)


@pytest.mark.parametrize(
    ("part", "absent"),
    [
        ("tp_s", case()),
        ("cp_s", case()),
        ("ep_s", case()),
        ("pp_s", case()),
        ("bubble_s", case()),
        ("recompute_s", case()),
    ],
)
def test_what_a_layout_does_not_do_costs_nothing(part: str, absent: Case) -> None:
    """Without tensor, context, expert or pipeline parallelism and without recompute their parts are exactly zero."""
    assert float(np.squeeze(getattr(predict([absent]).step, part))) == 0.0


def test_full_recompute_replays_one_forward() -> None:
    """Full recompute adds a forward pass: a quarter to a third of a step that is mostly matrix products."""
    none, full = step_s(case(), case(recompute="full"))
    assert 1.2 < full / none < 1.4


@pytest.mark.parametrize("field", ["hbm_bytes_per_s", "bf16_flop_per_s", "scaleup_bytes_per_s"])
def test_a_faster_chip_is_never_slower(field: str) -> None:
    """More memory bandwidth, arithmetic or link speed never lengthens a step on a chip without its own measurements."""
    chip = CATALOG.accelerator("mi300x")
    faster = replace(chip, **{field: 1.5 * getattr(chip, field)})
    layout = {"tp": 8, "dp": 8, "shard_group": 8, "sequence_parallel": True, "global_batch_seqs": 64}
    before, after = step_s(replace(case(**layout), accelerator=chip), replace(case(**layout), accelerator=faster))
    assert after <= before * (1 + 1e-12)


def test_a_faster_network_is_never_slower() -> None:
    """Twice the scale-out bandwidth never lengthens a step that crosses nodes."""
    wide = {"dp": 64, "shard_group": 64, "sharding": "zero3", "global_batch_seqs": 64}
    slow, fast = step_s(case(nic_bytes_per_s=6.25e9, **wide), case(nic_bytes_per_s=12.5e9, **wide))
    assert fast < slow


def test_twice_the_micro_batches_take_less_than_twice_as_long() -> None:
    """What happens once a step (optimizer, gradient traffic) is not paid again."""
    one, two = step_s(case(), case(global_batch_seqs=256))
    assert one < two < 2 * one


def test_lora_has_no_weight_gradients_to_speak_of() -> None:
    """Fine-tuning adapters takes about two thirds of the time of training all weights."""
    full, lora = step_s(case(kind="sft"), case(kind="lora"))
    assert 0.55 < lora / full < 0.8


def test_multi_token_prediction_costs_a_block_and_a_head() -> None:
    """DeepSeek-V3's extra block and its pass through the head show in the step."""
    whole = VARIED[3]
    without = replace(whole, architecture=replace(whole.architecture, mtp_layers=0))
    ratio = step_s(whole)[0] / step_s(without)[0]
    assert 1 + 1 / 61 < ratio < 1.1


def test_mean_keys_by_hand() -> None:
    """Causal attention sees half the sequence, a window its width less the first triangle, a chunk half of it."""
    assert float(mean_keys(seq_len=8192.0, window=8192.0)) == 4096.0
    assert float(mean_keys(seq_len=8192.0, window=1024.0)) == 1024.0 - 1024.0**2 / 16384.0
    assert float(mean_keys(seq_len=8192.0, window=1024.0, chunked=1.0)) == 512.0


def test_a_ragged_vocabulary_is_slower() -> None:
    """50257 falls off the tensor cores' loads, 50304 does not; tensor-parallel stacks pad."""
    assert float(misaligned_factor(extent=50257.0, slowdown=2.5)) == 2.5
    assert float(misaligned_factor(extent=50304.0, slowdown=2.5)) == 1.0
    ragged, padded = (case("gpt2", seq_len=1024, architecture=replace(preset("gpt2"), vocab=v)) for v in (50257, 50304))
    assert step_s(ragged)[0] > step_s(padded)[0]


def test_power_sets_the_sustained_rate() -> None:
    """Fewer watts per flop/s than the reference sustain less; beyond twice as many nothing is gained."""
    at = {"at_reference_frac": 0.93, "power_exponent": 0.17}
    assert float(sustained_frac(relative_power=1.0, **at)) == 0.93
    assert float(sustained_frac(relative_power=0.5, **at)) == pytest.approx(0.93 * 0.5**0.17)
    assert float(sustained_frac(relative_power=3.0, **at)) == float(sustained_frac(relative_power=2.0, **at))


@pytest.mark.parametrize(
    ("layers", "pp", "vp", "expected"),
    [
        (32, 4, 1, (8, 8)),
        (126, 8, 8, (16, 15)),
        (30, 8, 1, (4, 3)),
        (61, 16, 1, (4, 1)),
        (40, 1, 1, (40, 40)),
        (46, 2, 1, (23, 23)),
    ],
)
def test_paced_blocks(layers: int, pp: int, vp: int, expected: tuple[int, int]) -> None:
    """Even where it divides, one block fewer on the ends where that divides, rounded up otherwise."""
    assert tuple(float(x) for x in paced_blocks(layers, pp, vp)) == expected


def test_recipes_are_found_by_version_and_year() -> None:
    """The longest matching beginning of the version wins, then the year nearest; an unknown stack is none."""
    assert recipe_of("megatron", "Megatron-LM", 2022) is recipes()["megatron-lm-2021"]
    assert recipe_of("megatron", "Megatron-LM", 2024) is recipes()["megatron-lm-2023"]
    assert recipe_of("megatron", "Megatron-LM fork, schedule ZB-1p", 2024) is recipes()["megatron-zb"]
    assert recipe_of("maxtext", "MaxText (JAX)", 2025, "tpu") is recipes()["maxtext-tpu"]
    assert recipe_of("somebody's own", None, 2025) is None


def test_replicas_of_shards_sum_their_gradients() -> None:
    """FSDP over 8 of 64 ranks gathers inside the node and sums an eighth of the gradients across it; over all, nothing.

    A slower network moves the sum: with one eighth of the bandwidth what waits for it grows towards eight times.
    """
    whole = case(dp=64, shard_group=64, sharding="zero3", seq_len=1024, global_batch_seqs=64)
    inside = varied(whole, shard_group=8)
    alone = varied(inside, dp=8, global_batch_seqs=8)  # one replica: the same gathers, no sum
    slow = replace(inside, nic_bytes_per_s=inside.nic_bytes_per_s / 8.0)
    dp_s = np.ravel(predict([whole, inside, alone, slow]).step.dp_s)
    waits = dp_s[1:] - dp_s[2]
    assert waits[0] > 0.0 == waits[1]
    assert waits[2] / waits[0] > 4.0
    assert dp_s[3] > dp_s[1]
