"""From a scenario to the question that the search answers: facts looked up, gaps filled by stated assumptions."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from isocost.catalog import Accelerator, Catalog, Offer, peak
from isocost.catalog.stacks import Recipe, recipe
from isocost.errors import InputError, Problem
from isocost.money.terms import CAPACITY_BLOCK, SPOT
from isocost.perf.constants import shipped
from isocost.perf.site import SiteCalibration, fingerprint
from isocost.perf.site_file import load_calibration
from isocost.scenario.conditions import conditions_of, note_conditions, note_spot, owned_price, within_a_block
from isocost.scenario.record import LAYOUT_KEYS, Scenario
from isocost.scenario.supply import Note, supplied
from isocost.scenario.switches import Switched, switched
from isocost.search.question import OWNED, Option, Question
from isocost.stats.distributions import Distribution, Fixed, SplitLognormal
from isocost.units import show
from isocost.workload.architecture import Architecture

# What a question leaves open and nobody can look up. Each is stated with the answer.
SEQ_LEN: Final = 8_192  # Llama 3 and OLMo 2 32B; DeepSeek-V3 and Qwen 3 begin at 4,096
ACCELERATORS: Final = ("h100-sxm5-80gb", "h200-sxm-141gb", "b200-sxm-180gb")  # those with most offers in the catalogue
GPU_COUNTS: Final = tuple(64 << step for step in range(8))  # 64 to 8,192
STACK: Final = "megatron-core"
TPU_STACK: Final = "maxtext-tpu"
TERM: Final = "on_demand"
TOP: Final = 8
CONFIDENCE: Final = 0.5  # of deadline and budget: the median
PUE: Final = "colocation"
COOLED: Final = {"liquid": "liquid", "immersion": "immersion"}  # air: as usual in colocation
DEFAULT: Final = "isocost default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Something the question left open: how it was filled, from which source, as of when."""

    name: str
    value: str
    source: str
    as_of: str
    grade: str = ""


def default_seq_len(architecture: Architecture) -> int:
    """Return the sequence length of a question that names none: 8,192, or the model's longest if that is shorter."""
    return min(SEQ_LEN, architecture.max_seq_len or SEQ_LEN)


def question_of(scenario: Scenario, catalog: Catalog, today: datetime.date) -> tuple[Question, tuple[Assumed, ...]]:
    """Return the question, and what was assumed to complete it."""
    notes: list[Assumed] = []

    def assume(name: str, value: str, source: str = DEFAULT, as_of: str = today.isoformat(), grade: str = "") -> None:
        notes.append(Assumed(name=name, value=value, source=source, as_of=as_of, grade=grade))

    def note(name: str, value: str, source: str, as_of: str, grade: str) -> None:
        notes.append(Assumed(name=name, value=value, source=source, as_of=as_of, grade=grade))

    _note_model(scenario, notes)
    seq_len = scenario.seq_len or default_seq_len(scenario.shape)
    if scenario.seq_len is None:
        assume("seq_len", f"{seq_len:,} tokens")
    longest = scenario.shape.max_seq_len
    if 0 < longest < seq_len:
        value = f"sequences of {seq_len:,} tokens are beyond the {longest:,} positions of the model: to be extended"
        assume("positions", value, "the model's configuration", "")
    accelerators = [catalog.accelerator(name) for name in scenario.on or ACCELERATORS]
    if not scenario.on:
        assume("on", ", ".join(ACCELERATORS))
    if not scenario.gpu_counts:
        assume("gpus", "64 to 8,192, doubling")
    calibration = _calibration(scenario)
    run = _software(scenario, accelerators, calibration, note)
    precisions = scenario.precisions or _precisions(accelerators)
    if not scenario.precisions:
        assume("precision", ", ".join(precisions))
    if scenario.term is None:
        assume("term", TERM)
    assume("step time", f"{len(shipped())} constants fitted on measured runs (isocost validate)", "isocost_fit", "")
    conditions = conditions_of(scenario)
    if calibration is not None:
        _note_calibration(calibration, scenario.calibration or "", run.recipe, accelerators, notes)
    options = _options(scenario, catalog, accelerators, notes)
    note_conditions(conditions, catalog, note)
    counts, deadline_s = _supply(scenario, catalog, accelerators, note)
    return (
        Question(
            architecture=scenario.shape, tokens=scenario.tokens, seq_len=seq_len, options=options, gpu_counts=counts,
            recipe=run.recipe, attention_kernel=run.attention_kernel, norm_kernel=run.norm_kernel,
            tp_overlap=run.tp_overlap, recipe_assumed=scenario.stack is None and calibration is None,
            global_batch_seqs=scenario.global_batch_seqs, precisions=precisions, deadline_s=deadline_s,
            budget_usd=scenario.budget_usd, power_w=scenario.power_w,
            fixed={key: value for key in LAYOUT_KEYS if (value := getattr(scenario, key)) is not None},
            top=scenario.top or TOP, calibration=calibration, pue=COOLED.get(conditions.facility.cooling, PUE),
            conditions=conditions, confidence=scenario.confidence or CONFIDENCE,
            measured_mfu=scenario.tuning.mfu,
        ),
        tuple(notes),
    )  # fmt: skip


def _software(
    scenario: Scenario, accelerators: list[Accelerator], calibration: SiteCalibration | None, note: Note
) -> Switched:
    """Return the stack of the question with its switches, and say which it is."""
    stack = _stack(scenario, accelerators, calibration)
    default = "" if scenario.stack else " (of the calibration)" if calibration else f" ({DEFAULT})"
    run = switched(stack, scenario)
    changes = "".join(f"; {change} as given" for change in run.changed)
    stack = run.recipe
    note("stack", f"{stack.id}: {stack.title}, {stack.note}{default}{changes}", stack.source, stack.as_of, stack.grade)
    return run


def _supply(
    scenario: Scenario, catalog: Catalog, accelerators: list[Accelerator], note: Note
) -> tuple[tuple[int, ...], float | None]:
    """Return the GPU counts and the deadline, within what the market or a contract lets the run have."""
    if scenario.term == SPOT:
        note_spot(note)
    counts = scenario.gpu_counts or GPU_COUNTS
    counts, deadline_s = supplied(scenario.purchase, counts, scenario.deadline_s, note)
    if scenario.term == CAPACITY_BLOCK:
        chips = [accelerator.id for accelerator in accelerators]
        counts, deadline_s = within_a_block(catalog, chips, counts, deadline_s, note)
    return counts, deadline_s


def _note_model(scenario: Scenario, notes: list[Assumed]) -> None:
    if scenario.model is not None and scenario.architecture is None:
        model = scenario.model
        notes.append(Assumed(name="model", value=model.given, source=model.source, as_of=model.as_of))


def _stack(scenario: Scenario, accelerators: list[Accelerator], own: SiteCalibration | None) -> Recipe:
    if scenario.stack is None and own is not None and len(own.stacks) == 1:
        return recipe(own.stacks[0])
    tpus = [accelerator.id for accelerator in accelerators if accelerator.id.startswith("tpu")]
    if scenario.stack is not None:
        wrong = [chip.id for chip in accelerators if (chip.id in tpus) != (scenario.stack == TPU_STACK)]
        if wrong:
            runs = "TPUs" if scenario.stack == TPU_STACK else "GPUs"
            fix = f"ask about {runs} only (--on), or leave the stack out"
            raise InputError([Problem("stack", f"does not run on {', '.join(wrong)}", scenario.stack, fix=fix)])
    return recipe(scenario.stack or (TPU_STACK if len(tpus) == len(accelerators) else STACK))


def _calibration(scenario: Scenario) -> SiteCalibration | None:
    return None if scenario.calibration is None else load_calibration(scenario.calibration)


def _note_calibration(
    own: SiteCalibration, path: str, stack: Recipe, accelerators: list[Accelerator], notes: list[Assumed]
) -> None:
    """Say where the user's multipliers apply; where they apply to nothing that is asked, that is an error."""
    same = stack.id in own.stacks
    chips = [accelerator.id for accelerator in accelerators if accelerator.id in own.chips]
    if not same and not chips:
        message = (
            f"was made on {', '.join(own.stacks)} on {', '.join(own.chips)}: nothing of it applies to this question"
        )
        fix = f"ask about --stack {own.stacks[0]}, or leave the calibration out"
        raise InputError([Problem("calibration", message, path, fix=fix)])
    value = f"{own.name}: {own.row_count} runs of {', '.join(own.stacks)} on {', '.join(own.chips)}"
    if not own.strength:
        value += "; every multiplier is 1, as nothing did better on layouts left out"
    elif not same:
        value += f"; it does not cover {stack.id}: of it only fabric, sustained rate and attention apply"
    other = [accelerator.id for accelerator in accelerators if accelerator.id not in own.chips]
    if own.strength and other:
        left = "only what belongs to the stack applies there" if same else "nothing of it applies there"
        value += f"; it does not cover {', '.join(other)}: {left}"
    if own.base != fingerprint(shipped()):
        value += "; it rests on other constants than this isocost ships: calibrate again"
    notes.append(Assumed(name="calibration", value=value, source=f"the user's {own.created_from or path}", as_of=""))


def _precisions(accelerators: list[Accelerator]) -> tuple[str, ...]:
    """Return bf16, or fp16 where no chip of the question has bf16."""
    return ("bf16",) if any(peak(accelerator, "bf16")[0] for accelerator in accelerators) else ("fp16",)


def _options(
    scenario: Scenario, catalog: Catalog, accelerators: list[Accelerator], notes: list[Assumed]
) -> tuple[Option, ...]:
    options: list[Option] = []
    problems: list[Problem] = []
    for accelerator in accelerators:
        try:
            fabric = catalog.fabric(scenario.fabric) if scenario.fabric else catalog.fabric_of(accelerator)
        except InputError as error:
            problems += error.problems
            continue
        term = scenario.term or TERM
        offer = catalog.reference_offer(accelerator.id, term)
        prices, priced = _prices(scenario, catalog, accelerator, offer, term)
        fact = fabric.fact
        if all(note.name != f"fabric {fabric.id}" for note in notes):
            source = ", ".join(fact.sources)
            name, default = f"fabric {fabric.id}", "" if scenario.fabric else f" ({DEFAULT})"
            value = f"{fabric.name}{default}"
            notes.append(Assumed(name=name, value=value, source=source, as_of=fact.as_of, grade=fact.grade))
        notes.append(priced)
        options.append(
            Option(
                accelerator=accelerator,
                fabric=fabric,
                label=f"{accelerator.id} on {fabric.id}, {term.replace('_', ' ')}",
                term=term,
                low_usd_per_s=prices[0],
                median_usd_per_s=prices[1],
                high_usd_per_s=prices[2],
                fact=offer.fact if offer else None,
            )
        )
    if problems:
        raise InputError(problems)
    return tuple(options)


Prices = tuple[float | None, float | None, float | None]


def _prices(
    scenario: Scenario, catalog: Catalog, accelerator: Accelerator, offer: Offer | None, term: str
) -> tuple[Prices, Assumed]:
    """Return low, median and high price of an accelerator-second: the user's, that of owning, or the market's."""
    stated = scenario.purchase.price_usd_per_s
    if stated is not None:
        low, median, high = _ends(stated)
    elif term == OWNED and offer is None:
        low, median, high = owned_price(scenario, catalog, accelerator.id)
    else:
        prices: Prices = (
            (None, None, None) if offer is None else (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s)
        )
        return prices, _price(accelerator, offer, term)
    what = "stated in [purchase]" if stated is not None else "capital, site, staff and maintenance of owning"
    value = f"{show(median, 'USD/s')} ({show(low, 'USD/s')} to {show(high, 'USD/s')}), {term.replace('_', ' ')}: {what}"
    return (low, median, high), Assumed(name=f"price of {accelerator.id}", value=value, source="yours", as_of="")


def _ends(price: Distribution | float) -> tuple[float, float, float]:
    if isinstance(price, SplitLognormal):
        return price.low, price.median, price.high
    one = price.value if isinstance(price, Fixed) else float(price)  # type: ignore[arg-type]
    return one, one, one


def _price(accelerator: Accelerator, offer: Offer | None, term: str) -> Assumed:
    """Return the price as an assumption with its range, source and date; a missing one names what to add."""
    name = f"price of {accelerator.id}"
    if offer is None:
        value = f"not priced: nobody lists a {term} price; add an [[offer]] to your own catalogue file (--catalog)"
        return Assumed(name=name, value=value, source="catalogue", as_of="")
    low, median, high = (show(x, "USD/s") for x in (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s))
    fact = offer.fact
    quotes = f"{offer.quotes} {'quote' if offer.quotes == 1 else 'quotes'}"
    value = f"{median} ({low} to {high}), {term.replace('_', ' ')}, {offer.provider}, {quotes}"
    return Assumed(name=name, value=value, source=", ".join(fact.sources), as_of=fact.as_of, grade=fact.grade)
