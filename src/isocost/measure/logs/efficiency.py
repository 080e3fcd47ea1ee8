"""MFU and HFU under a stated definition, and a printed MFU converted to it.

MFU: model FLOPs of the tokens (forward and backward, no recompute) over the dense peak. HFU: the FLOPs that were run,
recompute included. What counts as a model FLOP (causal attention halved or whole, embedding in or out) is the
definition.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """FLOPs of a token and the peak they are divided by."""

    model_flop_per_token: float
    peak_flop_per_s: float
    hardware_flop_per_token: float | None = None  # with recompute; None where that is not known
    name: str = "model FLOPs over the dense peak"

    def mfu(self, tokens_per_s_per_gpu: float) -> float:
        """MFU = tokens_per_s_per_gpu * model_flop_per_token / peak_flop_per_s."""
        return tokens_per_s_per_gpu * self.model_flop_per_token / self.peak_flop_per_s

    def hfu(self, tokens_per_s_per_gpu: float) -> float | None:
        """HFU = tokens_per_s_per_gpu * hardware_flop_per_token / peak_flop_per_s."""
        if self.hardware_flop_per_token is None:
            return None
        return tokens_per_s_per_gpu * self.hardware_flop_per_token / self.peak_flop_per_s

    def converted(self, printed_mfu: float, printed: Definition) -> float:
        """Return an MFU that was printed under another definition under this one."""
        flop = self.model_flop_per_token / printed.model_flop_per_token
        return printed_mfu * flop * printed.peak_flop_per_s / self.peak_flop_per_s


def printed_peak_flop_per_s(tflops_per_gpu: float, mfu: float) -> float:
    """Return the peak that a tool divided by, from the rate and the MFU that it prints."""
    return tflops_per_gpu * 1e12 / mfu


def printed_flop_per_token(tflops_per_gpu: float, tokens_per_s_per_gpu: float) -> float:
    """Return the FLOPs of a token that a tool counts, from the two rates that it prints."""
    return tflops_per_gpu * 1e12 / tokens_per_s_per_gpu
