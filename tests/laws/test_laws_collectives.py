"""Collectives by hand, in their limits, and against the constants measured on eight H100."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.laws.collectives import (
    all_to_all_tiered_s,
    group_bandwidth_bytes_per_s,
    group_latency_s,
    members_per_domain,
    p2p_s,
    protocol_bytes,
    ring_all_gather_s,
)

sizes = st.floats(1e3, 1e10)
counts = st.integers(2, 512)


def test_a_group_of_one_costs_nothing() -> None:
    """members = 1: no start, no latency, no bytes, whatever the corrections."""
    common = {"payload_bytes": 1e9, "members": 1, "bandwidth_bytes_per_s": 1e11, "latency_s": 1e-6}
    assert ring_all_gather_s(**common, start_s=5e-6, half_size_bytes=2e6, local_copy=0.5) == 0.0


def test_four_ranks_by_hand() -> None:
    """800 B on four ranks at 100 B/s, 2 s a step and 5 s to start: three steps, three quarters of the buffer."""
    common = {"payload_bytes": 800, "members": 4, "bandwidth_bytes_per_s": 100, "latency_s": 2.0, "start_s": 5.0}
    assert ring_all_gather_s(**common) == 5.0 + 3 * 2.0 + 800 * 3 / 4 / 100


@given(payload=sizes, members=counts, slow=st.floats(1e9, 1e12), gain=st.floats(1.0, 100.0))
def test_more_bandwidth_is_never_slower(payload: float, members: int, slow: float, gain: float) -> None:
    """A faster link never makes a collective slower, at any size of group and payload."""
    common = {"payload_bytes": payload, "members": members, "latency_s": 1e-6, "half_size_bytes": 2e6}
    fast = ring_all_gather_s(**common, bandwidth_bytes_per_s=slow * gain)
    assert fast <= ring_all_gather_s(**common, bandwidth_bytes_per_s=slow)


def test_no_payload_leaves_start_and_latency() -> None:
    """payload = 0: finite, and the same at every bandwidth."""
    common = {"payload_bytes": 0.0, "members": 8, "latency_s": 1e-6, "start_s": 5e-6, "half_size_bytes": 2e6}
    slow, fast = (ring_all_gather_s(**common, bandwidth_bytes_per_s=rate) for rate in (1e9, 1e12))
    assert 0 < slow == fast


def test_half_size_halves_the_bandwidth() -> None:
    """At S = S0 a payload costs twice its bytes, at S >> S0 its bytes, at S = 0 nothing."""
    assert protocol_bytes(payload_bytes=2.5e6, half_size_bytes=2.5e6) == 5e6
    assert protocol_bytes(payload_bytes=2.5e12, half_size_bytes=2.5e6) == pytest.approx(2.5e12, rel=1.1e-3)
    assert protocol_bytes(payload_bytes=0.0, half_size_bytes=2.5e6) == 0.0


def test_local_copy_is_the_slice_a_rank_keeps() -> None:
    """local_copy = 1 charges the whole buffer on every group size, so the time no longer depends on n."""
    common = {"payload_bytes": 1e9, "bandwidth_bytes_per_s": 1e9, "latency_s": 0.0, "local_copy": 1.0}
    assert [ring_all_gather_s(members=n, **common) for n in (2, 4, 8)] == [1.0, 1.0, 1.0]


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


def test_tiered_all_to_all_by_hand() -> None:
    """3,200 B from each of 32 ranks, 8 a domain: 700 B at 100 B/s inside against 2,400 B at 50 B/s outside."""
    common = {"payload_bytes": 3200, "members": 32, "link_bytes_per_s": 100, "nic_bytes_per_s": 50, "latency_s": 0.0}
    assert all_to_all_tiered_s(**common, members_per_domain=8) == 48.0
    assert all_to_all_tiered_s(**common, members_per_domain=32) == 31.0


def test_tiered_all_to_all_of_one_rank_is_free() -> None:
    """members = 1 costs nothing."""
    rates = {"link_bytes_per_s": 100, "nic_bytes_per_s": 50, "latency_s": 1.0, "start_s": 1.0}
    assert all_to_all_tiered_s(payload_bytes=100, members=1, members_per_domain=1, **rates) == 0.0


@pytest.mark.parametrize(
    ("members", "small_s", "large_s"),
    [(2, 159.2e-6, 1038.2e-6), (8, 208.1e-6, 1398.1e-6)],
)
def test_shipped_constants_reproduce_measured_times(members: int, small_s: float, large_s: float) -> None:
    """An all-gather on H100 SXM under NCCL 2.29 (aiconfigurator2026): 64 MiB and 512 MiB to within 12 %."""
    facts = tomllib.loads(resources.files("isocost").joinpath("data/collectives.toml").read_text(encoding="utf-8"))
    constants = facts["all_gather"]["h100-sxm5-80gb"]
    predicted = ring_all_gather_s(
        payload_bytes=np.array([2.0**26, 2.0**29]),
        members=members,
        bandwidth_bytes_per_s=constants["bandwidth_frac"] * facts["link_bytes_per_s"]["h100-sxm5-80gb"],
        **{name: constants[name] for name in ("latency_s", "start_s", "half_size_bytes", "local_copy")},
    )
    np.testing.assert_allclose(predicted, [small_s, large_s], rtol=0.12)
