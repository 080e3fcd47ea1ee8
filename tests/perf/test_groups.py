"""Collectives: a group takes the fastest algorithm that its fabric has, and a new algorithm is one entry of a table."""

from __future__ import annotations

import numpy as np
import pytest
from samples.cases import case, step_s

from isocost.laws.collectives import members_per_domain
from isocost.num import Num
from isocost.perf.columns import Machine
from isocost.perf.groups import ALGORITHMS, Group

INSIDE = case(tp=8, dp=1, shard_group=1, sequence_parallel=True)  # tensor parallelism over the eight of a node
ACROSS = case(dp=64, shard_group=64, sharding="zero3")  # eight of each node in one group
ALONE = case(dp=1, shard_group=1)


def _in_switch_s(payload_bytes: Num, over: Group, machine: Machine) -> Num:
    """A toy that switches of a scale-up domain have: every rank gets the whole buffer at the full rate of its link."""
    inside = members_per_domain(members=over.members, stride=over.stride, domain=machine.domain)
    return np.where(over.members > inside, np.inf, payload_bytes / machine.link_bytes_per_s)


def test_a_new_algorithm_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups inside a domain take the toy, as it is faster there; groups across domains do not have it."""
    before = step_s(INSIDE, ACROSS, ALONE)
    monkeypatch.setitem(ALGORITHMS, "switch", _in_switch_s)
    after = step_s(INSIDE, ACROSS, ALONE)
    assert after[0] < before[0]
    assert after[1:] == before[1:]


def test_a_slower_algorithm_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of all counts: an algorithm twice as slow as the ring is never taken."""
    before, ring_s = step_s(INSIDE, ACROSS), ALGORITHMS["ring"]
    monkeypatch.setitem(ALGORITHMS, "slow", lambda payload, over, machine: 2.0 * ring_s(payload, over, machine))
    assert step_s(INSIDE, ACROSS) == before
