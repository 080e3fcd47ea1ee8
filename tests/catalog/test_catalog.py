"""The catalogue object: look-ups, market prices, the user's own files, and what `check` finds."""

import datetime
from pathlib import Path

import pytest

from isocost.catalog import Finding, check, load_catalog
from isocost.errors import DataError, InputError

CATALOG = load_catalog()
TODAY = datetime.date(2026, 11, 22)
QUOTE = """
[[offer]]
accelerator = "h100-sxm5-80gb"
provider = "example-cloud"
region = "eu"
instance = "8-GPU HGX"
gpus_per_instance = 8
term = "quote"
price = "1.95 USD/gpu/h"
as_of = 2026-11-03
source = "our quote of 3 November"
grade = "reported"
"""


def _offer(**change: str) -> str:
    """Return the quote with some of its lines replaced; an empty value drops the line."""
    lines = {line.split(" = ")[0]: line for line in QUOTE.strip().splitlines()}
    lines |= {key: f"{key} = {value}" if value else "" for key, value in change.items()}
    return "\n".join(lines.values()) + "\n"


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nearest_spelling() -> None:
    """An unknown accelerator is an input error with the nearest id and how to add it."""
    with pytest.raises(InputError) as caught:
        CATALOG.accelerator("h100-sxm-80gb")
    assert str(caught.value) == (
        "accelerator: 'h100-sxm-80gb' is not in the catalogue; did you mean h100-sxm5-80gb?; "
        "fix: isocost catalog list, or add [accelerator.h100-sxm-80gb] to your own catalogue file"
    )


@pytest.mark.parametrize(
    ("look_up", "name", "near"), [("node", "hgx-h100", "hgx-h100-8"), ("fabric", "ib400", "ib-400")]
)
def test_nearest_spelling_of_other_records(look_up: str, name: str, near: str) -> None:
    """Nodes and fabrics are looked up in the same way."""
    with pytest.raises(InputError) as caught:
        getattr(CATALOG, look_up)(name)
    assert caught.value.problems[0].nearest == near


def test_ids_are_read_without_regard_to_case_and_blanks() -> None:
    """`H100-SXM5-80GB ` finds the chip; offers too."""
    assert CATALOG.accelerator(" H100-SXM5-80GB ").id == "h100-sxm5-80gb"
    assert CATALOG.offers_for("H100-SXM5-80GB") == CATALOG.offers_for("h100-sxm5-80gb") != ()


def test_an_accelerator_without_known_network_names_the_missing_fact() -> None:
    """Trainium3 has no NIC figure: asking for its fabric says where to add one."""
    with pytest.raises(InputError, match=r"no network is known for trainium3; fix: .*\[accelerator.trainium3\]"):
        CATALOG.fabric_of(CATALOG.accelerator("trainium3"))


def test_market_price_by_hand() -> None:
    """H200 on demand: 3.39, 3.5, 4.29, 8.5054 and 10; AWS's older list and CoreWeave's recalled price are left out."""
    offer = CATALOG.reference_offer("h200-sxm-141gb")
    assert offer is not None
    hourly = [usd * 3600 for usd in (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s)]
    assert hourly == pytest.approx([3.39, 4.29, 10.0], rel=1e-12)
    assert offer.contributors == (
        "h200-sxm-141gb:aws:on_demand:2026",
        "h200-sxm-141gb:crusoe:on_demand:2025-12",
        "h200-sxm-141gb:nebius:on_demand:2025-10",
        "h200-sxm-141gb:oci:on_demand:2026",
        "h200-sxm-141gb:verda:on_demand:2026",
    )
    assert (offer.quotes, offer.fact.grade, offer.fact.as_of) == (29, "derived", "2026")


def test_market_price_of_one_provider_keeps_its_range() -> None:
    """A100-40 spot is listed by AWS alone: low and high are those over its zones."""
    offer = CATALOG.reference_offer("a100-sxm4-40gb", "spot")
    assert offer is not None
    hourly = [usd * 3600 for usd in (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s)]
    assert hourly == pytest.approx([0.3082, 1.015, 1.2839], rel=1e-12)


def test_market_price_falls_back_on_recollection_and_says_so() -> None:
    """Trainium1 on demand is known from memory only: it is priced, and marked."""
    offer = CATALOG.reference_offer("trainium1")
    assert offer is not None
    assert offer.fact.from_memory == ("price",)


def test_disputed_prices_make_no_market() -> None:
    """TPU v3 spot is listed above on-demand, which cannot be: there is no market price of it."""
    assert len(CATALOG.offers_for("tpu-v3", "spot")) == 2
    assert CATALOG.reference_offer("tpu-v3", "spot") is None


def test_no_offer_is_no_price() -> None:
    """An accelerator nobody lists has no price rather than a guess."""
    assert CATALOG.reference_offer("h20-96gb") is None


def test_a_private_quote(tmp_path: Path) -> None:
    """A user's offer needs no bibliography: its source is plain words, its date a TOML date."""
    catalog = load_catalog(_write(tmp_path, QUOTE))
    (offer,) = catalog.offers_for("h100-sxm5-80gb", "quote")
    assert offer.median_usd_per_s * 3600 == pytest.approx(1.95, rel=1e-12)
    assert offer.fact.sources == ("our quote of 3 November",)
    assert (offer.id, offer.fact.as_of) == ("h100-sxm5-80gb:example-cloud:quote:2026-11-03", "2026-11-03")
    assert catalog.source("our quote of 3 November") is None
    assert len(catalog.offers) == len(CATALOG.offers) + 1
    assert len(load_catalog().offers) == 186


def test_an_overlay_replaces_a_record_as_a_whole(tmp_path: Path) -> None:
    """A node of a known id takes the place of the shipped one; a new chip may use it; the rest stands."""
    text = """
[node.hgx-h100-8]
name = "ours"
gpus_per_node = 8
scaleup_domain = 8
topology = "switch"
scaleup_latency = "2 us"
power_over_tdp = 1.7
source = "our meter"
as_of = "2026-10"
grade = "measured"

[source.our-lab]
author = "Lab"
title = "Notes"
year = 2026
url = "https://example.com"
"""
    catalog = load_catalog(_write(tmp_path, text))
    node = catalog.node_of(catalog.accelerator("h100-sxm5-80gb"))
    assert (node.name, node.power_over_tdp, node.accelerator_price_frac) == ("ours", 1.7, None)
    assert catalog.node("hgx-b200-8") is CATALOG.node("hgx-b200-8")
    source = catalog.source("our-lab")
    assert source is not None
    assert source.title == "Notes"


def test_later_overlays_win(tmp_path: Path) -> None:
    """Of two files with an offer of the same id, the later one counts."""
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(_offer(id='"ours"'), encoding="utf-8")
    second.write_text(_offer(id='"ours"', price='"1.80 USD/gpu/h"'), encoding="utf-8")
    (offer,) = load_catalog(first, second).offers_for("h100-sxm5-80gb", "quote")
    assert offer.median_usd_per_s * 3600 == pytest.approx(1.8, rel=1e-12)


def test_references_to_nothing_are_refused_together(tmp_path: Path) -> None:
    """An offer for an unknown chip is refused with the nearest id; both offers are reported."""
    path = _write(tmp_path, _offer(accelerator='"h100-sxm5-80g"') + _offer(accelerator='"zzz"'))
    with pytest.raises(DataError) as caught:
        load_catalog(path)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: offer[0].accelerator: 'h100-sxm5-80g' is not in the catalogue; did you mean h100-sxm5-80gb?",
        f"{path}: offer[1].accelerator: 'zzz' is not in the catalogue",
    ]


def test_check_finds_what_is_weak() -> None:
    """Old prices are stale, impossible ones disputed, recalled and missing figures named, unpriced chips listed."""
    found = check(CATALOG, TODAY)
    texts = {(finding.kind, finding.subject): finding.message for finding in found}
    assert texts["stale", "offer h100-sxm5-80gb:aws:spot:2026"] == "as of 2026, 325 days old (more than 180)"
    assert (
        texts["disputed", "offer tpu-v3:gcp:spot:2026-08-19"] == "listed spot exceeds on-demand in this hand-kept file"
    )
    assert texts["from_memory", "accelerator a100-sxm4-80gb"] == "not read in a source: scaleup_domain"
    assert texts["missing", "accelerator tpu-v5p"] == "unknown: tdp"
    assert ("unpriced", "accelerator h20-96gb") in texts
    assert ("unpriced", "accelerator h100-sxm5-80gb") not in texts
    assert not any(finding.kind == "future" for finding in found)
    assert len([f for f in found if f.kind == "disputed" and f.subject == "accelerator b300-sxm-288gb"]) == 4


def test_check_depends_on_the_day() -> None:
    """A price is fresh for 180 days, stale on the 181st, and odd before it was made."""
    subject, made = "offer b200-sxm-180gb:crusoe:on_demand:2026-08-19", datetime.date(2026, 8, 19)

    def kinds(days: int) -> set[str]:
        findings = check(CATALOG, made + datetime.timedelta(days=days))
        return {finding.kind for finding in findings if finding.subject == subject}

    assert (kinds(0), kinds(180), kinds(181), kinds(-1)) == (set(), set(), {"stale"}, {"future"})


def test_check_of_a_private_catalogue(tmp_path: Path) -> None:
    """Overlaid facts are checked with the shipped ones."""
    catalog = load_catalog(_write(tmp_path, _offer(from_memory='["price"]')))
    subject = "offer h100-sxm5-80gb:example-cloud:quote:2026-11-03"
    assert Finding(kind="from_memory", subject=subject, message="not read in a source: price") in check(catalog, TODAY)
