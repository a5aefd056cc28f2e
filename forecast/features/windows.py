"""Windows over years: looking back, counts over the covered years, rivals.

All arrays have the year as first axis. Counts restart when a state enters the system anew.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features.shared import shared
from forecast.panel import history
from forecast.panel.history import windowed_count

__all__ = [
    "RIVALS",
    "covered_events",
    "covered_years",
    "decayed_count",
    "dispute_onsets",
    "half_life_years",
    "known_members",
    "known_past",
    "past",
    "positive",
    "recent_count",
    "rivals",
    "strategic",
    "where_known",
    "windowed_sum",
]

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

#: Where rivals come from: see `rivals`.
RIVALS: tuple[str, ...] = ("auto", "strategic", "disputes")


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


def past(values: np.ndarray, window: int) -> np.ndarray:
    """Values of `window` years before, aligned to the year axis; zeros before the first year."""
    shifted = np.zeros_like(values)
    shifted[window:] = values[:-window]
    return shifted


def known_past(world: xr.Dataset, need: str, window: int) -> BoolArray:
    """Whether year s − window lies in the world and is covered by the source, shape (year,)."""
    return np.asarray(past(world[f"{need}_covered"].to_numpy(), window))


def where_known(values: np.ndarray, known: BoolArray) -> Float64Array:
    """`values` as float, NaN in the years that are not known; `known` has shape (year,)."""
    shape = (-1,) + (1,) * (values.ndim - 1)
    return np.where(known.reshape(shape), values, np.nan)


def windowed_sum[T: np.generic](values: npt.NDArray[T], window: int) -> npt.NDArray[T]:
    """Sum over the last `window` years (s included), shape as `values`."""
    running = np.cumsum(values, axis=0)
    return np.asarray(running - past(running, window))


def covered_years(covered: BoolArray, window: int) -> npt.NDArray[np.int_]:
    """How many of the last `window` years (s included) are covered, shape (year,)."""
    return windowed_sum(covered.astype(np.int_), window)


def covered_events(world: xr.Dataset, events: np.ndarray) -> np.ndarray:
    """`events` (year first) with 0 in the years whose conflicts are not covered."""
    covered = world["conflict_covered"].to_numpy()
    return np.where(covered.reshape((-1,) + (1,) * (events.ndim - 1)), events, 0)


def recent_count(world: xr.Dataset, events: np.ndarray, window: int) -> Float64Array:
    """Conflict events of the last `window` years (s included), for a full window.

    Where the window is partly covered the count is scaled up from the covered years; where less
    than half of it is covered, it is NaN.

    Parameters
    ----------
    events : numpy.ndarray, shape (year, state, other) or (year, state)
        Events of each year; counted only while the states are in the system.
    """
    covered = world["conflict_covered"].to_numpy()
    years = covered_years(covered, window)
    factor = np.where(2 * years >= window, window / np.maximum(years, 1), np.nan)
    shape = (-1,) + (1,) * (events.ndim - 1)
    count = windowed_count(
        covered_events(world, events),
        window,
        member=world["member"].to_numpy(),
        entry_year=world["entry_year"].to_numpy(),
    )
    return np.asarray(count * factor.reshape(shape))


def known_members(world: xr.Dataset) -> BoolArray:
    """Members of the system in covered years: clocks and counts start where coverage does."""
    covered = world["conflict_covered"].to_numpy()
    return np.asarray(world["member"].to_numpy() & covered[:, None])


def decayed_count(world: xr.Dataset, events: np.ndarray, half_life: float) -> np.ndarray:
    """Conflict events so far, weighted by 2^(−age / half_life), while in the system.

    Never missing: what lies before coverage, or before a state's entry, is not counted.

    Parameters
    ----------
    events : numpy.ndarray, shape (year, state, other) or (year, state)
        Events of each year.
    half_life : float
        Years.
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


@shared
def rivals(
    world: xr.Dataset, source: str = "auto", *, window: int = 20, minimum: int = 2
) -> tuple[BoolArray, BoolArray]:
    """Pairs of rivals in each year.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    source : {"auto", "strategic", "disputes"}
        ``strategic``: Thompson & Dreyer's list, for the years that the data set's table of
        rivalries covers. ``disputes``: pairs with at least `minimum` disputes that began in the
        last `window` years (s included), a stand-in and a rough one: of its pair-years
        1955–2010 in the embedded data 46% are in their list, and it finds 37% of theirs.
        ``auto``: the list in the years that it covers, the stand-in in the others.
    window, minimum : int
        Of the stand-in. Near the start of coverage the window holds fewer years; it is used from
        the year in which half of it is covered, and the count is not scaled up (two disputes are
        two disputes).

    Returns
    -------
    rival : numpy.ndarray of bool, shape (year, state, other)
        Symmetric.
    known : numpy.ndarray of bool, shape (year,)
        Whether the list covers the year or, for the stand-in, at least half of the window is
        covered.
    """
    if source not in RIVALS:
        raise UnknownNameError("rivals:", source, RIVALS, f"One of {', '.join(RIVALS)}.")
    from forecast.features.successions import continued  # which is told in terms of `past`

    world = continued(world)
    window, minimum = positive("rival_window", window), positive("rival_onsets", minimum)
    listed = np.zeros(world.sizes["year"], dtype=bool)
    if source != "disputes" and "rivalry" in world:
        listed = world["rivalry_covered"].to_numpy()
    if source == "strategic" or listed.all():
        return strategic(world), listed
    covered = world["conflict_covered"].to_numpy()
    count = windowed_count(
        dispute_onsets(world) * covered[:, None, None],
        window,
        member=world["member"].to_numpy(),
        entry_year=world["entry_year"].to_numpy(),
    )
    rival, known = count >= minimum, 2 * covered_years(covered, window) >= window
    if listed.any():
        rival[listed] = strategic(world)[listed]
    return rival, np.asarray(known | listed)


def strategic(world: xr.Dataset) -> BoolArray:
    """Pairs in the table of rivalries, (year, state, other); none without that table."""
    if "rivalry" in world:
        return np.asarray(world["rivalry"].to_numpy())
    n = world.sizes["state"]
    return np.zeros((world.sizes["year"], n, n), dtype=bool)
