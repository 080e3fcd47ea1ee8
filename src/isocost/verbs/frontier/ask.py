"""What to train: the model, tokens and cluster of least loss for a budget, a deadline, data and a market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Unpack

from isocost.scenario.given import Changes
from isocost.scenario.written import Given, tables_of, written_in
from isocost.verbs import options
from isocost.verbs.frontier.answer import FrontierResult
from isocost.verbs.frontier.question import ask_frontier
from isocost.verbs.options import Command, Option

_DATA = Option(metavar="AMOUNT", about="Unique tokens there are: '3 T'.")
_SERVE = Option(metavar="AMOUNT", about="Tokens served over the life of the model: '50 T'.")
_SERVING_COST = Option(metavar="RATIO", about="Cost of a FLOP that serves over one that trains; 1.")
_TOKEN_PRICE = Option(metavar="MONEY", about="Of a billion unique tokens: '500 USD'.")
_LAWS = Option(
    metavar="LAW,...", about="Laws, or files of laws; the first is the answer. [besiroglu]", flags=("--law",)
)
_LOSS_OF = Option(metavar="QUALITY", about="Cheapest way to it: '70 B on 1.4 T', or a loss.")
_LICENSE = Option(metavar="MONEY", about="Of the data, whatever their amount: '300 kUSD'.")
_EXPERTS = Option(metavar="K/N", about="Mixtures of experts: '8/128', '8/256+1'.")
_FAMILY = Option(metavar="MODEL,...", about="Choose among these models or configurations.")


@Command(
    "Choose what to train: the model, tokens and cluster of least loss for a budget, a deadline and data.\n\n"
    "'-o next.toml' writes the recommended model as a scenario for 'isocost plan next.toml'.",
    (
        options.LIMITS,
        options.CONFIDENCE,
        options.TOP,
        options.WHERE,
        options.LAYOUT,
        {name: options.WHAT[name] for name in ("seq_len", "global_batch")},
        options.SWITCHES,
    ),
    doing="searching",
)
def frontier(
    scenario: Annotated[Given, options.SCENARIO] = None,
    /,
    *,
    data: Annotated[object, _DATA] = None,
    serve: Annotated[object, _SERVE] = None,
    serving_cost: Annotated[object, _SERVING_COST] = None,
    token_price: Annotated[object, _TOKEN_PRICE] = None,
    laws: Annotated[str | Sequence[str] | None, _LAWS] = None,
    loss_of: Annotated[str | float | None, _LOSS_OF] = None,
    licence: Annotated[object, _LICENSE] = None,
    experts: Annotated[str | None, _EXPERTS] = None,
    family: Annotated[str | Sequence[str] | None, _FAMILY] = None,
    **changes: Unpack[Changes],
) -> FrontierResult:
    """Return what to train: the model, tokens and cluster of least loss for a budget, a deadline, data and a market.

    Args:
        scenario: a TOML file, a mapping, or a scenario; its model and tokens are left aside.
        data: unique tokens; serve: tokens served over the life of the model.
        serve: see data.
        serving_cost: of a FLOP that serves over one that trains.
        token_price: of a billion unique tokens; licence: of the data, whatever their amount.
        laws: names or files; the first one answers.
        loss_of: "70 B on 1.4 T", or a loss: the cheapest way to it.
        licence: see token_price.
        experts: "8/128" for mixtures of experts.
        family: names or paths of the models to choose among; None for shapes of any size.
        changes: other keys of the scenario.

    Raises:
        InputError: nothing limits the choice, or a value is wrong; every problem is listed.

    Example:
        >>> found = isocost.frontier(budget="2 MUSD", deadline="60 d", on="b200-sxm-180gb", data="3 T")
        >>> found.feasible
        True
    """
    tables = tables_of(scenario)
    wrote = {key: place for key, place in written_in(scenario, tables).items() if changes.get(key) is None}
    return ask_frontier(
        tables,
        changes,
        wrote,
        data=data,
        serve=serve,
        serving_cost=serving_cost,
        token_price=token_price,
        laws=laws,
        loss_of=loss_of,
        licence=licence,
        experts=experts,
        family=family,
    )
