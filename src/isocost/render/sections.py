"""Which sections of a document are shown: one screen, those that are named, or all."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from isocost.errors import InputError, Problem, nearest
from isocost.render.document import Document

ALL: Final = "all"
PLACE: Final = "--show"


def section_names(document: Document) -> list[str]:
    """Return the names of the sections of a document, in its order."""
    return list(dict.fromkeys(section.id for section in document.sections))


def shown(document: Document, names: str = "", *, screen: bool = False) -> Document:
    """Return a document of the named sections, in the order of the names; without any, of one ``screen`` or of all."""
    asked = [name for part in names.split(",") if (name := part.strip().casefold())]
    if ALL in asked or not (asked or (screen and document.screen)):
        return document
    known = section_names(document)
    if not asked:
        more = f"more: {PLACE} with any of {', '.join(known)}; or {PLACE} {ALL}"
        return replace(document, sections=document.screen, foot=more)
    unknown = [name for name in dict.fromkeys(asked) if name not in known]
    if unknown:
        allowed = ", ".join([*known, ALL])
        raise InputError(
            [Problem(PLACE, "is not a section of this answer", name, allowed, nearest(name, known)) for name in unknown]
        )
    named = (section for name in dict.fromkeys(asked) for section in document.sections if section.id == name)
    return replace(document, sections=tuple(named))
