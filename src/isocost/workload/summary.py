"""What one model is, as plain data: what ``isocost model`` prints."""

from __future__ import annotations

from dataclasses import asdict

from isocost.workload import flops, params
from isocost.workload.architecture import Architecture, Block

FLOP_CONVENTION = (
    "two FLOPs a multiply-add; head in, input embedding out; causal leaves the masked scores out, full does not"
)


def summary(arch: Architecture, seq_len: int) -> dict[str, object]:
    """Return parameters, kinds of layers, FLOPs per token and bytes of state of a model at one sequence length."""
    count = params.parameter_count(arch)
    return {
        "name": arch.name,
        "model_type": arch.model_type,
        "params": count.total,
        "active_params": count.active,
        "mtp_params": count.mtp,
        "params_by_operator": {name: getattr(count, name) for name in params.OPERATORS},
        "layers": arch.layers,
        "hidden": arch.hidden,
        "vocab": arch.vocab,
        "tied_embeddings": arch.tied_embeddings,
        "max_seq_len": arch.max_seq_len,
        "blocks": [asdict(block) for block in arch.blocks],
        "kv": _kv(arch),
        "seq_len": seq_len,
        "flop_convention": FLOP_CONVENTION,
        "flop_per_token": {
            "causal": _flop_per_token(arch, seq_len, causal=True),
            "full": _flop_per_token(arch, seq_len, causal=False),
        },
        "state_bytes": _state_bytes(count.trained),
    }


def kv_values_per_token(block: Block) -> int:
    """Return the values one layer must keep of a token's keys and values (MLA: the latent and the rotary part)."""
    if block.mla:
        return block.kv_lora_rank + block.qk_rope_head_dim
    return block.kv_heads * (block.head_dim + block.v_head_dim)


def _kv(arch: Architecture) -> dict[str, object]:
    kinds = [
        {
            "layers": block.count,
            "kv_heads": block.kv_heads,
            "head_dim": block.head_dim,
            "v_head_dim": block.v_head_dim,
            "values_per_token": kv_values_per_token(block),
        }
        for block in arch.blocks
    ]
    total = sum(block.count * kv_values_per_token(block) for block in arch.blocks)
    return {"kinds": kinds, "values_per_token": total}


def _flop_per_token(arch: Architecture, seq_len: int, *, causal: bool) -> dict[str, object]:
    return {
        "forward": flops.forward_flop_per_token(arch, seq_len, causal=causal).to_dict(),
        "backward": flops.backward_flop_per_token(arch, seq_len, causal=causal).to_dict(),
        "recompute_selective": flops.recompute_flop_per_token(arch, seq_len, "selective", causal=causal).to_dict(),
        "recompute_full": flops.recompute_flop_per_token(arch, seq_len, "full", causal=causal).to_dict(),
        "train_total": flops.train_flop_per_token(arch, seq_len, causal=causal),
    }


def _state_bytes(trained: int) -> dict[str, float]:
    parts = params.state_bytes(trained)
    return parts | {"total": sum(parts.values())}
