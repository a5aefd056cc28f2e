"""Dispute history of a pair, a state and the system.

These features change with simulated conflicts, and alliances change them: they are never
pre-treatment. They do not need membership: a state that was not yet in the system has no
history, which is a fact and not a gap (clocks start at entry). History before the first covered
year is not known; counts start there.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.features import arrays
from forecast.features.registry import feature

__all__ = [
    "dispute_last_year",
    "disputes_recent",
    "disputes_total",
    "peace_years",
    "state_disputes_recent",
    "system_disputes_recent",
]

SOURCE = "Beck, Katz & Tucker 1998; Carter & Signorino 2010"


def pairs(world: xr.Dataset, name: str) -> np.ndarray:
    """A (year, state, other) variable of the world as an array."""
    return np.asarray(world[name].to_numpy())


def together(world: xr.Dataset) -> np.ndarray:
    """Whether both states are in the system; (year, state, other)."""
    member = world["member"].to_numpy()
    return np.asarray(member[:, :, None] & member[:, None, :])


@feature(
    family="history",
    level="dyad",
    unit="years",
    bounds=(0, None),
    sign="-",
    formula="years at peace at the end of s: since the last dispute or the later entry of the two",
    source=SOURCE,
    needs=("conflict",),
    pre_treatment=False,
)
def peace_years(world: xr.Dataset) -> np.ndarray:
    """Completed years without a dispute between the two; 0 in a dispute year."""
    alive = together(world)
    at_peace = alive & ~pairs(world, "dispute")
    years = np.zeros(at_peace.shape, dtype=np.int16)
    for s in range(1, len(years)):
        years[s] = np.where(at_peace[s] & alive[s - 1], years[s - 1] + 1, 0)
    return years


@feature(
    family="history",
    level="dyad",
    unit="onsets",
    bounds=(0, None),
    sign="+",
    formula="number of dispute onsets between the two since coverage or the later entry",
    source="Crescenzi & Enterline 2001",
    needs=("conflict",),
    pre_treatment=False,
)
def disputes_total(world: xr.Dataset) -> np.ndarray:
    """All dispute onsets between the two so far, while both were in the system."""
    onset, alive = arrays.dispute_onsets(world), together(world)
    total = np.zeros(onset.shape, dtype=np.int16)
    for s in range(len(total)):
        before = total[s - 1] if s else 0
        total[s] = np.where(alive[s], before + onset[s], 0)
    return total


@feature(
    family="history",
    level="dyad",
    unit="onsets per window",
    bounds=(0, None),
    sign="+",
    formula="number of dispute onsets between the two in the last w years",
    source="Goertz & Diehl 1993",
    needs=("conflict",),
    pre_treatment=False,
)
def disputes_recent(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """Dispute onsets between the two in the last `window` years, this year included.

    Where the window reaches before coverage, the count is scaled up from the covered years if
    they are at least half of it, and missing otherwise.
    """
    covered = world["conflict_covered"].to_numpy()
    return arrays.scaled_count(
        arrays.dispute_onsets(world), covered, arrays.positive("window", window)
    )


@feature(
    family="history",
    level="dyad",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if a dispute between the two was active in s",
    source=SOURCE,
    needs=("conflict",),
    pre_treatment=False,
)
def dispute_last_year(world: xr.Dataset) -> np.ndarray:
    """Whether a dispute between the two was active in the (lagged) year."""
    return pairs(world, "dispute")


@feature(
    family="history",
    level="state",
    unit="conflicts per window",
    bounds=(0, None),
    sign="+",
    formula="number of conflicts with the state that began in the last w years",
    source="Bremer 1992",
    needs=("conflict",),
    pre_treatment=False,
)
def state_disputes_recent(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """Distinct conflicts of the state that began in the last `window` years.

    A partly covered window is scaled up as in `disputes_recent`.
    """
    covered = world["conflict_covered"].to_numpy()
    count = world["dispute_onset_count"].to_numpy()
    return arrays.scaled_count(count, covered, arrays.positive("window", window))


@feature(
    family="history",
    level="system",
    unit="dyadic onsets per 100 states and year",
    bounds=(0, None),
    sign="+",
    formula="100 · onsets of all pairs in the last w years / state-years in the system",
    source="Hegre et al. 2013 (global conflict as context)",
    needs=("conflict",),
    pre_treatment=False,
)
def system_disputes_recent(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Dyadic dispute onsets of the whole system per 100 state-years of the last `window` years.

    Per state, so that the growth of the system from 66 to 195 states is not read as more
    conflict. A partly covered window uses its covered years if they are at least half of it.
    """
    covered = world["conflict_covered"].to_numpy()
    window = arrays.positive("window", window)
    onsets = arrays.dispute_onsets(world).sum(axis=(1, 2)) / 2
    states = world["member"].to_numpy().sum(axis=1)
    total, years = arrays.covered_total(onsets, covered, window)
    exposure, _ = arrays.covered_total(states, covered, window)
    rate = 100 * total / np.maximum(exposure, 1)
    return np.where(2 * years >= window, rate, np.nan)
