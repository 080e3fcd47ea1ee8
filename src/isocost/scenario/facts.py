"""The facts that a scenario asks for: chips, networks, prices, the software stack and the user's calibration.

Everything is looked up here, once; what is then assumed rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from isocost.catalog import Accelerator, Catalog, Fabric, Offer
from isocost.catalog.prices import BlockLimits, block_limits
from isocost.catalog.records import Rate
from isocost.catalog.reliability import Reliability, load_reliability
from isocost.catalog.stacks import Recipe, recipe
from isocost.errors import InputError, Problem
from isocost.money.terms import CAPACITY_BLOCK
from isocost.perf.site import SiteCalibration
from isocost.perf.site_file import load_calibration
from isocost.scenario.owned import owned_price
from isocost.scenario.record import Scenario
from isocost.scenario.switches import Switched, switched
from isocost.search.question import OWNED

# What nobody names is looked up for these.
ACCELERATORS: Final = ("h100-sxm5-80gb", "h200-sxm-141gb", "b200-sxm-180gb")  # those with most offers in the catalog
STACK: Final = "megatron-core"
TPU_STACK: Final = "maxtext-tpu"
TERM: Final = "on_demand"
# Rates behind every bill, and what they are for.
_RATES: Final = (
    ("storage", "parallel", "data and checkpoints"),
    ("egress", "cloud", "weights, once"),
    ("salary", "infrastructure", "people who run it"),
    ("staffing", "infrastructure", "people an accelerator"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """An accelerator on its network, and what the market or its owner pays for it."""

    accelerator: Accelerator
    fabric: Fabric
    offer: Offer | None  # on the term of the question; None: nobody lists one
    owning_usd_per_s: tuple[float, float, float] | None  # looked up only where it is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of what a scenario names."""

    hardware: tuple[Hardware, ...]
    software: Switched
    calibration: SiteCalibration | None
    reliability: Reliability
    rates: tuple[tuple[Rate, str], ...]  # with what each is for
    block: BlockLimits | None  # of capacity blocks, where they are asked for

    @property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """The chips of the question."""
        return tuple(each.accelerator for each in self.hardware)


def resolve(scenario: Scenario, catalog: Catalog) -> Facts:
    """Return the facts of a scenario; an InputError where they do not go together."""
    chips = tuple(catalog.accelerator(name) for name in scenario.on or ACCELERATORS)
    calibration = None if scenario.calibration is None else load_calibration(scenario.calibration)
    software = switched(_stack(scenario, chips, calibration), scenario)
    if calibration is not None:
        _refuse_foreign(calibration, scenario.calibration or "", software.recipe, chips)
    return Facts(
        hardware=_hardware(scenario, catalog, chips),
        software=software,
        calibration=calibration,
        reliability=load_reliability(),
        rates=tuple((catalog.rate(kind, name), role) for kind, name, role in _RATES),
        block=_largest_block(catalog, chips) if scenario.term == CAPACITY_BLOCK else None,
    )


def _stack(scenario: Scenario, chips: tuple[Accelerator, ...], own: SiteCalibration | None) -> Recipe:
    if scenario.stack is None and own is not None and len(own.stacks) == 1:
        return recipe(own.stacks[0])
    if scenario.stack is not None:
        kind = recipe(scenario.stack).runs_on
        wrong = [chip.id for chip in chips if chip.device != kind]
        if wrong:
            runs = f"{kind.upper()}s"
            fix = f"ask about {runs} only (--on), or leave the stack out"
            raise InputError([Problem("stack", f"does not run on {', '.join(wrong)}", scenario.stack, fix=fix)])
    return recipe(scenario.stack or (TPU_STACK if all(chip.device == "tpu" for chip in chips) else STACK))


def _refuse_foreign(own: SiteCalibration, path: str, stack: Recipe, chips: tuple[Accelerator, ...]) -> None:
    """Refuse a calibration of which nothing applies to what is asked."""
    if stack.id in own.stacks or any(chip.id in own.chips for chip in chips):
        return
    message = f"was made on {', '.join(own.stacks)} on {', '.join(own.chips)}: nothing of it applies to this question"
    fix = f"ask about --stack {own.stacks[0]}, or leave the calibration out"
    raise InputError([Problem("calibration", message, path, fix=fix)])


def _hardware(scenario: Scenario, catalog: Catalog, chips: tuple[Accelerator, ...]) -> tuple[Hardware, ...]:
    found: list[Hardware] = []
    problems: list[Problem] = []
    term, stated = scenario.term or TERM, scenario.purchase.price_usd_per_s is not None
    for chip in chips:
        try:
            fabric = catalog.fabric(scenario.fabric) if scenario.fabric else catalog.fabric_of(chip)
        except InputError as error:
            problems += error.problems
            continue
        offer = catalog.reference_offer(chip.id, term)
        owning = owned_price(scenario, catalog, chip.id) if term == OWNED and offer is None and not stated else None
        found.append(Hardware(accelerator=chip, fabric=fabric, offer=offer, owning_usd_per_s=owning))
    if problems:
        raise InputError(problems)
    return tuple(found)


def _largest_block(catalog: Catalog, chips: tuple[Accelerator, ...]) -> BlockLimits:
    return max((block_limits(catalog, chip.id) for chip in chips), key=lambda limits: limits.gpus)
