"""Traffic of one group of ranks on the machine: where its members sit decides link, latency and sharing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from isocost.laws.collectives import (
    all_to_all_tiered_s,
    group_bandwidth_bytes_per_s,
    group_latency_s,
    members_per_domain,
    p2p_s,
    ring_all_gather_s,
)
from isocost.num import Num
from isocost.perf.columns import Machine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Ranks that hold parts of one buffer, and where they sit."""

    members: Num
    stride: Num  # distance between neighbors
    nic_bytes_per_s: Num
    bandwidth_bytes_per_s: Num  # of a ring of them
    latency_s: Num  # of one of its steps


def group_of(members: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Group:
    """Return the group of ``members`` ranks ``stride`` apart."""
    return Group(
        members=members,
        stride=stride,
        nic_bytes_per_s=nic_bytes_per_s,
        bandwidth_bytes_per_s=group_bandwidth_bytes_per_s(
            members=members,
            stride=stride,
            domain=machine.domain,
            link_bytes_per_s=machine.link_bytes_per_s,
            nic_bytes_per_s=nic_bytes_per_s,
        ),
        latency_s=group_latency_s(
            members=members,
            stride=stride,
            domain=machine.domain,
            link_latency_s=machine.link_latency_s,
            nic_latency_s=machine.nic_latency_s,
        ),
    )


def _ring_s(payload_bytes: Num, over: Group, machine: Machine) -> Num:
    return ring_all_gather_s(
        payload_bytes=payload_bytes,
        members=over.members,
        start_s=machine.start_s,
        half_size_bytes=machine.half_size_bytes,
        local_copy=machine.local_copy,
        bandwidth_bytes_per_s=over.bandwidth_bytes_per_s,
        latency_s=over.latency_s,
    )


# Seconds of one pass of a buffer through a group: an all-gather, or a reduce-scatter. A further algorithm is one more
# entry; it takes infinitely long where the fabric of the group does not have it.
ALGORITHMS: dict[str, Callable[[Num, Group, Machine], Num]] = {"ring": _ring_s}


def pass_s(payload_bytes: Num, over: Group, machine: Machine) -> Num:
    """Return the time of an all-gather or a reduce-scatter by the fastest algorithm; an all-reduce takes two."""
    return reduce(np.minimum, (seconds(payload_bytes, over, machine) for seconds in ALGORITHMS.values()))


def gather_s(payload_bytes: Num, members: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Num:
    """Return the time of an all-gather over ``members`` ranks ``stride`` apart."""
    return pass_s(payload_bytes, group_of(members, stride, machine, nic_bytes_per_s), machine)


def exchange_s(payload_bytes: Num, members: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Num:
    """Return the time of an all-to-all in which every rank sends ``payload_bytes`` in total."""
    return all_to_all_tiered_s(
        payload_bytes=payload_bytes,
        members=members,
        members_per_domain=members_per_domain(members=members, stride=stride, domain=machine.domain),
        link_bytes_per_s=machine.link_bytes_per_s,
        nic_bytes_per_s=nic_bytes_per_s,
        latency_s=machine.link_latency_s,
        start_s=machine.start_s,
    )


def send_s(payload_bytes: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Num:
    """Return the time of one message to the rank ``stride`` away."""
    bandwidth = group_bandwidth_bytes_per_s(
        members=2.0,
        stride=stride,
        domain=machine.domain,
        link_bytes_per_s=machine.link_bytes_per_s,
        nic_bytes_per_s=nic_bytes_per_s,
    )
    return p2p_s(payload_bytes=payload_bytes, bandwidth_bytes_per_s=bandwidth, latency_s=machine.nic_latency_s)
