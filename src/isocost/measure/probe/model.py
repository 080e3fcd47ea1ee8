"""The models of the probe in plain PyTorch: dense LLaMA-like and GPT-like blocks, and mixtures of experts.

Weights are fp32 and are cast to bf16 where they are used; the residual stream is bf16. Routing is forced balanced, so
every expert gets the same number of tokens and the experts are one batched product of fixed shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from isocost.measure.probe.plan import Case, Shape

DTYPE = torch.bfloat16
INIT_STD = 0.02  # of GPT-2; its value does not change the time of a step
ROPE_BASE = 10_000.0
EPS = 1e-5
FORWARD_FP8 = torch.float8_e4m3fn
BACKWARD_FP8 = torch.float8_e5m2
TINY = 1e-12  # keeps the scale of a tensor of zeros finite


def quantised(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return a tensor in fp8 with one scale, and the factor that undoes the scale."""
    factor = x.abs().amax().float().clamp(min=TINY) / torch.finfo(dtype).max
    limit = torch.finfo(dtype).max
    return (x.float() / factor).clamp(-limit, limit).to(dtype), factor


def _product(a: Tensor, a_factor: Tensor, b: Tensor, b_factor: Tensor) -> Tensor:
    """Return ``a @ b`` of fp8 matrices; the device wants the second one column by column."""
    columns = b.t().contiguous().t()
    return torch._scaled_mm(a.contiguous(), columns, scale_a=a_factor, scale_b=b_factor, out_dtype=DTYPE)


class Fp8Product(torch.autograd.Function):
    """``x @ weight.T`` with all three products in fp8, scaled by tensor as they come."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Return the product, scaled as it comes."""
        x8, x_factor = quantised(x, FORWARD_FP8)
        w8, w_factor = quantised(weight, FORWARD_FP8)
        ctx.save_for_backward(x8, x_factor, w8, w_factor)
        return _product(x8, x_factor, w8.t(), w_factor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of both factors."""
        x8, x_factor, w8, w_factor = ctx.saved_tensors
        g8, g_factor = quantised(gradient, BACKWARD_FP8)
        to_input = _product(g8, g_factor, w8, w_factor)
        to_weight = _product(g8.t(), g_factor, x8, x_factor)
        return to_input, to_weight.float()


class Linear(nn.Module):
    """A product with fp32 weights, in bf16 or fp8."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False, fp8: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * INIT_STD)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.fp8 = fp8

    def forward(self, x: Tensor) -> Tensor:
        """``x @ weight.T`` and a bias."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if not self.fp8:
            return functional.linear(x, self.weight.to(x.dtype), bias)
        y = Fp8Product.apply(x.reshape(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)
        return y if bias is None else y + bias


class RMSNorm(nn.Module):
    """Root-mean-square norm in separate operations, so that eager and fused are what the row says."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Root-mean-square norm in separate operations."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPS)
        return (wide * self.weight).to(x.dtype)


class LayerNorm(nn.Module):
    """PyTorch's own layer norm: one kernel."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Layer norm in one kernel."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return functional.layer_norm(x, (x.shape[-1],), weight, bias, EPS)


def rotary_table(seq_len: int, head_dim: int) -> Tensor:
    """Cosines and sines of the rotary embedding, one pair a position and a half width."""
    rate = ROPE_BASE ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.outer(torch.arange(seq_len).float(), rate)
    return torch.stack((angle.cos(), angle.sin())).to(DTYPE)


def _rotate(x: Tensor, table: Tensor) -> Tensor:
    cos, sin = table[0], table[1]
    low, high = x.chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)


class Attention(nn.Module):
    """Causal attention, grouped where the model groups; query, key and value in one product."""

    def __init__(self, shape: Shape, *, fp8: bool) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = shape.heads, shape.kv_heads, shape.head_dim
        width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
        self.qkv = Linear(shape.hidden, width, bias=shape.gpt, fp8=fp8)
        self.out = Linear(shape.heads * shape.head_dim, shape.hidden, bias=shape.gpt, fp8=fp8)

    def forward(self, x: Tensor, table: Tensor | None) -> Tensor:
        """Attention of a sequence."""
        batch, length, _ = x.shape
        heads = self.qkv(x).view(batch, length, -1, self.head_dim).transpose(1, 2)
        query, key, value = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        if table is not None:
            query, key = _rotate(query, table), _rotate(key, table)
        y = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=self.heads != self.kv_heads
        )
        return self.out(y.transpose(1, 2).reshape(batch, length, -1))


class FeedForward(nn.Module):
    """Gated (SwiGLU, gate and up in one product) or plain (GELU)."""

    def __init__(self, hidden: int, width: int, *, plain: bool, fp8: bool) -> None:
        super().__init__()
        self.plain = plain
        self.up = Linear(hidden, width if plain else 2 * width, bias=plain, fp8=fp8)
        self.down = Linear(width, hidden, bias=plain, fp8=fp8)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feed-forward network."""
        y = self.up(x)
        if self.plain:
            return self.down(functional.gelu(y, approximate="tanh"))
        gate, up = y.chunk(2, dim=-1)
        return self.down(functional.silu(gate) * up)


class Experts(nn.Module):
    """Routed experts with forced balance: permute, one batched product, un-permute, sum; shared ones beside."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.count, self.topk = shape.experts, shape.experts_topk
        width = shape.moe_ffn_hidden
        self.router = Linear(shape.hidden, shape.experts)
        self.up = nn.Parameter(torch.randn(shape.experts, shape.hidden, 2 * width) * INIT_STD)
        self.down = nn.Parameter(torch.randn(shape.experts, width, shape.hidden) * INIT_STD)
        shared = shape.shared_experts * width
        self.shared = FeedForward(shape.hidden, shared, plain=False, fp8=False) if shared else None

    def forward(self, x: Tensor) -> Tensor:
        """Experts under forced balance, and the shared one."""
        flat = x.reshape(-1, x.shape[-1])
        tokens = flat.shape[0]
        expert = torch.arange(tokens * self.topk, device=x.device) % self.count
        weight = self.router(flat).float().softmax(-1).gather(1, expert.view(tokens, self.topk))
        weight = weight / weight.sum(-1, keepdim=True)
        order = torch.argsort(expert, stable=True)
        visits = flat.index_select(0, order // self.topk).view(self.count, -1, flat.shape[-1])
        gate, up = torch.bmm(visits, self.up.to(x.dtype)).chunk(2, dim=-1)
        y = torch.bmm(functional.silu(gate) * up, self.down.to(x.dtype)).view(-1, flat.shape[-1])
        y = y.index_select(0, torch.argsort(order)).view(tokens, self.topk, -1)
        y = (y * weight.to(x.dtype).unsqueeze(-1)).sum(1).view_as(x)
        return y if self.shared is None else y + self.shared(x)


class Block(nn.Module):
    """A pre-norm transformer block, recomputed in the backward pass if asked."""

    def __init__(self, shape: Shape, *, experts: bool, fp8: bool, recompute: bool) -> None:
        super().__init__()
        norm = LayerNorm if shape.gpt else RMSNorm
        self.recompute = recompute
        self.attention_norm, self.ffn_norm = norm(shape.hidden), norm(shape.hidden)
        self.attention = Attention(shape, fp8=fp8)
        self.ffn: nn.Module = (
            Experts(shape) if experts else FeedForward(shape.hidden, shape.ffn_hidden, plain=shape.gpt, fp8=fp8)
        )

    def _once(self, x: Tensor, table: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), table)
        return x + self.ffn(self.ffn_norm(x))

    def forward(self, x: Tensor, table: Tensor | None) -> Tensor:
        """Return a block, run again in the backward pass where it is recomputed."""
        return checkpoint(self._once, x, table, use_reentrant=False) if self.recompute else self._once(x, table)


class Head(nn.Module):
    """Final norm, logits and loss; the logits are whole and in fp32, as plain PyTorch training has them."""

    def __init__(self, shape: Shape, embedding: nn.Parameter) -> None:
        super().__init__()
        self.norm = LayerNorm(shape.hidden) if shape.gpt else RMSNorm(shape.hidden)
        self.weight = embedding if shape.tied else nn.Parameter(torch.randn(shape.vocab, shape.hidden) * INIT_STD)

    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """Loss of the tokens."""
        logits = functional.linear(self.norm(x), self.weight.to(x.dtype)).float()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Decoder(nn.Module):
    """A decoder with its loss."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        shape, run = case.shape, case.setting
        self.embedding = nn.Parameter(torch.randn(shape.vocab, shape.hidden) * INIT_STD)
        self.positions = nn.Parameter(torch.randn(run.seq_len, shape.hidden) * INIT_STD) if shape.gpt else None
        self.register_buffer("table", None if shape.gpt else rotary_table(run.seq_len, shape.head_dim))
        self.blocks = nn.ModuleList(
            Block(
                shape,
                experts=bool(shape.experts) and at >= shape.dense_layers,
                fp8=run.precision == "fp8",
                recompute=run.recompute == "full",
            )
            for at in range(shape.layers)
        )
        self.head = Head(shape, self.embedding)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Loss of a micro-batch."""
        x = functional.embedding(tokens, self.embedding)
        x = (x if self.positions is None else x + self.positions).to(DTYPE)
        for block in self.blocks:
            x = block(x, self.table)
        return self.head(x, targets)


def build(case: Case, device: str) -> Decoder:
    """Return the model on the device, compiled block by block where the case says so."""
    with torch.device(device):
        model = Decoder(case)
    if case.setting.compiled:
        for part in (*model.blocks, model.head):
            part.compile(dynamic=False)
    return model
