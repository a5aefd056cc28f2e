"""States that continue under another code, so that a relabelling is neither gain nor loss.

All arrays have the year as first axis; strengths are in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features.windows import past

__all__ = [
    "SUCCESSIONS",
    "Succession",
    "count_once",
    "entry_year",
    "inherited",
    "relabelled_past",
]


@dataclass(frozen=True)
class Succession:
    """A state that continues under another code: its allies neither gained nor lost an ally.

    Attributes
    ----------
    predecessor, successor : int
        COW state numbers.
    year : int
        First calendar year of the successor (both codes hold in it).
    reason : str
        Why the successor is the same ally.
    """

    predecessor: int
    successor: int
    year: int
    reason: str


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
    NATO's members. On the last axis the successor stands for both.

    Parameters
    ----------
    values : numpy.ndarray, shape (year, …, state)
        Flags or strengths.
    pairs : bool
        Whether the axis before the last is over states too: nobody is then an ally, or a
        threat, of its own successor.
    """
    values = values.copy()
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        for s in np.flatnonzero(years == year):
            values[s, ..., new] = np.maximum(values[s, ..., new], values[s, ..., old])
            values[s, ..., old] = 0
            if pairs:
                values[s, old, new] = 0
                values[s, new, new] = 0
    return values


def inherited(pairs: np.ndarray, world: xr.Dataset, window: int) -> np.ndarray:
    """D of `window` years before, in which successors take the places of their predecessors.

    Parameters
    ----------
    pairs : numpy.ndarray, shape (year, state, other)
        Strengths in each year.
    window : int
        Years to look back.

    Returns
    -------
    numpy.ndarray, shape (year, state, other)
        What was in force in s − window, told in the codes of year s.
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


def relabelled_past(before: np.ndarray, world: xr.Dataset, window: int) -> np.ndarray:
    """Values of states `window` years before, (year, state), under the codes of year s.

    Where the successor had no value of its own (NaN) it takes its predecessor's; of several
    predecessors the first in `SUCCESSIONS`.
    """
    before = before.copy()
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        spans = (years - window < year) & (years >= year)
        own = before[spans, new]
        before[spans, new] = np.where(np.isnan(own), before[spans, old], own)
    return before


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
