"""Dispute history of a pair, a state and the system.

These features change with simulated conflicts, and alliances change them: they are never
pre-treatment. They do not need membership: a state that was not yet in the system has no
history, which is a fact and not a gap (clocks start at entry). History before the first covered
year is not known; counts start there.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.features import windows
from forecast.features.registry import feature
from forecast.features.successions import continued
from forecast.panel import history

__all__ = [
    "dispute_last_year",
    "disputes_recent",
    "disputes_total",
    "peace_years",
    "state_disputes_recent",
    "system_disputes_recent",
    "under_way",
]

SOURCE = "Beck, Katz & Tucker 1998; Carter & Signorino 2010"


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
    whole_record=True,
)
def peace_years(world: xr.Dataset) -> np.ndarray:
    """Completed years without a dispute between the two; 0 in a dispute year."""
    world = continued(world)
    return history.peace_years(
        world["dispute"].to_numpy(), windows.known_members(world), entry_year=world["entry_year"]
    )


@feature(
    family="history",
    level="dyad",
    unit="onsets",
    bounds=(0, None),
    sign="+",
    formula="number of disputes between the two that began, since coverage or the later entry",
    source="Crescenzi & Enterline 2001",
    needs=("conflict",),
    pre_treatment=False,
    whole_record=True,
)
def disputes_total(world: xr.Dataset) -> np.ndarray:
    """Disputes between the two that began so far, while both were in the system.

    Two that begin in one year are two, though the outcome of a dyad-year is one.
    """
    world = continued(world)
    return history.total_count(
        windows.dispute_onsets(world),
        member=windows.known_members(world),
        entry_year=world["entry_year"],
    )


@feature(
    family="history",
    level="dyad",
    unit="onsets per window",
    bounds=(0, None),
    sign="+",
    formula="number of disputes between the two that began in the last w years",
    source="Goertz & Diehl 1993",
    needs=("conflict",),
    pre_treatment=False,
)
def disputes_recent(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """Disputes between the two that began in the last `window` years, this one included.

    Where the window reaches before coverage, the count is scaled up from the covered years if
    they are at least half of it, and missing otherwise.
    """
    window = windows.positive("window", window)
    world = continued(world)
    return windows.recent_count(world, windows.dispute_onsets(world), window)


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
    return np.asarray(continued(world)["dispute"].to_numpy())


@feature(
    family="history",
    level="dyad",
    unit="0/1",
    bounds=(0, 1),
    sign="free",
    formula="1 if a dispute between the two was open on 31 December of s",
    source="McGrath 2015 (rows of disputes that go on); dates of the conflict data",
    needs=("conflict",),
    pre_treatment=False,
)
def under_way(world: xr.Dataset) -> np.ndarray:
    """Whether a dispute between the two was under way at the end of the (lagged) year.

    Begun by then, and its end in a later year or not yet on record: the row's year begins with
    it. A dispute that was active in s and over by its end is not under way.
    """
    return np.asarray(continued(world)["open"].to_numpy())


@feature(
    family="history",
    level="state",
    unit="conflicts per window",
    bounds=(0, None),
    sign="+",
    formula="number of distinct conflicts that the state came into in the last w years",
    source="Bremer 1992",
    needs=("conflict",),
    pre_treatment=False,
)
def state_disputes_recent(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """Distinct conflicts that the state came into in the last `window` years.

    A war counts once, in the state's first year of it, however many enemies it has. A partly
    covered window is scaled up as in `disputes_recent`.
    """
    window = windows.positive("window", window)
    world = continued(world)
    return windows.recent_count(world, world["dispute_onset_count"].to_numpy(), window)


@feature(
    family="history",
    level="system",
    unit="dyadic onsets per 100 states and year",
    bounds=(0, None),
    sign="+",
    formula="100 · dyadic onsets in the last w years / state-years in the system",
    source="Hegre et al. 2013 (global conflict as context)",
    needs=("conflict",),
    pre_treatment=False,
)
def system_disputes_recent(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Dyadic dispute onsets of the whole system per 100 state-years of the last `window` years.

    Per state, so that the growth of the system from 66 to 195 states is not read as more
    conflict. A partly covered window uses its covered years if they are at least half of it.
    """
    window = windows.positive("window", window)
    covered = world["conflict_covered"].to_numpy()
    onsets = windows.dispute_onsets(world).sum(axis=(1, 2)) / 2
    states = world["member"].to_numpy().sum(axis=1)
    total, exposure = (
        windows.windowed_sum(np.where(covered, values, 0), window) for values in (onsets, states)
    )
    known = 2 * windows.covered_years(covered, window) >= window
    return windows.where_known(100 * total / np.maximum(exposure, 1), known)
