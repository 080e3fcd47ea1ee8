"""Collectives by hand, in their limits, and against the constants measured on eight H100."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.laws.collectives import (
    all_to_all_s,
    all_to_all_tiered_s,
    group_bandwidth_bytes_per_s,
    group_latency_s,
    hierarchical_all_reduce_s,
    members_per_domain,
    p2p_s,
    protocol_bytes,
    ring_all_gather_s,
    ring_all_reduce_s,
    ring_reduce_scatter_s,
    switch_all_reduce_s,
    tree_all_reduce_s,
)

FLAT: list[Callable[..., float]] = [
    ring_all_gather_s,
    ring_reduce_scatter_s,
    ring_all_reduce_s,
    tree_all_reduce_s,
    switch_all_reduce_s,
    all_to_all_s,
]
every_flat = pytest.mark.parametrize("law", FLAT, ids=lambda law: law.__name__)
sizes = st.floats(1e3, 1e10)
counts = st.integers(2, 512)


@every_flat
def test_a_group_of_one_costs_nothing(law: Callable[..., float]) -> None:
    """members = 1: no start, no latency, no bytes, whatever the corrections."""
    extra = {} if law in (tree_all_reduce_s, switch_all_reduce_s) else {"local_copy": 0.5}
    common = {"payload_bytes": 1e9, "members": 1, "bandwidth_bytes_per_s": 1e11, "latency_s": 1e-6}
    assert law(**common, start_s=5e-6, half_size_bytes=2e6, **extra) == 0.0


@pytest.mark.parametrize(
    ("law", "expected_s"),
    [
        (ring_all_gather_s, 5.0 + 3 * 2.0 + 800 * 3 / 4 / 100),
        (ring_reduce_scatter_s, 5.0 + 3 * 2.0 + 800 * 3 / 4 / 100),
        (ring_all_reduce_s, 5.0 + 6 * 2.0 + 2 * 800 * 3 / 4 / 100),
        (tree_all_reduce_s, 5.0 + 2 * 2 * 2.0 + 2 * 800 / 100),
        (switch_all_reduce_s, 5.0 + 2 * 2.0 + 800 * 5 / 4 / 100),
        (all_to_all_s, 5.0 + 3 * 2.0 + 800 * 3 / 4 / 100),
    ],
)
def test_four_ranks_by_hand(law: Callable[..., float], expected_s: float) -> None:
    """800 B on four ranks at 100 B/s, 2 s a step and 5 s to start: steps and volume of each algorithm."""
    common = {"payload_bytes": 800, "members": 4, "bandwidth_bytes_per_s": 100, "latency_s": 2.0, "start_s": 5.0}
    assert law(**common) == expected_s


@every_flat
@given(payload=sizes, members=counts, slow=st.floats(1e9, 1e12), gain=st.floats(1.0, 100.0))
def test_more_bandwidth_is_never_slower(
    law: Callable[..., float], payload: float, members: int, slow: float, gain: float
) -> None:
    """A faster link never makes a collective slower, at any size of group and payload."""
    common = {"payload_bytes": payload, "members": members, "latency_s": 1e-6, "half_size_bytes": 2e6}
    assert law(**common, bandwidth_bytes_per_s=slow * gain) <= law(**common, bandwidth_bytes_per_s=slow)


@every_flat
def test_no_payload_leaves_start_and_latency(law: Callable[..., float]) -> None:
    """payload = 0: finite, and the same at every bandwidth."""
    common = {"payload_bytes": 0.0, "members": 8, "latency_s": 1e-6, "start_s": 5e-6, "half_size_bytes": 2e6}
    assert 0 < law(**common, bandwidth_bytes_per_s=1e9) == law(**common, bandwidth_bytes_per_s=1e12)


@given(payload=sizes, members=counts)
def test_all_reduce_is_reduce_scatter_and_all_gather(payload: float, members: int) -> None:
    """The ring all-reduce is the sum of its two halves when starting is free."""
    common = {"payload_bytes": payload, "members": members, "bandwidth_bytes_per_s": 3e11, "latency_s": 1e-6}
    halves = ring_reduce_scatter_s(**common) + ring_all_gather_s(**common)
    assert ring_all_reduce_s(**common) == pytest.approx(halves, rel=1e-12)


def test_large_groups_move_the_whole_buffer() -> None:
    """n -> infinity without latency: ring and tree all-reduce both take 2 S / bandwidth, the switch S / bandwidth."""
    common = {"payload_bytes": 1e9, "members": 2**40, "bandwidth_bytes_per_s": 1e9, "latency_s": 0.0}
    assert [law(**common) for law in (ring_all_reduce_s, tree_all_reduce_s, switch_all_reduce_s)] == pytest.approx(
        [2.0, 2.0, 1.0], rel=1e-9
    )


def test_trees_win_small_payloads_and_rings_large_ones() -> None:
    """64 ranks: 2 x 6 levels against 2 x 63 steps of latency for 1 kB; 1/64 fewer bytes for 1 GB."""
    common = {"members": 64, "bandwidth_bytes_per_s": 1e11, "latency_s": 1e-6}
    assert tree_all_reduce_s(payload_bytes=1e3, **common) < 0.1 * ring_all_reduce_s(payload_bytes=1e3, **common)
    assert tree_all_reduce_s(payload_bytes=1e10, **common) > ring_all_reduce_s(payload_bytes=1e10, **common)


def test_half_size_halves_the_bandwidth() -> None:
    """At S = S0 a payload costs twice its bytes, at S >> S0 its bytes, at S = 0 nothing."""
    assert protocol_bytes(payload_bytes=2.5e6, half_size_bytes=2.5e6) == 5e6
    assert protocol_bytes(payload_bytes=2.5e12, half_size_bytes=2.5e6) == pytest.approx(2.5e12, rel=1.1e-3)
    assert protocol_bytes(payload_bytes=0.0, half_size_bytes=2.5e6) == 0.0


def test_local_copy_is_the_slice_a_rank_keeps() -> None:
    """local_copy = 1 charges the whole buffer on every group size, so the time no longer depends on n."""
    common = {"payload_bytes": 1e9, "bandwidth_bytes_per_s": 1e9, "latency_s": 0.0, "local_copy": 1.0}
    assert [all_to_all_s(members=n, **common) for n in (2, 4, 8)] == [1.0, 1.0, 1.0]


def test_p2p_by_hand() -> None:
    """2 s of latency and 300 B at 100 B/s are 5 s."""
    assert p2p_s(payload_bytes=300, bandwidth_bytes_per_s=100, latency_s=2.0) == 5.0


@pytest.mark.parametrize(
    ("members", "stride", "domain", "inside"),
    [
        (8, 1, 8, 8),
        (4, 2, 8, 4),
        (16, 1, 8, 8),
        (16, 4, 8, 2),
        (4, 8, 8, 1),
        (4, 64, 8, 1),
        (8, 16, 72, 4),
        (1, 1, 8, 1),
    ],
)
def test_members_per_domain_by_hand(members: int, stride: int, domain: int, inside: int) -> None:
    """Every stride-th rank of a domain, at least one, at most the group."""
    assert members_per_domain(members=members, stride=stride, domain=domain) == inside


@pytest.mark.parametrize(
    ("members", "stride", "bandwidth", "latency"),
    [
        (8, 1, 450.0, 1.0),  # inside the domain
        (16, 1, 400.0, (7 * 1.0 + 5.0) / 8),  # eight NICs carry the ring
        (16, 4, 100.0, (1.0 + 5.0) / 2),  # two NICs
        (16, 8, 50.0, 5.0),  # one NIC
        (1, 8, 450.0, 1.0),  # nobody to talk to
    ],
)
def test_placement_by_hand(members: int, stride: int, bandwidth: float, latency: float) -> None:
    """Domains of 8, link 450 and NIC 50 B/s, 1 and 5 s: bandwidth of a ring over k NICs and its mean latency."""
    place = {"members": members, "stride": stride, "domain": 8}
    assert group_bandwidth_bytes_per_s(**place, link_bytes_per_s=450.0, nic_bytes_per_s=50.0) == bandwidth
    assert group_latency_s(**place, link_latency_s=1.0, nic_latency_s=5.0) == latency


def test_fast_nics_do_not_beat_the_link() -> None:
    """Eight NICs of 100 feed a link of 450: the link decides; at half a share the NICs do."""
    place = {"members": 16, "stride": 1, "domain": 8, "link_bytes_per_s": 450.0, "nic_bytes_per_s": 100.0}
    assert group_bandwidth_bytes_per_s(**place) == 450.0
    assert group_bandwidth_bytes_per_s(**place, nic_share=0.5) == 400.0


@given(payload=sizes, domains=st.integers(1, 64))
def test_hierarchy_carries_the_same_bytes_as_a_ring_over_its_nics(payload: float, domains: int) -> None:
    """With an infinitely fast link, three phases over k = 8 take what a ring between the domains at 8 NICs takes."""
    tiers = {"link_bytes_per_s": 1e30, "nic_bytes_per_s": 5e10, "link_latency_s": 0.0, "nic_latency_s": 1e-6}
    three = hierarchical_all_reduce_s(payload_bytes=payload, members=8 * domains, members_per_domain=8, **tiers)
    ring = ring_all_reduce_s(payload_bytes=payload, members=domains, bandwidth_bytes_per_s=4e11, latency_s=1e-6)
    assert three == pytest.approx(ring, rel=1e-9, abs=1e-15)


def test_hierarchy_of_one_tier_is_a_ring() -> None:
    """All members in one domain, or one in each: the ring of that tier."""
    tiers = {"link_bytes_per_s": 4e11, "nic_bytes_per_s": 5e10, "link_latency_s": 1e-6, "nic_latency_s": 5e-6}
    common = {"payload_bytes": 1e9, "members": 8}
    inside = hierarchical_all_reduce_s(**common, members_per_domain=8, **tiers)
    assert inside == pytest.approx(ring_all_reduce_s(**common, bandwidth_bytes_per_s=4e11, latency_s=1e-6), rel=1e-12)
    across = hierarchical_all_reduce_s(**common, members_per_domain=1, **tiers)
    assert across == pytest.approx(ring_all_reduce_s(**common, bandwidth_bytes_per_s=5e10, latency_s=5e-6), rel=1e-12)


def test_tiered_all_to_all_by_hand() -> None:
    """3,200 B from each of 32 ranks, 8 a domain: 700 B at 100 B/s inside against 2,400 B at 50 B/s outside."""
    common = {"payload_bytes": 3200, "members": 32, "link_bytes_per_s": 100, "nic_bytes_per_s": 50, "latency_s": 0.0}
    assert all_to_all_tiered_s(**common, members_per_domain=8) == 48.0
    assert all_to_all_tiered_s(**common, members_per_domain=32) == 31.0


def test_tiered_all_to_all_of_one_rank_is_free() -> None:
    """members = 1 costs nothing."""
    rates = {"link_bytes_per_s": 100, "nic_bytes_per_s": 50, "latency_s": 1.0, "start_s": 1.0}
    assert all_to_all_tiered_s(payload_bytes=100, members=1, members_per_domain=1, **rates) == 0.0


MEASURED = tomllib.loads(resources.files("isocost").joinpath("data/collectives.toml").read_text(encoding="utf-8"))


# Seconds measured by NCCL 2.29 on H100 SXM for 64 MiB and 512 MiB (aiconfigurator2026).
@pytest.mark.parametrize(
    ("law", "kind", "members", "small_s", "large_s"),
    [
        (ring_all_gather_s, "all_gather", 2, 159.2e-6, 1038.2e-6),
        (ring_all_gather_s, "all_gather", 8, 208.1e-6, 1398.1e-6),
        (ring_reduce_scatter_s, "reduce_scatter", 4, 190.7e-6, 1299.4e-6),
        (ring_all_reduce_s, "all_reduce", 4, 323.7e-6, 2299.7e-6),
        (switch_all_reduce_s, "all_reduce_switch", 8, 321.9e-6, 2111.1e-6),
        (all_to_all_s, "all_to_all", 8, 212.8e-6, 1468.6e-6),
    ],
)
def test_shipped_constants_reproduce_measured_times(
    law: Callable[..., np.ndarray], kind: str, members: int, small_s: float, large_s: float
) -> None:
    """The laws with the constants of collectives.toml give measured H100 times within 12 %."""
    constants = MEASURED[kind]["h100-sxm5-80gb"]
    names = [name for name in ("latency_s", "start_s", "half_size_bytes", "local_copy") if name in constants]
    bandwidth = constants["bandwidth_frac"] * MEASURED["link_bytes_per_s"]["h100-sxm5-80gb"]
    payload = np.array([2.0**26, 2.0**29])
    predicted = law(
        payload_bytes=payload,
        members=members,
        bandwidth_bytes_per_s=bandwidth,
        **{name: constants[name] for name in names},
    )
    np.testing.assert_allclose(predicted, [small_s, large_s], rtol=0.12)
