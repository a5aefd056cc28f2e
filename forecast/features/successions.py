"""States that continue under another code: one rule for every feature.

**The rule.** What a state has goes with the state, not with its number. Where a state of
`SUCCESSIONS` goes on under another code

- its age goes on (`entry_year`), and its pacts are neither gained nor lost (`count_once`,
  `inherited`, `relabelled_past`);
- its past goes on (`continued`): peace years, disputes, rivalries and what is under way with a
  third state are those of the two codes together; with several predecessors, those of all of them.

A state that leaves the system and returns under its own code (Syria in 1961, a state after an
occupation) starts again, as the spells of the state list say. With ``succession="restart"``
(`forecast.load_panel`) the past of every code is its own, as in tables by number; ages and pacts
go on.

All arrays have the year as first axis; strengths are in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features.shared import shared

__all__ = [
    "SUCCESSIONS", "Succession", "continued", "count_once", "entry_year", "inherited", "past",
    "relabelled_past",
]  # fmt: skip


@dataclass(frozen=True)
class Succession:
    """A state that continues under another code: its allies neither gained nor lost an ally."""

    predecessor: int  # COW state numbers
    successor: int
    year: int  # first calendar year of the successor (both codes hold in it)
    reason: str  # why the successor is the same ally


#: Relabelled states only. A state that breaks away (the Soviet and Yugoslav republics, the
#: Czech Republic and Slovakia, Syria in 1961) is a new member and counts as succession; one
#: that is absorbed and leaves its alliance (the GDR in 1990) is a loss to its former allies.
SUCCESSIONS: tuple[Succession, ...] = (
    Succession(
        260,
        255,
        1990,
        "COW numbers the Federal Republic 260 until unification and 255 after it; the GDR "
        "acceded to the Federal Republic (Basic Law, art. 23), whose treaties went on.",
    ),
    Succession(
        678,
        679,
        1990,
        "COW numbers the Yemen Arab Republic 678 and unified Yemen 679; the unified republic "
        "kept the seat and the multilateral treaties of the north.",
    ),
    Succession(
        680,
        679,
        1990,
        "South Yemen merged into the unified republic, which is bound by the treaties of both; "
        "an ally of both parts has lost neither.",
    ),
)


def past(values: np.ndarray, window: int) -> np.ndarray:
    """Values of `window` years before, aligned to the year axis; zeros before the first year."""
    shifted = np.zeros_like(values)
    shifted[window:] = values[:-window]
    return shifted


def _successions(world: xr.Dataset) -> list[tuple[int, int, int]]:
    """(position of predecessor, position of successor, year) of those with both codes present."""
    position = {int(code): i for i, code in enumerate(world["state"].to_numpy())}
    return [
        (position[s.predecessor], position[s.successor], s.year)
        for s in SUCCESSIONS
        if s.predecessor in position and s.successor in position
    ]


def count_once(values: np.ndarray, world: xr.Dataset, *, pairs: bool = True) -> np.ndarray:
    """Copy of (year, …, state) in which a relabelled state is one state in that year.

    A status holds in a year if it held on any day, so in 1990 both 260 and 255 are allies of
    NATO's members. On the last axis the successor stands for both; before, where it has the past
    of its predecessor (`continued`) and is no member, it is nobody.

    Values are flags or strengths; with `pairs` the axis before the last is over states too, and
    nobody is then an ally, or a threat, of its own successor.
    """
    values = values.copy()
    years, member = world["year"].to_numpy(), world["member"].to_numpy()
    for old, new, year in _successions(world):
        values[(years < year) & ~member[:, new], ..., new] = 0
        for s in np.flatnonzero(years == year):
            values[s, ..., new] = np.maximum(values[s, ..., new], values[s, ..., old])
            values[s, ..., old] = 0
            if pairs:
                values[s, old, new] = 0
                values[s, new, new] = 0
    return values


def inherited(pairs: np.ndarray, world: xr.Dataset, window: int) -> np.ndarray:
    """D of `window` years before, in which successors take the places of their predecessors.

    What was in force in s − window, told in the codes of year s; (year, state, other).
    """
    before = past(pairs, window)
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        spans = (years - window < year) & (years >= year)
        before[spans, :, new] = np.maximum(before[spans, :, new], before[spans, :, old])
        before[spans, :, old] = 0
        before[spans, new, :] = np.maximum(before[spans, new, :], before[spans, old, :])
        before[spans, new, new] = 0
    return before


def relabelled_past(values: np.ndarray, world: xr.Dataset, window: int) -> np.ndarray:
    """Values of states `window` years before, (year, state), under the codes of year s.

    NaN before the first year. Where the successor had no value of its own (NaN) it takes its
    predecessor's; of several predecessors the first in `SUCCESSIONS`.
    """
    before = np.full_like(values, np.nan)
    before[window:] = values[:-window]
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        spans = (years - window < year) & (years >= year)
        own = before[spans, new]
        before[spans, new] = np.where(np.isnan(own), before[spans, old], own)
    return before


#: Variables of the past of a pair; the other axes are those of its two states.
_OF_PAIRS = ("onset_count", "dispute", "open", "rivalry")


@shared
def continued(world: xr.Dataset) -> xr.Dataset:
    """The world with the past of each predecessor under the code of its successor.

    Up to the year of the succession (in which both codes hold) the successor has what its
    predecessor had with third states, and has been a member since the predecessor was; after it
    nothing changes. The predecessor keeps its own past. For the history of a state or a pair:
    sums over third states would count a state of two codes twice (`count_once` undoes that).

    A world with the attribute ``succession`` ``"restart"`` is returned as it is.
    """
    years = world["year"].to_numpy()
    found = [change for change in _successions(world) if years[0] <= change[2]]
    if not found or world.attrs.get("succession") == "restart":
        return world
    names = [n for n in (*_OF_PAIRS, "dispute_onset_count", "member") if n in world]
    new_values = {name: world[name].to_numpy().copy() for name in names}
    entry = entry_year(world).astype(world["entry_year"].dtype)
    for old, new, year in found:
        before = years <= year
        there = (years < year) & world["member"].to_numpy()[:, old]
        own = np.where(new_values["member"][there, new], entry[there, new], entry[there, old])
        entry[there, new] = np.minimum(own, entry[there, old])
        for name, values in new_values.items():
            join = np.logical_or if values.dtype == np.bool_ else np.add
            values[before, new] = join(values[before, new], values[before, old])
            if name in _OF_PAIRS:
                values[before, :, new] = join(values[before, :, new], values[before, :, old])
                values[before, new, new] = 0
    told = {name: (world[name].dims, values) for name, values in new_values.items()}
    changed = world.assign(told | {"entry_year": (world["entry_year"].dims, entry)})
    return changed.assign_attrs(succession="restart")  # told: every code now has its own past


def entry_year(world: xr.Dataset) -> npt.NDArray[np.int_]:
    """First year of the running membership spell, a relabelled state's being its predecessor's."""
    entry = world["entry_year"].to_numpy().astype(np.int_)
    years, member = world["year"].to_numpy(), world["member"].to_numpy()
    for old, new, year in _successions(world):
        held = np.flatnonzero(member[:, old] & (years <= year))
        if held.size:
            spans = years >= year
            entry[spans, new] = np.minimum(entry[spans, new], entry[held[-1], old])
    return entry
