"""What a GPU kernel does, by its name; the names are those of CUDA, ROCm and Triton libraries."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

COMMUNICATION: Final = "communication"
_COLLECTIVES: Final = (  # of NCCL, RCCL and what frameworks call them
    ("all_reduce", re.compile(r"all_?reduce", re.IGNORECASE)),
    ("reduce_scatter", re.compile(r"reduce_?scatter", re.IGNORECASE)),
    ("all_gather", re.compile(r"all_?gather", re.IGNORECASE)),
    ("all_to_all", re.compile(r"all_?to_?all", re.IGNORECASE)),
    ("broadcast", re.compile(r"broadcast", re.IGNORECASE)),
    ("reduce", re.compile(r"reduce", re.IGNORECASE)),
    ("send_recv", re.compile(r"send|recv", re.IGNORECASE)),
)
_IS_COLLECTIVE: Final = re.compile(
    r"nccl|rccl|nvshmem|deep_ep|msccl|\boneShotAllReduce|custom_?all_?reduce", re.IGNORECASE
)
_CLASSES: Final = tuple(  # the first that fits; a fused attention has "gemm" in its name too
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("memcpy", r"^Mem(cpy|set)"),
        ("attention", r"flash|fmha|attention|attn|mha_|softmax_lse|sdpa"),
        ("optimizer", r"adam|multi_tensor_apply|fused_optimizer|lamb|sgd|adagrad|clip_grad|l2norm_kernel"),
        ("convolution", r"conv|winograd|wgrad|dgrad|fprop|implicit_gemm"),
        ("gemm", r"gemm|cublas|^Cijk_|nvjet|matmul|_mm_|\bmm\b|splitK|gemv|xmma|cutlass.*Kernel"),
        ("norm", r"norm|\bbn_|_bn_|welford"),
        ("embedding", r"embedding|index_?select|gather_kernel|scatter|indices"),
        ("pointwise", r"elementwise|pointwise|triton_|reduce_kernel|copy|cat|fill|softmax|dropout|nchw|nhwc"),
    )
)
OTHER: Final = "other"
COPIES: Final = "memcpy"
# Where kernels of two classes run at once, the moment belongs to the first: what the step is for comes first.
ORDER: Final = ("gemm", "attention", "convolution", "optimizer", "norm", "embedding", "pointwise", OTHER)


@lru_cache(maxsize=65536)
def kernel_class(name: str) -> str:
    """Return gemm, attention, norm, pointwise, optimizer, memcpy, ..., or communication."""
    if _IS_COLLECTIVE.search(name):
        return COMMUNICATION
    return next((kind for kind, pattern in _CLASSES if pattern.search(name)), OTHER)


@lru_cache(maxsize=65536)
def collective(name: str) -> str:
    """Return the kind of a collective."""
    return next((kind for kind, pattern in _COLLECTIVES if pattern.search(name)), OTHER)


_ELEMENT_BYTES: Final = {
    "float": 4,
    "float32": 4,
    "double": 8,
    "half": 2,
    "float16": 2,
    "bfloat16": 2,
    "byte": 1,
    "char": 1,
    "bool": 1,
    "int": 4,
    "long": 8,
    "long int": 8,
    "signed char": 1,
    "unsigned char": 1,
    "int8": 1,
    "uint8": 1,
    "short": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
}


def element_bytes(dtype: str) -> float | None:
    """Return the bytes of an element of a type as PyTorch names it."""
    return _ELEMENT_BYTES.get(dtype.casefold())


def bus_factor(kind: str, ranks: float) -> float:
    """Return bytes over the slowest link by bytes of the whole buffer, as nccl-tests counts bus bandwidth."""
    if ranks <= 1.0:
        return 0.0
    share = (ranks - 1.0) / ranks
    return {"all_reduce": 2.0 * share, "all_gather": share, "reduce_scatter": share, "all_to_all": share}.get(kind, 1.0)


def gemm_flop(name: str, dims: object) -> float:
    """Return 2mnk of a matrix product from the shapes of its inputs; zero for other operators and for wrappers."""
    first = {"aten::mm": 0, "aten::bmm": 0, "aten::_scaled_mm": 0, "aten::addmm": 1, "aten::baddbmm": 1}.get(name)
    if first is None or not isinstance(dims, list) or len(dims) < first + 2:
        return 0.0
    left, right = dims[first], dims[first + 1]
    if not isinstance(left, list) or not isinstance(right, list) or len(left) < 2 or len(right) != len(left):
        return 0.0
    flop = 2.0 * float(right[-1])
    for size in left:
        flop *= float(size)
    return flop
