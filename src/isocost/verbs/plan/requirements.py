"""What a plan needs of its site, in a few lines: fabric, storage, power, racks and cooling."""

from __future__ import annotations

from typing import Any, Final

from isocost.render.document import Column, Section, Table
from isocost.search.requirements import WITHIN, Racks, SiteRequirements
from isocost.units import show

_WORDS: Final = {
    "air": "air",
    "rear-door": "air, heat exchanger in the rear door",
    "liquid": "direct liquid",
    "immersion": "immersion",
}
_BITS: Final = 8.0


def requirements_section(needs: SiteRequirements) -> Section:
    """Return the section of a report."""
    body: list[Table | str] = [*_fabric(needs), *_storage(needs), *_power(needs)]
    if needs.power is not None:
        body += [_rack_table(needs.power.racks), _densest(needs)]
    return Section(title="What it needs: network, storage, power and cooling", body=tuple(body), name="site")


def _gbit(bytes_per_s: float) -> str:
    """Return a bandwidth as networks are sold."""
    return f"{_BITS * bytes_per_s / 1e9:,.0f} Gb/s"


def _fabric(n: SiteRequirements) -> list[Table | str]:
    lean = n.leanest
    if n.fabric_bytes_per_s is None or lean is None:
        return ["fabric: none, the run stays on one scale-up link"]
    return [
        f"fabric: {_gbit(lean.bytes_per_s)} a GPU is the leanest within {WITHIN:.0%} of the best for this chip; "
        f"as planned the step is {n.planned_slower_frac:.1%} longer than with unlimited bandwidth, and "
        f"{_gbit(n.fabric_bytes_per_s)} would bring that down to {WITHIN:.0%}",
        Table(
            columns=(
                Column(head="a GPU", key="bytes_per_s", value=lambda f: f.bytes_per_s, show=_gbit),
                Column(head="over unlimited", key="slower_frac", value=lambda f: f.slower_frac, show=_more),
                Column(head="over the best", key="over_best_frac", value=lambda f: f.over_best_frac, show=_more),
                Column(head="non-blocking fabrics", key="fabrics", value=lambda f: f.fabrics, left=True),
            ),
            rows=n.fabrics,
        ),
    ]


def _more(frac: float) -> str:
    """Return how much longer a step is."""
    return f"{frac:+.1%}"


def _storage(n: SiteRequirements) -> list[str]:
    s = n.storage
    if s is None:
        return []
    enough = "enough" if s.there_bytes_per_s >= s.write_bytes_per_s else "too little"
    return [
        f"storage: writes {show(s.write_bytes_per_s, 'B/s')} to have a save safe before the next "
        f"({show(s.there_bytes_per_s, 'B/s')} there: {enough}), reads {show(s.read_bytes_per_s, 'B/s')} of data; room "
        f"for {show(s.checkpoint_bytes, 'B')} of checkpoints and {show(s.data_bytes, 'B')} of tokens"
    ]


def _power(n: SiteRequirements) -> list[str]:
    p = n.power
    if p is None:
        return ["power: not known, as nobody states that of the chip"]
    return [
        f"power: {show(p.it_w, 'W')} of servers at their greatest ({p.servers:,} x {p.server}, {show(p.server_w, 'W')} "
        f"each), {show(p.site_w, 'W')} at the meter with PUE {p.pue:g}, {show(p.mean_site_w, 'W')} on average while "
        f"training; all of it leaves as heat; switches and storage come on top"
    ]


def _rack_table(racks: tuple[Racks, ...]) -> Table:
    return Table(
        columns=(
            Column(head="cooling", key="cooling", value=lambda r: r.cooling, show=lambda c: _WORDS[c], left=True),
            Column(head="a rack may draw", key="limit_w", value=lambda r: r.limit_w, show=lambda x: show(x, "W")),
            Column(head="servers a rack", key="servers", value=lambda r: r.servers or None),
            Column(head="racks", key="racks", value=lambda r: r.racks or None),
            Column(head="a rack draws", key="rack_w", value=lambda r: r.rack_w or None, show=lambda x: show(x, "W")),
        ),
        rows=racks,
    )


def _densest(n: SiteRequirements) -> str:
    assert n.power is not None
    sources = dict.fromkeys(f"{', '.join(r.fact.fact.sources)}, {r.fact.fact.as_of}" for r in n.power.racks)
    able = [r for r in n.power.racks if r.servers]
    need = f"{_WORDS[able[0].cooling]} is enough" if able else "denser cooling than any of these is needed"
    return f"least cooling that works: {need}; denser racks save floor and cable [{'; '.join(sources)}, estimates]"


def requirements_dict(n: SiteRequirements) -> dict[str, Any]:
    """Return the same as plain values, units in the keys."""
    s, p, lean = n.storage, n.power, n.leanest
    return {
        "fabric": {
            "needed_bytes_per_s_per_gpu": n.fabric_bytes_per_s,
            "within_frac": WITHIN,
            "leanest": None if lean is None else list(lean.fabrics),
            "planned_slower_frac": n.planned_slower_frac,
            "fabrics": [
                {
                    "ids": list(f.fabrics),
                    "bytes_per_s_per_gpu": f.bytes_per_s,
                    "slower_frac": f.slower_frac,
                    "over_best_frac": f.over_best_frac,
                }
                for f in n.fabrics
            ],
        },
        "storage": None
        if s is None
        else {
            "write_bytes_per_s": s.write_bytes_per_s,
            "there_write_bytes_per_s": s.there_bytes_per_s,
            "read_bytes_per_s": s.read_bytes_per_s,
            "checkpoint_bytes": s.checkpoint_bytes,
            "data_bytes": s.data_bytes,
        },
        "power": None
        if p is None
        else {
            "servers": p.servers,
            "server_w": p.server_w,
            "it_w": p.it_w,
            "site_w": p.site_w,
            "pue": p.pue,
            "mean_site_w": p.mean_site_w,
            "heat_w": p.it_w,
            "racks": [
                {
                    "cooling": r.cooling,
                    "limit_w": r.limit_w,
                    "servers_per_rack": r.servers,
                    "racks": r.racks or None,
                    "rack_w": r.rack_w,
                }
                for r in p.racks
            ],
        },
    }
