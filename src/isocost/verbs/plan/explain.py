"""Why: the chosen layout of a plan evaluated once more, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from isocost.verbs.options import Argument, Command
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.explanation import Explanation, explanation
from isocost.verbs.plan.saved import chosen_of_file, chosen_of_plan, chosen_of_values

_PLAN = Argument(metavar="PLAN.json", about="What 'isocost plan --format json' wrote.", kind=str)
_TOPIC = Argument(metavar="TOPIC", about="step_time, memory or cost.", kind=str)


@Command("Show how a number came about: every term with its formula, inputs, units and source.")
def explain(
    of: Annotated[Plan | str | Path | Mapping[str, Any], _PLAN], topic: Annotated[str, _TOPIC] = "step_time", /
) -> Explanation:
    """Return why: the chosen layout of a plan (or of its JSON) evaluated once more, term by term.

    Args:
        of: a plan; or its JSON, as a file or a mapping.
        topic: step_time (seconds of a step), memory (bytes of a GPU) or cost (US dollars).

    Raises:
        InputError: the topic is unknown, the plan chose nothing, or the file is not a plan.

    Example:
        >>> found = isocost.estimate("examples/llama-3.1-70b.toml", gpus=1024, tp=8, pp=4)
        >>> isocost.explain(found, "memory").topic
        'memory'
    """
    if isinstance(of, Plan):
        return explanation(chosen_of_plan(of), topic)
    if isinstance(of, Mapping):
        return explanation(chosen_of_values(of, "plan"), topic)
    return explanation(chosen_of_file(of), topic)
