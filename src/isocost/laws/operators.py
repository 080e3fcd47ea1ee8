"""What the operators of a block touch on one rank, beyond the matrix products: keys seen, bytes moved."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term


@term(unit="1", source="dao2022")
def mean_keys(*, seq_len: Num, window: Num, chunked: Num = 0.0) -> Num:
    """keys = window - window^2 / (2 seq_len), or window / 2 where the window is a fixed chunk.

    Mean number of keys a query attends to under a causal mask with a sliding window (window = seq_len: no window,
    half the sequence). The first ``window`` queries see a triangle, all later ones the full window.

    Ignores: the diagonal itself (half a key) and blocks of the kernel that are computed but masked (about half a tile
    of 128 a row).

    Args:
        seq_len: tokens of one sequence.
        window: tokens a query may look back, at most seq_len.
        chunked: 1 where attention stays inside chunks of that many tokens (Llama 4) instead of sliding.

    Source: dao2022 (the kernel skips fully masked blocks); the sum itself is arithmetic.
    """
    inside = np.minimum(window, seq_len)
    return np.where(chunked > 0, 0.5 * inside, inside - inside * inside / (2.0 * seq_len))


@term(unit="1", source="isocost_fit", domain={"relative_power": (0.3, 3.0), "power_exponent": (0.0, 1.0)})
def sustained_frac(*, at_reference_frac: Num, relative_power: Num, power_exponent: Num) -> Num:
    """fraction = at_reference_frac min(relative_power, 2)^power_exponent.

    Matrix rate that a chip sustains through a training step over that of one isolated kernel on a cool chip. A step
    keeps the matrix units busy for seconds, and the clock settles where the power limit lets it: chips with fewer
    watts per flop/s give up more. An H100 is the reference; beyond twice its watts per flop/s the clock is at its
    maximum anyway.

    Ignores: cooling and the spread between chips of one kind (about 3 %), and power that memory and links take.

    Args:
        at_reference_frac: fraction on the reference chip.
        relative_power: power limit over 16-bit peak, relative to the reference.
        power_exponent: how steeply the sustained clock follows power.

    Source: isocost_fit (A100, H100, B200 and GB200 rows; an H100 capped at 500 W).
    """
    return at_reference_frac * np.power(np.minimum(relative_power, 2.0), power_exponent)


@term(unit="1", source="isocost_fit")
def misaligned_factor(*, extent: Num, slowdown: Num) -> Num:
    """factor = slowdown where extent is no multiple of 8, else 1.

    Time of a matrix product over that of an aligned one. Tensor cores load 16 bytes at a time: a 16-bit matrix whose
    rows are no multiple of 8 values falls back to narrow loads. The usual victim is a head with an unpadded
    vocabulary (50257).

    Ignores: multiples of 64 and 128, which gain a few percent more on some shapes.

    Args:
        extent: width of the matrix.
        slowdown: time of a misaligned product over an aligned one, above 1.

    Source: isocost_fit (vTrain rows with and without a padded vocabulary).
    """
    return np.where(np.mod(extent, 8.0) > 0, slowdown, 1.0)


@term(unit="B", source="korthikanti2022")
def pointwise_bytes(
    *,
    tokens: Num,
    hidden: Num,
    attention_width: Num,
    ffn_width: Num,
    tp: Num,
    sequence_parallel: Num,
    value_bytes: Num,
) -> Num:
    """bytes = value_bytes tokens (10 hidden / (tp if sequence_parallel else 1) + 2 attention_width + ffn_width).

    Forward traffic of a block's pointwise operators: residual additions, dropout and copies on the hidden width,
    rotary embedding and layout changes on the attention width, activation and gating on the feed-forward width.
    Tensor parallelism divides the last two; the first only with sequence parallelism.

    Ignores: norms (their kernels differ by an order of magnitude, see ``norm_bytes``); cache reuse between
    neighbours, which a stack's fitted pointwise factor carries.

    Args:
        tokens: tokens of the micro-batch on this rank.
        hidden: model width.
        attention_width: (heads + 2 kv_heads) head_dim / tp, on this rank.
        ffn_width: values read and written by the activation, on this rank: (matrices) ffn / tp.
        tp: tensor-parallel ranks.
        sequence_parallel: 1 or 0.
        value_bytes: of an activation, 2.

    Source: korthikanti2022 (operator list); counts follow the tensors read and written.
    """
    shared = hidden / np.where(sequence_parallel > 0, tp, 1.0)
    return value_bytes * tokens * (10.0 * shared + 2.0 * attention_width + ffn_width)


@term(unit="B", source="liu2023ring")
def ring_merge_bytes(*, cp: Num, tokens: Num, attention_width: Num, bytes_per_value: Num) -> Num:
    """bytes = bytes_per_value (cp - 1) tokens attention_width.

    Traffic of merging the partial results of ring attention, forward. Every step after the first rescales the running
    output by the new maximum: it is read and written in 32 bit and the partial result read in 16 bit, 10 bytes a
    value.

    Ignores: the maxima and sums themselves (two values a row), and stacks that fuse the merge into the next kernel.

    Args:
        cp: context-parallel ranks.
        tokens: tokens of the micro-batch on this rank.
        attention_width: heads x head_dim of the output on this rank.
        bytes_per_value: traffic of one merge, 10 as a rule.

    Source: liu2023ring (the algorithm); the bytes follow its operators.
    """
    return bytes_per_value * (cp - 1.0) * tokens * attention_width


@term(unit="B", source="korthikanti2022")
def norm_bytes(*, tokens: Num, hidden: Num, norms: Num, tp: Num, sequence_parallel: Num, bytes_per_value: Num) -> Num:
    """bytes = norms tokens hidden bytes_per_value / (tp if sequence_parallel else 1).

    Forward traffic of the normalisations of a block. A fused kernel reads and writes each 16-bit value once (4
    bytes); an eager RMSNorm upcasts to 32 bit and runs six kernels (about 40 bytes a value).

    Ignores: the statistics (one value a token).

    Args:
        tokens: tokens of the micro-batch on this rank.
        hidden: model width.
        norms: normalisations a block, 2 as a rule.
        tp: tensor-parallel ranks.
        sequence_parallel: 1 or 0.
        bytes_per_value: traffic of the kernel a value.

    Source: korthikanti2022 (which values); bytes by kernel are fitted.
    """
    return norms * tokens * hidden * bytes_per_value / np.where(sequence_parallel > 0, tp, 1.0)
