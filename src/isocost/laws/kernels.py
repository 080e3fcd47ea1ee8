"""Time of the three kernels that carry a training step: a matrix product, flash attention forward, a layer of experts.

Each is a smooth maximum of an arithmetic time and a memory time. Small shapes lose time in proportion to what they
leave idle, so every loss is a *half size*: the extent at which that loss doubles the arithmetic time. Sums are
multiplied out, so that an empty operator (no rows, no experts) needs no special case. The constants come from
``catalog.kernel_constants``.
"""

from __future__ import annotations

from typing import Final

from isocost.num import Num, smooth_max
from isocost.term import term

# How sharp the corner between arithmetic and memory is. Powers from 2 to 8 fit the measured matrix products equally
# well, and a power fitted per chip gains nothing; attention overlaps its loads less well, and 2 fits best.
GEMM_CORNER: Final = 4.0
ATTENTION_CORNER: Final = 2.0


@term(unit="s", source="aiconfigurator2026")
def gemm_s(
    *,
    m: Num,
    n: Num,
    k: Num,
    rate_flop_per_s: Num,
    bytes_per_s: Num,
    m_half: Num,
    n_half: Num,
    k_half: Num,
    mn_half: Num,
    quantise_bytes: Num,
    launch_s: Num,
    a_bytes: Num,
    b_bytes: Num,
    out_bytes: Num,
) -> Num:
    """(c^4 + y^4)^(1/4) + quantise_bytes m k / bytes_per_s + launch_s, c = 2mnk/rate (1 + m_half/m + ... + mn_half/mn).

    One product of (m x k) and (k x n), as a linear layer runs it on m tokens. ``y`` is the operands' and the result's
    bytes over the memory bandwidth. ``mn_half`` is the smooth form of wave quantisation: on average half a wave of
    output tiles idles. In 8 and 4 bit the activations are quantised first, at a fixed number of bytes each; a stack
    that fuses this passes less. Backward is two of these with the shape transposed: (m, k, n) for the input gradient
    and (n, k, m) for the weight gradient.

    Ignores: tile and wave steps of one shape (5 to 15 % either way), and the extra tile of an m that is no multiple
    of 128 (5 to 25 % at m below 1,000). The rate is that of one isolated kernel: a long step on a hot chip sustains
    less.

    Args:
        m, n, k: rows (tokens), outputs and inputs of the layer, on this rank.
        rate_flop_per_s: arithmetic rate of a large product.
        bytes_per_s: memory bandwidth that the kernel reaches.
        m_half, n_half, k_half: extents at which the loss doubles the arithmetic time.
        mn_half: size of the output at which a partly filled chip doubles it.
        quantise_bytes: bytes moved to quantise one activation before the product; 0 in 16 bit.
        launch_s: gap between kernels.
        a_bytes, b_bytes, out_bytes: bytes an element of the activations, the weights and the result.

    Source: aiconfigurator2026 (measured); the form is isocost's.
    """
    padded = m * n * k + m_half * n * k + n_half * m * k + k_half * m * n + mn_half * k
    arithmetic_s = 2.0 * padded / rate_flop_per_s
    memory_s = (a_bytes * m * k + b_bytes * n * k + out_bytes * m * n) / bytes_per_s
    quantise_s = quantise_bytes * m * k / bytes_per_s
    return smooth_max(arithmetic_s, memory_s, GEMM_CORNER) + quantise_s + launch_s


@term(unit="s", source="aiconfigurator2026, dao2022")
def flash_attention_forward_s(
    *,
    sequences: Num,
    queries: Num,
    keys: Num,
    kv_tokens: Num,
    heads: Num,
    kv_heads: Num,
    head_dim: Num,
    v_head_dim: Num,
    value_bytes: Num,
    rate_flop_per_s: Num,
    bytes_per_s: Num,
    keys_half: Num,
    rows_half: Num,
    kv_reads: Num,
    launch_s: Num,
) -> Num:
    """(c^2 + y^2)^(1/2) + launch_s, c = 2 rows keys (head_dim + v_head_dim)/rate (1 + keys_half/keys + rows_half/rows).

    rows = sequences heads queries. The mask enters through ``keys``, the mean number of keys a query sees: half the
    sequence when causal, the whole when not, about the window when sliding. A row costs a fixed overhead (softmax,
    rescaling, the masked half of the diagonal tile) worth ``keys_half`` keys, which is why short sequences and narrow
    windows run far below the rate; few rows leave part of the chip idle. Grouped-query attention saves the reading of
    keys and values, not the arithmetic.

    Ignores: wave steps; a head_dim that is no multiple of 8 (off the tensor-core path); the backward kernel, about
    2.5 times the arithmetic at a lower rate.

    Args:
        sequences: sequences of the micro-batch on this rank.
        queries: query tokens of one sequence on this rank.
        keys: mean keys a query attends to, see ``mean_keys``.
        kv_tokens: tokens of one sequence whose keys and values are read.
        heads, kv_heads: on this rank.
        head_dim, v_head_dim: width of queries and keys, and of values.
        value_bytes: bytes an element of the tensors.
        rate_flop_per_s: arithmetic rate on long sequences at this head_dim.
        bytes_per_s: memory bandwidth that the kernel reaches.
        keys_half: keys that the fixed overhead of a row is worth.
        rows_half: rows at which the idle part of the chip doubles the arithmetic time.
        kv_reads: effective number of times keys and values are read.
        launch_s: gap between kernels.

    Source: aiconfigurator2026 (measured), dao2022 (the kernel); the form is isocost's.
    """
    rows = sequences * heads * queries
    widths = head_dim + v_head_dim
    arithmetic_s = 2.0 * widths * (rows * keys + keys_half * rows + rows_half * keys) / rate_flop_per_s
    elements = sequences * widths * (queries * heads + kv_reads * kv_tokens * kv_heads)
    memory_s = value_bytes * elements / bytes_per_s
    return smooth_max(arithmetic_s, memory_s, ATTENTION_CORNER) + launch_s


@term(unit="s", source="aiconfigurator2026")
def grouped_gemm_s(
    *,
    tokens: Num,
    rows: Num,
    experts: Num,
    hidden: Num,
    expert_hidden: Num,
    matrices: Num,
    rate_flop_per_s: Num,
    bytes_per_s: Num,
    rows_half: Num,
    hidden_half: Num,
    width_half: Num,
    row_bytes: Num,
    token_bytes: Num,
    launch_s: Num,
    weight_bytes: Num,
) -> Num:
    """(c^4 + y^4)^(1/4) + (row_bytes rows + token_bytes tokens) hidden/bytes_per_s + launch_s, c = losses flop/rate.

    A feed-forward layer of experts, forward: order the rows by expert, the grouped products with the activation
    between them, and the weighted sum back into token order. flop = 2 matrices rows hidden expert_hidden; losses =
    1 + rows_half / (rows per expert) + hidden_half / hidden + width_half / expert_hidden; ``y`` is one reading of every
    expert's weights.

    Ignores: the router and the all-to-all, which are laws of their own; imbalance between ranks: pass the rows of the
    busiest rank (the mean times the imbalance). Imbalance inside a rank costs 5 to 7 % at power-law routing.

    Args:
        tokens: tokens whose activations enter and leave the layer on this rank.
        rows: (token, expert) pairs computed on this rank: tokens x top-k when experts are balanced.
        experts: experts whose weights this rank holds.
        hidden, expert_hidden: model width, and the width of one expert on this rank.
        matrices: 3 gated, 2 plain.
        rate_flop_per_s: arithmetic rate of large products.
        bytes_per_s: memory bandwidth that the kernels reach.
        rows_half: rows per expert at which partly filled tiles double the arithmetic time.
        hidden_half, width_half: widths at which the loss doubles it.
        row_bytes, token_bytes: bytes moved per hidden element of a row and of a token to permute, quantise and combine.
        launch_s: gaps between the kernels of the layer, once.
        weight_bytes: bytes an element of the weights.

    Source: aiconfigurator2026 (measured); the form is isocost's.
    """
    tiled = (rows + rows_half * experts) * hidden * expert_hidden
    narrow = rows * (hidden_half * expert_hidden + width_half * hidden)
    arithmetic_s = 2.0 * matrices * (tiled + narrow) / rate_flop_per_s
    memory_s = weight_bytes * matrices * experts * hidden * expert_hidden / bytes_per_s
    permute_s = (row_bytes * rows + token_bytes * tokens) * hidden / bytes_per_s
    return smooth_max(arithmetic_s, memory_s, GEMM_CORNER) + permute_s + launch_s
