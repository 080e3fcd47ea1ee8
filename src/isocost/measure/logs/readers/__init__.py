"""The formats that can be read; the first whose sign is found in a file reads it, so the specific come first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from isocost.measure.logs.readers.base import Reader
from isocost.measure.logs.readers.composer import Composer
from isocost.measure.logs.readers.csv_table import CsvTable
from isocost.measure.logs.readers.deepspeed import DeepSpeed
from isocost.measure.logs.readers.hf_trainer import HfTrainer
from isocost.measure.logs.readers.jsonl import JsonLines
from isocost.measure.logs.readers.lightning import Lightning
from isocost.measure.logs.readers.maxtext import MaxText
from isocost.measure.logs.readers.megatron import Megatron
from isocost.measure.logs.readers.megatron_bridge import MegatronBridge
from isocost.measure.logs.readers.nanogpt import NanoGpt
from isocost.measure.logs.readers.nanotron import Nanotron
from isocost.measure.logs.readers.nemo import Nemo
from isocost.measure.logs.readers.olmo_core import OlmoCore
from isocost.measure.logs.readers.torchtitan import TorchTitan
from isocost.measure.logs.readers.trainer_state import TrainerState

Make = Callable[[Mapping[str, str] | None], Reader]  # from a column map, which only tables use

READERS: Final[Mapping[str, Make]] = {
    "trainer_state": lambda _: TrainerState(),
    "torchtitan": lambda _: TorchTitan(),
    "megatron_bridge": lambda _: MegatronBridge(),
    "megatron": lambda _: Megatron(),
    "nemo": lambda _: Nemo(),
    "maxtext": lambda _: MaxText(),
    "nanotron": lambda _: Nanotron(),
    "olmo_core": lambda _: OlmoCore(),
    "composer": lambda _: Composer(),
    "nanogpt": lambda _: NanoGpt(),
    "hf_trainer": lambda _: HfTrainer(),
    "deepspeed": lambda _: DeepSpeed(),
    "lightning": lambda _: Lightning(),
    "jsonl": JsonLines,
    "csv": CsvTable,
}

__all__ = ["READERS", "Reader"]
