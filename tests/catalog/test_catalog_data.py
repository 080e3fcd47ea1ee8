"""The shipped facts: how many there are, the figures people check first, and that they hang together."""

import tomllib
from pathlib import Path

import pytest

from isocost.catalog import Accelerator, load_catalog, load_sources, peak
from isocost.catalog.records import GRADES, PRECISIONS, TERMS
from isocost.errors import InputError

DATA = Path(__file__).parents[2] / "src" / "isocost" / "data"
CATALOG = load_catalog()
FACTS = [
    *(chip.fact for chip in CATALOG.accelerators.values()),
    *(node.fact for node in CATALOG.nodes.values()),
    *(fabric.fact for fabric in CATALOG.fabrics.values()),
    *(offer.fact for offer in CATALOG.offers),
    *(rate.fact for rate in CATALOG.rates.values()),
]
every_accelerator = pytest.mark.parametrize("chip", CATALOG.accelerators.values(), ids=lambda chip: chip.id)


def test_counts() -> None:
    """All 42 accelerators of the collected table and the custom H100, and all 186 prices, are shipped."""
    assert len(CATALOG.accelerators) == 43
    assert len(CATALOG.offers) == 186
    assert len({offer.id for offer in CATALOG.offers}) == 186


def test_every_file_has_the_records_of_its_tables() -> None:
    """No table of a fact file is dropped, or overwritten by one of the same name in another file."""
    tables = {name: tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8")) for name in ("nodes", "fabrics")}
    assert list(CATALOG.nodes) == list(tables["nodes"]["node"])
    assert list(CATALOG.fabrics) == list(tables["fabrics"]["fabric"])


def test_h100_sxm() -> None:
    """The H100 SXM5: 989.4 TFLOP/s dense bf16, 3.35 TB/s, 80 GiB, 450 GB/s each way among 8, 400 Gb/s out, 700 W."""
    chip = CATALOG.accelerator("h100-sxm5-80gb")
    assert chip.bf16_flop_per_s == pytest.approx(989.4e12, rel=1e-12)
    assert chip.fp8_flop_per_s == pytest.approx(1978.9e12, rel=1e-12)
    assert (chip.memory_bytes, chip.hbm_bytes_per_s) == (80 * 2**30, 3.35e12)
    assert (chip.scaleup_bytes_per_s, chip.scaleup_domain, chip.nic_bytes_per_s) == (450e9, 8, 50e9)
    assert (chip.tdp_w, chip.sms) == (700.0, 132)
    assert CATALOG.node_of(chip).gpus_per_node == 8
    assert CATALOG.fabric_of(chip).id == "ib-400"


def test_b200() -> None:
    """The B200: 2.25 PFLOP/s bf16, 4.5 fp8 and mxfp8, 9 nvfp4; 180 GiB usable at 7.7 TB/s; 900 GB/s each way."""
    chip = CATALOG.accelerator("b200-sxm-180gb")
    rates = [peak(chip, precision)[0] for precision in ("bf16", "fp8", "mxfp8", "nvfp4")]
    assert rates == [2.25e15, 4.5e15, 4.5e15, 9e15]
    assert (chip.memory_bytes, chip.hbm_bytes_per_s, chip.scaleup_bytes_per_s) == (180 * 2**30, 7.7e12, 900e9)


def test_b300_memory_is_the_visible_one() -> None:
    """The B300 is sold as 288 GB and shows 275,040 MiB: the planner gets what can be allocated."""
    assert CATALOG.accelerator("b300-sxm-288gb").memory_bytes == 275_040 * 2**20


def test_the_custom_h100_is_not_an_sxm5() -> None:
    """The part of the torchtitan pages has 96 GiB at 2.4 TB/s under a 500 W cap."""
    chip = CATALOG.accelerator("h100-sxm-96gb-hbm2e-500w")
    assert (chip.memory_bytes, chip.hbm_bytes_per_s, chip.tdp_w) == (96 * 2**30, 2.4e12, 500.0)


def test_nvl72_spans_hosts() -> None:
    """A GB200 NVL72 tray holds 4 GPUs, and NVLink joins 72."""
    node = CATALOG.node_of(CATALOG.accelerator("gb200-nvl72"))
    assert (node.gpus_per_node, node.scaleup_domain, node.topology) == (4, 72, "switch")


@every_accelerator
def test_accelerator_hangs_together(chip: Accelerator) -> None:
    """Node and fabric exist, agree with the chip on domain and NIC, and narrower formats are never slower."""
    assert CATALOG.node_of(chip).scaleup_domain == chip.scaleup_domain
    if chip.fabric is None:
        assert chip.nic_bytes_per_s is None
    else:
        assert CATALOG.fabric_of(chip).bytes_per_s == chip.nic_bytes_per_s
    assert chip.bf16_flop_per_s is not None or chip.fp16_flop_per_s is not None
    ladder = [chip.fp32_flop_per_s, chip.bf16_flop_per_s, chip.fp8_flop_per_s, chip.nvfp4_flop_per_s]
    known = [rate for rate in ladder if rate is not None]
    assert known == sorted(known)


def test_peak_of_an_absent_precision_says_what_there_is() -> None:
    """A V100 has no bf16: the answer is no rate, and a reason that names fp16."""
    reason = "no bf16 rate is known for V100 SXM2 32GB; known: fp16"
    assert peak(CATALOG.accelerator("v100-sxm2-32gb"), "bf16") == (None, reason)
    assert peak(CATALOG.accelerator("h100-sxm5-80gb"), "mxfp8")[0] is None


def test_peak_of_a_misspelt_precision_names_the_nearest() -> None:
    """A precision nobody knows is an input error with the nearest spelling, not a missing rate."""
    with pytest.raises(InputError) as caught:
        peak(CATALOG.accelerator("h100-sxm5-80gb"), "mxpf8")
    allowed = ", ".join(PRECISIONS)
    assert str(caught.value) == f"precision: 'mxpf8' is unknown; allowed: {allowed}; did you mean mxfp8?"


def test_every_shipped_fact_has_a_source_in_the_bibliography() -> None:
    """In shipped files a source is a key of sources.toml, never free text; grades and terms are the stated ones."""
    keys = load_sources().keys()
    assert {source for fact in FACTS for source in fact.sources} - keys == set()
    assert {fact.grade for fact in FACTS} <= set(GRADES)
    assert {offer.term for offer in CATALOG.offers} == set(TERMS) - {"quote", "owned"}


def test_facts_sourced_from_memory_are_estimates_that_say_so() -> None:
    """A fact with no source but recollection has grade estimate and lists its recalled fields; 12 prices are such."""
    recalled = [fact for fact in FACTS if fact.sources == ("memory",)]
    assert {fact.grade for fact in recalled} == {"estimate"}
    assert all(fact.from_memory for fact in recalled)
    assert len([offer for offer in CATALOG.offers if offer.fact.from_memory]) == 12


def test_the_bibliography_is_complete() -> None:
    """Papers used in formulas are there under their keys, and every entry has an address."""
    sources = load_sources()
    assert sources["korthikanti2022"].url == "https://arxiv.org/abs/2205.05198"
    assert sources["qi2024"].year == 2024
    assert all(source.url.startswith(("https://", "docs/")) for source in sources.values())


def test_every_offer_is_for_a_known_accelerator_or_declared_priced_only() -> None:
    """Only TPU v2 and the PCIe V100 are priced without a record of the chip."""
    unknown = {offer.accelerator for offer in CATALOG.offers} - CATALOG.accelerators.keys()
    assert unknown == CATALOG.priced_only == {"tpu-v2", "v100-pcie-16gb"}


def test_a_price_as_listed() -> None:
    """AWS p5.48xlarge spot: 1.28, 2.2036 and 6.0143 USD per GPU-hour over 21 zones."""
    (offer,) = (o for o in CATALOG.offers_for("h100-sxm5-80gb", "spot") if o.provider == "aws")
    hourly = [usd * 3600 for usd in (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s)]
    assert hourly == pytest.approx([1.28, 2.2036, 6.0143], rel=1e-12)
    assert (offer.quotes, offer.instance, offer.gpus_per_instance) == (21, "p5.48xlarge", 8)


def test_fabrics_cover_50_to_800_gbit() -> None:
    """InfiniBand and RoCE come at 50 to 800 Gb/s per GPU: rail-optimised and non-blocking, or 2:1 oversubscribed."""
    for kind in ("ib", "roce"):
        for gbit in (50, 100, 200, 400, 800):
            plain, thin = CATALOG.fabric(f"{kind}-{gbit}"), CATALOG.fabric(f"{kind}-{gbit}-os2")
            assert plain.bytes_per_s == thin.bytes_per_s == gbit * 1e9 / 8
            assert (plain.rail_optimised, plain.tiers[-1].oversubscription) == (True, 1.0)
            assert (thin.rail_optimised, thin.tiers[-1].oversubscription) == (False, 2.0)


def test_tier_by_reach() -> None:
    """A group crosses the nearest tier that reaches all of it: on ib-400 a rail leaf joins 256 GPUs."""
    fabric = CATALOG.fabric("ib-400")
    assert fabric.tier(256) is fabric.tiers[0]
    assert fabric.tier(257) is fabric.tiers[1]
    assert fabric.tier(10**6) is fabric.tiers[2]


def test_energy_and_building() -> None:
    """Hyperscale PUE 1.06 to 1.15; GPU servers draw 60 to 90 % of maximum; US industrial power 8.26 US cents a kWh."""
    pue, draw, power = CATALOG.rate("pue", "hyperscale"), CATALOG.rate("draw", "gpu"), CATALOG.rate("electricity", "us")
    assert (pue.low, pue.median, pue.high) == (1.06, 1.1, 1.15)
    assert (draw.low, draw.median, draw.high) == (0.6, 0.75, 0.9)
    assert power.median * 3.6e6 == pytest.approx(0.0826, rel=1e-12)
    assert power.low == power.median == power.high
