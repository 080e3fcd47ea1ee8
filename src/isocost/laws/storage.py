"""Storage: the rate that nodes and file system give, and the rate that a run needs."""

from __future__ import annotations

import numpy as np

from isocost.num import Num, safe_div
from isocost.term import term


@term(unit="B/s", source="nvidia_superpod", domain={"nodes": (1.0, 2048.0)})
def storage_bytes_per_s(*, nodes: Num, node_bytes_per_s: Num, file_system_bytes_per_s: Num) -> Num:
    """min(N b, B)

    Rate at which a job writes or reads: all its nodes together, capped by the file system.

    nodes: that take part, N. node_bytes_per_s: of one, b. file_system_bytes_per_s: of the whole, B.
    Ignores: other jobs on the file system.
    Source: nvidia_superpod, table of storage guidance.
    """
    return np.minimum(nodes * node_bytes_per_s, file_system_bytes_per_s)


@term(unit="s", source="definition")
def transfer_s(*, payload_bytes: Num, bytes_per_s: Num) -> Num:
    """bytes / rate

    Time to move bytes at a rate; nothing takes no time.

    payload_bytes: to move. bytes_per_s: achieved.
    Source: definition.
    """
    return safe_div(payload_bytes, bytes_per_s)


@term(unit="B", source="definition")
def retained_bytes(*, state_bytes: Num, checkpoints_kept: Num) -> Num:
    """size * (kept + 1)

    Room that checkpoints take: those kept, and the one that is being written.

    state_bytes: of one. checkpoints_kept: after each save.
    Source: definition.
    """
    return state_bytes * (checkpoints_kept + 1.0)


@term(unit="B/s", source="definition", domain={"tokens_per_s": (1e3, 1e8), "token_bytes": (2.0, 8.0)})
def training_read_bytes_per_s(*, tokens_per_s: Num, token_bytes: Num) -> Num:
    """tokens/s * bytes a token

    Rate at which training data is read: for text, nothing beside checkpoints.

    tokens_per_s: of the run. token_bytes: of one, as stored.
    Source: definition.
    """
    return tokens_per_s * token_bytes


@term(unit="ratio", source="derived")
def data_stall_excess(*, needed_bytes_per_s: Num, available_bytes_per_s: Num) -> Num:
    """max(0, needed / available - 1)

    Extra time, per second of healthy work, when data comes slower than steps use it; prefetching hides all below.

    needed_bytes_per_s: at full speed. available_bytes_per_s: that storage and decoding deliver.
    Ignores: irregular stalls of a reader that is fast enough on average.
    Source: derived.
    """
    return np.maximum(0.0, safe_div(needed_bytes_per_s, available_bytes_per_s) - 1.0)
