"""What one model is, in tables: parameters and FLOPs per token by operator, and bytes of training state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isocost.render.cells import keyed
from isocost.render.document import Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.units import show
from isocost.workload.architecture import Architecture
from isocost.workload.summary import summary


def _count(value: float) -> str:
    return show(float(value), "token") if value else "0"


def _flop(value: float) -> str:
    return show(float(value), "flop")


BY_OPERATOR = (
    keyed("operator", "operator", left=True),
    keyed("forward", "forward_flop_per_token", _flop),
    keyed("backward", "backward_flop_per_token", _flop),
    keyed("replayed, selective", "recompute_selective_flop_per_token", _flop),
    keyed("replayed, full", "recompute_full_flop_per_token", _flop),
    keyed("forward, full attention", "forward_full_flop_per_token", _flop),
)
PARAMS = (keyed("parameters of", "operator", left=True), keyed("count", "params", lambda x: f"{x:,}"))
STATE = (keyed("state", "state", left=True), keyed("bytes", "state_bytes", lambda x: show(x, "B")))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelSummary(Result):
    """Parameters, FLOPs per token and bytes of state of a model at one sequence length."""

    architecture: Architecture
    seq_len: int

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, unrounded."""
        return {"schema_version": SCHEMA_VERSION, **summary(self.architecture, self.seq_len)}

    def rows(self) -> Table:
        """Return FLOPs per token by operator."""
        flop = self.to_dict()["flop_per_token"]
        causal, full = flop["causal"], flop["full"]
        rows = tuple(
            {
                "operator": operator,
                "forward_flop_per_token": causal["forward"][operator],
                "backward_flop_per_token": causal["backward"][operator],
                "recompute_selective_flop_per_token": causal["recompute_selective"][operator],
                "recompute_full_flop_per_token": causal["recompute_full"][operator],
                "forward_full_flop_per_token": full["forward"][operator],
            }
            for operator in causal["forward"]
        )
        return Table(columns=BY_OPERATOR, rows=rows)

    def document(self) -> Document:
        """Return one sentence, then parameters, FLOPs and state."""
        values = self.to_dict()
        params, active = values["params"], values["active_params"]
        of = f", {_count(active)} active" if active != params else ""
        train = values["flop_per_token"]["causal"]["train_total"]
        lead = (
            f"{self.architecture.name}: {_count(params)} parameters{of} in {values['layers']:,} layers; "
            f"{_flop(train)} a token to train on sequences of {self.seq_len:,}"
        )
        by_operator = tuple({"operator": k, "params": v} for k, v in values["params_by_operator"].items() if v)
        total = ({"operator": "total", "params": params},)
        state = tuple({"state": k.replace("_", " "), "state_bytes": v} for k, v in values["state_bytes"].items())
        return Document(
            lead=lead,
            sections=(
                Section(title="Parameters", body=(Table(columns=PARAMS, rows=by_operator + total),)),
                Section(title="FLOPs per token, causal attention", body=(self.rows(), values["flop_convention"])),
                Section(title="Training state, mixed precision with Adam", body=(Table(columns=STATE, rows=state),)),
            ),
        )
