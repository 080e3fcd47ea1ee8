"""The constants of the step-time laws before any measured step is seen: value, spread, meaning; and which levels may move them.

A coefficient of a row is a product: the base constant, times one multiplier for each level (chip, stack, site, attention kernel,
...) that has a constant of that name. Priors are log-normal: ``sd`` is the spread of the logarithm. A level that never moved in the
evidence has no constant, so its multiplier is 1 and the interval carries the spread.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A base constant, its spread, and the spread of the multiplier at each level that may move it."""

    value: float
    sd: float
    unit: str
    meaning: str
    levels: dict[str, float] = field(default_factory=dict)
    centres: dict[str, float] = field(default_factory=dict)  # multipliers that are known not to be 1 beforehand


PRIORS: dict[str, Prior] = {
    "sustained_frac": Prior(
        value=0.90, sd=0.02, unit="1", meaning="matrix rate inside a training step over that of the isolated kernel",
        levels={"chip": 0.05, "rate": 0.04, "stack": 0.03},
        centres={"chip=a100-sxm4-80gb": 1.11, "chip=h100-sxm5-80gb": 1.03, "chip=gb200-nvl72": 0.93, "chip=b200-sxm-180gb": 0.90},
    ),
    "attention_forward": Prior(
        value=1.15, sd=0.15, unit="1", meaning="time of the attention core, forward, over the isolated kernel of the chip",
        levels={"attention_on": 0.3},
        # The isolated kernels are the fastest of their chip: FlashAttention 2 and later. Older kernels run further below it.
        centres={"attention_on=flash1@ampere": 1.5, "attention_on=flash2@hopper": 2.2, "attention_on=flash1@hopper": 3.0},
    ),
    "attention_backward": Prior(
        value=1.5, sd=0.15, unit="1", meaning="time of the attention core, backward, over 2.5 isolated forwards",
        levels={"attention_on": 0.3},
        centres={"attention_on=flash1@ampere": 1.3, "attention_on=flash2@hopper": 1.8, "attention_on=flash1@hopper": 2.5},
    ),
    "attention_score": Prior(
        value=0.7, sd=0.3, unit="1", meaning="memory traffic of unfused attention over its operator count",
        levels={"attention": 0.3},
    ),
    "attention_narrow": Prior(
        value=1.0,
        sd=0.3,
        unit="1",
        meaning="time of attention with heads of 64 over the isolated kernel, beyond that with heads of 128",
        levels={"attention": 0.2},
    ),
    "packed_keys": Prior(
        value=0.2, sd=0.5, unit="1", meaning="keys attended to in packed short samples over those of one full sequence"
    ),
    "misaligned": Prior(
        value=3.0, sd=0.4, unit="1", meaning="time of a product with a ragged dimension over an aligned one"
    ),
    "pointwise": Prior(
        value=1.7, sd=0.2, unit="1", meaning="memory traffic of pointwise operators over one read or write a tensor",
        levels={"stack": 0.35, "compiled": 0.3},
    ),
    "backward_pointwise": Prior(value=1.6, sd=0.15, unit="1", meaning="pointwise traffic backward over forward"),
    "norm": Prior(
        value=8.0, sd=0.3, unit="B", meaning="memory traffic of a normalisation a value",
        levels={"norm": 1.0}, centres={"norm=eager": 5.0},
    ),
    "loss_bytes": Prior(
        value=30.0, sd=0.3, unit="B", meaning="memory traffic of the loss a logit, forward and backward", levels={"stack": 0.3}
    ),
    "quantise": Prior(
        value=0.4, sd=0.5, unit="1", meaning="traffic of quantising activations over that of the isolated kernel: training fuses most", levels={"cast": 0.5}
    ),
    "host_s": Prior(
        value=0.5e-3, sd=0.3, unit="s", meaning="time the host needs to launch one block forward",
        levels={"stack": 0.6, "graphs": 0.6, "quantised": 0.4, "chip": 0.5},
    ),
    "host_backward": Prior(
        value=1.2, sd=0.4, unit="1", meaning="launch time of a block backward over forward: more kernels, less Python"
    ),
    "host_expert": Prior(value=3.0, sd=0.7, unit="1", meaning="launch time of an expert block over a dense one"),
    "host_step_s": Prior(value=9e-3, sd=0.5, unit="s", meaning="fixed time of a step: optimizer launch, logging, sync", levels={"stack": 0.5}),
    "tp_exposed": Prior(
        value=0.8, sd=0.2, unit="1", meaning="share of tensor-parallel traffic that is waited for", levels={"stack": 0.5}
    ),
    "cp_exposed": Prior(value=0.3, sd=0.5, unit="1", meaning="share of context-parallel traffic that is waited for", levels={"stack": 0.5}),
    "ep_exposed": Prior(value=1.0, sd=0.3, unit="1", meaning="share of expert-parallel traffic that is waited for", levels={"stack": 0.5, "dispatch": 0.5}),
    "pp_exposed": Prior(value=0.3, sd=0.5, unit="1", meaning="share of pipeline sends that is waited for", levels={"stack": 0.5}),
    "dp_exposed": Prior(
        value=0.6, sd=0.3, unit="1", meaning="share of data-parallel traffic that is waited for even when it could hide",
        levels={"stack": 0.5},
    ),
    "fsdp_interference": Prior(
        value=0.37, sd=0.4, unit="1", meaning="slowdown of compute by gathers that run beside it, at equal length", levels={"stack": 0.5}
    ),
    "fabric": Prior(value=0.9, sd=0.2, unit="1", meaning="scale-out bandwidth reached over the nominal", levels={"site": 0.6}),
    "expert": Prior(
        value=1.0, sd=0.2, unit="1", meaning="time of grouped expert products over the same products one by one", levels={"stack": 0.3}
    ),
    "dispatch": Prior(value=1.0, sd=0.4, unit="1", meaning="memory traffic of token permutation over its operator count", levels={"stack": 0.4}),
    "optimizer_bytes": Prior(value=40.0, sd=0.3, unit="B", meaning="traffic of optimizer and clipping a parameter", levels={"stack": 0.3}),
    "jitter_frac": Prior(value=0.005, sd=0.5, unit="1", meaning="step lengthening a doubling of scale-up domains"),
    "age_frac": Prior(value=0.001, sd=0.01, unit="1", meaning="slowdown of older software not carried by a stack's own constants"),
}  # fmt: skip
