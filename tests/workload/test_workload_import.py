"""Import of a config.json: the kinds of blocks, the defaults, and what happens with broken files."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from isocost.errors import DataError, InputError
from isocost.workload import presets
from isocost.workload.architecture import Architecture
from isocost.workload.hf import DEFAULTS, IMPORTERS, MAX_CONFIG_BYTES, SPELLINGS, architecture_from_config, load_config
from isocost.workload.presets import preset, preset_facts, preset_names

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOTS = ROOT / "tests/golden/config_errors.json"
LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
DEEPSEEK = dict(preset_facts("deepseek-v3").config)


def _changed(base: dict[str, object], **changes: object) -> str:
    fields = {key: value for key, value in (base | changes).items() if value != "absent"}
    return json.dumps(fields)


def _windows(arch: Architecture) -> list[tuple[int, int, bool]]:
    return [(block.count, block.window, block.chunked) for block in arch.blocks]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-3.1-8b", [(32, 0, False)]),
        ("mistral-7b", [(32, 4096, False)]),
        ("mistral-nemo-12b", [(40, 0, False)]),
        ("gemma-2-9b", [(21, 4096, False), (21, 0, False)]),
        ("gemma-3-27b", [(52, 1024, False), (10, 0, False)]),
        ("phi-3-mini", [(32, 2047, False)]),
        ("gpt-oss-120b", [(18, 128, False), (18, 0, False)]),
        ("llama-4-scout", [(36, 8192, True), (12, 0, False)]),
        ("deepseek-v3", [(3, 0, False), (58, 0, False)]),
        ("glm-4.5", [(3, 0, False), (89, 0, False)]),
    ],
)
def test_kinds_of_layers(name: str, expected: list[tuple[int, int, bool]]) -> None:
    """Sliding, chunked and full layers, dense and expert layers, are told apart and counted."""
    assert _windows(preset(name)) == expected


def test_llama4_maverick_interleaves_three_kinds() -> None:
    """Maverick: dense chunked, expert chunked and expert full layers, 24, 12 and 12 of them."""
    kinds = [
        (b.count, b.ffn_hidden, b.experts, b.shared_ffn_hidden, b.window) for b in preset("llama-4-maverick").blocks
    ]
    assert kinds == [(24, 16384, 0, 0, 8192), (12, 0, 128, 8192, 8192), (12, 0, 128, 8192, 0)]


@pytest.mark.parametrize(
    ("name", "kv_heads", "parallel", "norms"),
    [("falcon-7b", 1, True, 1), ("falcon-11b", 8, True, 1), ("falcon-40b", 8, True, 2), ("falcon-180b", 8, True, 2)],
)
def test_falcon_generations(name: str, kv_heads: int, parallel: bool, norms: int) -> None:
    """Falcon 7B is multi-query with one norm; the new decoder has groups, and two norms unless told one."""
    arch = preset(name)
    assert (arch.blocks[0].kv_heads, arch.parallel_residual, arch.norms_per_block) == (kv_heads, parallel, norms)


def test_deepseek_v3_block_fields() -> None:
    """MLA, experts, shared experts and the prediction layer of DeepSeek-V3 land in their fields."""
    arch = preset("deepseek-v3")
    dense, sparse = arch.blocks
    assert arch.mtp_layers == 1
    assert dense.mla
    assert (dense.head_dim, dense.v_head_dim, dense.qk_rope_head_dim) == (192, 128, 64)
    assert (dense.q_lora_rank, dense.kv_lora_rank) == (1536, 512)
    assert (dense.ffn_hidden, dense.experts) == (18432, 0)
    assert (sparse.ffn_hidden, sparse.experts, sparse.experts_topk) == (0, 256, 8)
    assert (sparse.moe_ffn_hidden, sparse.shared_ffn_hidden) == (2048, 2048)


@pytest.mark.parametrize(
    ("name", "layer_norm", "dropout", "parallel", "norms", "tied"),
    [
        ("gpt2", True, True, False, 2, True),
        ("gpt-neox-20b", True, False, True, 2, False),
        ("opt-66b", True, True, False, 2, True),
        ("llama-3.1-70b", False, False, False, 2, False),
        ("llama-3.2-1b", False, False, False, 2, True),
        ("gemma-2-9b", False, False, False, 4, True),
    ],
)
def test_style_of_the_blocks(
    name: str, layer_norm: bool, dropout: bool, parallel: bool, norms: int, tied: bool
) -> None:
    """Norm kind, dropout, residual form, norms a block and tied embeddings follow the family and its settings."""
    arch = preset(name)
    assert (arch.layer_norm, arch.dropout, arch.parallel_residual) == (layer_norm, dropout, parallel)
    assert (arch.norms_per_block, arch.tied_embeddings) == (norms, tied)


@pytest.mark.parametrize(("outer", "name"), [("gemma3", "gemma-3-27b"), ("llama4", "llama-4-scout")])
def test_multimodal_configs_are_read_through_their_text_part(outer: str, name: str) -> None:
    """gemma3 and llama4 describe the model in text_config; the vision part is left alone."""
    config = {"model_type": outer, "text_config": preset_facts(name).config, "vision_config": {"hidden_size": "any"}}
    assert architecture_from_config(config, name) == preset(name)


def test_gemma3_config_may_leave_sizes_to_the_defaults() -> None:
    """Gemma 3 4B publishes neither heads nor vocabulary; the documented defaults of the type stand in."""
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    arch = architecture_from_config({"model_type": "gemma3", "text_config": text}, "gemma-3-4b")
    assert arch == replace(preset("gemma-3-4b"), max_seq_len=0)


def test_native_and_common_spellings_agree() -> None:
    """A GPT-2 config with the common field names is the same model as one with its own names."""
    common = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "n_positions": 1024}
    config = {"model_type": "gpt2", "vocab_size": 50257, **common}
    assert architecture_from_config(config, "gpt2") == preset("gpt2")


def test_null_window_is_none_and_absent_window_is_the_default() -> None:
    """sliding_window null turns the window off; left out, the documented default of the type holds."""
    config = LLAMA | {"model_type": "mistral"}
    assert architecture_from_config(config, "m").blocks[0].window == DEFAULTS["mistral"]["sliding_window"] == 4096
    assert architecture_from_config(config | {"sliding_window": None}, "m").blocks[0].window == 0


def test_name_is_the_folder_or_the_stem(tmp_path: Path) -> None:
    """A config.json is named for its folder, any other file for its stem."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(_changed(LLAMA))
    (folder / "other.json").write_text(_changed(LLAMA))
    assert load_config(folder).name == load_config(folder / "config.json").name == "my-model"
    assert load_config(str(folder / "other.json")).name == "other"


def test_at_least_thirty_presets_each_with_source_and_grade() -> None:
    """Every shipped model says where and when it is from, and how good the fact is."""
    assert len(preset_names()) >= 30
    for name in preset_names():
        facts = preset_facts(name)
        assert facts.source.startswith("https://")
        assert len(facts.as_of) == len("2024-07-23")
        assert facts.grade in presets.GRADES
        assert preset(name).name == name


def test_unknown_preset_names_the_nearest() -> None:
    """A misspelt model is answered with the nearest one."""
    with pytest.raises(InputError) as caught:
        preset("lama-3.1-70b")
    assert caught.value.problems[0].nearest == "llama-3.1-70b"


def test_preset_without_its_source_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shipped fact without source, date and grade does not load."""
    (tmp_path / "no-source.json").write_text('{"config": {}, "as_of": "", "grade": "guess"}')
    monkeypatch.setattr(presets, "_folder", lambda: tmp_path)
    monkeypatch.setattr(presets, "preset_names", lambda: ("no-source",))
    with pytest.raises(DataError) as caught:
        preset_facts("no-source")
    assert [problem.path.rpartition(" ")[2] for problem in caught.value.problems] == ["source", "as_of", "grade"]


BAD: dict[str, bytes | str] = {
    "not-json": "layers: 32\n",
    "cut-off": '{"model_type": "llama", ',
    "empty": "",
    "list": "[1, 2]",
    "number": "42",
    "null": "null",
    "not-utf8": b'\xff\xfe{"model_type": "llama"}',
    "nan": '{"model_type": "llama", "hidden_size": NaN}',
    "infinity": '{"model_type": "llama", "hidden_size": -Infinity}',
    "deep": "[" * 200_000,
    "long-number": '{"model_type": "llama", "hidden_size": ' + "9" * 5000 + "}",
    "no-model-type": "{}",
    "number-model-type": '{"model_type": 7}',
    "unknown-model-type": _changed(LLAMA, model_type="lama"),
    "remote-code": _changed(LLAMA, model_type="chatglm", auto_map={"AutoConfig": "evil.Config"}),
    "missing-field": _changed(LLAMA, num_hidden_layers="absent"),
    "null-field": _changed(LLAMA, vocab_size=None),
    "negative": _changed(LLAMA, hidden_size=-4096),
    "zero": _changed(LLAMA, num_attention_heads=0),
    "absurd": _changed(LLAMA, num_hidden_layers=10**30, vocab_size=10**12),
    "absurd-float": _changed(LLAMA, hidden_size=1e300),
    "overflow-float": _changed(LLAMA).replace("4096", "1e999"),
    "decimal": _changed(LLAMA, hidden_size=4096.0, intermediate_size=0.5),
    "quoted-number": _changed(LLAMA, num_hidden_layers="32", vocab_size="many"),
    "truth-value": _changed(LLAMA, num_hidden_layers=True),
    "not-a-truth-value": _changed(LLAMA, tie_word_embeddings="no"),
    "list-field": _changed(LLAMA, hidden_size=[4096]),
    "heads-do-not-divide": _changed(LLAMA, num_attention_heads=30),
    "many-problems": _changed(LLAMA, hidden_size=-1, num_hidden_layers="absent", vocab_size="x", num_key_value_heads=3),
    "no-text-config": '{"model_type": "gemma3"}',
    "text-config-list": '{"model_type": "llama4", "text_config": [1]}',
    "text-config-fields": '{"model_type": "gemma3", "text_config": {"hidden_size": 0}}',
    "top-k": _changed(DEEPSEEK, num_experts_per_tok=300),
    "too-many-dense": _changed(DEEPSEEK, first_k_dense_replace=99),
    "layer-types": _changed(dict(preset_facts("gemma-2-2b").config), layer_types=["full_attention"] * 3),
    "layer-type": _changed(dict(preset_facts("gemma-2-2b").config), layer_types=["mamba"] * 26),
    "layer-types-text": _changed(dict(preset_facts("gemma-2-2b").config), layer_types="full_attention"),
    "no-rope-layers": _changed(dict(preset_facts("llama-4-scout").config), no_rope_layers=[1, 0]),
    "moe-layers": _changed(dict(preset_facts("llama-4-scout").config), moe_layers=[1, 48]),
    "dropout": _changed(dict(preset_facts("gpt2").config), resid_pdrop=1.5),
    "gpt2-spelling": _changed(dict(preset_facts("gpt2").config), n_layer="absent", n_head=7),
    "cross-attention": _changed(dict(preset_facts("gpt2").config), add_cross_attention=True),
    "mpt-multi-query": _changed(
        dict(preset_facts("mpt-7b").config), attn_config={"attn_type": "multiquery_attention"}, expansion_ratio=8
    ),
}


def _message(path: Path, tmp_path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert all(problem.path for problem in caught.value.problems)
    return str(caught.value).replace(str(tmp_path), "DIR").splitlines()


def test_snapshots_cover_the_corpus() -> None:
    """Each malformed file has exactly one recorded message."""
    assert set(json.loads(SNAPSHOTS.read_text())) == set(BAD)


@pytest.mark.parametrize("case", BAD)
def test_malformed_config(case: str, tmp_path: Path) -> None:
    """A broken config is one error with place, value and fix for each problem, and never another exception."""
    content = BAD[case]
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert _message(tmp_path, tmp_path) == json.loads(SNAPSHOTS.read_text())[case]


def test_a_gigabyte_config_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file far too large is refused from its size alone; it is not opened."""
    path = tmp_path / "config.json"
    with path.open("wb") as stream:
        stream.truncate(10**9)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(Path, "open", fail)
    (line,) = _message(path, tmp_path)
    assert line == (
        "DIR/config.json: is 1,000,000,000 bytes, too large for a configuration; allowed: at most 10,000,000 bytes; "
        "fix: give the config.json, not the weights"
    )


def test_a_config_at_the_limit_is_read(tmp_path: Path) -> None:
    """The limit itself is allowed: the file is judged by what it says."""
    text = _changed(LLAMA)
    (tmp_path / "config.json").write_text(text + " " * (MAX_CONFIG_BYTES - len(text)))
    assert load_config(tmp_path).hidden == 4096


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: folder / "none.json", "DIR/none.json: does not exist"),
        (lambda folder: folder, "DIR/config.json: does not exist"),
        (lambda folder: folder / "a\0b", "cannot be read|does not exist"),
        (lambda folder: folder / ("x" * 5000), "cannot be read|does not exist"),
    ],
    ids=["absent", "empty-folder", "null-byte", "long-name"],
)
def test_paths_that_hold_no_config(make: Callable[[Path], Path], expected: str, tmp_path: Path) -> None:
    """A path without a config is an error that says so, never a traceback."""
    (line,) = _message(make(tmp_path), tmp_path)
    assert re.search(expected, line)  # newer Pythons answer "does not exist" for a path that cannot be
    assert "fix: " in line


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe is refused, not read for ever."""
    os.mkfifo(tmp_path / "config.json")
    assert _message(tmp_path, tmp_path) == [
        "DIR/config.json: is not a file; fix: give the path of a config.json, or of the folder it is in"
    ]


@pytest.mark.parametrize("name", sorted(IMPORTERS))
def test_every_required_field_of_every_family_is_asked_for_at_once(name: str) -> None:
    """An empty config of any family names all its missing sizes together, in the spelling of that family."""
    with pytest.raises(InputError) as caught:
        architecture_from_config({"model_type": name}, name, "config.json")
    places = [problem.path for problem in caught.value.problems]
    for key in ("num_hidden_layers", "hidden_size"):
        usual = SPELLINGS.get(name, {}).get(key, (key,))[0]
        assert f"config.json: {usual}" in places
    assert len(places) == len(set(places)) >= 3
