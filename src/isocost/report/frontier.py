"""What to train with money, time, data and a market: one model in a sentence, the isocost line, and what binds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.report.candidates import layout_text, money
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.scaling import NOT_COMPARABLE
from isocost.report.table import Column, Report, Section, Table
from isocost.scaling.candidates import Choice
from isocost.scaling.joint import Cheapest, Joint
from isocost.scaling.planner import Frontier
from isocost.scaling.serving import tokens_to_reach
from isocost.scenario.question import Assumed
from isocost.search.question import Answer
from isocost.units import show
from isocost.workload.params import parameter_count

DAY_S: Final = 86400.0
_SHOWN: Final = 12  # points of the line in the table; all of them are in CSV and JSON
_ISOLOSS: Final = (-0.04, -0.02, 0.0, 0.02, 0.04)  # contours of the chart, in nats from the chosen loss
NOT_MODELLED: Final = (
    "the mix and quality of the data, the schedule, and loss on tasks",
    "what a plan leaves out: see 'isocost plan'",
    "serving beyond 2 N FLOPs a token at the cost of training's FLOPs times --serving-cost",
    "sizes away from the chosen one are read between ten that were planned without context parallelism",
)


def _count(value: float) -> str:
    return show(float(value), "token")


def _column(head: str, key: str, show: Any = str, left: bool = False) -> Column:
    return Column(head=head, key=key, value=lambda row: row.get(key), show=show, left=left)


LINE = (
    _column("model", "name", left=True),
    _column("tokens", "tokens", _count),
    _column("tokens/param", "tokens_per_param", lambda x: f"{x:,.0f}"),
    _column("on", "offer", left=True),
    _column("days", "days", lambda x: f"{x:,.1f}"),
    _column("training", "train_usd", lambda x: show(x, "USD")),
    _column("serving", "serving_usd", lambda x: show(x, "USD")),
    _column("total", "total_usd", lambda x: show(x, "USD")),
    _column("loss", "loss", lambda x: f"{x:.4f}"),
    _column("binds", "binds", left=True),
)
BY_LAW = (_column("law", "law", left=True), *LINE[:6], LINE[7], _column("its own loss", "loss", lambda x: f"{x:.3f}"))
MARGINALS = (
    _column("more", "more", left=True),
    _column("loss, nats", "loss", lambda x: f"{x:+.4f}"),
    _column("then", "name", left=True),
    _column("tokens", "tokens", _count),
    _column("on", "offer", left=True),
)
ALTERNATIVES = (
    _column("model", "name", left=True),
    _column("of its size", "size_frac", lambda x: f"{x:.2f}"),
    _column("tokens", "tokens", _count),
    _column("of its tokens", "tokens_frac", lambda x: f"{x:.2f}"),
    _column("loss, nats", "loss", lambda x: f"{x:+.4f}"),
    _column("to serve a token", "serving_frac", lambda x: f"{x:.2f}"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrontierResult(Result):
    """The recommended model, the isocost line, other laws beside it, and the plan behind it."""

    found: Frontier
    others: tuple[tuple[str, Choice], ...]
    plan: Answer | None
    cheapest: Cheapest | None
    assumed: tuple[Assumed, ...]

    @property
    def joint(self) -> Joint:
        """The answer of the first law."""
        return self.found.joint

    @property
    def chosen(self) -> Choice | None:
        """The recommended model; with a loss to reach, the cheapest one that does."""
        return self.joint.chosen if self.cheapest is None else self.cheapest.chosen

    @property
    def feasible(self) -> bool:
        """Whether there is a model to recommend."""
        return self.chosen is not None

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        chosen = self.chosen
        if chosen is None:
            if self.cheapest is not None:
                return f"no model reaches this loss within these limits; relax: {'; '.join(self.cheapest.relax)}"
            return f"no model fits this budget and deadline; relax: {'; '.join(self.joint.relax)}"
        spread = self.joint.loss_interval
        interval = f" ({spread.low:.3f} to {spread.high:.3f})" if spread and self.cheapest is None else ""
        layout = self.plan.chosen if self.plan is not None else None
        cost = f"{show(chosen.train_usd, 'USD')}"
        if layout is not None and layout.cost_usd is not None:
            cost = money(layout.cost_usd)
        serving = f" to train and {show(chosen.serving_usd, 'USD')} to serve" if chosen.serving_usd else ""
        return (
            f"{chosen.architecture.name} on {_count(chosen.tokens)} tokens: {chosen.offer}, "
            f"{chosen.run_s / DAY_S:.1f} d, {cost}{serving}; "
            f"loss {chosen.loss:.3f}{interval} by {self.joint.law.id}; bound by {chosen.binds}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything, unrounded, with a chart of the isocost line over isoloss lines."""
        line = self._line()
        return {
            "schema_version": SCHEMA_VERSION,
            "sentence": self.sentence,
            "law": self.joint.law.id,
            "limits": {
                "budget_usd": self.joint.limits.budget_usd,
                "deadline_s": self.joint.limits.deadline_s,
                "unique_tokens": self.joint.limits.unique_tokens,
                "served_tokens": self.joint.limits.served_tokens,
                "serving_cost": self.joint.limits.serving_cost,
            },
            "chosen": None if self.chosen is None else choice_row(self.chosen),
            "loss_interval": self.joint.loss_interval,
            "layout": None if self.plan is None or self.plan.chosen is None else layout_text(self.plan.chosen),
            "line": [choice_row(each) for each in line],
            "laws": [{"law": law, **choice_row(each)} for law, each in self.others],
            "alternatives": _alternative_rows(self.joint),
            "marginals": [{**choice_row(m.choice), "more": m.more, "loss": m.loss} for m in self.joint.marginals],
            "relax": self.joint.relax if self.cheapest is None else self.cheapest.relax,
            "notes": self.joint.notes,
            "assumptions": self.assumed,
            "not_modelled": NOT_MODELLED,
            "chart": chart(self.joint, line) if line else None,
        }

    def _line(self) -> tuple[Choice, ...]:
        return self.joint.line if self.cheapest is None else self.cheapest.line

    def rows(self) -> Table:
        """Return a row a size."""
        line = self._line()
        marked = frozenset(k for k, each in enumerate(line) if each is self.chosen)
        return Table(columns=LINE, rows=tuple(choice_row(each) for each in line), marked=marked)

    def report(self) -> Report:
        """Return the sentence, the line, alternatives, marginal values, the laws side by side, and what to know."""
        sections = []
        line = self._line()
        if self.chosen is not None:
            shown = _thinned(line, self.chosen)
            marked = frozenset(k for k, each in enumerate(shown) if each is self.chosen)
            title = "Isocost line: every size for the same money" if self.cheapest is None else "Ways to this loss"
            table = Table(columns=LINE, rows=tuple(choice_row(each) for each in shown), marked=marked)
            sections.append(Section(title=title, body=(table,)))
        if self.plan is not None and self.plan.chosen is not None:
            layout = layout_text(self.plan.chosen)
            sections.append(Section(title="Layout", body=(f"{layout}; bound by {self.plan.chosen.binds}",)))
        if self.cheapest is None and self.joint.alternatives:
            rows = tuple(_alternative_rows(self.joint)[::4])
            sections.append(Section(title="Nearly as good, smaller", body=(Table(columns=ALTERNATIVES, rows=rows),)))
        if self.cheapest is None and self.joint.marginals:
            rows = tuple({**choice_row(m.choice), "more": m.more, "loss": m.loss} for m in self.joint.marginals)
            sections.append(Section(title="What a little more buys", body=(Table(columns=MARGINALS, rows=rows),)))
        if self.others:
            rows = tuple({"law": law, **choice_row(each)} for law, each in self.others)
            sections.append(Section(title="Laws side by side", body=(Table(columns=BY_LAW, rows=rows), NOT_COMPARABLE)))
        if self.joint.notes:
            sections.append(Section(title="To know", body=self.joint.notes))
        said = tuple(f"{a.name}: {a.value} [{', '.join(p for p in (a.source, a.as_of) if p)}]" for a in self.assumed)
        sections += [Section(title="Assumptions", body=said), Section(title="Not modelled", body=NOT_MODELLED)]
        return Report(lead=self.sentence, sections=tuple(sections))


def choice_row(choice: Choice) -> dict[str, Any]:
    """Return a choice as plain values."""
    count = parameter_count(choice.architecture)
    return {
        "name": choice.architecture.name,
        "params": choice.params,
        "params_total": float(count.total),
        "tokens": choice.tokens,
        "tokens_per_param": choice.tokens / choice.params,
        "offer": choice.offer,
        "days": choice.run_s / DAY_S,
        "train_usd": choice.train_usd,
        "data_usd": choice.data_usd,
        "serving_usd": choice.serving_usd or None,
        "total_usd": choice.total_usd,
        "loss": choice.loss,
        "mfu": choice.mfu,
        "binds": choice.binds,
        "hidden": choice.architecture.hidden,
        "layers": choice.architecture.layers,
    }


def _alternative_rows(joint: Joint) -> list[dict[str, Any]]:
    return [
        {
            **choice_row(each.choice),
            "loss": each.loss,
            "size_frac": each.size_frac,
            "tokens_frac": each.tokens_frac,
            "serving_frac": each.serving_frac,
        }
        for each in joint.alternatives
    ]


def _thinned(line: Sequence[Choice], chosen: Choice) -> list[Choice]:
    """Return some of the line around the chosen point, and always that one."""
    if len(line) <= _SHOWN:
        return list(line)
    places = set(np.linspace(0, len(line) - 1, _SHOWN).round().astype(int).tolist())
    return [each for k, each in enumerate(line) if k in places or each is chosen]


def chart(joint: Joint, line: Sequence[Choice]) -> dict[str, Any]:
    """Return a Vega-Lite chart: the isocost line over lines of equal loss, in parameters and tokens."""
    params = np.array([each.params for each in line])
    middle = min(each.loss for each in line)
    contours: list[dict[str, Any]] = []
    floor = joint.law.value("E")
    for step in (step for step in _ISOLOSS if middle + step > floor):
        tokens = np.asarray(tokens_to_reach(joint.law, middle + step, params, joint.limits.unique_tokens))
        contours += [
            {"params": float(n), "tokens": float(d), "line": f"loss {middle + step:.3f}"}
            for n, d in zip(params, tokens, strict=True)
            if np.isfinite(d) and d < 100.0 * max(each.tokens for each in line)
        ]
    isocost = [{"params": each.params, "tokens": each.tokens, "line": "isocost"} for each in line]
    scale = {"type": "log"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": [*contours, *isocost]},
        "mark": "line",
        "encoding": {
            "x": {"field": "params", "type": "quantitative", "scale": scale, "title": "parameters"},
            "y": {"field": "tokens", "type": "quantitative", "scale": scale, "title": "tokens"},
            "color": {"field": "line", "type": "nominal", "title": None},
        },
    }
