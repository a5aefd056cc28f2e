"""Dispute history of a pair, a state and the system: clocks, counts, and memory that fades.

These features change with simulated conflicts, and alliances change them: they are never
pre-treatment. They do not need membership: a state that was not yet in the system has no
history, which is a fact and not a gap (clocks start at entry). History before the first covered
year is not known; counts start there.

An onset u years ago that fades counts 2^(−u/h): no edge at which it is forgotten at once, as a
window has, and no gap where a window reaches before coverage.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.draws import is_whole
from forecast.errors import ArgumentError
from forecast.features import arrays
from forecast.features.needs import (
    Past,
    Values,
    as_at_origin,
    flagged,
    from_conflicts,
    from_status,
    tabulated,
)
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.features.successions import continued
from forecast.panel import history

SOURCE = "Beck, Katz & Tucker 1998; Carter & Signorino 2010"
FADING = "Crescenzi & Enterline 2001 on fading memory; Hegre et al. 2001"
SYSTEM_UNIT = "dyadic onsets per 100 states and year"
_feature = partial(feature, family="history", needs=("conflict",), source=SOURCE)
_fading = partial(_feature, source=FADING, whole_record=True)


@_feature(
    level="dyad",
    unit="years",
    sign="-",
    formula="years at peace at the end of s: since the last dispute or the later entry of the two",
    whole_record=True,
    simulate=from_status(lambda pair: tabulated(pair.peace)),
)
def peace_years(world: xr.Dataset) -> np.ndarray:
    """Completed years without a dispute between the two; 0 in a dispute year."""
    world = continued(world)
    return history.peace_years(
        world["dispute"].to_numpy(), arrays.known_members(world), entry_year=world["entry_year"]
    )


def _quiet(peace: np.ndarray, years: int) -> npt.NDArray[np.bool_]:
    return np.asarray(peace > years)


@_feature(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if `peace_years` > y",
    source="Bennett 1998 on the end of rivalries; Goertz & Diehl 1993",
    whole_record=True,
    simulate=from_status(lambda pair, years: flagged(_quiet(pair.peace, years))),
)
def long_peace(world: xr.Dataset, *, years: int = 10) -> np.ndarray:
    """Whether the two have been at peace for more than `years` years: the stratum 'quiet'.

    A pair that has been in the system together for no more than `years` years is not.
    """
    if not is_whole(years) or years < 0:
        raise ArgumentError(f"years must be a whole number of at least 0; found {years!r}")
    return _quiet(np.asarray(peace_years(world)), years)


@_feature(
    level="state",
    unit="years",
    sign="-",
    formula="years at peace with everybody at the end of s: since i's last dispute or its entry",
    source="Beck, Katz & Tucker 1998, for states",
    whole_record=True,
    simulate=as_at_origin("disputes of a state with others than the simulated pairs are not known"),
)
def state_peace_years(world: xr.Dataset) -> np.ndarray:
    """Completed years without a dispute of the state with anybody; 0 in a dispute year."""
    world = continued(world)
    active = world["dispute"].to_numpy().any(axis=2)
    member = arrays.known_members(world)
    return history.state_peace_years(active, member, entry_year=world["entry_year"])


@_feature(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if a dispute between the two was active in s",
    simulate=from_status(lambda pair: flagged(pair.active)),
)
def dispute_last_year(world: xr.Dataset) -> np.ndarray:
    """Whether a dispute between the two was active in the (lagged) year."""
    return np.asarray(continued(world)["dispute"].to_numpy())


@_feature(
    level="dyad",
    unit="0/1",
    formula="1 if a dispute between the two was open on 31 December of s",
    source="McGrath 2015 (rows of disputes that go on); dates of the conflict data",
    simulate=from_status(lambda pair: flagged(pair.under_way)),
)
def under_way(world: xr.Dataset) -> np.ndarray:
    """Whether a dispute between the two was under way at the end of the (lagged) year.

    Begun by then, and its end in a later year or not yet on record: the row's year begins with
    it. A dispute that was active in s and over by its end is not under way.
    """
    return np.asarray(continued(world)["open"].to_numpy())


@_feature(
    level="dyad",
    unit="onsets",
    sign="+",
    formula="number of disputes between the two that began, since coverage or the later entry",
    source="Crescenzi & Enterline 2001",
    whole_record=True,
    simulate=from_conflicts(lambda past: tabulated(past.total)),
)
def disputes_total(world: xr.Dataset) -> np.ndarray:
    """Disputes between the two that began so far, while both were in the system.

    Two that begin in one year are two, though the outcome of a dyad-year is one.
    """
    world = continued(world)
    member = arrays.known_members(world)
    onsets = arrays.dispute_onsets(world)
    return history.total_count(onsets, member=member, entry_year=world["entry_year"])


@_feature(
    level="dyad",
    unit="onsets per window",
    sign="+",
    formula="number of disputes between the two that began in the last w years",
    source="Goertz & Diehl 1993",
    simulate=from_conflicts(lambda past, window: tabulated(past.onsets(window))),
)
def disputes_recent(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """Disputes between the two that began in the last `window` years, this one included.

    Where the window reaches before coverage, the count is scaled up from the covered years if
    they are at least half of it, and missing otherwise.
    """
    world = continued(world)
    return arrays.recent_count(world, arrays.dispute_onsets(world), window)


@_feature(
    level="state",
    unit="conflicts per window",
    sign="+",
    formula="number of distinct conflicts that the state came into in the last w years",
    source="Bremer 1992",
    simulate=from_conflicts(lambda past, window: past.of_states(window)),
)
def state_disputes_recent(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """Distinct conflicts that the state came into in the last `window` years.

    A war counts once, in the state's first year of it, however many enemies it has. A partly
    covered window is scaled up as in `disputes_recent`.
    """
    return arrays.conflicts_of_states(world, window)


def _per_100_states(onsets: np.ndarray, states: np.ndarray | float) -> np.ndarray:
    """Onsets per 100 state-years, so that the growth of the system is not read as conflict."""
    return np.asarray(100 * onsets / np.where(np.asarray(states) > 0, states, 1))


def _rate(past: Past, window: int) -> Values:
    onsets, states = past.of_system(window)
    return tabulated(onsets, lambda number: _per_100_states(number, states))


@_feature(
    level="system",
    unit=SYSTEM_UNIT,
    sign="+",
    formula="100 · dyadic onsets in the last w years / state-years in the system",
    source="Hegre et al. 2013 (global conflict as context)",
    simulate=from_conflicts(_rate),
)
def system_disputes_recent(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Dyadic dispute onsets of the whole system per 100 state-years of the last `window` years.

    A partly covered window uses its covered years if they are at least half of it.
    """
    window = arrays.positive("window", window)
    covered = world["conflict_covered"].to_numpy()
    total, exposure = (
        arrays.windowed_sum(np.where(covered, values, 0), window) for values in _system(world)
    )
    return arrays.where_known(_per_100_states(total, exposure), arrays.half(world, window))


def _system(world: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Dyadic onsets of every year, and states in the system, (year,)."""
    onsets = arrays.dispute_onsets(world).sum(axis=(1, 2)) / 2
    return onsets, world["member"].to_numpy().sum(axis=1)


@_fading(
    level="dyad",
    unit="decayed onsets",
    sign="+",
    formula="Σ_{u≤s} 2^(−(s−u)/h) · onsets between i and j in u, since coverage or the later entry",
    simulate=from_conflicts(lambda past, half_life: Values(None, past.faded(half_life))),
)
def disputes_decayed(world: xr.Dataset, *, half_life: float = 8.0) -> np.ndarray:
    """Disputes that began between the two, fading with the half-life; one of s counts 1."""
    return decayed_onsets(world, half_life)


@_fading(
    level="state",
    unit="decayed conflicts",
    sign="+",
    formula="Σ_{u≤s} 2^(−(s−u)/h) · distinct conflicts that i came into in u",
    simulate=from_conflicts(lambda past, half_life: Values(None, past.of_states_faded(half_life))),
)
def state_disputes_decayed(world: xr.Dataset, *, half_life: float = 10.0) -> np.ndarray:
    """Distinct conflicts of the state, each fading with the half-life; one of s counts 1."""
    return _decayed_conflicts(world, half_life)


@_fading(
    level="directed",
    unit="decayed conflicts",
    sign="+",
    formula="decayed conflicts of i as in `state_disputes_decayed`, less its decayed onsets with j",
    source=FADING + "; Bremer 1992",
    simulate=from_conflicts(lambda past, half_life: Values(None, past.with_others(half_life))),
)
def other_disputes_decayed(world: xr.Dataset, *, half_life: float = 10.0) -> np.ndarray:
    """Fading conflicts of the state with anybody but the other of the pair.

    What the pair itself did is `disputes_decayed`; together they are the state's own record. A
    conflict fought with several states counts once for a state, so that with a common conflict
    the difference may understate; it is never below 0.
    """
    level, own = activity(world, half_life)
    return np.asarray(np.maximum(level[:, :, None] - own, 0))


def _rate_faded(past: Past, half_life: float) -> Values:
    return Values(None, _per_100_states(*past.of_system_faded(half_life)).astype(np.float32))


@_fading(
    level="system",
    unit=SYSTEM_UNIT,
    sign="+",
    formula="100 · Σ_u 2^(−(s−u)/h) dyadic onsets in u / Σ_u 2^(−(s−u)/h) states in u",
    source=FADING + "; Hegre et al. 2013 (global conflict as context)",
    simulate=from_conflicts(_rate_faded),
)
def system_disputes_decayed(world: xr.Dataset, *, half_life: float = 2.0) -> np.ndarray:
    """Dyadic onsets of the whole system per 100 state-years, recent years weighing more."""
    half_life = arrays.half_life_years(half_life)
    total, exposure = (
        history.decayed_count(arrays.covered_events(world, v)[:, None], half_life)[:, 0].astype(
            float
        )
        for v in _system(world)
    )
    return arrays.where_known(_per_100_states(total, exposure), exposure > 0)


def activity(world: xr.Dataset, half_life: float) -> tuple[np.ndarray, np.ndarray]:
    """Decayed conflicts of each state, and decayed onsets of each pair."""
    return _decayed_conflicts(world, half_life), decayed_onsets(world, half_life)


@shared
def _decayed_conflicts(world: xr.Dataset, half_life: float) -> np.ndarray:
    """Decayed conflicts of each state, (year, state)."""
    world = continued(world)
    return arrays.decayed_count(world, world["dispute_onset_count"].to_numpy(), half_life)


@shared
def decayed_onsets(world: xr.Dataset, half_life: float) -> np.ndarray:
    """Decayed onsets of each pair, (year, state, other): behind several features."""
    world = continued(world)
    return arrays.decayed_count(world, arrays.dispute_onsets(world), half_life)
