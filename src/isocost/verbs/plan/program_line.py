"""A program in one line and as plain values, for the reports of a run that it surrounds."""

from __future__ import annotations

from typing import Any

from isocost.forecast.program import ProgramBill
from isocost.units import show


def program_text(found: ProgramBill) -> str:
    """Return the program as one line."""
    total, final = found.total_usd, found.lines[0].cost_usd
    parts = [f"{line.name} {show(line.cost_usd.median, 'USD')}" for line in found.lines[1:]]
    share = found.share_of_capital
    raised = "" if share is None else f"; {share.median:.0%} of the capital raised"
    return (
        f"{show(total.median, 'USD')} ({show(total.low, 'USD')} to {show(total.high, 'USD')}), "
        f"{total.median / final.median:.1f} times the final run{raised}: {', '.join(parts)} (medians; shares of the "
        "run from dated sources or yours, see isocost program)"
    )


def program_dict(found: ProgramBill | None) -> dict[str, Any] | None:
    """Return the total and the lines as plain values."""
    if found is None:
        return None
    total, share = found.total_usd, found.share_of_capital
    return {
        "total_usd": total.percentiles(),
        "share_of_capital_frac": None if share is None else share.median,
        "lines": [{"name": line.name, "usd_p50": line.cost_usd.median, "source": line.source} for line in found.lines],
    }
