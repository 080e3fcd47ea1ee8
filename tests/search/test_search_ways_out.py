"""Where no layout will do: what would have to give, and estimates of what was asked for all the same."""

from __future__ import annotations

import dataclasses
import re

import pytest
from samples.search_cases import (
    A100,
    CATALOG,
    CONSTANTS,
    DAY,
    H100,
    QUESTION,
    change,
    cost_of,
    fields_of,
    plan_of,
)

from isocost.errors import InputError
from isocost.search import Answer, Question, estimate
from isocost.workload.presets import preset


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
    fastest = plan_of(change(QUESTION, options=(H100,))).frontier[0]
    if relax is _budget_missed:
        question = change(QUESTION, options=(H100,), deadline_s=fastest.run_s * 1.01, budget_usd=0.8 * cost_of(fastest))
    else:
        question = change(QUESTION, options=(H100,), deadline_s=fastest.run_s * 0.9)
    answer = plan_of(question)
    assert answer.chosen is None
    assert plan_of(relax(question, answer)).chosen is not None


def test_model_that_does_not_fit_says_what_is_missing() -> None:
    """Nothing fits: the bytes that are missing, the values to change in a fixed layout, and how many GPUs would do."""
    fixed = {"tp": 1, "pp": 1, "cp": 1, "ep": 1, "recompute": "none", "sharding": "none"}
    question = change(
        QUESTION, architecture=preset("llama-3.1-8b"), seq_len=8192, options=(H100,), gpu_counts=(8,), fixed=fixed,
        global_batch_seqs=64,
    )  # fmt: skip
    answer = plan_of(question)
    assert answer.chosen is None
    assert set(answer.rejected) == {"memory"}
    assert re.match(r"needs [\d.]+ GiB per GPU of 79\.2 on h100-sxm5-80gb \(8 GPUs, tp 1, pp 1", answer.relaxations[0])
    advice = answer.relaxations[1].removeprefix("use ").split(", or ")
    assert advice
    for text in advice:
        name, value = text.split(" ") if " " in text else (text, "")
        released = {k: v for k, v in fixed.items() if k != name}
        assert plan_of(change(question, fixed={**released, name: int(value) if value.isdigit() else value})).chosen


def test_count_without_a_legal_layout_names_the_nearest() -> None:
    """A prime GPU count has no layout for this batch: the answer says which rules forbid it and which counts do."""
    answer = plan_of(change(QUESTION, gpu_counts=(13,)))
    assert answer.chosen is None
    assert answer.layouts_considered == 0
    assert "batch not divisible by dp" in answer.illegal
    assert answer.relaxations == ("use 12 or 16 GPUs",)


def test_precision_that_no_option_has_is_the_reason() -> None:
    """Where no accelerator has the precision, the answer says so, and does not blame the layouts."""
    answer = plan_of(change(QUESTION, options=(A100,), precisions=("fp8",)))
    assert answer.chosen is None
    assert answer.why == "no fp8 rate is known for A100 SXM4 80GB; known: bf16, fp16"
    both = plan_of(change(QUESTION, precisions=("fp8",), gpu_counts=(13,)))
    assert both.why.startswith("no layout is legal: ")


def test_estimate_is_the_plan_of_that_layout() -> None:
    """Every figure of a chosen plan comes out again when its layout is fixed."""
    chosen = plan_of(QUESTION).chosen
    assert chosen is not None
    names = ("tp", "pp", "vp", "cp", "ep", "micro_batch", "sequence_parallel", "recompute", "sharding", "schedule")
    fixed = {name: getattr(chosen, name) for name in names}
    question = change(QUESTION, options=(chosen.option,), gpu_counts=(chosen.gpus,), fixed=fixed)
    again = estimate(question, CATALOG, CONSTANTS)
    assert fields_of(again).keys() == fields_of(chosen).keys()
    for name, value in fields_of(chosen).items():
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
