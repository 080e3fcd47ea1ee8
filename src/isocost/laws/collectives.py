"""Collective communication: seconds of one operation of a group, and the tier of the network that the group runs on.

``payload_bytes`` is the full logical buffer: what every rank holds after an all-gather or before a reduce-scatter,
and what one rank sends in an all-to-all, its own share included. ``bandwidth_bytes_per_s`` is one direction, per GPU,
and already an achieved one (rate of the link x the measured fraction in ``data/collectives.toml``). Every law is 0
for a group of one.

All share one form: start + steps x latency + volume / bandwidth, where the volume carries two measured corrections:
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


def _ring_share(members: Num, local_copy: Num) -> Num:
    """Part of the buffer that a rank sends in one pass around the ring, its own slice weighted by ``local_copy``."""
    return _many(members) * np.divide(members - 1.0 + local_copy, members)


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
    large groups.

    payload_bytes: buffer after the gather, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one step. start_s: of the operation.
    half_size_bytes, local_copy: measured corrections, 0 for the textbook ring.
    Ignores: traffic of other groups on the same links, and stragglers at the start.
    Source: patarasuk2009; thakur2005, section 4.1.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    wire_s = np.divide(moved_bytes * _ring_share(members, local_copy), bandwidth_bytes_per_s)
    return _many(members) * start_s + (members - 1.0) * latency_s + wire_s


@term(unit="s", source="patarasuk2009, thakur2005", domain=_GROUP)
def ring_reduce_scatter_s(
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

    The all-gather run backwards: in each of n - 1 steps every rank adds its part to one n-th of the buffer and passes
    it on. The addition runs at memory rate, far above the link, and is hidden. What differs in practice are the
    fitted constants.

    payload_bytes: buffer before the reduction, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one step. start_s: of the operation.
    half_size_bytes, local_copy: measured corrections, 0 for the textbook ring.
    Ignores: the width in which sums are kept on the way (fp32 accumulation of bf16 payloads doubles the bytes).
    Source: patarasuk2009; thakur2005, section 4.2.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    wire_s = np.divide(moved_bytes * _ring_share(members, local_copy), bandwidth_bytes_per_s)
    return _many(members) * start_s + (members - 1.0) * latency_s + wire_s


@term(unit="s", source="patarasuk2009, thakur2005", domain=_GROUP)
def ring_all_reduce_s(
    *,
    payload_bytes: Num,
    members: Num,
    bandwidth_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
    local_copy: Num = 0.0,
) -> Num:
    """start + 2 (n - 1) latency + 2 S' (n - 1 + local_copy) / n / bandwidth

    A reduce-scatter followed by an all-gather in one operation: twice the steps and bytes, one start.

    payload_bytes: buffer of every rank, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one step. start_s: of the operation.
    half_size_bytes, local_copy: measured corrections, 0 for the textbook ring.
    Ignores: that libraries change to trees for small payloads across nodes (``tree_all_reduce_s``): take the minimum
    of both; in-switch reduction (``switch_all_reduce_s``), which NCCL uses on eight Hopper GPUs.
    Source: patarasuk2009; thakur2005, section 4.4.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    wire_s = np.divide(2.0 * moved_bytes * _ring_share(members, local_copy), bandwidth_bytes_per_s)
    return _many(members) * start_s + 2.0 * (members - 1.0) * latency_s + wire_s


@term(unit="s", source="sanders2009, nccl_tuning", domain=_GROUP)
def tree_all_reduce_s(
    *,
    payload_bytes: Num,
    members: Num,
    bandwidth_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
) -> Num:
    """start + 2 ceil(log2 n) latency + 2 S' / bandwidth

    Two binary trees, each with half of the buffer; a rank that is inner in one is a leaf in the other, so every rank
    sends and receives the buffer once up and once down. Steps grow with the logarithm: the better choice for small
    payloads and many ranks. For large ones the ring moves the fraction 1/n less and its pipelining is simpler.

    payload_bytes: buffer of every rank, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one level. start_s: of the operation.
    half_size_bytes: measured correction.
    Ignores: filling the pipeline of chunks along the tree (one chunk per level, well under 1 % of large payloads);
    chains inside a node, where NCCL replaces the lower levels of the tree by a chain.
    Source: sanders2009; nccl_tuning.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    levels = np.ceil(np.log2(members))
    wire_s = np.divide(2.0 * moved_bytes, bandwidth_bytes_per_s)
    return _many(members) * (start_s + wire_s) + 2.0 * levels * latency_s


@term(unit="s", source="graham2016sharp", domain=_GROUP)
def switch_all_reduce_s(
    *,
    payload_bytes: Num,
    members: Num,
    bandwidth_bytes_per_s: Num,
    latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
) -> Num:
    """start + 2 latency + S' (1 + 1 / n) / bandwidth

    The switch adds (NVLink SHARP, InfiniBand SHARP): a rank sends its buffer once and gets the result once, in both
    directions at the same time. With NVLink a rank reads the sum of its own n-th (the switch pulls S from it in turn
    for all ranks) and stores it back by multicast, hence 1 + 1/n; up to 2 (n - 1) / (n + 1) faster than a ring, at
    two steps for any n.

    payload_bytes: buffer of every rank, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one crossing. start_s: of the operation.
    half_size_bytes: measured correction.
    Ignores: limits of the switch (data types, groups in flight). Measured on eight H100 it reaches about 0.72 of the
    link where the ring on four reaches 0.93, so the gain is 1.3 rather than 1.6.
    Source: graham2016sharp; the volume is derived.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    wire_s = np.divide(moved_bytes * (1.0 + np.divide(1.0, members)), bandwidth_bytes_per_s)
    return _many(members) * (start_s + 2.0 * latency_s + wire_s)


@term(unit="s", source="thakur2005", domain=_GROUP)
def all_to_all_s(
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

    Every rank sends a different n-th to each of the others, pairwise, through a network without thinner links inside.
    The messages start together, so the latency of one more peer is small (0.1 to 0.3 us measured, the ring has 0.8 to
    1.4).

    payload_bytes: what one rank sends, own share included, S (S' after ``protocol_bytes``). members: ranks, n.
    bandwidth_bytes_per_s: achieved by one GPU in one direction. latency_s: of one more peer. start_s: of the operation.
    half_size_bytes, local_copy: measured corrections.
    Ignores: unequal shares (expert imbalance: the payload of the busiest rank decides), groups that cross tiers
    (``all_to_all_tiered_s``), and dispatch kernels that send each token once per node.
    Source: thakur2005, section 4.3.
    """
    moved_bytes = protocol_bytes(payload_bytes=payload_bytes, half_size_bytes=half_size_bytes)
    wire_s = np.divide(moved_bytes * _ring_share(members, local_copy), bandwidth_bytes_per_s)
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


@term(unit="s", source="thakur2005, narayanan2021", domain=_GROUP | {"members_per_domain": (1.0, 72.0)})
def hierarchical_all_reduce_s(
    *,
    payload_bytes: Num,
    members: Num,
    members_per_domain: Num,
    link_bytes_per_s: Num,
    nic_bytes_per_s: Num,
    link_latency_s: Num,
    nic_latency_s: Num,
    start_s: Num = 0.0,
    half_size_bytes: Num = 0.0,
) -> Num:
    """RS(S, k, link) + AR(S / k, n / k, nic) + AG(S, k, link)

    Reduce-scatter inside each scale-up domain, all-reduce of every rank's k-th of the buffer over its own NIC with its
    peers in the other domains, all-gather inside. The slow tier carries S / k per NIC, the same bytes as a ring over k
    NICs, in steps of the number of domains rather than of ranks. One domain, or one member a domain, leaves one ring.

    payload_bytes: buffer of every rank, S. members: ranks, n. members_per_domain: k, a divisor of n.
    link_*, nic_*: achieved bandwidth and latency of a step inside and across domains.
    start_s: of each phase. half_size_bytes: see ``protocol_bytes``; the same on both tiers.
    Ignores: pipelining of the three phases over chunks, which hides the shorter tier behind the longer (up to a half).
    Source: thakur2005; the three phases as in HSDP and Megatron's distributed optimizer.
    """
    inside = np.minimum(members_per_domain, members)
    inner = {
        "payload_bytes": payload_bytes,
        "members": inside,
        "bandwidth_bytes_per_s": link_bytes_per_s,
        "latency_s": link_latency_s,
        "start_s": start_s,
        "half_size_bytes": half_size_bytes,
    }
    across_s = ring_all_reduce_s(
        payload_bytes=np.divide(payload_bytes, inside),
        members=np.divide(members, inside),
        bandwidth_bytes_per_s=nic_bytes_per_s,
        latency_s=nic_latency_s,
        start_s=start_s,
        half_size_bytes=half_size_bytes,
    )
    return ring_reduce_scatter_s(**inner) + across_s + ring_all_gather_s(**inner)


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
