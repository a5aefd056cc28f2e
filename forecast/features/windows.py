"""Windows over years: looking back, and counts over the covered years.

All arrays have the year as first axis. Counts restart when a state enters the system anew.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError
from forecast.features.successions import continued, past
from forecast.panel import history

__all__ = [
    "conflicts_of_states", "counted", "covered_events", "covered_years", "decayed_count",
    "dispute_onsets", "half", "half_life_years", "known_members", "known_past", "positive",
    "recent_count", "where_known", "windowed_sum",
]  # fmt: skip

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]


def positive(name: str, value: int) -> int:
    """`value`, checked to be an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(f"{name} must be a whole number of years, at least 1; found {value!r}")
    return int(value)


def half_life_years(value: float) -> float:
    """`value`, checked to be a positive number of years."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not number or not 0 < value < np.inf:
        raise ArgumentError(f"half_life must be a number of years greater than 0; found {value!r}")
    return float(value)


def known_past(world: xr.Dataset, need: str, window: int) -> BoolArray:
    """Whether year s − window lies in the world and is covered by the source, shape (year,)."""
    return np.asarray(past(world[f"{need}_covered"].to_numpy(), window))


def where_known(values: np.ndarray, known: BoolArray) -> Float64Array:
    """`values` as float, NaN in the years that are not known; `known` has shape (year,)."""
    return np.where(_by_year(known, values), values, np.nan)


def _by_year(of_year: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Numbers of years, to be broadcast against `values`."""
    return of_year.reshape((-1,) + (1,) * (values.ndim - 1))


def windowed_sum[T: np.generic](values: npt.NDArray[T], window: int) -> npt.NDArray[T]:
    """Sum over the last `window` years (s included), shape as `values`."""
    running = np.cumsum(values, axis=0)
    return np.asarray(running - past(running, window))


def covered_years(world: xr.Dataset, window: int) -> npt.NDArray[np.int_]:
    """How many of the last `window` years (s included) have covered conflicts, shape (year,)."""
    return windowed_sum(world["conflict_covered"].to_numpy().astype(np.int_), window)


def half(world: xr.Dataset, window: int) -> BoolArray:
    """Whether conflicts are covered in at least half of the last `window` years, shape (year,)."""
    return np.asarray(2 * covered_years(world, window) >= window)


def covered_events(world: xr.Dataset, events: np.ndarray) -> np.ndarray:
    """`events` (year first) with 0 in the years whose conflicts are not covered."""
    return np.where(_by_year(world["conflict_covered"].to_numpy(), events), events, 0)


def counted(world: xr.Dataset, events: np.ndarray, window: int) -> npt.NDArray[np.int16]:
    """Covered events of the last `window` years (s included), while the states are in the system.

    `events` of each year: (year, state, other) or (year, state).
    """
    count = history.windowed_count(
        covered_events(world, events),
        window,
        member=world["member"].to_numpy(),
        entry_year=world["entry_year"].to_numpy(),
    )
    return np.asarray(count, dtype=np.int16)


def recent_count(world: xr.Dataset, events: np.ndarray, window: int) -> Float64Array:
    """As `counted`, for a full window.

    Where the window is partly covered the count is scaled up from the covered years; where less
    than half of it is covered, it is NaN.
    """
    years = covered_years(world, positive("window", window))
    factor = np.where(half(world, window), window / np.maximum(years, 1), np.nan)
    return np.asarray(counted(world, events, window) * _by_year(factor, events))


def conflicts_of_states(world: xr.Dataset, window: int) -> Float64Array:
    """Distinct conflicts that each state came into, as `recent_count`; (year, state)."""
    world = continued(world)
    return recent_count(world, world["dispute_onset_count"].to_numpy(), window)


def known_members(world: xr.Dataset) -> BoolArray:
    """Members of the system in covered years: clocks and counts start where coverage does."""
    covered = world["conflict_covered"].to_numpy()
    return np.asarray(world["member"].to_numpy() & covered[:, None])


def decayed_count(world: xr.Dataset, events: np.ndarray, half_life: float) -> np.ndarray:
    """Events so far, weighted by 2^(−age / half_life), while the states are in the system.

    Never missing: what lies before coverage, or before a state's entry, is not counted. `events`
    as in `counted`; the half-life in years.
    """
    return history.decayed_count(
        covered_events(world, events),
        half_life_years(half_life),
        member=known_members(world),
        entry_year=world["entry_year"].to_numpy(),
    )


def dispute_onsets(world: xr.Dataset) -> npt.NDArray[np.uint8]:
    """How many disputes between the two began in the year; symmetric (year, state, other).

    A pair's history is that of all its disputes, also when the outcome that is modelled is a
    narrower one (``onset`` of a war, say).
    """
    return np.asarray(world["onset_count"].to_numpy())
