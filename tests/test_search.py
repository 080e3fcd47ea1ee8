"""Search: the numbers are those of single cases, the choice is that of plain loops, and it moves the right way."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Mapping

import numpy as np
import pytest
from brute import brute_layouts
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.calibrate.priors import PRIORS
from isocost.cases import Case, coefficients_of, columns, memory_of
from isocost.catalog import Accelerator, load_catalog
from isocost.constants import Constant
from isocost.errors import InputError
from isocost.evaluate.block import block_times
from isocost.evaluate.inputs import Coefficients
from isocost.evaluate.step import step_time
from isocost.laws.pipeline import SCHEDULES
from isocost.layouts import SHARDINGS, default_axes
from isocost.memory_choices import capacity_bytes
from isocost.recipes import recipe
from isocost.search import Answer, Candidate, Option, Question, estimate, plan
from isocost.search.plan import STACK_SCHEDULES, Searcher
from isocost.search.pool import Pool, fit_ceiling_bytes
from isocost.search.tables import base_case, with_layout
from isocost.workload.flops import train_flop_per_token
from isocost.workload.presets import preset

CATALOG = load_catalog()
# The prior values, so that a new fit of the shipped constants changes no expectation here.
CONSTANTS = {
    name: Constant(value=p.value, prior=p.value, sd=p.sd, posterior_sd=p.sd, rows=0, unit=p.unit, meaning=p.meaning)
    for name, p in PRIORS.items()
}
TINY, EXPERT = preset("tinyllama-1.1b"), preset("deepseek-v2-lite")
DAY = 86400.0


def _option(name: str, price: float | None = 1e-3, **changes: object) -> Option:
    accelerator: Accelerator = dataclasses.replace(CATALOG.accelerator(name), **changes)  # type: ignore[arg-type]
    return Option(
        accelerator=accelerator, fabric=CATALOG.fabric_of(accelerator), label=name, median_usd_per_s=price,
        low_usd_per_s=price and 0.5 * price, high_usd_per_s=price and 2 * price,
    )  # fmt: skip


H100, A100, H200 = _option("h100-sxm5-80gb"), _option("a100-sxm4-80gb", 5e-4), _option("h200-sxm-141gb", 1.3e-3)
QUESTION = Question(
    architecture=TINY, tokens=300e9, seq_len=2048, options=(H100, A100), gpu_counts=(8, 16, 24), global_batch_seqs=96,
    recipe=recipe("megatron-core"),
)  # fmt: skip
change = dataclasses.replace


def _pool(question: Question) -> Pool:
    return Searcher(CATALOG, CONSTANTS).pool(question)


def _plan(question: Question) -> Answer:
    return plan(question, CATALOG, CONSTANTS)


def _cost(candidate: Candidate | None) -> float:
    return math.inf if candidate is None or candidate.cost_usd is None else candidate.cost_usd.median


def _one_by_one(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Peak and step time of cases without sharing anything between them."""
    c = columns(cases)
    rows = [coefficients_of(case, CONSTANTS) for case in cases]
    k = Coefficients(**{name: np.array([row[name] for row in rows]) for name in rows[0]})
    blocks = block_times(c.kinds, c.model, c.split, c.machine, c.policy, k)
    step = step_time(blocks, c.model, c.split, c.tail, c.machine, c.policy, k)
    return np.asarray(memory_of(cases).total), np.asarray(step.total_s)


def _key(row: Mapping[str, object]) -> tuple[object, ...]:
    names = ("gpus", "tp", "pp", "vp", "cp", "ep", "dp", "micro_batch", "sequence_parallel")
    return tuple(row[name] for name in (*names, "recompute", "sharding", "schedule"))


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
        QUESTION, architecture=arch, options=(_option(name),), gpu_counts=(64, 256), global_batch_seqs=512,
        recipe=recipe(stack), precisions=(precision,), schedules=tuple(SCHEDULES), fit_probability=1e-30,
    )  # fmt: skip
    (result,) = _pool(question).results
    t = result.tables
    assert result.timed > 10_000
    rows = np.random.default_rng(7).choice(len(t.layouts), 400, replace=False)
    cases = [with_layout(t.case, t.layouts.row(int(row))) for row in rows]
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
        peak, step = _one_by_one([with_layout(case, row) for row in rows])
        most = fit_ceiling_bytes(capacity_bytes(option.accelerator.memory_bytes), question.fit_probability)
        steps = math.ceil(question.tokens / (question.global_batch_seqs * question.seq_len))
        for row, bytes_, seconds in zip(rows, peak, step, strict=True):
            if bytes_ <= most:
                run = steps * seconds
                found.append((row["gpus"] * run * option.median_usd_per_s, run / DAY, (option.label, *_key(row))))
    return sorted(found)


@pytest.mark.parametrize("days", [None, 30.0, 21.0])
def test_choice_and_frontier_are_those_of_plain_loops(days: float | None) -> None:
    """The chosen plan, its cost and the frontier agree with a brute-force search of the same space."""
    answer, found = _plan(change(BRUTE, deadline_s=days and days * DAY)), _brute()
    within = [row for row in found if days is None or row[1] <= days]
    assert answer.chosen is not None
    assert 1000 < len(found) == answer.layouts_evaluated
    assert answer.rejected.get("deadline", 0) == len(found) - len(within)
    cost, length, name = within[0]
    assert (_cost(answer.chosen), answer.chosen.days) == pytest.approx((cost, length), rel=1e-12)
    if within[1][0] > cost * (1 + 1e-9):
        assert (answer.chosen.option.label, *_key(_layout(answer.chosen))) == name
    frontier, best = [], math.inf
    for cost, length, _ in sorted(found, key=lambda row: (row[1], row[0])):
        if cost < best * (1 - 1e-12):
            frontier.append((length, cost))
            best = cost
    assert len(answer.frontier) == len(frontier) > 1
    for candidate, point in zip(answer.frontier, frontier, strict=True):
        assert (candidate.days, _cost(candidate)) == pytest.approx(point, rel=1e-12)


def _layout(candidate: Candidate) -> dict[str, object]:
    return {f.name: getattr(candidate, f.name) for f in dataclasses.fields(candidate)}


def test_parts_add_up() -> None:
    """Parts of time and memory add up to step and peak; run, GPU-hours, tokens and MFU follow from the step."""
    c = _plan(QUESTION).chosen
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
    c = _plan(change(QUESTION, options=(H100,), precisions=("fp8",))).chosen
    assert c is not None
    assert c.mfu is not None
    h100 = H100.accelerator
    assert c.mfu_16bit == pytest.approx(c.mfu * h100.fp8_flop_per_s / h100.bf16_flop_per_s, rel=1e-12)  # type: ignore[operator]


def test_every_layout_has_its_first_limit() -> None:
    """Rejected layouts, by limit, and those that meet all limits add up to those considered."""
    base = _plan(QUESTION).chosen
    assert base is not None
    question = change(QUESTION, deadline_s=base.run_s * 1.02, budget_usd=_cost(base) * 1.1, power_w=base.power_w)
    pool, answer = _pool(question), _plan(question)
    assert sum(answer.rejected.values()) + int((pool.limit == 0).sum()) == answer.layouts_considered
    assert set(answer.rejected) <= {"memory", "power", "deadline", "budget"}
    assert answer.rejected["deadline"] > 0
    assert answer.layouts_considered - answer.rejected.get("memory", 0) == answer.layouts_evaluated


def test_alternatives_are_near_and_different() -> None:
    """Alternatives cost at most near_frac more, meet the limits, differ in something material and from each other."""
    answer = _plan(change(QUESTION, near_frac=0.10, top=5))
    assert answer.chosen is not None
    assert len(answer.alternatives) == 5
    for other in answer.alternatives:
        assert 0.0 <= other.cost_frac <= 0.10
        assert _cost(other.candidate) / _cost(answer.chosen) - 1.0 == pytest.approx(other.cost_frac, abs=1e-12)
        assert set(other.differs) & {"option", "gpus", "tp", "pp", "cp", "ep", "recompute", "sharding"}
    costs = [other.cost_frac for other in answer.alternatives]
    assert costs == sorted(costs)
    assert len({str(sorted(other.differs.items())) for other in answer.alternatives}) == 5


def test_every_other_option_has_its_reason() -> None:
    """An option that was not chosen says why: dearer, not priced, or without the precision."""
    unpriced, v100 = _option("b200-sxm-180gb", None), _option("v100-sxm2-32gb", 1e-4)
    answer = _plan(change(QUESTION, options=(H100, A100, unpriced, v100)))
    reasons = {loser.label: loser.reason for loser in answer.others}
    assert answer.chosen is not None
    assert set(reasons) == {o.label for o in (H100, A100, unpriced, v100)} - {answer.chosen.option.label}
    assert reasons["b200-sxm-180gb"].startswith("not priced")
    assert "no bf16 rate is known" in reasons["v100-sxm2-32gb"]
    (dearer,) = set(reasons) - {"b200-sxm-180gb", "v100-sxm2-32gb"}
    assert re.fullmatch(r"[\d.]+% dearer and [\d.]+ d (faster|slower)", reasons[dearer])


def test_a_row_of_the_frontier_says_the_same_as_the_answer() -> None:
    """What binds the chosen plan binds its row of the frontier, also where that is memory and not its largest part."""
    small = _option("h100-sxm5-80gb", memory_bytes=20e9)
    answer = _plan(change(QUESTION, options=(small,), gpu_counts=(8,)))
    assert answer.chosen is not None
    assert [row.binds for row in answer.frontier] == [answer.chosen.binds] == ["memory"]


def test_without_any_price_accelerator_hours_decide() -> None:
    """Nothing is priced: the plan with the fewest accelerator-hours is chosen, and the answer says so."""
    answer = _plan(change(QUESTION, options=(_option("h100-sxm5-80gb", None), _option("a100-sxm4-80gb", None))))
    assert answer.chosen is not None
    assert answer.chosen.cost_usd is None
    assert answer.chosen.gpu_s == min(c.gpu_s for c in answer.frontier)
    assert "accelerator-hours" in {a.name: a.value for a in answer.assumptions}["cost"]


def test_energy_is_paid_where_chips_are_owned() -> None:
    """A rented price includes energy; the cost of owned chips is their price and the energy."""
    rented = _plan(change(QUESTION, options=(H100,))).chosen
    owned = _plan(change(QUESTION, options=(change(H100, term="owned"),))).chosen
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


def _deadline_missed(question: Question, answer: Answer) -> Question:
    days = float(re.search(r"deadline \+ ([\d.]+) d", "; ".join(answer.relaxations)).group(1))  # type: ignore[union-attr]
    return change(question, deadline_s=question.deadline_s + (days + 0.05) * DAY)  # type: ignore[operator]


def _budget_missed(question: Question, answer: Answer) -> Question:
    more = float(re.search(r"budget \+ ([\d.]+)%", "; ".join(answer.relaxations)).group(1))  # type: ignore[union-attr]
    return change(question, budget_usd=question.budget_usd * (1.0005 + more / 100))  # type: ignore[operator]


def _gpus_missed(question: Question, answer: Answer) -> Question:
    count = re.search(r"more GPUs \(([\d,]+)\)", "; ".join(answer.relaxations)).group(1)  # type: ignore[union-attr]
    return change(question, gpu_counts=(int(count.replace(",", "")),))


@pytest.mark.parametrize("relax", [_deadline_missed, _budget_missed, _gpus_missed])
def test_each_relaxation_alone_is_enough(relax) -> None:
    """An empty answer names what would have to give, and giving just that much leaves a plan."""
    fastest = _plan(change(QUESTION, options=(H100,))).frontier[0]
    if relax is _budget_missed:
        question = change(QUESTION, options=(H100,), deadline_s=fastest.run_s * 1.01, budget_usd=0.8 * _cost(fastest))
    else:
        question = change(QUESTION, options=(H100,), deadline_s=fastest.run_s * 0.9)
    answer = _plan(question)
    assert answer.chosen is None
    assert _plan(relax(question, answer)).chosen is not None


def test_model_that_does_not_fit_says_what_is_missing() -> None:
    """Nothing fits: the bytes that are missing, the values to change in a fixed layout, and how many GPUs would do."""
    fixed = {"tp": 1, "pp": 1, "cp": 1, "ep": 1, "recompute": "none", "sharding": "none"}
    question = change(
        QUESTION, architecture=preset("llama-3.1-8b"), seq_len=8192, options=(H100,), gpu_counts=(8,), fixed=fixed,
        global_batch_seqs=64,
    )  # fmt: skip
    answer = _plan(question)
    assert answer.chosen is None
    assert set(answer.rejected) == {"memory"}
    assert re.match(r"needs [\d.]+ GiB per GPU of 79\.2 on h100-sxm5-80gb \(8 GPUs, tp 1, pp 1", answer.relaxations[0])
    advice = answer.relaxations[1].removeprefix("use ").split(", or ")
    assert advice
    for text in advice:
        name, value = text.split(" ") if " " in text else (text, "")
        released = {k: v for k, v in fixed.items() if k != name}
        assert _plan(change(question, fixed={**released, name: int(value) if value.isdigit() else value})).chosen


def test_count_without_a_legal_layout_names_the_nearest() -> None:
    """A prime GPU count has no layout for this batch: the answer says which rules forbid it and which counts do."""
    answer = _plan(change(QUESTION, gpu_counts=(13,)))
    assert answer.chosen is None
    assert answer.layouts_considered == 0
    assert "batch not divisible by dp" in answer.illegal
    assert answer.relaxations == ("use 12 or 16 GPUs",)


def test_precision_that_no_option_has_is_the_reason() -> None:
    """Where no accelerator has the precision, the answer says so, and does not blame the layouts."""
    answer = _plan(change(QUESTION, options=(A100,), precisions=("fp8",)))
    assert answer.chosen is None
    assert answer.why == "no fp8 rate is known for A100 SXM4 80GB; known: bf16, fp16"
    both = _plan(change(QUESTION, precisions=("fp8",), gpu_counts=(13,)))
    assert both.why.startswith("no layout is legal: ")


def test_estimate_is_the_plan_of_that_layout() -> None:
    """Every figure of a chosen plan comes out again when its layout is fixed."""
    chosen = _plan(QUESTION).chosen
    assert chosen is not None
    names = ("tp", "pp", "vp", "cp", "ep", "micro_batch", "sequence_parallel", "recompute", "sharding", "schedule")
    fixed = {name: getattr(chosen, name) for name in names}
    question = change(QUESTION, options=(chosen.option,), gpu_counts=(chosen.gpus,), fixed=fixed)
    again = estimate(question, CATALOG, CONSTANTS)
    assert _layout(again).keys() == _layout(chosen).keys()
    for name, value in _layout(chosen).items():
        other = getattr(again, name)
        if name in ("time", "memory", "price_usd", "energy_usd", "cost_usd"):
            assert dataclasses.asdict(other) == pytest.approx(dataclasses.asdict(value), rel=1e-12)
        elif name != "binds":  # one layout alone cannot tell whether memory keeps out a faster one
            assert other == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


def test_estimate_of_an_illegal_layout_says_why() -> None:
    """A fixed layout that breaks a rule is an input error that names the rule and a way out."""
    with pytest.raises(InputError, match="heads not divisible by tp") as error:
        estimate(change(QUESTION, gpu_counts=(64,), fixed={"tp": 64}), CATALOG, CONSTANTS)
    assert "leave tp open" in str(error.value)


def test_estimate_of_what_does_not_fit() -> None:
    """A fixed layout that does not fit is still evaluated, and says so."""
    question = change(
        QUESTION, architecture=preset("llama-3.1-70b"), fixed={"tp": 1, "pp": 1, "sharding": "none"}, options=(H100,),
        gpu_counts=(8,),
    )  # fmt: skip
    c = estimate(question, CATALOG, CONSTANTS)
    assert (c.fits, c.limit, c.binds) == (False, "memory", "memory")
    assert c.peak_bytes > c.capacity_bytes
    assert c.step_s > 0


def test_batch_from_the_critical_batch_law() -> None:
    """Without a global batch: the power of two of sequences nearest to the critical batch, named as an assumption."""
    question = change(
        QUESTION, architecture=preset("llama-3.1-70b"), tokens=15e12, seq_len=8192, global_batch_seqs=None
    )
    answer = _plan(change(question, gpu_counts=(512,)))
    assert answer.chosen is not None
    # Loss 1.68 at 69.5 B parameters and 15 T tokens; 2.1e8 / 1.68^(1 / 0.21) = 17.6 M tokens; / 8192 = 2,150.
    assert answer.chosen.global_batch_seqs == answer.question.global_batch_seqs == 2048
    assert answer.assumptions[0].name == "global batch"
    assert "kaplan2020" in answer.assumptions[0].source


def test_stack_limits_schedules() -> None:
    """The search proposes only schedules that a stack ships, unless told otherwise."""
    assert {c.schedule for c in _plan(QUESTION).frontier} <= {"none", "1f1b", "interleaved"}
    forced = _plan(change(QUESTION, fixed={"schedule": "zb-h1", "pp": 2})).chosen
    assert forced is not None
    assert forced.schedule == "zb-h1"
    assert all(set(names) <= set(SCHEDULES) for names in STACK_SCHEDULES.values())


SMALL = change(QUESTION, gpu_counts=(8, 16), fixed={"cp": 1, "micro_batch": 2})
prices = st.floats(1e-4, 1e-2)


@settings(max_examples=15)
@given(first=prices, second=prices, days=st.floats(5.0, 60.0))
def test_twice_the_price_twice_the_bill(first: float, second: float, days: float) -> None:
    """Doubling every price doubles every bill and changes no plan."""
    question = change(SMALL, deadline_s=days * DAY)

    def at(factor: float) -> Answer:
        return _plan(
            change(
                question,
                options=(_option("h100-sxm5-80gb", factor * first), _option("a100-sxm4-80gb", factor * second)),
            )
        )

    once, twice = at(1.0), at(2.0)
    assert [_cost(c) * 2 for c in once.frontier] == [_cost(c) for c in twice.frontier]
    assert (once.chosen is None) == (twice.chosen is None)
    if once.chosen is not None and twice.chosen is not None:
        assert _cost(twice.chosen) == 2 * _cost(once.chosen)
        assert _key(_layout(once.chosen)) == _key(_layout(twice.chosen))


@settings(max_examples=15)
@given(price=prices, days=st.floats(5.0, 60.0), count=st.sampled_from([4, 24, 32]))
def test_one_more_option_never_worsens_the_optimum(price: float, days: float, count: int) -> None:
    """Another option, or another GPU count, leaves the cheapest plan as cheap or makes it cheaper."""
    question = change(SMALL, deadline_s=days * DAY)
    before = _cost(_plan(question).chosen)
    option = change(H200, median_usd_per_s=price)
    assert _cost(_plan(change(question, options=(*question.options, option))).chosen) <= before
    assert _cost(_plan(change(question, gpu_counts=(*question.gpu_counts, count))).chosen) <= before


@pytest.mark.parametrize("order", list(itertools.permutations((H100, A100, H200)))[1:])
def test_order_of_options_does_not_matter(order: tuple[Option, ...]) -> None:
    """Permuting the options, and the GPU counts, leaves choice, frontier and alternatives as they are."""
    first = _plan(change(SMALL, options=(H100, A100, H200)))
    other = _plan(change(SMALL, options=order, gpu_counts=(16, 8)))
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
    before = _pool(question).run_s
    after = _pool(change(question, options=(change(H100, accelerator=faster, fabric=fabric),))).run_s
    assert len(before) == len(after) > 100
    fits = ~np.isnan(before)
    assert (after[fits] <= before[fits] * (1 + 1e-9)).all()


@settings(max_examples=10)
@given(days=st.floats(5.0, 60.0), factor=st.floats(1.0, 3.0))
def test_more_time_is_never_dearer(days: float, factor: float) -> None:
    """A later deadline leaves the cheapest plan as cheap or makes it cheaper, and every plan meets its deadline."""
    tight = _plan(change(SMALL, deadline_s=days * DAY)).chosen
    loose = _plan(change(SMALL, deadline_s=factor * days * DAY)).chosen
    assert _cost(loose) <= _cost(tight)
    assert tight is None or tight.days <= days


def test_sharding_saves_memory() -> None:
    """Each stage of sharding holds no more than the one before, in every layout that has both."""
    (result,) = _pool(change(SMALL, options=(H100,), fit_probability=1e-30, fixed={"pp": 1})).results
    rows = [result.tables.layouts.row(k) for k in range(len(result.peak_bytes))]
    peak = {_key(row): float(p) for row, p in zip(rows, result.peak_bytes, strict=True)}
    checked = 0
    for row in rows:
        place = SHARDINGS.index(str(row["sharding"]))
        less = _key(row | {"sharding": SHARDINGS[place - 1]})
        if place and less in peak and SHARDINGS[place] != "zero3":  # zero3 holds gathered blocks beside its shard
            assert peak[_key(row)] <= peak[less]
            checked += 1
    assert checked > 100
