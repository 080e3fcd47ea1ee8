"""What the probe trains: shapes of real models, settings of the recipe, and the order in which they are measured.

Pure Python, so that the plan can be listed and tested where PyTorch is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# Bytes a parameter holds through a step: fp32 weights, gradients and both AdamW moments (16), and the bf16 copy of the
# weights that the backward pass keeps (2).
STATE_BYTES_PER_PARAM = 18
# Share of the device that the states may take; the rest is for activations and logits. Layers are cut to it.
STATE_SHARE = 0.6
QUICK_LAYERS = 8
QUICK_MODELS = ("smollm-135m", "tinyllama-1.1b", "olmoe-1b-7b")
QUICK_SETTINGS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder: LLaMA-like (RMSNorm, rotary, gated) or GPT-like (LayerNorm, learned positions, biases)."""

    name: str
    layers: int  # those that are trained
    full_layers: int  # those of the published model
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_hidden: int = 0
    vocab: int
    tied: bool = False
    gpt: bool = False
    experts: int = 0
    experts_topk: int = 0
    shared_experts: int = 0
    moe_ffn_hidden: int = 0
    dense_layers: int = 0  # leading layers without experts in a mixture-of-experts model
    seq_divisor: int = 1  # the tiny shapes train short sequences

    def layer_params(self, *, dense: bool) -> int:
        """Parameters of one block."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        if self.gpt:
            biases = self.head_dim * (self.heads + 2 * self.kv_heads) + self.hidden + self.ffn_hidden + self.hidden
            return attention + 2 * self.hidden * self.ffn_hidden + biases + 4 * self.hidden
        norms = 2 * self.hidden
        if dense:
            return attention + 3 * self.hidden * self.ffn_hidden + norms
        wide = (self.experts + self.shared_experts) * self.moe_ffn_hidden
        return attention + 3 * self.hidden * wide + self.hidden * self.experts + norms

    def params(self, seq_len: int) -> int:
        """Parameters of the model as trained; the table of learned positions is as long as the sequence."""
        dense_layers = self.dense_layers if self.experts else self.layers
        blocks = dense_layers * self.layer_params(dense=True)
        if self.experts:
            blocks += (self.layers - dense_layers) * self.layer_params(dense=False)
        ends = self.vocab * self.hidden * (1 if self.tied else 2)
        return blocks + ends + (2 * self.hidden + seq_len * self.hidden if self.gpt else self.hidden)


def _llama(
    name: str, layers: int, hidden: int, heads: tuple[int, int, int], ffn: int, vocab: int, *, tied: bool = False
) -> Shape:
    query, key, width = heads
    return Shape(
        name=name, layers=layers, full_layers=layers, hidden=hidden, heads=query, kv_heads=key, head_dim=width,
        ffn_hidden=ffn, vocab=vocab, tied=tied,
    )  # fmt: skip


def _gpt(name: str, layers: int, hidden: int, heads: int, vocab: int = 50304) -> Shape:
    # 50,257 tokens padded to a multiple of 64, as nanoGPT trains GPT-2; the feed-forward is four times as wide.
    return Shape(
        name=name, layers=layers, full_layers=layers, hidden=hidden, heads=heads, kv_heads=heads,
        head_dim=hidden // heads, ffn_hidden=4 * hidden, vocab=vocab, tied=True, gpt=True,
    )  # fmt: skip


def _moe(
    name: str,
    layers: int,
    hidden: int,
    heads: tuple[int, int, int],
    experts: tuple[int, int, int],
    vocab: int,
    *,
    shared: int = 0,
    dense: tuple[int, int] = (0, 0),
) -> Shape:
    query, key, width = heads
    count, topk, moe_ffn = experts
    return Shape(
        name=name, layers=layers, full_layers=layers, hidden=hidden, heads=query, kv_heads=key, head_dim=width,
        vocab=vocab, experts=count, experts_topk=topk, moe_ffn_hidden=moe_ffn, shared_experts=shared,
        dense_layers=dense[0], ffn_hidden=dense[1],
    )  # fmt: skip


# Widths are those of the published config.json; what the probe leaves out is in the README.
SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        _llama("smollm-135m", 30, 576, (9, 3, 64), 1536, 49152, tied=True),
        _llama("tinyllama-1.1b", 22, 2048, (32, 4, 64), 5632, 32000),
        _gpt("gpt2-124m", 12, 768, 12),
        _moe("olmoe-1b-7b", 16, 2048, (16, 16, 128), (64, 8, 1024), 50304),
        _llama("llama-3.2-1b", 16, 2048, (32, 8, 64), 8192, 128256, tied=True),
        _gpt("gpt2-xl", 48, 1600, 25),
        _llama("llama-3-8b", 32, 4096, (32, 8, 128), 14336, 128256),
        _moe("mixtral-8x7b", 32, 4096, (32, 8, 128), (8, 2, 14336), 32000),
        _llama("llama-3.2-3b", 28, 3072, (24, 8, 128), 8192, 128256, tied=True),
        _gpt("gpt3-6.7b", 32, 4096, 32),
        _moe("deepseek-moe-16b", 28, 2048, (16, 16, 128), (64, 6, 1408), 102400, shared=2, dense=(1, 10944)),
        _llama("llama-2-7b", 32, 4096, (32, 32, 128), 11008, 32000),
        _moe("qwen3-30b-a3b", 48, 2048, (32, 4, 128), (128, 8, 768), 151936),
    )
}
# For a test of the machinery on a CPU; they say nothing about a device.
TINY_SHAPES: dict[str, Shape] = {
    shape.name: replace(shape, seq_divisor=64)
    for shape in (
        _llama("tiny-llama", 2, 64, (4, 2, 16), 160, 256),
        _gpt("tiny-gpt", 2, 64, 4, vocab=256),
        _moe("tiny-moe", 2, 64, (4, 4, 16), (4, 2, 64), 256, shared=1, dense=(1, 160)),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The part of a configuration that is not the model."""

    seq_len: int
    micro_batch: int
    accumulation: int = 1  # micro-batches per step
    compiled: bool = False
    precision: str = "bf16"
    recompute: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration to measure."""

    shape: Shape
    setting: Setting

    @property
    def name(self) -> str:
        """Identifier, unique in a plan."""
        run = self.setting
        return (
            f"{self.shape.name}-{self.shape.layers}l-s{run.seq_len}-mb{run.micro_batch}x{run.accumulation}"
            f"-{run.precision}-{'compiled' if run.compiled else 'eager'}-recompute-{run.recompute}"
        )

    @property
    def params(self) -> int:
        """Parameters as trained."""
        return self.shape.params(self.setting.seq_len)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Something that is not measured, and why."""

    name: str
    reason: str


# Ordered so that a run stopped early has seen every model, both launch paths, two lengths, recomputation and fp8.
SETTINGS: tuple[Setting, ...] = (
    Setting(seq_len=2048, micro_batch=1),
    Setting(seq_len=2048, micro_batch=4, compiled=True),
    Setting(seq_len=4096, micro_batch=2),
    Setting(seq_len=8192, micro_batch=1, compiled=True, recompute="full"),
    Setting(seq_len=2048, micro_batch=4, compiled=True, precision="fp8"),
    Setting(seq_len=1024, micro_batch=8),
    Setting(seq_len=4096, micro_batch=4, recompute="full"),
    Setting(seq_len=2048, micro_batch=1, compiled=True),
    Setting(seq_len=16384, micro_batch=1, compiled=True, recompute="full"),
    Setting(seq_len=4096, micro_batch=1, accumulation=4, compiled=True),
    Setting(seq_len=1024, micro_batch=1),
    Setting(seq_len=8192, micro_batch=2, compiled=True),
    Setting(seq_len=4096, micro_batch=4, compiled=True, precision="fp8", recompute="full"),
    Setting(seq_len=16384, micro_batch=1),
    Setting(seq_len=1024, micro_batch=32, compiled=True),
    Setting(seq_len=2048, micro_batch=4, precision="fp8"),
    Setting(seq_len=2048, micro_batch=16, recompute="full"),
    Setting(seq_len=16384, micro_batch=2, compiled=True, precision="fp8", recompute="full"),
)


def reduced(shape: Shape, memory_bytes: float, *, at_most: int = 0) -> Shape | Skip:
    """Return the shape at full width with as many layers as the states leave room for, or why it is skipped."""
    room = STATE_SHARE * memory_bytes / STATE_BYTES_PER_PARAM
    longest = max(setting.seq_len for setting in SETTINGS) // shape.seq_divisor
    layers = min(shape.layers, at_most or shape.layers)
    while layers > shape.dense_layers:
        candidate = replace(shape, layers=layers)
        if candidate.params(longest) <= room:
            return candidate
        layers -= 1
    least = replace(shape, layers=shape.dense_layers + 1).params(longest) * STATE_BYTES_PER_PARAM
    return Skip(
        name=shape.name,
        reason=f"weights, gradients and optimizer of its smallest cut take {least / 1e9:.1f} GB, more than"
        f" {STATE_SHARE:.0%} of the {memory_bytes / 1e9:.1f} GB of the device",
    )


def plan(
    names: tuple[str, ...], memory_bytes: float, *, quick: bool = False, no_fp8: str = ""
) -> tuple[list[Case], list[Skip]]:
    """Return the configurations in order of measurement, and what is skipped; ``no_fp8`` says why fp8 cannot run."""
    skipped: list[Skip] = []
    shapes: list[Shape] = []
    for name in names:
        found = reduced(find(name), memory_bytes, at_most=QUICK_LAYERS if quick else 0)
        if isinstance(found, Skip):
            skipped.append(found)
        else:
            shapes.append(found)
    cases: list[Case] = []
    for setting in SETTINGS[:QUICK_SETTINGS] if quick else SETTINGS:
        for shape in shapes:
            case = Case(shape=shape, setting=replace(setting, seq_len=setting.seq_len // shape.seq_divisor))
            reason = _cannot(case, no_fp8)
            if reason:
                skipped.append(Skip(name=case.name, reason=reason))
            else:
                cases.append(case)
    return cases, skipped


def find(name: str) -> Shape:
    """Return a shape by name; KeyError if there is none."""
    return (SHAPES | TINY_SHAPES)[name]


def _cannot(case: Case, no_fp8: str) -> str:
    """Why this configuration cannot be trained here; empty if it can."""
    if case.setting.precision != "fp8":
        return ""
    if case.shape.experts:
        return "experts run as one batched product, which torch._scaled_mm does not offer"
    return no_fp8
