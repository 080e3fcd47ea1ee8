"""Scenarios: what is read, what is refused, and what is assumed."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import isocost
from isocost.catalog import load_catalog
from isocost.errors import InputError
from isocost.scenario import KEYS, load_scenario, load_tables, read_scenario, scenario_tables, scenario_toml
from isocost.scenario.question import GPU_COUNTS, default_seq_len, question_of
from isocost.scenario.record import TABLES
from isocost.verbs.options import COMMANDS
from isocost.workload.params import parameter_count
from isocost.workload.presets import preset

ROOT = Path(__file__).parents[2]
TODAY = datetime.date(2026, 6, 1)
BASE = {"model": "llama-3.1-8b", "tokens": "1 T"}
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


def _problems(**changes: object) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        read_scenario({**BASE, **changes}, today=TODAY)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_quantities_become_si_numbers() -> None:
    """Text with units is read into seconds, dollars, watts and tokens."""
    given = {"deadline": "60 d", "budget": "40 MUSD", "power_cap": "20 MW"}
    scenario, _ = read_scenario(BASE | given, today=TODAY)
    assert (scenario.tokens, scenario.deadline_s) == (1e12, 60 * 86400.0)
    assert (scenario.budget_usd, scenario.power_w) == (40e6, 20e6)


@pytest.mark.parametrize("given", ["2026-06-11", datetime.date(2026, 6, 11), datetime.datetime(2026, 6, 11, 9, 30)])
def test_a_deadline_may_be_a_date(given: object) -> None:
    """A date, in quotes or as a TOML date, is the time from today to it."""
    scenario, _ = read_scenario({**BASE, "deadline": given}, today=TODAY)
    assert scenario.deadline_s == 10 * 86400.0


@pytest.mark.parametrize(
    ("given", "message"),
    [("2026-06-01", "is today"), ("2026-05-31", "is in the past"), (datetime.date(2020, 1, 1), "is in the past")],
)
def test_a_deadline_that_is_over_is_refused(given: object, message: str) -> None:
    """Today and earlier are not deadlines."""
    assert _problems(deadline=given) == {"deadline": message}


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (1024, (1024,)),
        ("1,024"[:1], (1,)),
        ([256, 64, 256], (64, 256)),
        ("64, 96,128", (64, 96, 128)),
        ("64..512", (64, 128, 256, 512)),
        ("48..200", (48, 96, 192)),
        ("97", (97,)),
        (["8..16", 97], (8, 16, 97)),
    ],
)
def test_gpu_counts(given: object, counts: tuple[int, ...]) -> None:
    """A count, a list, a text of several, or a range that doubles; a prime is a count like any other."""
    scenario, _ = read_scenario({**BASE, "gpus": given}, today=TODAY)
    assert scenario.gpu_counts == counts


def test_every_problem_is_reported_at_once() -> None:
    """Problems of units, names, counts, dates and keys come out together, each with its place."""
    found = _problems(
        tokens="15", on=["h100-sxm-80gb", "mi300"], gpus=0, tp=-1, deadline="2020-01-01", precision="fp7", gpuz=1
    )
    assert found == {
        "tokens": "needs a unit",
        "on": "is not an accelerator of the catalogue",
        "gpus": "is zero",
        "tp": "is too small",
        "deadline": "is in the past",
        "precision": "is not known",
        "gpuz": "is not a key of a scenario",
    }


def test_problems_of_a_model_and_of_the_rest_come_together(tmp_path: Path) -> None:
    """A broken config.json does not hide the other problems, and has its own place."""
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "llama", "hidden_size": -1}', encoding="utf-8")
    found = _problems(model=str(config), budget="40 kg")
    assert found["budget"] == "is a mass of CO2 equivalent, not an amount of money"
    assert found[f"{config}: hidden_size"] == "is too small"


@pytest.mark.parametrize("name", ["h100", "H200", "b300"])
def test_a_family_name_suggests_its_members(name: str) -> None:
    """The name of a family of chips is answered with the chips that start with it."""
    with pytest.raises(InputError) as caught:
        read_scenario({**BASE, "on": name}, today=TODAY)
    assert all(part.startswith(name.casefold()) for part in caught.value.problems[0].nearest.split(", "))


def test_a_model_is_needed_once() -> None:
    """Neither a model nor an architecture, or both, is a problem."""
    with pytest.raises(InputError, match="model: is missing"):
        read_scenario({"tokens": "1 T"}, today=TODAY)
    table = {"hidden": 64, "vocab": 100, "blocks": [{"count": 1, "heads": 4, "ffn_hidden": 256}]}
    assert _problems(architecture=table) == {"model": "is given twice: by name and by [architecture]"}


def test_paths_are_relative_to_the_scenario(tmp_path: Path) -> None:
    """A model and a catalogue beside the scenario are found from any folder; a shipped name stays a name."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    file = tmp_path / "s.toml"
    file.write_text('model = "config.json"\ntokens = "1 T"\ncatalog = ["gpt2", "sub/my.toml"]\n', encoding="utf-8")
    tables = load_tables(file)
    assert tables["model"] == str(tmp_path / "config.json")
    assert tables["catalog"] == ["gpt2", str(tmp_path / "sub/my.toml")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_survive_the_round_trip(path: Path) -> None:
    """A scenario written as TOML reads back to an equal scenario."""
    scenario = load_scenario(path, today=TODAY)
    again, _ = read_scenario(tomllib.loads(scenario_toml(scenario)), today=TODAY)
    assert again == scenario
    assert read_scenario(scenario_tables(scenario), today=TODAY)[0] == scenario


def test_odd_values_survive_the_round_trip() -> None:
    """Quotes, control characters, odd quantities and flags come back bit for bit."""
    given = {
        "title": 'a "quoted"\ttitle\x7f with \\ and é',
        "tokens": "123 tokens",
        "deadline": "1.23456789 d",
        "budget": "0.1 USD",
        "sharding": "zero1",
        "tp": 3,
        "precision": "bf16,fp8",
    }
    scenario, _ = read_scenario(BASE | given, today=TODAY)
    again, _ = read_scenario(tomllib.loads(scenario_toml(scenario)), today=TODAY)
    assert again == scenario


def test_keys_are_the_same_everywhere() -> None:
    """A flag exists for every key of a scenario that fits on a command line."""
    flags = {name for group in COMMANDS[isocost.plan].groups for name in group}
    assert flags == set(KEYS) - {"title", "architecture", *TABLES}


def test_what_is_left_out_is_assumed_and_said() -> None:
    """Sequence length, chips, counts, stack, precision, term, fabric and price are named among the assumptions."""
    catalog = load_catalog()
    question, assumed = question_of(read_scenario(BASE, today=TODAY)[0], catalog, TODAY)
    names = {note.name for note in assumed}
    assert {"seq_len", "on", "gpus", "stack", "precision", "term", "model", "fabric ib-400"} <= names
    assert {f"price of {option.accelerator.id}" for option in question.options} <= names
    assert question.gpu_counts == GPU_COUNTS == (64, 128, 256, 512, 1024, 2048, 4096, 8192)
    assert all(note.source for note in assumed)


def test_the_usual_sequence_length_is_no_longer_than_the_model_allows() -> None:
    """8,192 tokens, or the model's longest."""
    assert default_seq_len(preset("llama-3.1-70b")) == 8192
    assert default_seq_len(preset("gpt2")) == 1024


def test_a_chip_without_bf16_gets_fp16_and_a_tpu_its_own_stack() -> None:
    """Defaults follow the chip."""
    catalog = load_catalog()
    old, _ = question_of(read_scenario({**BASE, "on": "v100-sxm2-32gb"}, today=TODAY)[0], catalog, TODAY)
    tpu, _ = question_of(read_scenario({**BASE, "on": "tpu-v5p"}, today=TODAY)[0], catalog, TODAY)
    assert old.precisions == ("fp16",)
    assert tpu.recipe.id == "maxtext-tpu"


def test_a_chip_without_a_price_says_what_to_add() -> None:
    """The missing fact is named, and the file to add it to."""
    catalog = load_catalog()
    question, assumed = question_of(read_scenario({**BASE, "on": "h800-sxm5-80gb"}, today=TODAY)[0], catalog, TODAY)
    note = next(note for note in assumed if note.name == "price of h800-sxm5-80gb")
    assert question.options[0].median_usd_per_s is None
    assert "[[offer]]" in note.value
    assert "--catalog" in note.value


def test_layout_values_are_held() -> None:
    """Parallel degrees and choices of a scenario reach the search as fixed values."""
    given = {"tp": "8", "pp": 4, "recompute": "Selective", "schedule": "1f1b"}
    question, _ = question_of(read_scenario(BASE | given, today=TODAY)[0], load_catalog(), TODAY)
    assert question.fixed == {"tp": 8, "pp": 4, "recompute": "selective", "schedule": "1f1b"}


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(),
    st.sampled_from(["8", "64..8", "1 T", "60 d", "-1", "bf16", "h100-sxm5-80gb", ".", "\0", "/"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@given(tables=st.dictionaries(st.one_of(st.sampled_from(list(KEYS)), st.text(max_size=8)), VALUES, max_size=6))
def test_no_value_breaks_the_reader(tables: dict[str, object]) -> None:
    """Whatever stands in a scenario, it is read, or refused with problems of one line each; twice the same."""
    first, second = (_read_or_refused({**BASE, **tables}) for _ in range(2))
    assert repr(first) == repr(second)
    if isinstance(first, InputError):
        lines = str(first).splitlines()
        assert len(lines) == len(first.problems) >= 1
        assert all(line.isprintable() for line in lines)
        assert all(problem.message for problem in first.problems)


def _read_or_refused(tables: dict[str, object]) -> object:
    try:
        return read_scenario(tables, today=TODAY)[0]
    except InputError as error:
        return error


@pytest.mark.parametrize("key", ["\n", "", "a\tb", "x" * 1000, "\x1b[31m"])
def test_an_odd_key_is_shown_on_one_line(key: str) -> None:
    """A key with control characters, or a very long one, is one readable line."""
    (line,) = (place for place in _problems(**{key: 1}))
    assert line.isprintable()
    assert len(line) <= 300


def test_the_hand_written_example_is_gpt2() -> None:
    """GPT-2 described by hand has the parameters of the published model, to the last one."""
    scenario = load_scenario(ROOT / "examples" / "gpt2-small.toml", today=TODAY)
    assert parameter_count(scenario.shape).total == 124_439_808


def test_a_sequence_beyond_learned_positions_is_refused() -> None:
    """GPT-2 has 1,024 learned positions and no more; rotary positions are extended, and that is said."""
    long = {**BASE, "model": "gpt2", "seq_len": 8192}
    assert _problems(model="gpt2", seq_len=8192) == {"seq_len": "is beyond the 1,024 learned positions of gpt2"}
    assert read_scenario({**long, "seq_len": 1024}, today=TODAY)[0].seq_len == 1024
    rotary, catalog = read_scenario({**long, "model": "llama-3.1-8b", "seq_len": 262144}, today=TODAY)
    said = {note.name: note.value for note in question_of(rotary, catalog, TODAY)[1]}
    assert said["positions"] == (
        "sequences of 262,144 tokens are beyond the 131,072 positions of the model: to be extended"
    )
