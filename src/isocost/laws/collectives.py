"""Collective communication: seconds of one operation of a group, and the tier of the network that the group runs on.

``payload_bytes`` is the full logical buffer: what every rank holds after an all-gather or before a reduce-scatter,
and what one rank sends in an all-to-all, its own share included. ``bandwidth_bytes_per_s`` is one direction, per GPU,
and already an achieved one (rate of the link x the measured fraction in ``data/collectives.toml``). A collective is 0
for a group of one.

All share one form: start + steps x latency + volume / bandwidth, where the volume of a ring carries two corrections:
``half_size_bytes`` (see ``protocol_bytes``) and ``local_copy``, the weight of the copy of a rank's own slice in units
of a transfer of that slice. ``local_copy`` is 0 for the textbook form, 0.2 to 0.9 as measured on NVLink, and negative
where larger groups share the lanes of a host bridge (PCIe).
"""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term

_GROUP = {"members": (1.0, 1024.0), "local_copy": (0.0, 1.0)}
_PLACED = {"members": (1.0, 1024.0), "stride": (1.0, 1024.0), "domain": (1.0, 72.0)}


def _many(members: Num) -> Num:
    """1 for a group of at least two, 0 for a group of one."""
    return np.minimum(members - 1.0, 1.0)


@term(unit="B", source="nccl_tuning, aiconfigurator2026")
def protocol_bytes(*, payload_bytes: Num, half_size_bytes: Num) -> Num:
    """S + sqrt(S S0)

    Bytes that would take as long at full bandwidth as the payload takes on the wire. A collective library splits a
    buffer over channels, slices and protocols (LL, LL128, Simple): the smaller it is, the less of the link it fills.
    The square root is between a constant cost (which the latency already is) and a constant loss of bandwidth; at S =
    S0 half of the bandwidth is left, and a large payload gets all of it. Written as bytes, it is smooth and exact at
    S = 0.

    payload_bytes: full buffer, S.
    half_size_bytes: payload at which half of the bandwidth is reached, S0; 0 switches the correction off.
    Ignores: the jumps of 10 to 40 % where the library changes its protocol (64 KiB, 1 to 8 MiB) and its choice of
    channels.
    Source: measured NCCL collectives in one node (aiconfigurator2026): S0 is 1 to 16 MB by chip and collective.
    """
    return payload_bytes + np.sqrt(payload_bytes * half_size_bytes)


@term(unit="s", source="patarasuk2009, thakur2005", domain=_GROUP)
def ring_all_gather_s(
    *,
    payload_bytes: Num,
    members: Num,
    bandwidth_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
    local_copy: Num = 0.0,
) -> Num:
    """start + (n - 1) latency + S' (n - 1 + local_copy) / n / bandwidth

    In each of n - 1 steps every rank passes on one n-th of the buffer. No algorithm moves less, so the ring is
    optimal in bandwidth; the price is a number of steps that grows with the group, which rules for small payloads on
    large groups. A reduce-scatter is the same run backwards (the addition runs at memory rate and is hidden), and an
    all-reduce is one after the other.

    payload_bytes: buffer after the gather, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one step. start_s: of the operation.
    half_size_bytes, local_copy: measured corrections, 0 for the textbook ring.
    Ignores: traffic of other groups on the same links, and stragglers at the start.
    Source: patarasuk2009; thakur2005, section 4.1.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    sent_share = _many(members) * np.divide(members - 1.0 + local_copy, members)
    wire_s = np.divide(moved_bytes * sent_share, bandwidth_bytes_per_s)
    return _many(members) * start_s + (members - 1.0) * latency_s + wire_s


@term(unit="s", source="thakur2005, derived", domain=_GROUP | {"members_per_domain": (1.0, 72.0)})
def all_to_all_tiered_s(
    *,
    payload_bytes: Num,
    members: Num,
    members_per_domain: Num,
    link_bytes_per_s: Num,
    nic_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
) -> Num:
    """start + (n - 1) latency + max(S (k - 1) / n / link, S (1 - k / n) / nic)

    Of what a rank sends, k - 1 shares stay inside its scale-up domain and n - k leave through its own NIC. The two
    use different wires and run at the same time, so the slower decides; with n well above k that is the NIC by a wide
    margin.

    payload_bytes: what one rank sends, own share included, S. members: ranks, n.
    members_per_domain: members inside one scale-up domain, k, 1 to n. link_bytes_per_s, nic_bytes_per_s: achieved,
    one direction.
    latency_s: of one more peer. start_s: of the operation.
    Ignores: sending a token once per node and fanning it out inside (which divides the NIC share by the experts
    chosen per node); a fabric thinner above the leaf (pass the thinner rate as nic_bytes_per_s); contention between
    the two on the host.
    Source: thakur2005 (pairwise exchange); the split is derived.
    """
    inside = np.minimum(members_per_domain, members)
    inside_s = np.divide(payload_bytes * np.divide(inside - 1.0, members), link_bytes_per_s)
    across_s = np.divide(payload_bytes * (1.0 - np.divide(inside, members)), nic_bytes_per_s)
    return _many(members) * start_s + (members - 1.0) * latency_s + np.maximum(inside_s, across_s)


@term(unit="s", source="hockney1994")
def p2p_s(*, payload_bytes: Num, bandwidth_bytes_per_s: Num, latency_s: Num) -> Num:
    """latency + S / bandwidth

    One message between two ranks. In a pipeline both directions are used at the same time without loss (full duplex).
    Between nodes the message of a tensor-parallel group is split over its ranks and NICs: pass the share of one rank,
    2 T h / tp bytes (scatter-gather), not the whole activation.

    payload_bytes: of one rank, S. bandwidth_bytes_per_s: of the slowest link on the way. latency_s: first byte to
    last hop.
    Ignores: rendezvous with a receiver that is not ready; that wait belongs to the schedule.
    Source: hockney1994.
    """
    return latency_s + np.divide(payload_bytes, bandwidth_bytes_per_s)


@term(unit="1", source="narayanan2021", domain=_PLACED)
def members_per_domain(*, members: Num, stride: Num, domain: Num) -> Num:
    """min(max(floor(domain / stride), 1), n)

    How many ranks of a group share a scale-up domain. Ranks are numbered TP first, then CP, DP, PP (EP inside DP),
    and fill domains in that order; a group takes every stride-th rank: stride 1 for TP, tp for CP, tp cp for DP, tp
    cp dp for PP.

    members: ranks of the group, n. stride: distance between its neighbours. domain: GPUs of a scale-up domain.
    Ignores: groups that start in the middle of a domain, and strides that do not divide it (rounded down, the slower
    side).
    Source: narayanan2021, section 3 (placement of tensor parallelism inside a server).
    """
    return np.minimum(np.maximum(np.floor(np.divide(domain, stride)), 1.0), members)


@term(unit="B/s", source="narayanan2021, derived", domain=_PLACED | {"nic_share": (0.1, 1.0)})
def group_bandwidth_bytes_per_s(
    *, members: Num, stride: Num, domain: Num, link_bytes_per_s: Num, nic_bytes_per_s: Num, nic_share: Num = 1.0
) -> Num:
    """link where all members share a domain, else min(link, k nic nic_share)

    Bandwidth of a ring of the group, per rank. Inside one scale-up domain it is the link's. A ring that crosses
    domains enters and leaves each of them once for k members, and a library runs k rings shifted against each other,
    one through each member's NIC: k NICs carry what one rank passes on, until the link inside is the narrower.
    Without this, errors on multi-node rows double.

    members, stride, domain: as in ``members_per_domain``. link_bytes_per_s, nic_bytes_per_s: achieved, one direction,
    per GPU.
    nic_share: what is left of a NIC's rate: 1 / oversubscription above the leaf, or GPUs that share one NIC.
    Ignores: traffic of the other groups of the same domain at the same time: all groups of one kind together use each
    NIC once.
    Source: narayanan2021; derived.
    """
    inside = members_per_domain(members=members, stride=stride, domain=domain)
    crossing = np.minimum(link_bytes_per_s, inside * nic_bytes_per_s * nic_share)
    return np.where(members <= inside, link_bytes_per_s, crossing)[()]


@term(unit="s", source="derived", domain=_PLACED)
def group_latency_s(*, members: Num, stride: Num, domain: Num, link_latency_s: Num, nic_latency_s: Num) -> Num:
    """(link latency (k - 1) + nic latency) / k where the group crosses domains, else link latency

    Mean latency of a step of the group's ring: of the k steps to the next domain k - 1 stay inside and one crosses. A
    chunk that travels the whole ring pays the mean at every step.

    members, stride, domain: as in ``members_per_domain``. link_latency_s, nic_latency_s: of one step on each tier.
    Ignores: distance above the leaf (spine, core): pass the latency of the tier that the group reaches.
    Source: derived.
    """
    inside = members_per_domain(members=members, stride=stride, domain=domain)
    mixed_s = np.divide(link_latency_s * (inside - 1.0) + nic_latency_s, inside)
    return np.where(members <= inside, link_latency_s, mixed_s)[()]
