"""Which pairs of states a panel is about, judged in the calendar year of the row."""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.panel.window import BoolArray

__all__ = ["pairs_of", "relevant_pairs"]


def relevant_pairs(world: xr.Dataset) -> BoolArray:
    """Politically relevant pairs: contiguous in any class, or one of them a major power."""
    return np.asarray((world["contiguity"].to_numpy() > 0) | _with_major(world))


def _with_major(world: xr.Dataset) -> BoolArray:
    major = world["major"].to_numpy()
    return np.asarray(major[:, :, None] | major[:, None, :])


def pairs_of(world: xr.Dataset, population: str) -> BoolArray:
    """Pairs of a population, whether or not both are members of the system.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    population : str
        ``"politically_relevant"`` (contiguous by land or up to 400 miles of water, or with a
        major power; Maoz and Russett 1993), ``"contiguous"``, ``"major_power"`` (at least one of
        the two), ``"same_region"`` or ``"all"``.

    Returns
    -------
    numpy.ndarray of bool
        Broadcasts to (year, state, other); symmetric.
    """
    if population == "all":
        return np.ones((1, 1, 1), dtype=bool)
    if population == "contiguous":
        return np.asarray(world["contiguity"].to_numpy() > 0)
    if population == "major_power":
        return _with_major(world)
    if population == "same_region":
        region = world["region"].to_numpy()
        return np.asarray((region[:, None] == region[None, :])[None])
    return relevant_pairs(world)
