"""Import of a Hugging Face ``config.json``: a file is read, checked and never executed; the network is never used."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

from isocost.errors import InputError, Problem, nearest
from isocost.workload import families_expert, families_gated, families_plain
from isocost.workload.architecture import Architecture
from isocost.workload.reader import Reader

MAX_CONFIG_BYTES: Final = 10_000_000  # real ones are under 100 kB
CONFIG_NAME: Final = "config.json"
BY_HAND: Final = (
    "use a supported model_type, or describe the architecture by hand in the scenario: [architecture] with hidden, "
    "vocab, and one [[architecture.blocks]] for each kind of layer with count, heads, kv_heads, ffn_hidden, ..."
)

IMPORTERS: Final[Mapping[str, Callable[[Reader], Architecture]]] = MappingProxyType(
    {
        "gpt2": families_plain.gpt2,
        "gpt_neox": families_plain.gpt_neox,
        "opt": families_plain.opt,
        "bloom": families_plain.bloom,
        "falcon": families_plain.falcon,
        "mpt": families_plain.mpt,
        "llama": families_gated.llama,
        "mistral": families_gated.mistral,
        "qwen2": families_gated.qwen2,
        "qwen3": families_gated.qwen3,
        "gemma2": families_gated.gemma2,
        "gemma3_text": families_gated.gemma3_text,
        "phi3": families_gated.phi3,
        "olmo2": families_gated.olmo2,
        "mixtral": families_expert.mixtral,
        "qwen2_moe": families_expert.qwen2_moe,
        "qwen3_moe": families_expert.qwen3_moe,
        "gpt_oss": families_expert.gpt_oss,
        "llama4_text": families_expert.llama4_text,
        "deepseek_v2": families_expert.deepseek_v2,
        "deepseek_v3": families_expert.deepseek_v3,
        "glm4_moe": families_expert.glm4_moe,
    }
)
# Multimodal models, read through the configuration of their text part.
TEXT_PART: Final[Mapping[str, str]] = MappingProxyType({"gemma3": "gemma3_text", "llama4": "llama4_text"})

_QWEN_WINDOW: Final = {"sliding_window": 4096, "max_window_layers": 28}
# Defaults that transformers 5.23 documents for a field that published configs of the type leave out. Sizes are not
# filled in (a config without its number of layers is broken), but for Gemma 3, whose published configs rely on them.
DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType(
    {
        "gpt2": {"tie_word_embeddings": True, "resid_pdrop": 0.1},
        "opt": {"tie_word_embeddings": True, "dropout": 0.1},
        "bloom": {"tie_word_embeddings": True},
        "falcon": {"tie_word_embeddings": True},
        "mpt": {"tie_word_embeddings": True},
        "mistral": {"sliding_window": 4096},
        "qwen2": _QWEN_WINDOW,
        "qwen3": {**_QWEN_WINDOW, "head_dim": 128},
        "gemma2": {"tie_word_embeddings": True, "sliding_window": 4096, "head_dim": 256},
        "gemma3_text": {
            "tie_word_embeddings": True,
            "sliding_window": 4096,
            "head_dim": 256,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "vocab_size": 262_208,
        },
        "qwen2_moe": {**_QWEN_WINDOW, "decoder_sparse_step": 1},
        "qwen3_moe": {**_QWEN_WINDOW, "decoder_sparse_step": 1},
        "gpt_oss": {"head_dim": 64, "attention_bias": True, "sliding_window": 128},
        "llama4_text": {
            "head_dim": 128,
            "interleave_moe_layer_step": 1,
            "attention_chunk_size": 8192,
            "no_rope_layer_interval": 4,
        },
        "deepseek_v3": {"num_nextn_predict_layers": 1},
        "glm4_moe": {"num_nextn_predict_layers": 1},
    }
)
# Spellings that transformers takes for one field, the one of published configs first.
SPELLINGS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = MappingProxyType(
    {
        "gpt2": {
            "hidden_size": ("n_embd", "hidden_size"),
            "num_hidden_layers": ("n_layer", "num_hidden_layers"),
            "num_attention_heads": ("n_head", "num_attention_heads"),
            "max_position_embeddings": ("n_positions", "max_position_embeddings"),
        },
        "bloom": {
            "hidden_size": ("hidden_size", "n_embed"),
            "num_hidden_layers": ("n_layer", "num_hidden_layers"),
            "num_attention_heads": ("n_head", "num_attention_heads"),
            "max_position_embeddings": ("seq_length",),
        },
        "falcon": {
            "hidden_size": ("hidden_size", "n_embed"),
            "num_hidden_layers": ("num_hidden_layers", "n_layer"),
            "num_attention_heads": ("num_attention_heads", "n_head"),
            "num_kv_heads": ("num_kv_heads", "n_head_kv"),
        },
        "mpt": {
            "hidden_size": ("d_model", "hidden_size"),
            "num_hidden_layers": ("n_layers", "num_hidden_layers"),
            "num_attention_heads": ("n_heads", "num_attention_heads"),
            "max_position_embeddings": ("max_seq_len",),
        },
        "mixtral": {"num_local_experts": ("num_local_experts", "num_experts")},
        "qwen3_moe": {"num_experts": ("num_experts", "num_local_experts")},
        "gpt_oss": {"num_local_experts": ("num_local_experts", "num_experts")},
        "deepseek_v2": {"n_routed_experts": ("n_routed_experts", "num_experts")},
        "deepseek_v3": {
            "n_routed_experts": ("n_routed_experts", "num_local_experts"),
            "num_nextn_predict_layers": ("num_nextn_predict_layers", "num_mtp_layers"),
        },
        "glm4_moe": {
            "n_routed_experts": ("n_routed_experts", "num_local_experts"),
            "num_nextn_predict_layers": ("num_nextn_predict_layers", "num_mtp_layers"),
        },
    }
)


def load_config(path: str | Path) -> Architecture:
    """Read the ``config.json`` at ``path`` (the file, or the folder it is in) and return what it describes."""
    given = Path(path)
    try:
        file = given / CONFIG_NAME if given.is_dir() else given
        folder = file.resolve().parent.name
    except (OSError, ValueError, RuntimeError) as error:
        _refuse(str(path), f"cannot be read ({error})", "give the path of a config.json, or of the folder it is in")
    name = folder if file.name == CONFIG_NAME and folder else file.stem
    return architecture_from_config(read_json_object(file), name, str(file))


def architecture_from_config(config: Mapping[str, object], name: str, path: str = CONFIG_NAME) -> Architecture:
    """Return the architecture that a configuration describes; ``path`` is where messages say it stands."""
    reader = Reader(config, path)
    model_type = _model_type(reader)
    if model_type in TEXT_PART:
        outer, model_type = model_type, TEXT_PART[model_type]
        text = reader.table("text_config")
        if text is None:
            message = f"is missing; a {outer} model is described there"
            reader.problem("text_config", Problem(reader.place("text_config"), message, fix="add text_config"))
            reader.finish()
        reader = reader.inside("text_config", text or {}, DEFAULTS.get(model_type))
    else:
        reader = Reader(config, path, defaults=DEFAULTS.get(model_type), spellings=SPELLINGS.get(model_type))
    architecture = IMPORTERS[model_type](reader)
    reader.finish()
    return replace(architecture, name=name)


def read_json_object(file: Path) -> Mapping[str, object]:
    """Return the JSON object in ``file``; refuse anything that is large, not UTF-8, not JSON, or not an object."""
    place = str(file)
    try:
        if not file.is_file():
            why = "is not a file" if file.exists() else "does not exist"
            _refuse(place, why, f"give the path of a {CONFIG_NAME}, or of the folder it is in")
        size = file.stat().st_size
        if size > MAX_CONFIG_BYTES:
            _too_large(place, size)
        with file.open("rb") as stream:
            raw = stream.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError) as error:
        _refuse(place, f"cannot be read ({error})", "check the path and its permissions")
    if len(raw) > MAX_CONFIG_BYTES:
        _too_large(place, len(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(place, f"is not UTF-8 text (byte {error.start:,})", "give the config.json, not weights or a tokenizer")
    return parse_json_object(text, place)


def parse_json_object(text: str, place: str) -> Mapping[str, object]:
    """Return the JSON object in ``text``; ``place`` is where messages say it stands."""
    try:
        value = json.loads(text, parse_constant=_not_json)
    except json.JSONDecodeError as error:
        _refuse(f"{place}:{error.lineno}:{error.colno}", f"is not JSON ({error.msg})", "correct the file")
    except RecursionError:
        _refuse(place, "is nested too deeply", "give the config.json of a model")
    except _NotJson as error:
        _refuse(place, str(error), "write a plain number")
    except ValueError:  # Python refuses to read an integer of thousands of digits
        _refuse(place, "holds a number too long to read", "write a plain number")
    if not isinstance(value, dict):
        kind = {list: "a list", str: "text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
        _refuse(place, f"holds {kind} at the top, not an object", "a config.json starts with { and holds named fields")
    return value


def _model_type(reader: Reader) -> str:
    value = reader.values.get("model_type")
    supported = sorted([*IMPORTERS, *TEXT_PART])
    if isinstance(value, str) and value in supported:
        return value
    place, allowed = reader.place("model_type"), ", ".join(supported)
    if not isinstance(value, str):
        if value is None:
            raise InputError([Problem(place, "is missing", allowed=allowed, fix=BY_HAND)])
        raise InputError([Problem(place, "is not a name", value, allowed, fix=BY_HAND)])
    close = nearest(value, supported)
    raise InputError([Problem(place, "is not a supported model type", value, allowed, nearest=close, fix=BY_HAND)])


class _NotJson(ValueError):
    """A constant that Python's parser takes but JSON does not have."""


def _not_json(constant: str) -> NoReturn:
    raise _NotJson(f"holds {constant}, which is not JSON")


def _too_large(place: str, size: int) -> NoReturn:
    message = f"is {size:,} bytes, too large for a configuration"
    limit = f"at most {MAX_CONFIG_BYTES:,} bytes"
    raise InputError([Problem(place, message, allowed=limit, fix=f"give the {CONFIG_NAME}, not the weights")])


def _refuse(place: str, message: str, fix: str) -> NoReturn:
    raise InputError([Problem(place, message, fix=fix)])
