"""Why a number is what it is: the chosen layout evaluated once more with recording on, and the tree walked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem, nearest
from isocost.forecast import evaluate, forecast
from isocost.money.rent import run_s
from isocost.perf.block import block_times, kernels
from isocost.perf.case import coefficients_of
from isocost.perf.columns import Coefficients, Columns
from isocost.perf.intervals import certainty_of
from isocost.perf.lowering import columns, memory_columns
from isocost.perf.peak import block_peak, peak_memory
from isocost.perf.predict import step_times
from isocost.perf.step import step_time
from isocost.reliability.buckets import BUCKETS
from isocost.render.document import Column, Document, Section, Table
from isocost.render.markdown import markdown
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.search.forecasts import run_at
from isocost.search.intervals import widened
from isocost.search.question import Option
from isocost.search.site import charged, rent_of, site
from isocost.stats.quantiles import interval
from isocost.term import Node, bibliography, recording, render, to_dict
from isocost.units import counted, show, unit_of
from isocost.verbs.catalog.stacks import cite
from isocost.verbs.plan.chosen import Chosen
from isocost.verbs.plan.constants import Used, constant_dict, fitted_section, used_constants
from isocost.verbs.words import MEMORY_PARTS, STEP_PARTS, money

# The dense products of a block, in the order in which ``kernels`` yields them.
_PRODUCTS: Final = (
    "query, key and value",
    "query, down",
    "query, up",
    "latent, down",
    "latent, up",
    "attention output",
    "feed-forward up",
    "feed-forward down",
    "shared experts up",
    "shared experts down",
    "router",
)
_PHASES: Final = ("forward", "gradient of the input", "gradient of the weights")
_OF_GROUPS: Final = ("group_", "members_")  # rates of a group of ranks
CONSTANTS: Final = "constants.toml"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation(Result):
    """A tree of terms: every value with its formula, inputs, units and source."""

    topic: str
    lead: str
    root: Node
    sources: tuple[str, ...]
    fitted: tuple[Used, ...] = ()  # constants behind a step time

    def rows(self) -> Table:
        """Return the tree as rows, parents first."""
        return Table(columns=_COLUMNS, rows=tuple(_walk(self.root, 0)))

    def document(self) -> Document:
        """Return the sentence, the tree and the sources."""
        sections = [Section(title="Terms", body=(render(self.root),))]
        if self.sources:
            sections.append(Section(title="Sources", body=self.sources))
        if self.fitted:
            sections.append(fitted_section(self.fitted))
        return Document(lead=self.lead, sections=tuple(sections))

    def rendered(self, style: str, show: str = "") -> str:
        """Return the explanation in a format; in Markdown the tree is a block of code, the sources are a list."""
        return self._markdown() if style == "md" else Result.rendered(self, style, show)

    def _markdown(self) -> str:
        sources = "\n".join(f"- {source}" for source in self.sources)
        fitted = markdown(Document(lead="", sections=(fitted_section(self.fitted),)))[4:] if self.fitted else ""
        return f"**{self.lead}**\n\n```\n{render(self.root)}\n```\n\n{sources}\n{fitted}"

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as nested objects."""
        return {
            "schema_version": SCHEMA_VERSION,
            "topic": self.topic,
            "summary": self.lead,
            "tree": to_dict(self.root),
            "sources": self.sources,
            "constants": [constant_dict(used) for used in self.fitted],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    node: Node
    depth: int


def _walk(node: Node, depth: int) -> Iterator[_Place]:
    yield _Place(node=node, depth=depth)
    for child in node.children:
        yield from _walk(child, depth + 1)


def _number(place: _Place) -> object:
    array = np.asarray(place.node.value)
    return array.tolist() if array.dtype.kind in "fiu" and array.size != 1 else _single(place.node.value)


def _single(value: object) -> object:
    array = np.asarray(value)
    return array.reshape(-1)[0].item() if array.dtype.kind in "fiu" and array.size == 1 else None


_COLUMNS = (
    Column(head="depth", key="depth", value=lambda p: p.depth),
    Column(head="term", key="term", value=lambda p: p.node.name, left=True),
    Column(head="value", key="value", value=_number),
    Column(head="unit", key="unit", value=lambda p: p.node.unit),
    Column(head="formula", key="formula", value=lambda p: p.node.formula, left=True),
    Column(head="source", key="source", value=lambda p: p.node.source, left=True),
)


def explanation(chosen: Chosen, topic: str) -> Explanation:
    """Return the explanation of one topic; an unknown one is an error that lists them."""
    if topic not in TOPICS:
        allowed = ", ".join(TOPICS)
        raise InputError([Problem("topic", "cannot be explained", topic, allowed, nearest(topic, TOPICS))])
    lead, root = TOPICS[topic](chosen)
    keys = [key for key in bibliography(root) if key != CONSTANTS]
    cited = tuple(f"[{key}] {text}" if (text := cite(chosen.catalog, key)) != key else key for key in keys)
    fitted = used_constants(chosen.case, chosen.constants) if topic == "step_time" else ()
    return Explanation(topic=topic, lead=lead, root=root, sources=cited, fitted=fitted)


def _coefficients(chosen: Chosen) -> Coefficients:
    return Coefficients(**coefficients_of(chosen.case, dict(chosen.constants)))


def _of_step_time(chosen: Chosen) -> tuple[str, Node]:
    x, c = columns([chosen.case]), _coefficients(chosen)
    with recording("one micro-batch in all blocks of a rank") as blocks:
        times = block_times(x, c)
    with recording("from micro-batches to the step") as tail:
        time = step_time(times, x, c)
    total = _scalar(time.total_s)
    root = Node(name="step_s", unit="s", formula="sum of its parts", value=total)
    root.children += [_part(f.name, getattr(time, f.name), STEP_PARTS) for f in fields(time)]
    blocks.children = _named(blocks.children, x)
    tail.children = [node for node in tail.children if _matters(node)]
    root.children += [blocks, tail, _fitted(chosen)]
    root.children = [node for node in root.children if _matters(node)]
    largest = max(fields(time), key=lambda f: _scalar(getattr(time, f.name))).name
    return f"A step takes {show(total, 's')}; the largest part is {STEP_PARTS.get(largest, largest)}", root


def _of_memory(chosen: Chosen) -> tuple[str, Node]:
    x = memory_columns([chosen.case])
    with recording("blocks of a rank") as blocks:
        peak = block_peak(x)
    with recording("from blocks to the fullest stage") as stage:
        memory = peak_memory(peak, x)
    total = _scalar(memory.total)
    root = Node(name="peak_bytes", unit="B", formula="sum of its parts", value=total)
    root.children = [_part(f.name, getattr(memory, f.name), MEMORY_PARTS) for f in fields(memory)]
    root.children += [blocks, stage]
    for node in (blocks, stage):
        node.children = [child for child in node.children if _matters(child)]
    root.children = [node for node in root.children if _matters(node)]
    return f"The fullest rank holds {show(total, 'B')} at the peak", root


def _of_cost(chosen: Chosen) -> tuple[str, Node]:
    """Return the whole run over the draws of the plan, and every term of it with all inputs at their medians."""
    step_s = _scalar(step_times([chosen.case], chosen.constants).total_s) * chosen.measured_over_predicted
    conditions = chosen.question.conditions
    if conditions is None or chosen.option.median_usd_per_s is None:
        return _of_rent(chosen, step_s)
    run = run_at(chosen.question, chosen.option, chosen.case, chosen.catalog, step_s)
    found = forecast(run, conditions, chosen.catalog, bars=False)
    assert found.cost_usd is not None
    with recording("the same with every input at its median") as whole:
        evaluate(run, conditions, chosen.catalog, {})
    cost = interval(found.cost_usd)
    root = Node(name="cost_usd", unit="USD", formula="sum of the lines of a middling bill", value=cost.median)
    root.children = [_part(f"{name}_usd", value, {}) for name, value in found.lines_usd.items()]
    wall_s = float(np.median(found.wall_s))
    wall = Node(name="wall_s", unit="s", formula="sum of the buckets of a run in the middle", value=wall_s)
    wall.children = [_part(name, value, BUCKETS) for name, value in found.buckets_s.items()]
    for node in (root, wall, whole):
        node.children = [child for child in node.children if _matters(child)]
    root.children += [wall, *_prices(chosen.option), whole]
    lead = f"The run costs {money(cost)}"
    return f"{lead}: {counted(chosen.gpus, 'GPU')} for {counted(chosen.steps, 'step')} of {show(step_s, 's')}", root


def _of_rent(chosen: Chosen, step_s: float) -> tuple[str, Node]:
    with recording("power at the meter, a GPU") as power:
        place = site(chosen.question, chosen.option, chosen.catalog)
    with recording("bill: low, median and high price") as paid:
        length = float(run_s(steps=float(chosen.steps), step_s=step_s))
        rent, energy = rent_of(chosen.option, chosen.gpus, length), place.energy(chosen.gpus, length)
    paid.children = [child for child in paid.children if _matters(child)]
    cost = charged(chosen.option, rent, energy)
    root = Node(name="cost_usd", unit="USD", formula="rent, and energy where owned", value=cost and cost.median)
    with recording("interval of the cost: price and step time") as spread:
        ends = widened(cost, certainty_of(chosen.case, chosen.question.calibration).band)
    root.children = [*_prices(chosen.option), power, paid, *([spread] if ends else [])]
    lead = f"The run costs {money(ends)}" if ends else "The run is not priced"
    return f"{lead}: {counted(chosen.gpus, 'GPU')} for {counted(chosen.steps, 'step')} of {show(step_s, 's')}", root


TOPICS: Final[Mapping[str, Callable[[Chosen], tuple[str, Node]]]] = {
    "step_time": _of_step_time,
    "memory": _of_memory,
    "cost": _of_cost,
}


def _prices(option: Option) -> list[Node]:
    """Return the price of an accelerator-second as nodes with its sources and date."""
    if option.fact is None:
        return []
    formula = f"{option.term.replace('_', ' ')} price, as of {option.fact.as_of}, {option.fact.note}".rstrip(", ")
    ends = {"low": option.low_usd_per_s, "median": option.median_usd_per_s, "high": option.high_usd_per_s}
    source = ", ".join(option.fact.sources)
    return [
        Node(name=f"price_{end}", unit="USD/s", formula=formula, source=source, value=value)
        for end, value in ends.items()
    ]


def _fitted(chosen: Chosen) -> Node:
    """Return the fitted coefficients that this layout used."""
    values = coefficients_of(chosen.case, dict(chosen.constants))
    node = Node(name="fitted coefficients", formula="each the product of its constants", source=CONSTANTS)
    for name, value in values.items():
        constant = chosen.constants.get(name)
        meaning = constant.meaning if constant else ""
        node.children.append(Node(name=name, unit=unit_of(name), formula=meaning, source=CONSTANTS, value=value))
    return node


def _part(name: str, value: object, words: Mapping[str, str]) -> Node:
    return Node(name=name, unit=unit_of(name), formula=words.get(name, ""), value=_scalar(value))


def _scalar(value: object) -> float:
    return float(np.asarray(value, float).reshape(-1)[0])


def _matters(node: Node) -> bool:
    """Whether a node is worth a line: a group with children, or a value that is not zero and not of a group of one."""
    if node.value is None:
        return bool(node.children)
    if node.name.startswith(_OF_GROUPS) and np.all(np.asarray(node.inputs.get("members", 2)) == 1):
        return False
    return bool(np.any(np.asarray(node.value) != 0))


def _named(nodes: list[Node], x: Columns) -> list[Node]:
    """Name the matrix products, and drop terms of parts that the model does not have."""
    there = [np.any(np.asarray(has) > 0) for has, *_ in kernels(x)]
    products = [node for node in nodes if node.name == "gemm_s"][: len(_PHASES) * len(there)]
    head = [node for node in nodes if node.name == "gemm_s"][len(products) :]
    dropped: set[int] = set()
    if len(there) == len(_PRODUCTS) and len(head) == len(_PHASES):
        for name, node in zip(_PHASES, head, strict=True):
            node.name = f"gemm_s of the head, {name}"
        for place, node in enumerate(products):
            product, phase = divmod(place, len(_PHASES))
            node.name = f"gemm_s of {_PRODUCTS[product]}, {_PHASES[phase]}"
            dropped |= set() if there[product] else {id(node)}
    if not np.any(np.asarray(x.kinds.experts) > 0):
        dropped |= {id(node) for node in nodes if node.name == "grouped_gemm_s"}
    return [node for node in nodes if id(node) not in dropped and _matters(node)]
