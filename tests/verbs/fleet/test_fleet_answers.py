"""The answer about a fleet: what it says of the examples, its formats, and what it refuses."""

from __future__ import annotations

import copy
import datetime
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.units import parse
from isocost.verbs.fleet.answer import FleetResult
from isocost.verbs.fleet.read import read_fleet

EXAMPLES = Path(__file__).parents[3] / "examples" / "fleet"
RUN = {"model": "llama-3.1-8b", "tokens": "5 B", "seq_len": 4096, "global_batch": 256, "gpus": [8, 16]}
OFFER = {"name": "plain", "accelerator": "h100-sxm5-80gb", "price": "2 USD/gpu/h", "available": 64}
SMALL: dict[str, Any] = {
    "start": "2027-01-04",
    "workload": [{"name": "sweep", "count": 6, "deadline": "8 weeks", "run": RUN}],
    "offer": [OFFER],
}


def small(**changes: Any) -> FleetResult:
    """Return the answer to a small fleet with changes of its workload (w_...) or offer (o_...)."""
    tables = copy.deepcopy(SMALL)
    for key, value in changes.items():
        kind, name = {"w": "workload", "o": "offer"}[key[0]], key[2:]
        tables[kind][0][name] = value
    return isocost.fleet(tables)


@pytest.fixture(scope="module")
def year() -> FleetResult:
    """Return the answer to the shipped example."""
    return isocost.fleet(EXAMPLES / "year.toml")


def test_the_example_adds_up(year: FleetResult) -> None:
    """The bill is that of the contracts; paid hours cover those at work at every week; the peak is in the weeks."""
    values = year.to_dict()
    assert sum(c["cost_usd"] for c in values["contracts"]) == pytest.approx(values["cost_usd"])
    assert sum(c["paid_gpu_hours"] for c in values["contracts"]) == pytest.approx(values["paid_gpu_hours"])
    assert sum(w["gpu_hours"] for w in values["workloads"]) == pytest.approx(values["useful_gpu_hours"])
    assert all(w["paid_gpus"] >= w["gpus"] for w in values["weeks"])
    assert max(w["gpus"] for w in values["weeks"]) == values["peak_gpus"]
    assert values["bound_usd"] <= values["cost_usd"]
    assert values["feasible"]


def test_every_workload_keeps_its_window(year: FleetResult) -> None:
    """Nothing begins before its time or before GPUs are handed over, nothing ends after it is due."""
    supplies = year.supplies
    for p in year.answered.packing.placements:
        assert p.start_s >= max(p.demand.from_s, supplies[p.shape.supply].ready_s)
        assert p.end_s <= p.demand.until_s + 1e-6


def test_runs_are_those_of_the_planner(year: FleetResult) -> None:
    """The large run is as long as isocost plan has it on so many GPUs, kept with the confidence of the fleet."""
    row = next(w for w in year.to_dict()["workloads"] if w["workload"] == "large run")
    plan = isocost.plan(
        EXAMPLES.parent / "llama-3.1-70b.toml", on=[year.supplies[1].accelerator], gpus=row["gpus_of_a_run"],
        deadline="1000 d", confidence="80 %",
    )  # fmt: skip
    forecast = plan.answer.forecast
    assert forecast is not None
    assert row["offer"] == "one year"
    days = forecast.quantiles()["days"]
    assert days["p75"] < row["run_s"] / 86400 < days["p90"]


@pytest.mark.parametrize("term", ["on_demand", "spot"])
def test_a_run_is_as_long_as_an_estimate_has_it(term: str) -> None:
    """At the median a run takes what isocost estimate says on the same GPUs under the same term, to the second."""
    sized = small(o_term=term).answered.plan_of("sweep")
    assert sized is not None
    plan = isocost.estimate({**RUN, "on": OFFER["accelerator"], "gpus": sized.gpus, "term": term})
    assert plan.answer.chosen is not None
    assert sized.first_s == pytest.approx(plan.answer.chosen.run_s, abs=1.0)


def test_what_binds_is_what_saves(year: FleetResult) -> None:
    """Each constraint named makes the bill smaller where it is eased; the bill with it eased is at least the work."""
    assert year.answered.bindings
    for b in year.answered.bindings:
        assert b.cost_usd + b.saved_usd == pytest.approx(year.answered.packing.cost_usd)
        assert b.saved_usd > 0


def test_a_way_out_is_one(year: FleetResult) -> None:
    """What the short example cannot do it says, leaves with 4, and its first way out makes room when it is taken."""
    short = isocost.fleet(EXAMPLES / "short.toml")
    assert [d.name for d in short.answered.packing.left_out] == ["large run"]
    way = next(w for w in short.answered.relaxations if w.name == "large run: due after 224 d")
    assert way.instead.endswith(" d later")
    days = int(way.instead.split()[0])
    text = (EXAMPLES / "short.toml").read_text(encoding="utf-8").replace("../", f"{EXAMPLES.parent}/")
    for more, feasible in ((days, True), (days - 1, False)):
        assert _taken(text.replace('deadline = "32 weeks"', f'deadline = "{32 * 7 + more} d"')) is feasible


def _taken(text: str) -> bool:
    return isocost.fleet(tomllib.loads(text)).feasible


def test_exit_codes_and_formats(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A fleet that works leaves with 0 in every format, one that does not with 4; JSON and CSV have the same places."""
    file = tmp_path / "fleet.json"
    file.with_suffix(".toml").write_text(_toml(SMALL), encoding="utf-8")
    path = str(file.with_suffix(".toml"))
    for form in ("table", "md", "html", "csv", "json"):
        assert run(["fleet", path, "--format", form]) == 0
    out = capsys.readouterr().out
    values = json.loads(out[out.rindex("\n{\n") :])
    assert values["workloads"][0]["workload"] == "sweep"
    late = {**SMALL, "workload": [{**SMALL["workload"][0], "deadline": "6 h"}]}
    file.with_suffix(".toml").write_text(_toml(late), encoding="utf-8")
    assert run(["fleet", path]) == 4
    assert "late at best" in capsys.readouterr().out


def _toml(tables: Mapping[str, Any]) -> str:
    lines = [f"start = {tables['start']}"]
    for kind in ("workload", "offer"):
        for row in tables[kind]:
            pairs = (f"{key} = {_value(value)}" for key, value in row.items())
            lines += [f"[[{kind}]]", *pairs]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(part)}" for key, part in value.items()) + " }"
    return json.dumps(value)


def test_a_sweep_on_enough_nodes_is_done_in_one_wave_and_on_few_in_several() -> None:
    """Six runs due in a day are side by side; on 8 GPUs they follow each other, only the first with its bring-up."""
    soon = small(w_deadline="1 d")
    (p,) = soon.answered.packing.placements
    assert p.shape.at_once == 6
    slow = small(o_available=8)
    (p,) = slow.answered.packing.placements
    sized = slow.answered.plan_of("sweep")
    assert sized is not None
    assert (p.shape.at_once, p.shape.nodes) == (1, 1)
    assert p.shape.duration_s == pytest.approx(sized.first_s + 5 * sized.next_s)
    assert sized.next_s < sized.first_s


def test_most_at_once_is_kept() -> None:
    """No more runs are side by side than the workload allows."""
    (p,) = small(w_at_once=2).answered.packing.placements
    assert p.shape.at_once <= 2


def test_hours_that_are_not_committed_cost_what_is_used() -> None:
    """On demand the bill is price times GPU-hours of the nodes in use, and nothing is held idle."""
    found = small()
    (p,) = found.answered.packing.placements
    price = parse("2 USD/gpu/h", "USD/s")
    assert found.answered.packing.cost_usd == pytest.approx(price * 8 * p.shape.nodes * p.shape.duration_s)


def test_a_market_price_is_dated() -> None:
    """Without a price of its own an offer has that of the catalogue for its term, with source and date."""
    tables = copy.deepcopy(SMALL)
    del tables["offer"][0]["price"]
    found = isocost.fleet(tables)
    catalog = found.answered.fleet.catalog
    reference = catalog.reference_offer("h100-sxm5-80gb", "on_demand")
    assert reference is not None
    assert found.supplies[0].price_usd_per_s == reference.median_usd_per_s
    assert reference.fact.as_of in found.table()


def test_a_chip_of_ones_own_can_be_offered(tmp_path: Path) -> None:
    """A catalogue file at the top of the fleet holds for offers and runs; one inside a scenario is refused."""
    fact = 'source = "ours"\nas_of = "2026-11"\ngrade = "vendor"\n'
    chip = (
        'name = "Own"\nvendor = "We"\nyear = 2026\nform = "SXM5"\nmemory = "80 GiB"\nhbm = "3.35 TB/s"\n'
        'bf16 = "989.4 TFLOP/s"\ntdp = "700 W"\nscaleup_link = "NVLink 4"\nscaleup = "450 GB/s"\nscaleup_domain = 8\n'
        'nic = "400 Gb/s"\nnode = "hgx-h100-8"\nfabric = "ib-400"\n'
    )
    file = tmp_path / "own.toml"
    file.write_text(f"[accelerator.own]\n{chip}{fact}", encoding="utf-8")
    tables = {**copy.deepcopy(SMALL), "catalog": str(file)}
    tables["offer"][0]["accelerator"] = "own"
    found = isocost.fleet(tables)
    assert found.feasible
    assert found.supplies[0].accelerator == "own"
    tables["workload"][0]["run"] = {**RUN, "catalog": str(file)}
    with pytest.raises(InputError, match="catalog: is of one scenario alone"):
        isocost.fleet(tables)


def test_what_is_left_aside_is_said() -> None:
    """Keys of a scenario in whose place the offers stand are named with the assumptions."""
    found = small(w_run={**RUN, "on": "b200-sxm-180gb", "budget": "1 USD"})
    assert "sweep: left aside of its scenario, as the offers say it: on, budget" in found.table()


def test_a_service_holds_its_gpus_between_its_dates() -> None:
    """A service is in use from its first to its last day, and nowhere else."""
    tables = copy.deepcopy(SMALL)
    tables["workload"] = [
        {"name": "chat", "serve": "20 ktoken/s", "model": "llama-3.1-8b", "efficiency": "20 %", "from": "2 weeks",
         "until": "2027-03-01"},
    ]  # fmt: skip
    weeks = isocost.fleet(tables).weeks
    assert [w.need for w in weeks] == [0, 0, 8, 8, 8, 8, 8, 8]


def test_the_file_on_the_page_is_a_fleet() -> None:
    """The [[workload]] and [[offer]] tables of docs/capacity.md are read as they stand."""
    page = (EXAMPLES.parents[1] / "docs" / "capacity.md").read_text(encoding="utf-8")
    block = page.split("```toml\n")[1].split("```")[0]
    fleet = read_fleet(tomllib.loads(block), datetime.date(2027, 1, 4))
    assert [w.name for w in fleet.workloads] == ["sweep", "assistant"]
    assert [offer.supply.steps for offer in fleet.offers] == [((42 * 86400.0, 2048),)]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a negative count": ({"w_count": -3}, "count: -3 is too small"),
    "no GPUs": ({"o_available": 0}, "available.gpus: 0 is zero"),
    "an unknown offer": ({"w_on": ["plian"]}, "on: 'plian' is not an offer; allowed: plain; did you mean plain?"),
    "an unknown chip": ({"o_accelerator": "h100-sxm5-80"}, "did you mean h100-sxm5-80gb?"),
    "more than all of it": ({"o_resold": "140 %"}, "resold: '140 %' is more than 1"),
    "a late offer": ({"o_lead_time": "9 weeks"}, "lead_time: is longer than every deadline: handed over after 63 d"),
    "a deadline before it": ({"o_lead_time": "8 weeks"}, "deadline: is before anything is handed over: 56 d"),
    "a negative price": ({"o_price": "-2 USD/gpu/h"}, "price: '-2 USD/gpu/h' is negative"),
    "falling availability": ({"o_available": [{"gpus": 64}, {"gpus": 8, "from": "1 d"}]}, "falls with time"),
    "part of a node": ({"o_available": 4}, "available: 4 is less than one node"),
    "a key of nobody": ({"o_lead": "1 d"}, "lead: is not a key here"),
    "a deadline in the past": ({"w_deadline": "2026-01-01"}, "deadline: '2026-01-01' is before the first day"),
    "no scenario": ({"w_run": {"tokens": "1 B"}}, "model: is missing"),
    "no such file": ({"w_scenario": "gone.toml"}, "scenario: is given twice"),
    "an endless name": ({"w_name": "x" * 99}, "name: is missing, or not a short text"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    """Each mistake is named with its place and value."""
    changes, said = BAD[name]
    with pytest.raises(InputError) as refused:
        small(**changes)
    assert said in str(refused.value)


def test_all_mistakes_are_listed_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One run names every mistake of every table, leaves with 2, and prints nothing else."""
    tables = copy.deepcopy(SMALL)
    tables["workload"][0] |= {"count": -3, "deadline": "-1 d"}
    tables["workload"].append({"name": "chat", "serve": "0 token/s", "model": "gone", "efficiency": "130 %"})
    tables["offer"].append({"name": "plain", "accelerator": "h100-sxm5-80gb", "available": 0, "resold": "140 %"})
    file = tmp_path / "bad.toml"
    file.write_text(_toml(tables), encoding="utf-8")
    assert run(["fleet", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    expected = (
        "gpus: 0 is zero", "'140 %' is more than 1", "count: -3 is too small", "'-1 d' is negative",
        "serve: '0 token/s' is zero", "'gone' is not a shipped model", "'130 %' is more than 1", "until: is missing",
        "offer plain: is a name twice",
    )  # fmt: skip
    assert [sum(said in line for line in lines) for said in expected] == [1] * len(expected)
    assert len(lines) == len(expected)
