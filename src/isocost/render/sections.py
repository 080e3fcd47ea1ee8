"""Which sections of a document are shown: one screen, those that are named, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from isocost.errors import InputError, Problem, nearest
from isocost.render.document import Document

ALL: Final = "all"
PLACE: Final = "--show"


def section_names(document: Document) -> list[str]:
    """Return the names of the sections of a document, in its order."""
    return list(dict.fromkeys(section.id for section in document.sections))


def asked_names(names: str) -> list[str]:
    """Return the names in a list of them with commas, each once."""
    return list(dict.fromkeys(name for part in names.split(",") if (name := part.strip().casefold())))


def refuse_unknown(names: str, known: Sequence[str]) -> None:
    """Raise ``InputError`` for the names that no section has."""
    allowed = ", ".join([*known, ALL])
    problems = [
        Problem(PLACE, "is not a section of this answer", name, allowed, nearest(name, known))
        for name in asked_names(names)
        if name not in (*known, ALL)
    ]
    if problems:
        raise InputError(problems)


def shown(document: Document, names: str = "", *, screen: bool = False, possible: Sequence[str] = ()) -> Document:
    """Return a document of the named sections, in the order of the names; without any, of one ``screen`` or of all.

    ``possible`` are sections that such an answer can have: one that this answer lacks is left out, no mistake.
    """
    asked = asked_names(names)
    if ALL in asked or not (asked or (screen and document.screen)):
        return document
    known = section_names(document)
    if not asked:
        more = f"more: {PLACE} with any of {', '.join(known)}; or {PLACE} {ALL}"
        return replace(document, sections=document.screen, foot=more)
    refuse_unknown(names, [*known, *(name for name in possible if name not in known)])
    named = (section for name in asked for section in document.sections if section.id == name)
    return replace(document, sections=tuple(named))
