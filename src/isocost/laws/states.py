"""Training state on one rank: weights, gradients, optimizer; and the buffers that sharding and parallelism need."""

from __future__ import annotations

import numpy as np

from isocost.num import Num, ceil_div
from isocost.term import term


@term(unit="B", source="rajbhandari2020")
def sharded_bytes(*, params: Num, state_bytes: Num, sharded: Num, shard_group: Num) -> Num:
    """bytes = params state_bytes (1 - sharded + sharded / shard_group).

    One part of the training state. ZeRO stage 1 shards the optimizer's part over the data-parallel ranks, stage 2 the
    gradients as well, stage 3 all; each part is replicated or divided, never between.

    Ignores: padding of the shards to equal size.

    Args:
        params: parameters on this rank before sharding.
        state_bytes: bytes per parameter of this part.
        sharded: 1 if this part is sharded, else 0.
        shard_group: ranks that share it (dense: dp x cp, or the hybrid-sharding group).

    Source: rajbhandari2020, section 5.
    """
    return params * state_bytes * (1.0 - sharded + sharded / shard_group)


@term(unit="ratio", source="shoeybi2019")
def embedding_params(*, vocab: Num, pad_multiple: Num, hidden: Num, tp: Num) -> Num:
    """params = hidden pad_multiple ceil(vocab / (pad_multiple tp)).

    Rows of an embedding or output matrix on one rank: the vocabulary is padded so that every rank holds the same
    multiple of ``pad_multiple`` rows (128 in Megatron, 1 elsewhere).

    Args:
        vocab: entries of the vocabulary.
        pad_multiple: rows a rank's share is rounded up to.
        hidden: model width.
        tp: tensor-parallel ranks.

    Source: shoeybi2019, section 5.1.
    """
    return hidden * pad_multiple * ceil_div(vocab, pad_multiple * tp)


@term(unit="B", source="shoeybi2019")
def loss_bytes(
    *, tokens: Num, vocab: Num, tp: Num, logits_sharded: Num, logit_bytes: Num, shard_logit_bytes: Num
) -> Num:
    """bytes = tokens vocab (shard_logit_bytes / tp if logits_sharded and tp > 1 else logit_bytes).

    Peak of logits, their upcast copies, softmax and gradient at the loss. The bytes per logit tell the kernels apart: 4
    to 6 fused or compiled, 12 with a 32-bit upcast, 14 to 16 where the caller holds on to the logits; a loss on shards
    is another kernel.

    Args:
        tokens: tokens of a micro-batch on this rank.
        vocab: entries of the vocabulary (padding ignored).
        tp: tensor-parallel ranks.
        logits_sharded: 1 if the loss is computed on the shards of the vocabulary.
        logit_bytes: bytes per logit at the peak.
        shard_logit_bytes: likewise, in the kernel that works on shards.

    Source: shoeybi2019, section 3 (vocabulary-parallel cross entropy).
    """
    split = (logits_sharded > 0) & (tp > 1)
    return tokens * vocab * np.where(split, shard_logit_bytes / tp, logit_bytes)


@term(unit="B", source="zhao2023fsdp")
def gather_bytes(*, unit_params: Num, gathered_bytes: Num, shard_group: Num) -> Num:
    """bytes = unit_params gathered_bytes (1 - 1 / shard_group).

    Parameters that are gathered for computing, and their gradients before they are reduced, beyond the rank's own
    shard.

    Args:
        unit_params: parameters gathered at one time.
        gathered_bytes: bytes per gathered parameter (weights plus gradients).
        shard_group: ranks that share the parameters.

    Source: zhao2023fsdp (one unit computed while the next is gathered).
    """
    return unit_params * gathered_bytes * (1.0 - 1.0 / shard_group)
