"""From a question to a plan: legal layouts, memory and time of each, and the choice among them."""

from isocost.search.plan import case_of, estimate, plan
from isocost.search.question import (
    MFU_DEFINITION,
    Alternative,
    Answer,
    Assumption,
    Candidate,
    Option,
    Question,
    RejectedOption,
)

__all__ = [
    "MFU_DEFINITION",
    "Alternative",
    "Answer",
    "Assumption",
    "Candidate",
    "Option",
    "Question",
    "RejectedOption",
    "case_of",
    "estimate",
    "plan",
]
