"""Train now or wait: the next chip from the catalogue, trends with dates, break-even, and what is refused."""

from __future__ import annotations

import json

import pytest

import isocost
from isocost.catalog import load_catalog
from isocost.cli import run
from isocost.errors import InputError
from isocost.units import YEAR_S
from isocost.verbs.tco.wait import BuyOrWait

CATALOG = load_catalog()
RUN = {"model": "llama-3.1-8b", "tokens": "200 B", "seq_len": 8192, "global_batch": 512, "gpus": 128}


def _waiting(on: str, **asked: str) -> BuyOrWait:
    found = isocost.tco({**RUN, "on": on}, years=(3,), **asked).wait
    assert found is not None
    return found


def test_the_next_generation_is_planned() -> None:
    """After the H100 comes the B200, at the ratio of today's prices, as much faster as its own estimate says."""
    found = _waiting("h100-sxm5-80gb", wait="6 months")
    assert found.next.name == "b200-sxm-180gb"
    prices = [CATALOG.reference_offer(chip) for chip in ("h100-sxm5-80gb", "b200-sxm-180gb")]
    assert prices[0] is not None
    assert prices[1] is not None
    assert found.next.price_ratio == pytest.approx(prices[1].median_usd_per_s / prices[0].median_usd_per_s, rel=1e-12)
    days = [isocost.estimate({**RUN, "on": chip}).answer.forecast for chip in ("h100-sxm5-80gb", "b200-sxm-180gb")]
    assert days[0] is not None
    assert days[1] is not None
    medians = [o.quantiles()["days"]["p50"] for o in days if o is not None]
    assert found.next.speedup == pytest.approx(medians[0] / medians[1], rel=1e-9)
    assert found.answer.today is not None
    assert found.answer.today.done_s == pytest.approx(medians[1] * 86400, rel=1e-9)


def test_beyond_the_catalogue_the_last_step_is_repeated() -> None:
    """After the B200 comes a chip as much better as the B200 over the H100, in arithmetic and price, and it says so."""
    found = _waiting("b200-sxm-180gb", wait="12 mo")
    assert found.inputs.wait_s == YEAR_S
    chips = [CATALOG.accelerator(chip) for chip in ("h100-sxm5-80gb", "b200-sxm-180gb")]
    assert found.next.speedup == pytest.approx((chips[1].bf16_flop_per_s or 0) / (chips[0].bf16_flop_per_s or 1))
    assert not found.next.sold_today
    assert found.answer.today is None
    assert "a step as large as that from h100-sxm5-80gb (2022 to 2024) is assumed" in found.next.why


def test_prices_go_both_ways_by_dated_trends() -> None:
    """Nine futures: prices that fall, go on and rise by dated facts, a chip on time, late, and the same."""
    found = _waiting("h100-sxm5-80gb", wait="1 year", late="3 months")
    assert [(s.prices, s.chip) for s in found.answer.scenarios] == [
        (prices, chip)
        for prices in ("falls", "likely", "rises")
        for chip in ("next chip on time", "next chip late", "same chip")
    ]
    old = CATALOG.rate("trend", "rent-old-chip")
    same = next(s for s in found.answer.scenarios if (s.prices, s.chip) == ("falls", "same chip"))
    assert float(same.bill_usd) == pytest.approx(float(found.answer.now_usd) * old.low, rel=1e-12)
    text = "\n".join(part for part in found.section().body if isinstance(part, str))
    for dated in ("2026-05", "-30%, -15%, +5% a year", "-20%, +0%, +100% a year"):
        assert dated in text


def test_at_the_tie_both_cost_the_same() -> None:
    """At the stated change of price a year, waiting costs what training now costs, the value of time included."""
    tables = {**RUN, "on": "h100-sxm5-80gb", "programme": {"value_of_time": "10 USD/day"}}
    found = isocost.tco(tables, years=(3,), wait="1 year").wait
    assert found is not None
    on_time = found.answer.scenarios[0]
    ratio = float(on_time.tie_yearly_ratio)
    bill = float(found.answer.now_usd) / found.next.speedup * found.next.price_ratio * ratio
    later = float(on_time.done_s) - float(found.answer.now_done_s)
    assert bill + later * 10 / 86400 == pytest.approx(float(found.answer.now_usd), rel=1e-9)


def test_what_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A wait of text, of no time, a chip without a price and the chip of the plan: errors with a fix, exit code 2."""
    with pytest.raises(InputError, match="wait") as caught:
        _waiting("h100-sxm5-80gb", wait="soon", late="-1 d")
    assert [problem.path for problem in caught.value.problems] == ["wait", "late"]
    with pytest.raises(InputError, match="1 day to 10 years"):
        _waiting("h100-sxm5-80gb", wait="1 h")
    with pytest.raises(InputError, match="is the chip of the plan"):
        _waiting("h100-sxm5-80gb", wait="1 year", next_chip="h100-sxm5-80gb")
    with pytest.raises(InputError, match="has no on-demand price"):
        _waiting("h100-sxm5-80gb", wait="1 year", next_chip="h100-sxm-96gb-hbm2e-500w")
    assert run(["tco", "examples/qwen3-30b-a3b.toml", "--wait", "6 months", "--next-chip", "b2000"]) == 2
    assert "--next-chip: 'b2000' is not in the catalogue" in capsys.readouterr().err


def test_json_has_every_future(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON of the command holds the futures with their ties, and the trends they follow."""
    assert run(["tco", "examples/qwen3-30b-a3b.toml", "--wait", "6 months", "--format", "json"]) == 0
    wait = json.loads(capsys.readouterr().out)["wait"]
    assert wait["wait_s"] == wait["late_s"] == YEAR_S / 2
    assert len(wait["scenarios"]) == 9
    assert set(wait["yearly_price_ratio"]) == {"falls", "likely", "rises"}
    assert all(set(s) >= {"bill_usd", "done_s", "saved_usd", "tie_usd_per_day"} for s in wait["scenarios"])
