"""The closed forms of pipeline schedules against hand-worked cases and an event simulation of each schedule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.schedule_sim import Result, plan, simulate

from isocost.laws.pipeline import (
    SCHEDULES,
    in_flight,
    p2p_exposed_s,
    p2p_sends,
    pipeline_bubble_s,
)
from isocost.perf.columns import coefficients

SIMULATED = [name for name in SCHEDULES if name != "none"]
CHUNKS = {"zb-v": 2}  # of a rank, where it is not vp
Times = tuple[float, float, float]


def row(name: str, law: Callable[..., object]) -> dict[str, float]:
    """Coefficients of a schedule, by the names of the law's arguments."""
    return coefficients(SCHEDULES[name], of=law)


def law_s(name: str, pp: int, m: int, vp: int, ranks: list[Times]) -> float:
    """Step time by the law; ``ranks`` are (F, B, W) of one micro-batch on each rank."""
    slowest = max(ranks, key=sum)
    keys = ("forward_s", "backward_input_s", "backward_weight_s")
    first = {f"slowest_{key}": value for key, value in zip(keys, slowest, strict=True)}
    sums = {f"sum_{key}": sum(column) for key, column in zip(keys, zip(*ranks, strict=True), strict=True)}
    bubble = pipeline_bubble_s(micro_batches=m, pp=pp, vp=vp, **first, **sums, **row(name, pipeline_bubble_s))
    return m * sum(slowest) + bubble


def equal(name: str, pp: int, m: int, vp: int, times: Times, latency_s: float = 0.0) -> Result:
    """Simulate equal stages whose whole share on a rank takes ``times``."""
    chunks = CHUNKS.get(name, vp)
    what = plan(name, pp, m, vp)
    f, b, w = ([t / chunks] * what.stages for t in times)
    return simulate(what, forward_s=f, input_s=b, weight_s=w, latency_s=latency_s)


def uneven(name: str, pp: int, m: int, vp: int, stages: list[float], back: tuple[float, float]) -> tuple[float, float]:
    """(law, simulation) with the forward of every virtual stage given, and B and W in proportion to it."""
    what = plan(name, pp, m, vp)
    if name == "dualpipe":
        stages = stages[:pp] * 2  # both directions run the same model
    ratio = (1.0, *back)
    f, b, w = ([t * r for t in stages] for r in ratio)
    share = 2.0 if name == "dualpipe" else 1.0  # half of the micro-batches visit each of a rank's two chunks
    load = [sum(stages[s] for s in range(what.stages) if what.rank_of(s) == i) / share for i in range(pp)]
    ranks = [(x * ratio[0], x * ratio[1], x * ratio[2]) for x in load]
    return law_s(name, pp, m, vp, ranks), simulate(what, forward_s=f, input_s=b, weight_s=w).span_s


positive = st.floats(0.2, 2.0)


@pytest.mark.parametrize("name", ["gpipe", "1f1b", "zb-h1", "zb-h2"])
@given(pp=st.integers(1, 7), m=st.integers(1, 16), f=positive, b_over_f=st.floats(1.0, 3.0), w=positive)
@settings(max_examples=60, deadline=None)
def test_equal_stages_are_exact(name: str, pp: int, m: int, f: float, b_over_f: float, w: float) -> None:
    """GPipe, 1F1B, ZB-H1, ZB-H2 with equal stages: the law is the simulated span for any pp, m, F, W and any B >= F."""
    b = f * b_over_f
    assert law_s(name, pp, m, 1, [(f, b, w)] * pp) == pytest.approx(equal(name, pp, m, 1, (f, b, w)).span_s, rel=1e-9)


@given(pp=st.integers(2, 6), vp=st.integers(2, 4), groups=st.integers(1, 4), f=positive, b=positive, w=positive)
@settings(max_examples=40, deadline=None)
def test_interleaved_with_equal_stages_is_exact(pp: int, vp: int, groups: int, f: float, b: float, w: float) -> None:
    """Interleaved 1F1B with equal chunks and whole groups of pp micro-batches: exact."""
    m = groups * pp
    simulated = equal("interleaved", pp, m, vp, (f, b, w)).span_s
    assert law_s("interleaved", pp, m, vp, [(f, b, w)] * pp) == pytest.approx(simulated, rel=1e-9)


@given(pp=st.integers(2, 6), b=st.floats(1.0, 1.6), w=st.floats(0.5, 1.0))
@settings(max_examples=40, deadline=None)
def test_zb_v_with_equal_stages_is_exact_where_f_is_near_w(pp: int, b: float, w: float) -> None:
    """ZB-V: (pp - 1)(B - W) is exact while B >= F >= W and F does not exceed the mean of B and W."""
    f = (b + w) / 2
    simulated = equal("zb-v", pp, 4 * pp, 1, (f, b, w)).span_s
    assert law_s("zb-v", pp, 4 * pp, 1, [(f, b, w)] * pp) == pytest.approx(simulated, rel=1e-9)


@given(pp=st.sampled_from([2, 4, 6, 8]), groups=st.integers(2, 5), b=st.floats(1.0, 1.4), w=st.floats(0.7, 1.0))
@settings(max_examples=60, deadline=None)
def test_dualpipe_with_equal_stages_is_within_three_percent_and_never_optimistic(
    pp: int, groups: int, b: float, w: float
) -> None:
    """DualPipe: the published bubble is an upper bound of its published order, at most 3 % of the step above it."""
    simulated = equal("dualpipe", pp, groups * pp, 1, (1.0, b, w)).span_s
    assert 1.0 - 1e-9 <= law_s("dualpipe", pp, groups * pp, 1, [(1.0, b, w)] * pp) / simulated <= 1.03


@pytest.mark.parametrize(
    ("name", "bubble"),
    [("gpipe", 9.6), ("1f1b", 9.6), ("zb-h1", 5.4), ("zb-h2", 3.3), ("zb-v", 2.4), ("dualpipe", 3.3)],
)
def test_bubbles_by_hand(name: str, bubble: float) -> None:
    """F 1, B 1.5, W 0.7 on 4 ranks: 3 x 3.2; 3 x (2.5 - 0.7); 3 x (2.5 - 1.4); 3 x (1.5 - 0.7); 1 x (1 + 3 - 0.7)."""
    assert law_s(name, 4, 8, 1, [(1.0, 1.5, 0.7)] * 4) - 8 * 3.2 == pytest.approx(bubble, abs=1e-12)


def test_interleaving_divides_the_ramp() -> None:
    """m max + (sum - max) / v by hand: stages 3, 3, 6, 3, eight micro-batches, two virtual stages: 48 + 9 / 2."""
    ranks = [(1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0)]
    assert law_s("interleaved", 4, 8, 2, ranks) == 52.5


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_one_stage_has_no_bubble_and_sends_nothing(name: str) -> None:
    """pp = 1: a step is m (F + B + W) under every schedule, and no message is sent."""
    assert law_s(name, 1, 8, 1, [(1.0, 2.0, 1.5)]) == 8 * 4.5
    assert p2p_exposed_s(micro_batches=8, pp=1, vp=1, p2p_s=1.0, blocking_frac=1.0, **row(name, p2p_exposed_s)) == 0.0
    assert p2p_sends(micro_batches=8, pp=1, vp=1, vp_split=0.0) == 0.0


# Largest overestimate, underestimate and mean absolute error, in percent of the step, over the seeded cases below.
UNEVEN = {
    "gpipe": (0.0, 0.0, 0.0),
    "1f1b": (10.0, 0.0, 2.0),
    "interleaved": (12.0, 8.0, 2.2),
    "zb-h1": (4.0, 0.0, 0.8),
    "zb-h2": (6.0, 2.0, 0.8),
    "zb-v": (6.0, 5.0, 0.9),
    "dualpipe": (12.0, 2.0, 3.2),
}


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_uneven_stages_stay_within_the_stated_error(name: str, spread: float) -> None:
    """Random stages (+-10 %, +-30 %), 2 to 6 micro-batches per stage: errors of the law within the table above."""
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(60):
        pp, vp = int(rng.choice([2, 4, 6])), int(rng.choice([2, 3])) if name == "interleaved" else 1
        stages = rng.uniform(1 - spread, 1 + spread, size=max(pp * vp, 2 * pp)).tolist()
        law, simulated = uneven(
            name, pp, pp * int(rng.integers(2, 7)), vp, stages, (rng.uniform(1, 1.4), rng.uniform(0.7, 1))
        )
        errors.append(100 * (law / simulated - 1))
    over, under, mean = UNEVEN[name]
    assert max(errors) <= over + 1e-9
    assert min(errors) >= -under - 1e-9
    assert np.mean(np.abs(errors)) <= mean + 1e-9


@given(
    pp=st.integers(2, 6),
    groups=st.integers(1, 5),
    ends=st.tuples(st.floats(1.0, 1.3), st.floats(1.0, 1.6)),
    b=st.floats(1.0, 1.4),
    w=st.floats(0.7, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_1f1b_with_embedding_and_head_is_never_optimistic(
    pp: int, groups: int, ends: tuple[float, float], b: float, w: float
) -> None:
    """Heavier first and last stages: never below the simulation, above it by at most pp - 1 times the excess."""
    stages = [ends[0]] + [1.0] * (pp - 2) + [ends[1]]
    law, simulated = uneven("1f1b", pp, pp * groups, 1, stages, (b, w))
    assert -1e-9 <= law - simulated <= (pp - 1) * (max(ends) - 1.0) * (1.0 + b + w) + 1e-9


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize(("pp", "m", "vp"), [(2, 4, 2), (4, 8, 2), (4, 16, 3), (6, 24, 2), (8, 16, 2)])
def test_in_flight_is_the_simulated_peak(name: str, pp: int, m: int, vp: int) -> None:
    """Every rank's largest number of stashed micro-batches equals that of the simulation."""
    vp = vp if name == "interleaved" else 1
    chunks = CHUNKS.get(name, vp)
    held = in_flight(stage=np.arange(pp, dtype=float), pp=pp, vp=vp, micro_batches=m, **row(name, in_flight))
    peaks = np.array(equal(name, pp, m, vp, (1.0, 1.0, 1.0)).peak_chunks) / chunks
    np.testing.assert_array_equal(np.broadcast_to(held, peaks.shape), peaks)


@pytest.mark.parametrize("name", ["gpipe", "1f1b", "zb-h1", "zb-h2"])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_few_micro_batches_cap_what_is_in_flight(name: str, m: int) -> None:
    """With fewer micro-batches than stages no rank holds more than m."""
    held = in_flight(stage=np.arange(4.0), pp=4, vp=1, micro_batches=m, **row(name, in_flight))
    np.testing.assert_array_equal(np.broadcast_to(held, (4,)), equal(name, 4, m, 1, (1.0, 1.0, 1.0)).peak_chunks)


def exposed_hops(name: str, pp: int, m: int, vp: int) -> float:
    """Sends on the longest chain of the simulation: its growth with a latency far below every computation."""
    tiny, times = 2.0**-20, (1.0, 1.0, 1.0)
    slow, fast = (equal(name, pp, m, vp, times, latency_s=s).makespan_s for s in (tiny, 0.0))
    return (slow - fast) / tiny


@pytest.mark.parametrize(("pp", "m"), [(2, 2), (2, 8), (3, 10), (4, 4), (4, 7), (6, 9), (8, 3), (8, 24), (4, 1)])
@pytest.mark.parametrize("name", ["gpipe", "1f1b"])
def test_exposed_sends_are_exact(name: str, pp: int, m: int) -> None:
    """GPipe pays 2 (pp - 1) sends; 1F1B also two for every round trip in its steady state."""
    law = p2p_exposed_s(micro_batches=m, pp=pp, vp=1, p2p_s=1.0, **row(name, p2p_exposed_s))
    assert law == pytest.approx(exposed_hops(name, pp, m, 1), abs=1e-6)


@pytest.mark.parametrize(("pp", "m", "vp"), [(2, 8, 2), (4, 4, 2), (4, 16, 3), (8, 16, 3)])
def test_interleaving_exposes_sends_in_the_ramp_only(pp: int, m: int, vp: int) -> None:
    """Interleaved: 2 (v pp - 1) sends whatever m."""
    law = p2p_exposed_s(micro_batches=m, pp=pp, vp=vp, p2p_s=1.0, **row("interleaved", p2p_exposed_s))
    assert law == pytest.approx(exposed_hops("interleaved", pp, m, vp), abs=1e-6) == 2 * (vp * pp - 1)


@pytest.mark.parametrize(("name", "slack"), [("zb-h1", 0.0), ("zb-h2", 7.0), ("zb-v", 13.0), ("dualpipe", 5.0)])
def test_zero_bubble_sends_are_near(name: str, slack: float) -> None:
    """Eight stages, 32 micro-batches: exposed sends within ``slack`` of the simulation; a step has 96 computations."""
    law = p2p_exposed_s(micro_batches=32, pp=8, vp=1, p2p_s=1.0, **row(name, p2p_exposed_s))
    assert abs(law - exposed_hops(name, 8, 32, 1)) <= slack + 1e-6


def test_blocking_sends_all_show() -> None:
    """Without overlap an interleaved rank pays each of its 2 m v sends: 2 x 16 x 2 = 64 against 14 in the ramp."""
    common = {"micro_batches": 16, "pp": 4, "vp": 2, "p2p_s": 1.0, **row("interleaved", p2p_exposed_s)}
    assert (p2p_exposed_s(**common), p2p_exposed_s(**common, blocking_frac=1.0)) == (14.0, 64.0)


def test_interleaved_with_one_virtual_stage_is_1f1b() -> None:
    """vp = 1 turns the interleaved row into 1F1B: bubble, sends and micro-batches in flight."""
    assert law_s("interleaved", 4, 8, 1, [(1.0, 1.2, 0.9)] * 4) == law_s("1f1b", 4, 8, 1, [(1.0, 1.2, 0.9)] * 4)
    stage = np.arange(4.0)
    for law in (
        lambda name: in_flight(stage=stage, pp=4, vp=1, micro_batches=8, **row(name, in_flight)),
        lambda name: p2p_exposed_s(micro_batches=8, pp=4, vp=1, p2p_s=1.0, **row(name, p2p_exposed_s)),
    ):
        np.testing.assert_array_equal(law("interleaved"), law("1f1b"))
