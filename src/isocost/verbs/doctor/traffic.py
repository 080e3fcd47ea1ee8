"""Which parallelism a collective of a trace belongs to: told by the name of its group, its ranks, its kind or its size.

Ranks are numbered as Megatron-LM, torchtitan and DeepSpeed do: tensor-parallel neighbors first, then context, data,
pipeline.
"""

from __future__ import annotations

import re
from typing import Final

from isocost.measure import Collective
from isocost.perf.case import Case

TP, CP, EP, DP, PP = "tp", "cp", "ep", "dp", "pp"
# The first that fits: Megatron's EXPERT_DATA_PARALLEL_GROUP and DATA_PARALLEL_GROUP_WITH_CP carry gradients.
_NAMED: Final = (
    (DP, re.compile(r"data|(?:^|_)(?:dp|fsdp|hsdp|ddp|zero|replicate|shard)(?:_|$|\d)", re.IGNORECASE)),
    (PP, re.compile(r"pipe|(?:^|_)pp(?:_|$|\d)", re.IGNORECASE)),
    (TP, re.compile(r"tensor|(?:^|_)tp(?:_|$|\d)", re.IGNORECASE)),
    (EP, re.compile(r"expert|moe|(?:^|_)ep(?:_|$|\d)", re.IGNORECASE)),
    (CP, re.compile(r"context|ulysses|ring|(?:^|_)cp(?:_|$|\d)", re.IGNORECASE)),
)
DEFAULT: Final = re.compile(r"default", re.IGNORECASE)  # the group of all ranks says nothing by its name


def parallelism(found: Collective, case: Case) -> str | None:
    """Return "tp", "cp", "ep", "dp" or "pp", or None where the trace and the layout leave it open."""
    degrees = {name: getattr(case.layout, name) for name in (TP, CP, EP, DP, PP)}
    used = [name for name, degree in degrees.items() if degree > 1]
    words = found.group.description
    if words and not DEFAULT.search(words):
        named = next((name for name, pattern in _NAMED if pattern.search(words)), None)
        if named in used:
            return named
    if found.kind == "send_recv":
        return next((name for name in (PP, CP, EP) if name in used), None)
    if found.kind == "all_to_all":
        return next((name for name in (EP, CP) if name in used), None)
    if placed := _by_ranks(found, case):
        return placed
    # Expert and pipeline traffic have kinds of their own; what is left gathers, scatters and reduces.
    sized = [name for name in used if name not in (PP, EP) and found.group.size in (None, degrees[name])]
    return sized[0] if len(sized) == 1 else None


def _by_ranks(found: Collective, case: Case) -> str | None:
    """Return the parallelism whose neighbors are as far apart as those of the group, and as many."""
    x = case.layout
    places = {
        TP: [(x.tp, 1)],
        CP: [(x.cp, x.tp)],
        DP: [(x.dp, x.tp * x.cp), (x.dp * x.cp, x.tp), (x.sharded_over, x.tp * x.cp)],
    }
    here = (found.group.size, found.group.stride)
    fits = [name for name, options in places.items() if here in [(n, s) for n, s in options if n > 1]]
    return fits[0] if len(fits) == 1 else None
