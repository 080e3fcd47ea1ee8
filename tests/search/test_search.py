"""Search: the numbers are those of single cases, and the choice is that of plain loops."""

from __future__ import annotations

import dataclasses
import functools
import math
import re

import numpy as np
import pytest
from oracles.brute import brute_layouts
from samples.search_cases import (
    A100,
    CONSTANTS,
    DAY,
    EXPERT,
    H100,
    QUESTION,
    TINY,
    change,
    cost_of,
    option_of,
    plan_of,
    pool_of,
)

from isocost.catalog.stacks import recipe, recipes
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.block import block_times
from isocost.perf.case import Case, coefficients_of
from isocost.perf.columns import Coefficients
from isocost.perf.layouts import default_axes
from isocost.perf.lowering import columns, memory_of
from isocost.perf.lowering_memory import capacity_bytes
from isocost.perf.step import step_time
from isocost.search.evaluator import base_case
from isocost.search.pool import fit_ceiling_bytes
from isocost.workload.flops import train_flop_per_token
from isocost.workload.presets import preset


def _one_by_one(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Peak and step time of cases without sharing anything between them."""
    c = columns(cases)
    rows = [coefficients_of(case, CONSTANTS) for case in cases]
    k = Coefficients(**{name: np.array([row[name] for row in rows]) for name in rows[0]})
    step = step_time(block_times(c, k), c, k)
    return np.asarray(memory_of(cases).total), np.asarray(step.total_s)


@pytest.mark.parametrize(
    ("arch", "name", "precision", "stack"),
    [
        (preset("llama-3.1-70b"), "h100-sxm5-80gb", "bf16", "megatron-core"),
        (EXPERT, "h200-sxm-141gb", "bf16", "megatron-core"),
        (preset("gemma-2-9b"), "b200-sxm-180gb", "fp8", "torchtitan"),
    ],
    ids=["dense", "experts and latent attention", "sliding windows, fp8"],
)
def test_factored_evaluation_equals_single_cases(arch, name: str, precision: str, stack: str) -> None:
    """Random layouts gathered from the small axes have the peak and step time of their cases, to rounding."""
    question = change(
        QUESTION, architecture=arch, options=(option_of(name),), gpu_counts=(64, 256), global_batch_seqs=512,
        recipe=recipe(stack), precisions=(precision,), schedules=tuple(SCHEDULES), fit_probability=1e-30,
    )  # fmt: skip
    (result,) = pool_of(question).results
    t = result.tables
    assert result.timed > 10_000
    rows = np.random.default_rng(7).choice(len(t.layouts), 400, replace=False)
    cases = [change(t.case, layout=t.layouts.row(int(row))) for row in rows]
    peak, step = _one_by_one(cases)
    np.testing.assert_allclose(result.peak_bytes[rows], peak, rtol=1e-12)
    # Where the peak is beyond all measure no step time is evaluated in the search.
    np.testing.assert_allclose(t.time(rows).total_s, step, rtol=1e-12)
    np.testing.assert_allclose(t.memory(rows).total, peak, rtol=1e-12)


BRUTE = change(QUESTION, fixed={"cp": 1})


@functools.cache
def _brute() -> list[tuple[float, float, tuple[object, ...]]]:
    """(cost, days, layout) of all that fits, found by plain loops and evaluated one by one."""
    question = BRUTE
    found = []
    for option in question.options:
        axes = default_axes(question.architecture, question.gpu_counts, question.fixed)
        rows = list(
            brute_layouts(
                question.architecture, axes, question.seq_len, question.global_batch_seqs or 1,
                option.accelerator.scaleup_domain,
            )
        )  # fmt: skip
        case = base_case(question, option, "bf16", option.fabric.bytes_per_s)
        peak, step = _one_by_one([change(case, layout=row) for row in rows])
        most = fit_ceiling_bytes(capacity_bytes(option.accelerator.memory_bytes), question.fit_probability)
        steps = math.ceil(question.tokens / (question.global_batch_seqs * question.seq_len))
        for row, bytes_, seconds in zip(rows, peak, step, strict=True):
            if bytes_ <= most:
                run = steps * seconds
                found.append((row.gpus * run * option.median_usd_per_s, run / DAY, (option.label, row)))
    return sorted(found, key=lambda row: (row[:2], row[2][0], row[2][1].gpus, dataclasses.astuple(row[2][1])))


@pytest.mark.parametrize("days", [None, 30.0, 21.0])
def test_choice_and_frontier_are_those_of_plain_loops(days: float | None) -> None:
    """The chosen plan, its cost and the frontier agree with a brute-force search of the same space."""
    answer, found = plan_of(change(BRUTE, deadline_s=days and days * DAY)), _brute()
    within = [row for row in found if days is None or row[1] <= days]
    assert answer.chosen is not None
    assert 1000 < len(found) == answer.layouts_evaluated
    assert answer.rejected.get("deadline", 0) == len(found) - len(within)
    cost, length, name = within[0]
    assert (cost_of(answer.chosen), answer.chosen.days) == pytest.approx((cost, length), rel=1e-12)
    if within[1][0] > cost * (1 + 1e-9):
        assert (answer.chosen.option.label, answer.chosen.layout) == name
    frontier, best = [], math.inf
    for cost, length, _ in sorted(found, key=lambda row: (row[1], row[0])):
        if cost < best * (1 - 1e-12):
            frontier.append((length, cost))
            best = cost
    assert len(answer.frontier) == len(frontier) > 1
    for candidate, point in zip(answer.frontier, frontier, strict=True):
        assert (candidate.days, cost_of(candidate)) == pytest.approx(point, rel=1e-12)


def test_parts_add_up() -> None:
    """Parts of time and memory add up to step and peak; run, GPU-hours, tokens and MFU follow from the step."""
    c = plan_of(QUESTION).chosen
    assert c is not None
    assert c.time.total_s == c.step_s
    assert c.memory.total == c.peak_bytes <= c.capacity_bytes
    assert c.steps == math.ceil(300e9 / (96 * 2048))
    assert c.run_s == c.steps * c.step_s
    assert c.gpu_hours == pytest.approx(c.gpus * c.days * 24, rel=1e-12)
    assert c.tokens_per_s_per_gpu == pytest.approx(96 * 2048 / c.step_s / c.gpus, rel=1e-12)
    flop = train_flop_per_token(TINY, 2048, causal=False) * 96 * 2048
    peak = c.option.accelerator.bf16_flop_per_s
    assert peak is not None
    assert c.mfu == c.mfu_16bit == pytest.approx(flop / (c.gpus * peak * c.step_s), rel=1e-12)
    assert c.micro_batches * c.dp * c.micro_batch == 96


def test_fp8_reports_both_utilisations() -> None:
    """In fp8 the MFU is over the fp8 peak, and the one over the 16-bit peak stands beside it, twice as large."""
    c = plan_of(change(QUESTION, options=(H100,), precisions=("fp8",))).chosen
    assert c is not None
    assert c.mfu is not None
    h100 = H100.accelerator
    assert c.mfu_16bit == pytest.approx(c.mfu * h100.fp8_flop_per_s / h100.bf16_flop_per_s, rel=1e-12)  # type: ignore[operator]


def test_every_layout_has_its_first_limit() -> None:
    """Rejected layouts, by limit, and those that meet all limits add up to those considered."""
    base = plan_of(QUESTION).chosen
    assert base is not None
    question = change(QUESTION, deadline_s=base.run_s * 1.02, budget_usd=cost_of(base) * 1.1, power_w=base.power_w)
    pool, answer = pool_of(question), plan_of(question)
    assert sum(answer.rejected.values()) + int((pool.limit == 0).sum()) == answer.layouts_considered
    assert set(answer.rejected) <= {"memory", "power", "deadline", "budget"}
    assert answer.rejected["deadline"] > 0
    assert answer.layouts_considered - answer.rejected.get("memory", 0) == answer.layouts_evaluated


def test_alternatives_are_near_and_different() -> None:
    """Alternatives cost at most near_frac more, meet the limits, differ in something material and from each other."""
    answer = plan_of(change(QUESTION, near_frac=0.10, top=5))
    assert answer.chosen is not None
    assert len(answer.alternatives) == 5
    for other in answer.alternatives:
        assert 0.0 <= other.cost_frac <= 0.10
        assert cost_of(other.candidate) / cost_of(answer.chosen) - 1.0 == pytest.approx(other.cost_frac, abs=1e-12)
        assert set(other.differs) & {"option", "gpus", "tp", "pp", "cp", "ep", "recompute", "sharding"}
    costs = [other.cost_frac for other in answer.alternatives]
    assert costs == sorted(costs)
    assert len({str(sorted(other.differs.items())) for other in answer.alternatives}) == 5


def test_every_other_option_has_its_reason() -> None:
    """An option that was not chosen says why: dearer, not priced, or without the precision."""
    unpriced, v100 = option_of("b200-sxm-180gb", None), option_of("v100-sxm2-32gb", 1e-4)
    answer = plan_of(change(QUESTION, options=(H100, A100, unpriced, v100)))
    reasons = {loser.label: loser.reason for loser in answer.others}
    assert answer.chosen is not None
    assert set(reasons) == {o.label for o in (H100, A100, unpriced, v100)} - {answer.chosen.option.label}
    assert reasons["b200-sxm-180gb"].startswith("not priced")
    assert "no bf16 rate is known" in reasons["v100-sxm2-32gb"]
    (dearer,) = set(reasons) - {"b200-sxm-180gb", "v100-sxm2-32gb"}
    assert re.fullmatch(r"[\d.]+% dearer and [\d.]+ d (faster|slower)", reasons[dearer])


def test_a_row_of_the_frontier_says_the_same_as_the_answer() -> None:
    """What binds the chosen plan binds its row of the frontier, also where that is memory and not its largest part."""
    small = option_of("h100-sxm5-80gb", memory_bytes=20e9)
    answer = plan_of(change(QUESTION, options=(small,), gpu_counts=(8,)))
    assert answer.chosen is not None
    assert [row.binds for row in answer.frontier] == [answer.chosen.binds] == ["memory"]


def test_without_any_price_accelerator_hours_decide() -> None:
    """Nothing is priced: the plan with the fewest accelerator-hours is chosen, and the answer says so."""
    answer = plan_of(change(QUESTION, options=(option_of("h100-sxm5-80gb", None), option_of("a100-sxm4-80gb", None))))
    assert answer.chosen is not None
    assert answer.chosen.cost_usd is None
    assert answer.chosen.gpu_s == min(c.gpu_s for c in answer.frontier)
    assert "accelerator-hours" in {a.name: a.value for a in answer.assumptions}["cost"]


def test_energy_is_paid_where_chips_are_owned() -> None:
    """A rented price includes energy; the cost of owned chips is their price and the energy."""
    rented = plan_of(change(QUESTION, options=(H100,))).chosen
    owned = plan_of(change(QUESTION, options=(change(H100, term="owned"),))).chosen
    for c in (rented, owned):
        assert c is not None
        assert c.price_usd is not None
        assert c.energy_usd is not None
        assert c.cost_usd is not None
        paid = c.energy_usd.median if c is owned else 0.0
        assert c.cost_usd.median == pytest.approx(c.price_usd.median + paid, rel=1e-15)
        assert c.energy_usd.low < c.energy_usd.median < c.energy_usd.high
        # 700 W, a server of 1.82 times that, three quarters drawn, PUE 1.25.
        assert c.energy_j == pytest.approx(c.gpu_s * 700 * 1.82 * 0.75 * 1.25, rel=1e-12)


def test_batch_from_the_critical_batch_law() -> None:
    """Without a global batch: the power of two of sequences nearest to the critical batch, named as an assumption."""
    question = change(
        QUESTION, architecture=preset("llama-3.1-70b"), tokens=15e12, seq_len=8192, global_batch_seqs=None
    )
    answer = plan_of(change(question, gpu_counts=(512,)))
    assert answer.chosen is not None
    # Loss 1.68 at 69.5 B parameters and 15 T tokens; 2.1e8 / 1.68^(1 / 0.21) = 17.6 M tokens; / 8192 = 2,150.
    assert answer.chosen.global_batch_seqs == answer.question.global_batch_seqs == 2048
    assert answer.assumptions[0].name == "global batch"
    assert "kaplan2020" in answer.assumptions[0].source


def test_stack_limits_schedules() -> None:
    """The search proposes only schedules that a stack ships, unless told otherwise."""
    assert {c.schedule for c in plan_of(QUESTION).frontier} <= {"none", "1f1b", "interleaved"}
    forced = plan_of(change(QUESTION, fixed={"schedule": "zb-h1", "pp": 2})).chosen
    assert forced is not None
    assert forced.schedule == "zb-h1"
    assert all(set(names) <= set(SCHEDULES) for names in (stack.schedules for stack in recipes().values()))
