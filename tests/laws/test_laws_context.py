"""Context parallelism by hand and in its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.laws.collectives import ring_all_gather_s
from isocost.laws.context import causal_imbalance, kv_all_gather_s, ring_attention_exposed_s, ulysses_s

NETWORK = {"bandwidth_bytes_per_s": 100.0, "latency_s": 1.0}


def test_ring_attention_by_hand() -> None:
    """Four ranks, 400 B blocks in 5 s; 12 s of attention hide 3 s of each of three transfers."""
    assert ring_attention_exposed_s(cp=4, kv_block_bytes=400, attention_s=12.0, **NETWORK) == 3 * (5.0 - 3.0)


def test_long_attention_hides_the_ring() -> None:
    """Once a block's attention takes as long as its transfer, nothing shows."""
    assert ring_attention_exposed_s(cp=4, kv_block_bytes=400, attention_s=20.0, **NETWORK) == 0.0


@pytest.mark.parametrize("start_s", [0.0, 3.0])
def test_one_rank_sends_nothing(start_s: float) -> None:
    """cp = 1 costs nothing in any of the three forms, and is balanced."""
    assert ring_attention_exposed_s(cp=1, kv_block_bytes=400, attention_s=0.0, **NETWORK) == 0.0
    assert kv_all_gather_s(cp=1, kv_payload_bytes=400, start_s=start_s, **NETWORK) == 0.0
    assert ulysses_s(cp=1, query_bytes=400, kv_bytes=100, start_s=start_s, **NETWORK) == 0.0
    assert causal_imbalance(cp=1, balanced_frac=0.0) == 1.0


@given(cp=st.integers(1, 64), block=st.floats(1.0, 1e9))
def test_ring_without_attention_is_an_all_gather(cp: int, block: float) -> None:
    """With nothing to hide behind, the ring moves what an all-gather of all blocks moves."""
    exposed = ring_attention_exposed_s(cp=cp, kv_block_bytes=block, attention_s=0.0, **NETWORK)
    gathered = ring_all_gather_s(payload_bytes=cp * block, members=cp, **NETWORK)
    assert exposed == pytest.approx(gathered, rel=1e-12)
    assert kv_all_gather_s(cp=cp, kv_payload_bytes=cp * block, **NETWORK) == gathered


def test_ulysses_by_hand() -> None:
    """Four ranks: Q and O of 800 B, K and V of 200 B each: 3/4 of them at 100 B/s, three latencies in each."""
    assert ulysses_s(cp=4, query_bytes=800, kv_bytes=400, **NETWORK) == 2 * (3 + 6.0) + 2 * (3 + 1.5)


def test_contiguous_parts_approach_twice_the_mean() -> None:
    """The last of cp contiguous parts attends to 2 - 1/cp of the mean area; mirrored parts to the mean."""
    cp = np.array([1.0, 2.0, 4.0, 1e12])
    np.testing.assert_allclose(causal_imbalance(cp=cp, balanced_frac=0.0), [1.0, 1.5, 1.75, 2.0], rtol=1e-11)
    np.testing.assert_array_equal(causal_imbalance(cp=cp, balanced_frac=1.0), np.ones(4))


def test_imbalance_counts_the_causal_mask() -> None:
    """The factor is the last quarter's share of a causal 64 x 64 mask, half of the diagonal counted."""
    mask = np.tril(np.ones((64, 64))) - 0.5 * np.eye(64)
    last = mask[48:].sum() / (mask.sum() / 4)
    assert causal_imbalance(cp=4, balanced_frac=0.0) == last
