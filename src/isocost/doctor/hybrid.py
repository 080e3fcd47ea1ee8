"""Sharding within a domain, replicated beyond it (HSDP): what the gradients' way between replicas adds to a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isocost.evaluate.groups import gather_s
from isocost.evaluate.step import HIDEABLE_FRAC, StepTime
from isocost.num import Num
from isocost.search.tables import Rows, Tables


def step_of(tables: Tables, rows: Rows) -> StepTime:
    """Step time of layouts, by cause; with states sharded within a domain, the replicas' traffic in ``dp_s``."""
    time = tables.time(rows)
    return replace(time, dp_s=time.dp_s + replicas_s(tables, rows)) if tables.sharding_domain else time


def replicas_s(tables: Tables, rows: Rows) -> Num:
    """What a step waits for the sum of gradients over replicas of sharded parameters; 0 without sharded parameters.

    Each rank all-reduces its share of the gradients with the ranks that hold the same share, after every backward pass
    that scatters them. It hides behind that pass as the traffic of plain data parallelism does.
    """
    side, tail = tables.parts(rows)
    block, split, machine, c = side.times, side.split, tables.machine, tables.coefficients
    replicas = tail.dp * split.cp / tail.shard_group
    held = tail.layers_max / tables.model.layers
    params = (block.dense_params + block.expert_params) * held + block.end_params
    share_bytes = tables.model.trainable_frac * params * side.policy.gradient_bytes / tail.shard_group
    nic = machine.nic_bytes_per_s * c.fabric
    traffic_s = 2.0 * gather_s(share_bytes, replicas, split.tp * tail.shard_group, machine, nic)
    hidden_s = HIDEABLE_FRAC * block.layer_backward_s * tables.model.layers * held
    rounds = np.where(tail.pp > 1, 1.0, tail.micro_batches)
    waits_s = rounds * np.maximum(c.dp_exposed * traffic_s, traffic_s - hidden_s)
    return np.where((tail.zero3 > 0) & (replicas > 1), waits_s, 0.0)
