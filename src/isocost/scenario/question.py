"""From a scenario to the question that the search answers: facts looked up, gaps filled by stated assumptions."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from isocost.catalog import Accelerator, Catalog, Offer, peak
from isocost.perf.constants import shipped
from isocost.perf.layout import FIXABLE
from isocost.perf.site import SiteCalibration, fingerprint
from isocost.reliability.conditions import Conditions
from isocost.scenario.assumed import Assumed, looked_up, yours
from isocost.scenario.conditions import conditions_of, notes_on_conditions
from isocost.scenario.facts import ACCELERATORS, TERM, Facts, Hardware, resolve
from isocost.scenario.record import Scenario
from isocost.scenario.supply import Supply, supplied
from isocost.search.question import Option, Question
from isocost.stats.distributions import Distribution, Fixed, SplitLognormal
from isocost.units import show
from isocost.workload.architecture import Architecture

# What a question leaves open and nobody can look up. Each is stated with the answer.
SEQ_LEN: Final = 8_192  # Llama 3 and OLMo 2 32B; DeepSeek-V3 and Qwen 3 begin at 4,096
GPU_COUNTS: Final = tuple(64 << step for step in range(8))  # 64 to 8,192
TOP: Final = 8
CONFIDENCE: Final = 0.5  # of deadline and budget: the median
PUE: Final = "colocation"
COOLED: Final = {"liquid": "liquid", "immersion": "immersion"}  # air: as usual in colocation
DEFAULT: Final = "isocost default"
Prices = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What a question takes beside what its scenario says, and a note on each."""

    seq_len: int
    precisions: tuple[str, ...]
    options: tuple[Option, ...]
    conditions: Conditions
    supply: Supply
    notes: tuple[Assumed, ...]


def question_of(scenario: Scenario, catalog: Catalog, today: datetime.date) -> tuple[Question, tuple[Assumed, ...]]:
    """Return the question, and what was assumed to complete it."""
    facts = resolve(scenario, catalog)
    filled = assume(scenario, facts, today)
    run, conditions = facts.software, filled.conditions
    question = Question(
        architecture=scenario.shape,
        tokens=scenario.tokens,
        seq_len=filled.seq_len,
        options=filled.options,
        gpu_counts=filled.supply.gpu_counts,
        recipe=run.recipe,
        attention_kernel=run.attention_kernel,
        norm_kernel=run.norm_kernel,
        tp_overlap=run.tp_overlap,
        recipe_assumed=scenario.stack is None and facts.calibration is None,
        global_batch_seqs=scenario.global_batch_seqs,
        precisions=filled.precisions,
        deadline_s=filled.supply.deadline_s,
        budget_usd=scenario.budget_usd,
        power_w=scenario.power_w,
        fixed={key: value for key in FIXABLE if (value := getattr(scenario, key)) is not None},
        top=scenario.top or TOP,
        calibration=facts.calibration,
        pue=COOLED.get(conditions.facility.cooling, PUE),
        conditions=conditions,
        confidence=scenario.confidence or CONFIDENCE,
        measured_mfu=scenario.tuning.mfu,
    )
    return question, filled.notes


def assume(scenario: Scenario, facts: Facts, today: datetime.date) -> Filled:
    """Return what the scenario leaves open, filled by facts and defaults, each with a note."""
    seq_len = scenario.seq_len or default_seq_len(scenario.shape)
    precisions = scenario.precisions or _precisions(facts.accelerators)
    conditions = conditions_of(scenario)
    options, priced = _options(scenario, facts)
    supply = supplied(scenario, facts, scenario.gpu_counts or GPU_COUNTS)
    notes = (
        *_notes_on_the_model(scenario, seq_len, today),
        *_notes_on_the_choice(scenario, facts, precisions, today),
        *_notes_on_calibration(scenario, facts),
        *priced,
        *notes_on_conditions(conditions, facts),
        *supply.notes,
    )
    return Filled(
        seq_len=seq_len, precisions=precisions, options=options, conditions=conditions, supply=supply, notes=notes
    )


def default_seq_len(architecture: Architecture) -> int:
    """Return the sequence length of a question that names none: 8,192, or the model's longest if that is shorter."""
    return min(SEQ_LEN, architecture.max_seq_len or SEQ_LEN)


def _precisions(chips: Sequence[Accelerator]) -> tuple[str, ...]:
    """Return bf16, or fp16 where no chip of the question has bf16."""
    return ("bf16",) if any(peak(chip, "bf16")[0] for chip in chips) else ("fp16",)


def _default(name: str, value: str, today: datetime.date) -> Assumed:
    return Assumed(name=name, value=value, source=DEFAULT, as_of=today.isoformat())


def _notes_on_the_model(scenario: Scenario, seq_len: int, today: datetime.date) -> Iterator[Assumed]:
    model, longest = scenario.model, scenario.shape.max_seq_len
    if model is not None and scenario.architecture is None:
        yield Assumed(name="model", value=model.given, source=model.source, as_of=model.as_of)
    if scenario.seq_len is None:
        yield _default("seq_len", f"{seq_len:,} tokens", today)
    if 0 < longest < seq_len:
        value = f"sequences of {seq_len:,} tokens are beyond the {longest:,} positions of the model: to be extended"
        yield Assumed(name="positions", value=value, source="the model's configuration", as_of="")


def _notes_on_the_choice(
    scenario: Scenario, facts: Facts, precisions: tuple[str, ...], today: datetime.date
) -> Iterator[Assumed]:
    """State the accelerators, the software and the term, where nobody named them."""
    if not scenario.on:
        yield _default("on", ", ".join(ACCELERATORS), today)
    if not scenario.gpu_counts:
        yield _default("gpus", "64 to 8,192, doubling", today)
    stack = facts.software.recipe
    origin = "" if scenario.stack else " (of the calibration)" if facts.calibration else f" ({DEFAULT})"
    changes = "".join(f"; {change} as given" for change in facts.software.changed)
    value = f"{stack.id}: {stack.title}, {stack.note}{origin}{changes}"
    yield Assumed(name="stack", value=value, source=stack.source, as_of=stack.as_of, grade=stack.grade)
    if not scenario.precisions:
        yield _default("precision", ", ".join(precisions), today)
    if scenario.term is None:
        yield _default("term", TERM, today)
    value = f"{len(shipped())} constants fitted on measured runs (isocost validate)"
    yield Assumed(name="step time", value=value, source="isocost_fit", as_of="")


def _notes_on_calibration(scenario: Scenario, facts: Facts) -> Iterator[Assumed]:
    """State where the user's multipliers apply."""
    own = facts.calibration
    if own is None:
        return
    value = f"{own.name}: {own.row_count} runs of {', '.join(own.stacks)} on {', '.join(own.chips)}"
    value += _reach(own, facts)
    if own.base != fingerprint(shipped()):
        value += "; it rests on other constants than this isocost ships: calibrate again"
    source = f"the user's {own.created_from or scenario.calibration or ''}"
    yield Assumed(name="calibration", value=value, source=source, as_of="")


def _reach(own: SiteCalibration, facts: Facts) -> str:
    """Return what of the question a calibration does not cover."""
    stack, said = facts.software.recipe, ""
    same = stack.id in own.stacks
    if not own.strength:
        return "; every multiplier is 1, as nothing did better on layouts left out"
    if not same:
        said += f"; it does not cover {stack.id}: of it only fabric, sustained rate and attention apply"
    other = [chip.id for chip in facts.accelerators if chip.id not in own.chips]
    if other:
        left = "only what belongs to the stack applies there" if same else "nothing of it applies there"
        said += f"; it does not cover {', '.join(other)}: {left}"
    return said


def _options(scenario: Scenario, facts: Facts) -> tuple[tuple[Option, ...], tuple[Assumed, ...]]:
    """Return accelerators with network and price, and a note on each."""
    options: list[Option] = []
    notes: dict[str, Assumed] = {}
    term = scenario.term or TERM
    for each in facts.hardware:
        chip, fabric, offer = each.accelerator, each.fabric, each.offer
        (low, median, high), priced = _price(scenario, each, term)
        origin = "" if scenario.fabric else f" ({DEFAULT})"
        notes.setdefault(fabric.id, looked_up(f"fabric {fabric.id}", f"{fabric.name}{origin}", fabric.fact))
        notes[priced.name] = priced
        options.append(
            Option(
                accelerator=chip,
                fabric=fabric,
                label=f"{chip.id} on {fabric.id}, {term.replace('_', ' ')}",
                term=term,
                low_usd_per_s=low,
                median_usd_per_s=median,
                high_usd_per_s=high,
                fact=offer.fact if offer else None,
            )
        )
    return tuple(options), tuple(notes.values())


def _price(scenario: Scenario, hardware: Hardware, term: str) -> tuple[Prices, Assumed]:
    """Return low, median and high price of an accelerator-second: the user's, that of owning, or the market's."""
    name, stated = f"price of {hardware.accelerator.id}", scenario.purchase.price_usd_per_s
    if stated is not None:
        ends, what = _ends(stated), "stated in [purchase]"
    elif hardware.owning_usd_per_s is not None:
        ends, what = hardware.owning_usd_per_s, "capital, site, staff and maintenance of owning"
    elif hardware.offer is not None:
        return _market(name, hardware.offer, term)
    else:
        value = f"not priced: nobody lists a {term} price; add an [[offer]] to your own catalogue file (--catalog)"
        return (None, None, None), Assumed(name=name, value=value, source="catalogue", as_of="")
    low, median, high = (show(end, "USD/s") for end in ends)
    return ends, yours(name, f"{median} ({low} to {high}), {term.replace('_', ' ')}: {what}")


def _ends(price: Distribution | float) -> tuple[float, float, float]:
    if isinstance(price, SplitLognormal):
        return price.low, price.median, price.high
    one = price.value if isinstance(price, Fixed) else float(price)  # type: ignore[arg-type]
    return one, one, one


def _market(name: str, offer: Offer, term: str) -> tuple[Prices, Assumed]:
    """Return the market's price with its range, source and date."""
    ends = (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s)
    low, median, high = (show(end, "USD/s") for end in ends)
    quotes = f"{offer.quotes} {'quote' if offer.quotes == 1 else 'quotes'}"
    value = f"{median} ({low} to {high}), {term.replace('_', ' ')}, {offer.provider}, {quotes}"
    return ends, looked_up(name, value, offer.fact)
