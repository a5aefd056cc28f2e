"""Through which treaties two states are bound, and the best of them by some score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features import successions
from forecast.features.shared import shared

__all__ = ["best_tie", "mean_over_defenders"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating]


@shared
def defence_ties(world: xr.Dataset) -> tuple[IntArray, IntArray]:
    """Treaty, and flat position in (year, state, other), of each tie of each treaty and year.

    A tie is a pair of members of the treaty of which `other` owes `state` defence under it.
    """
    member = world["treaty_member"].to_numpy()
    _, treaties, n = member.shape
    pledge = world["treaty_pledge"].sel(obligation="defense").to_numpy()
    group, owing = np.divmod(np.flatnonzero(np.ascontiguousarray(pledge)), n)
    # Members follow each other by year and treaty: a pledge is paired with those of its own.
    insiders = np.flatnonzero(member) % n
    size = member.reshape(-1, n).sum(axis=1)
    start = np.cumsum(size) - size
    repeat = size[group]
    within = np.arange(repeat.sum()) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    state = insiders[np.repeat(start[group], repeat) + within]
    other, group = np.repeat(owing, repeat), np.repeat(group, repeat)
    position = (group // max(treaties, 1) * n + state) * n + other
    # Two members of one year were bound to each other only if they were so on the same day.
    owes = world["obligations"].sel(obligation="defense").to_numpy().transpose(0, 2, 1)
    held = np.ascontiguousarray(owes).reshape(-1)[position]
    return (group % max(treaties, 1))[held], position[held]


def best_tie(world: xr.Dataset, score: np.ndarray) -> npt.NDArray[np.float32]:
    """Highest score among the treaties under which `other` owes `state` defence.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    score : numpy.ndarray, shape (treaty,)
        Score of each treaty; NaN if it has none.

    Returns
    -------
    numpy.ndarray, shape (year, state, other)
        NaN where no treaty with a score binds the two.
    """
    shape = (world.sizes["year"], world.sizes["state"], world.sizes["state"])
    best = np.full(shape, -np.inf, dtype=np.float32)
    treaty, position = defence_ties(world)
    values = np.where(np.isnan(score), -np.inf, score).astype(np.float32)
    np.maximum.at(best.reshape(-1), position, values[treaty])
    best[np.isneginf(best)] = np.nan
    return best


def mean_over_defenders(world: xr.Dataset, values: FloatArray) -> npt.NDArray[np.float64]:
    """Mean of `values` over the defenders k for which they are known; NaN without any.

    A code that stands for two in a year of relabelling takes the higher value of the two.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    values : numpy.ndarray, shape (year, state, other)
        NaN for pairs that do not count.
    """
    known = ~np.isnan(values)
    low = values.min(where=known, initial=np.inf) if known.any() else 0.0
    # Zero is "no tie" to count_once: known values are moved to 1 and above.
    ties = successions.count_once(np.where(known, values - low + 1, 0), world)
    number = (ties > 0).sum(axis=2)
    total = ties.sum(axis=2, dtype=np.float64)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1) + low - 1, np.nan))
