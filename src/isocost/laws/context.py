"""Context parallelism: one sequence split over cp ranks, and what its attention then has to send.

Three ways: pass keys and values around a ring while attending (ring attention), gather them first (Llama 3), or trade
the split over tokens for a split over heads (Ulysses). The causal mask makes late tokens dearer; ``causal_imbalance``
says by how much.
"""

from __future__ import annotations

import numpy as np

from isocost.laws.collectives import all_to_all_s, ring_all_gather_s
from isocost.num import Num
from isocost.term import term

_RANKS = {"cp": (1.0, 64.0)}


@term(unit="s", source="liu2023ring", domain=_RANKS)
def ring_attention_exposed_s(
    *, cp: Num, kv_block_bytes: Num, bandwidth_bytes_per_s: Num, latency_s: Num, attention_s: Num
) -> Num:
    """(cp - 1) max(0, block / bandwidth + latency - attention / cp)

    Every rank keeps its queries and passes the keys and values of its block to the next rank, cp - 1 times. While a
    block is on its way the rank attends to the one it has, a cp-th of its attention; only what a transfer takes
    longer shows. Attention grows with the square of the sequence and the block linearly, so long sequences hide the
    ring and short ones do not.

    cp: context-parallel ranks. kv_block_bytes: keys and values of one rank's tokens, all local KV heads of one layer.
    bandwidth_bytes_per_s, latency_s: of one send between neighbours (``collectives.group_bandwidth_bytes_per_s``).
    attention_s: attention core of one layer on one rank, all cp steps; for the backward pass give its time and, as
    block, keys, values and their gradients (twice the bytes).
    Ignores: the kernel's loss on short blocks (pass a slower attention_s), the merge of partial results (a pointwise
    pass over the output for each step), and uneven steps of a contiguous causal split.
    Source: liu2023ring, section 3.
    """
    transfer_s = np.divide(kv_block_bytes, bandwidth_bytes_per_s) + latency_s
    return (cp - 1.0) * np.maximum(transfer_s - np.divide(attention_s, cp), 0.0)


@term(unit="s", source="llama3herd", domain=_RANKS)
def kv_all_gather_s(
    *,
    cp: Num,
    kv_payload_bytes: Num,
    bandwidth_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
    local_copy: Num = 0.0,
) -> Num:
    """start + (cp - 1) latency + KV (cp - 1) / cp / bandwidth

    Every rank gathers the keys and values of the whole sequence, then attends with its own queries. Nothing overlaps,
    but the kernel runs once on the full length, any mask will do (documents, windows), and with grouped queries KV is
    small against attention that is quadratic. The backward pass adds a reduce-scatter of the same size for the
    gradients.

    cp: context-parallel ranks. kv_payload_bytes: keys and values of the whole sequence, all local KV heads of one
    layer.
    bandwidth_bytes_per_s, latency_s and the three after: as in ``collectives.ring_all_gather_s``.
    Ignores: memory of the gathered keys and values (one layer's, freed after it), and prefetch behind the projection
    of queries.
    Source: llama3herd, section 3.3.2.
    """
    return ring_all_gather_s(
        payload_bytes=kv_payload_bytes,
        members=cp,
        bandwidth_bytes_per_s=bandwidth_bytes_per_s,
        latency_s=latency_s,
        start_s=start_s,
        half_size_bytes=half_size_bytes,
        local_copy=local_copy,
    )


@term(unit="s", source="jacobs2023", domain=_RANKS)
def ulysses_s(
    *,
    cp: Num,
    query_bytes: Num,
    kv_bytes: Num,
    bandwidth_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
    local_copy: Num = 0.0,
) -> Num:
    """all_to_all(Q) + all_to_all(O) + all_to_all(K) + all_to_all(V)

    Before attention an all-to-all turns "my tokens, all heads" into "all tokens, my heads" for Q, K and V, and
    another one turns the output back. The volume of a rank falls as 1 / cp with its tokens, where ring and gather
    stay constant; but cp can not exceed the heads, and KV heads fewer than cp have to be copied. The backward pass
    repeats the four in reverse.

    cp: ranks that share the sequence. query_bytes: queries of one rank's tokens, all heads of one layer (the output
    is as large).
    kv_bytes: keys plus values of the same tokens; multiply by cp / kv_heads where that is above 1.
    bandwidth_bytes_per_s, latency_s and the three after: as in ``collectives.all_to_all_s``.
    Ignores: the transposes around the exchange (two pointwise passes), and fusing Q, K and V into one message.
    Source: jacobs2023, section 3.
    """
    network = {
        "bandwidth_bytes_per_s": bandwidth_bytes_per_s,
        "latency_s": latency_s,
        "start_s": start_s,
        "half_size_bytes": half_size_bytes,
        "local_copy": local_copy,
    }
    query_s = all_to_all_s(payload_bytes=query_bytes, members=cp, **network)
    kv_s = all_to_all_s(payload_bytes=0.5 * kv_bytes, members=cp, **network)
    return 2.0 * query_s + 2.0 * kv_s


@term(unit="1", source="brandon2023striped, llama3herd", domain=_RANKS | {"balanced_frac": (0.0, 1.0)})
def causal_imbalance(*, cp: Num, balanced_frac: Num) -> Num:
    """1 + (1 - balanced) (1 - 1 / cp)

    Attention time of the busiest rank over the mean of all. With a causal mask a token attends to all before it: the
    last of cp contiguous parts holds 1 / cp of the rows and (2 - 1 / cp) / cp of the area. Giving each rank one part
    from the front and its mirror image from the back (zigzag), or every cp-th token (striped), makes all shares
    equal.

    cp: context-parallel ranks. balanced_frac: 1 for zigzag or striped order and for Ulysses, 0 for contiguous parts;
    full (not causal) attention is balanced in any order.
    Ignores: document masks in packed sequences, which unbalance every order, and half a block per step of a striped
    ring.
    Source: brandon2023striped; llama3herd, section 3.3.2.
    """
    return 1.0 + (1.0 - balanced_frac) * (1.0 - np.divide(1.0, cp))
