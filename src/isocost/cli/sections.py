"""How help is laid out: the options of a verb under the headings of their groups."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperCommand

_REST: Final = "Options"


class Sectioned(TyperCommand):
    """A verb whose help lists its arguments, then its options under the heading that each of them names."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections in the order in which the options first name them."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                heading = "Arguments" if param.param_type_name == "argument" else _heading(param)
                sections.setdefault(heading, []).append(record)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def _heading(option: Any) -> str:
    return getattr(option, "rich_help_panel", None) or _REST
