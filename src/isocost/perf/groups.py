"""Traffic of one group of ranks on the machine: where its members sit decides link, latency and sharing."""

from __future__ import annotations

from dataclasses import dataclass

from isocost.laws.collectives import (
    all_to_all_tiered_s,
    group_bandwidth_bytes_per_s,
    group_latency_s,
    members_per_domain,
    ring_all_gather_s,
)
from isocost.num import Num
from isocost.perf.columns import Machine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ring:
    """A group of ranks in a ring, where its members sit."""

    members: Num
    bandwidth_bytes_per_s: Num
    latency_s: Num


def ring(members: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Ring:
    """Return the ring over ``members`` ranks ``stride`` apart."""
    return Ring(
        members=members,
        bandwidth_bytes_per_s=group_bandwidth_bytes_per_s(
            members=members, stride=stride, domain=machine.domain,
            link_bytes_per_s=machine.link_bytes_per_s, nic_bytes_per_s=nic_bytes_per_s,
        ),
        latency_s=group_latency_s(
            members=members, stride=stride, domain=machine.domain,
            link_latency_s=machine.link_latency_s, nic_latency_s=machine.nic_latency_s,
        ),
    )  # fmt: skip


def around_s(payload_bytes: Num, over: Ring, machine: Machine) -> Num:
    """All-gather around a ring; a reduce-scatter takes as long, an all-reduce twice."""
    return ring_all_gather_s(
        payload_bytes=payload_bytes, members=over.members, start_s=machine.start_s,
        half_size_bytes=machine.half_size_bytes, local_copy=machine.local_copy,
        bandwidth_bytes_per_s=over.bandwidth_bytes_per_s, latency_s=over.latency_s,
    )  # fmt: skip


def gather_s(payload_bytes: Num, members: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Num:
    """All-gather over ``members`` ranks ``stride`` apart."""
    return around_s(payload_bytes, ring(members, stride, machine, nic_bytes_per_s), machine)


def exchange_s(payload_bytes: Num, members: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Num:
    """All-to-all in which every rank sends ``payload_bytes`` in total."""
    return all_to_all_tiered_s(
        payload_bytes=payload_bytes, members=members,
        members_per_domain=members_per_domain(members=members, stride=stride, domain=machine.domain),
        link_bytes_per_s=machine.link_bytes_per_s, nic_bytes_per_s=nic_bytes_per_s,
        latency_s=machine.link_latency_s, start_s=machine.start_s,
    )  # fmt: skip


def send_s(payload_bytes: Num, stride: Num, machine: Machine, nic_bytes_per_s: Num) -> Num:
    """One message to the rank ``stride`` away."""
    bandwidth = group_bandwidth_bytes_per_s(
        members=2.0, stride=stride, domain=machine.domain,
        link_bytes_per_s=machine.link_bytes_per_s, nic_bytes_per_s=nic_bytes_per_s,
    )  # fmt: skip
    return payload_bytes / bandwidth + machine.nic_latency_s
