"""Two offers for one run: the shipped pairs, shares that add up, and where the run's time goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.scenario import KEYS
from isocost.units import parse
from isocost.verbs.compare.answer import GROUPS, SAME, Comparison

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def story() -> Comparison:
    """Return the 8,192-GPU story."""
    return isocost.compare(EXAMPLES / "purpose-built.toml", EXAMPLES / "conventional.toml")


def test_the_story_of_8192_gpus(story: Comparison) -> None:
    """4 days to target throughput against none by week 3: 17 d x 8,192 GPUs, 3.34 M GPU-hours, $6.7M at $2."""
    gap = story.b.bring_up_s - story.a.bring_up_s
    assert (story.a.bring_up_s, story.b.bring_up_s) == (4 * 86400, 21 * 86400)
    hours = gap / 3600 * 8192
    assert hours == pytest.approx(3.34e6, rel=2e-3)
    assert hours * 2.0 == pytest.approx(6.7e6, rel=5e-3)
    assert "17 d x 8,192 GPUs = 3.34 M GPU-hours, $6.68M" in " ".join(story.table().split())
    assert (1 - story.a.available_frac) * 8760 * 60 == pytest.approx(26.3, abs=0.05)
    assert not story.premium.commodity_is_fine


def test_shares_add_up_to_the_whole(story: Comparison) -> None:
    """Shapley shares of days and dollars sum to the difference of the two plans."""
    assert story.days is not None
    assert story.cost is not None
    assert sum(float(x) for x in story.days.shares.values()) == pytest.approx(story.b.days - story.a.days, rel=1e-9)
    assert sum(float(x) for x in story.cost.shares.values()) == pytest.approx(
        story.b.cost_usd - story.a.cost_usd, rel=1e-9
    )
    assert set(story.differs) == set(GROUPS)


def test_at_the_break_even_price_both_cost_the_same(story: Comparison) -> None:
    """The premium is the price at which the better offer's bill is the plain one's."""
    fast, slow = story.a.offered(0.0), story.b.offered(0.0)
    at = float(story.premium.break_even_usd_per_s) * fast.accelerator_s + fast.other_usd
    assert at == pytest.approx(slow.total_usd, rel=1e-12)


def test_tuning_from_2383_to_5020_percent() -> None:
    """Steps take 0.4747 of the time, 19.0 and 9.0 days at 100 % goodput, 1,114 and 2,346 tokens/s/GPU."""
    found = isocost.compare(EXAMPLES / "untuned.toml", EXAMPLES / "tuned.toml")
    before, after = found.a.plan.answer.chosen, found.b.plan.answer.chosen
    assert before is not None
    assert after is not None
    assert after.compute_s / before.compute_s == pytest.approx(0.4747, abs=5e-5)
    assert before.compute_s / 86400 == pytest.approx(19.0, abs=0.1)
    assert after.compute_s / 86400 == pytest.approx(9.0, abs=0.1)
    assert before.tokens_per_s_per_gpu == pytest.approx(1114, abs=1)
    assert after.tokens_per_s_per_gpu == pytest.approx(2346, abs=2)
    assert found.days is not None
    assert list(found.days.shares) == ["tuning and support"]


def test_commodity_is_fine_where_it_is() -> None:
    """For a small exploratory run the dearer offer does not pay, and the answer says so."""
    found = isocost.compare(EXAMPLES / "exploratory-purpose-built.toml", EXAMPLES / "exploratory-commodity.toml")
    assert "commodity is fine here" in found.sentence
    assert found.premium.commodity_is_fine


def test_other_runs_are_refused() -> None:
    """Two offers are compared for one model and its data."""
    with pytest.raises(InputError, match="B: tokens: is not that of"):
        isocost.compare(EXAMPLES / "purpose-built.toml", {"model": "llama-3.1-70b", "tokens": "1 T"})
    with pytest.raises(InputError, match="B: model: is missing"):
        isocost.compare(EXAMPLES / "purpose-built.toml", {"tokens": "1 T"})
    grouped = {key for keys in GROUPS.values() for key in keys}
    assert not grouped & set(SAME)
    assert grouped < set(KEYS)


def test_what_is_wrong_with_both_offers_is_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Problems of both files in one list, each with its file; an offer without a plan is named, with the reason."""
    plain = 'model = "llama-3.1-8b"\ntokens = "1 T"\non = ["h100-sxm5-80gb"]\ngpus = 8\n'
    (a := tmp_path / "a.toml").write_text(plain + "[owned]\ninterest = 10\n", encoding="utf-8")
    (b := tmp_path / "b.toml").write_text(plain + '[facility]\navailability = "five nines"\n', encoding="utf-8")
    assert run(["compare", str(a), str(b)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"isocost: {a}: owned.interest: 10 is more than 1")
    assert second.startswith(f"isocost: {b}: facility.availability: 'five nines' is words")
    large = plain.replace("8b", "405b")
    a.write_text(large, encoding="utf-8")
    b.write_text(large + '[purchase]\nprice = "2 USD/gpu/h"\n', encoding="utf-8")
    assert run(["compare", str(a), str(b)]) == 4
    assert f"{a}: No estimate: no layout meets every limit" in capsys.readouterr().err


def test_equal_offers_come_to_the_same() -> None:
    """The same scenario twice: no premium, and no word of one being cheaper."""
    small = {"model": "llama-3.1-8b", "tokens": "10 B", "on": "h100-sxm5-80gb", "gpus": 64}
    found = isocost.compare(small, dict(small))
    assert float(found.premium.premium_usd_per_s) == 0.0
    assert found.verdict == "nothing that counts differs between the two: they come to the same"


def test_json_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line prints what Python returns."""
    pair = [str(EXAMPLES / f"exploratory-{name}.toml") for name in ("purpose-built", "commodity")]
    assert run(["compare", *pair, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["commodity_is_fine"] is True
    assert values["shares_usd"].keys() == values["differs"].keys()


def test_goodput_sums_to_the_wall_clock(capsys: pytest.CaptureFixture[str]) -> None:
    """Buckets sum to the wall clock to 1e-9; the interval is that of least loss, or the one given."""
    path = str(EXAMPLES / "llama-3.1-405b.toml")
    assert run(["goodput", path, "--checkpoint-interval", "auto", "--format", "json"]) == 0
    best = json.loads(capsys.readouterr().out)
    assert sum(best["buckets"].values()) == pytest.approx(best["wall_s"], rel=1e-9)
    saves = best["checkpoint"]
    assert saves["interval_s"] == pytest.approx(saves["exact_interval_s"], rel=1e-9)
    assert saves["young_interval_s"] == pytest.approx(saves["exact_interval_s"], rel=0.05)
    assert saves["needed_write_bytes_per_s"] == pytest.approx(saves["state_bytes"] / saves["interval_s"], rel=1e-12)
    given = isocost.goodput(path, checkpoint_interval="60 min")
    assert float(given.closed.interval_s) == parse("60 min", "s")
    assert float(given.closed.lost_work_s) > 5 * best["buckets"]["lost_work_s"]


def test_own_events_change_the_goodput(tmp_path: Path) -> None:
    """A quiet year of events raises goodput; events without a watched time are refused."""
    events = tmp_path / "events.csv"
    events.write_text("start,end,node,cause\n2026-03-02T04:10,2026-03-02T05:00,n17,gpu\n", encoding="utf-8")
    path = EXAMPLES / "llama-3.1-405b.toml"
    plain = isocost.goodput(path)
    own = isocost.goodput(path, events=events, watched_nodes="64", watched="365 d")
    assert float(own.closed.goodput) > float(plain.closed.goodput)
    with pytest.raises(InputError, match="watched_nodes"):
        isocost.goodput(path, events=events)
