"""The optimum moves the right way with prices, options, time, bandwidth and sharding."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.search_cases import (
    A100,
    DAY,
    EXPERT,
    H100,
    H200,
    QUESTION,
    TINY,
    change,
    cost_of,
    option_of,
    plan_of,
    pool_of,
)

from isocost.perf.layout import SHARDINGS
from isocost.search import Answer, Option

SMALL = change(QUESTION, gpu_counts=(8, 16), fixed={"cp": 1, "micro_batch": 2})
prices = st.floats(1e-4, 1e-2)


@settings(max_examples=15)
@given(first=prices, second=prices, days=st.floats(5.0, 60.0))
def test_twice_the_price_twice_the_bill(first: float, second: float, days: float) -> None:
    """Doubling every price doubles every bill and changes no plan."""
    question = change(SMALL, deadline_s=days * DAY)

    def at(factor: float) -> Answer:
        return plan_of(
            change(
                question,
                options=(option_of("h100-sxm5-80gb", factor * first), option_of("a100-sxm4-80gb", factor * second)),
            )
        )

    once, twice = at(1.0), at(2.0)
    assert [cost_of(c) * 2 for c in once.frontier] == [cost_of(c) for c in twice.frontier]
    assert (once.chosen is None) == (twice.chosen is None)
    if once.chosen is not None and twice.chosen is not None:
        assert cost_of(twice.chosen) == 2 * cost_of(once.chosen)
        assert once.chosen.layout == twice.chosen.layout


@settings(max_examples=15)
@given(price=prices, days=st.floats(5.0, 60.0), count=st.sampled_from([4, 24, 32]))
def test_one_more_option_never_worsens_the_optimum(price: float, days: float, count: int) -> None:
    """Another option, or another GPU count, leaves the cheapest plan as cheap or makes it cheaper."""
    question = change(SMALL, deadline_s=days * DAY)
    before = cost_of(plan_of(question).chosen)
    option = change(H200, median_usd_per_s=price)
    assert cost_of(plan_of(change(question, options=(*question.options, option))).chosen) <= before
    assert cost_of(plan_of(change(question, gpu_counts=(*question.gpu_counts, count))).chosen) <= before


@pytest.mark.parametrize("order", list(itertools.permutations((H100, A100, H200)))[1:])
def test_order_of_options_does_not_matter(order: tuple[Option, ...]) -> None:
    """Permuting the options, and the GPU counts, leaves choice, frontier and alternatives as they are."""
    first = plan_of(change(SMALL, options=(H100, A100, H200)))
    other = plan_of(change(SMALL, options=order, gpu_counts=(16, 8)))
    assert first.chosen is not None
    assert other.chosen is not None
    assert dataclasses.asdict(other.chosen) == dataclasses.asdict(first.chosen)
    assert [dataclasses.asdict(c) for c in other.frontier] == [dataclasses.asdict(c) for c in first.frontier]
    assert [dataclasses.asdict(a) for a in other.alternatives] == [dataclasses.asdict(a) for a in first.alternatives]
    assert other.rejected == first.rejected


@settings(max_examples=10)
@given(
    factor=st.floats(1.0, 8.0),
    link=st.sampled_from(["hbm_bytes_per_s", "scaleup_bytes_per_s", "nic_bytes_per_s"]),
    arch=st.sampled_from([TINY, EXPERT]),
)
def test_more_bandwidth_is_never_slower(factor: float, link: str, arch) -> None:
    """No layout gets slower by faster memory, links or network."""
    question = change(SMALL, architecture=arch, gpu_counts=(32,), options=(H100,), global_batch_seqs=64)
    faster = change(H100.accelerator, **{link: factor * getattr(H100.accelerator, link)})
    fabric = H100.fabric
    if link == "nic_bytes_per_s":
        fabric = change(fabric, bytes_per_s=factor * fabric.bytes_per_s)
    before = pool_of(question).run_s
    after = pool_of(change(question, options=(change(H100, accelerator=faster, fabric=fabric),))).run_s
    assert len(before) == len(after) > 100
    fits = ~np.isnan(before)
    assert (after[fits] <= before[fits] * (1 + 1e-9)).all()


@settings(max_examples=10)
@given(days=st.floats(5.0, 60.0), factor=st.floats(1.0, 3.0))
def test_more_time_is_never_dearer(days: float, factor: float) -> None:
    """A later deadline leaves the cheapest plan as cheap or makes it cheaper, and every plan meets its deadline."""
    tight = plan_of(change(SMALL, deadline_s=days * DAY)).chosen
    loose = plan_of(change(SMALL, deadline_s=factor * days * DAY)).chosen
    assert cost_of(loose) <= cost_of(tight)
    assert tight is None or tight.days <= days


def test_sharding_saves_memory() -> None:
    """Each stage of sharding holds no more than the one before, in every layout that has both."""
    (result,) = pool_of(change(SMALL, options=(H100,), fit_probability=1e-30, fixed={"pp": 1})).results
    rows = [result.tables.layouts.row(k) for k in range(len(result.peak_bytes))]
    peak = {row: float(p) for row, p in zip(rows, result.peak_bytes, strict=True)}
    checked = 0
    for row in rows:
        place = SHARDINGS.index(row.sharding)
        less = change(row, sharding=SHARDINGS[place - 1])
        if place and less in peak and SHARDINGS[place] != "zero3":  # zero3 holds gathered blocks beside its shard
            assert peak[row] <= peak[less]
            checked += 1
    assert checked > 100
