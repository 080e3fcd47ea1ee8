# What the probe uses of PyTorch, so that its types are checked without installing it.
from typing import Any, TypeAlias

from torch import autograd as autograd

Tensor: TypeAlias = Any

def __getattr__(name: str) -> Any: ...
