"""Lead time and availability of an offer in a plan."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from isocost.errors import InputError
from isocost.verbs.plan.ask import planned

SMALL: dict[str, Any] = {
    "model": "llama-3.1-8b", "tokens": "100 B", "seq_len": 4096, "global_batch": 512, "stack": "megatron-core",
    "on": ["h100-sxm5-80gb"], "gpus": [64, 128, 256],
}  # fmt: skip
DAY = datetime.date(2027, 1, 4)


def ask(**changes: Any) -> Any:
    """Return a plan made on a fixed day."""
    return planned({**SMALL, **changes}, {}, today=DAY, tornado=False)


@pytest.mark.parametrize("deadline", ["60 d", "2027-03-05"])
def test_a_lead_time_comes_off_the_deadline(deadline: str) -> None:
    """A deadline counts from today, the run from hand-over: 42 of 60 days of lead time leave 18, and a note says so."""
    plan = ask(deadline=deadline, purchase={"lead_time": "42 d"})
    assert plan.answer.question.deadline_s == pytest.approx(18 * 86400)
    notes = {note.name: note.value for note in plan.assumptions()}
    assert "18 d are left to the deadline" in notes["lead time"]
    assert plan.answer.chosen.run_s <= 18 * 86400


def test_without_a_deadline_a_lead_time_changes_no_figure() -> None:
    """Days of a run count from hand-over: the same run, whenever it can begin."""
    one, other = (ask(purchase=given).answer.chosen for given in ({"lead_time": "42 d"}, None))
    assert (one.gpus, one.run_s, one.cost_usd) == (other.gpus, other.run_s, other.cost_usd)


def test_larger_counts_than_can_be_had_are_left_out() -> None:
    """Of 64, 128 and 256 GPUs, 200 leave two; where every default count is too large, all that there is is tried."""
    assert ask(purchase={"available": 200}).answer.question.gpu_counts == (64, 128)
    few = {key: value for key, value in SMALL.items() if key != "gpus"}
    plan = planned({**few, "purchase": {"available": 32}}, {}, today=DAY, tornado=False)
    assert plan.answer.question.gpu_counts == (32,)


def test_every_mistake_is_named_at_once() -> None:
    """A lead time past the deadline and fewer GPUs than any count are two lines; so are none and a negative time."""
    with pytest.raises(InputError) as late:
        ask(deadline="60 d", purchase={"lead_time": "60 d", "available": 32})
    assert [problem.path for problem in late.value.problems] == ["purchase.lead_time", "purchase.available"]
    with pytest.raises(InputError) as none:
        ask(purchase={"lead_time": "-1 d", "available": 0})
    assert [problem.message for problem in none.value.problems] == ["is negative", "is zero"]
