"""Write tests/golden/params.json: the parameter count of every shipped model, as transformers itself builds it.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch transformers
    /tmp/golden/bin/python scripts/golden_params.py

Models are built on the meta device (shapes only, no memory, no download). A tied weight counts once. Buffers are not
parameters: the score-correction vectors of DeepSeek-V3 and GLM routers stay out. transformers does not build the
multi-token-prediction layers of DeepSeek-V3 and GLM-4.5, so they stay out too.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ROOT / "src" / "isocost" / "data" / "models"
VARIANTS = ROOT / "tests" / "golden" / "config_variants.json"
OUTPUT = ROOT / "tests" / "golden" / "params.json"


def parameters(config: dict[str, object]) -> int:
    """Return how many distinct parameters transformers builds for a configuration."""
    fields = copy.deepcopy(config)
    hf_config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(hf_config)
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
    """Count every preset and every variant, and write the table."""
    presets = {path.stem: json.loads(path.read_text())["config"] for path in sorted(PRESETS.glob("*.json"))}
    variants = json.loads(VARIANTS.read_text())
    table = {
        "made_by": "scripts/golden_params.py",
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "not_counted": "buffers; multi-token-prediction layers, which transformers does not build",
        "presets": {name: parameters(config) for name, config in presets.items()},
        "variants": {name: parameters(config) for name, config in variants.items()},
    }
    OUTPUT.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
