"""Old and new defence pacts apart: what has lasted commits, what was just signed may signal.

A tie is *new* in s if every defence treaty through which it runs was formed within the last w
years (s included), and *established* if one is older. Before 1945 the two went with opposite
signs (Senese & Vasquez 2008; Kenwick et al. 2015), so that a term for both together cancels.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features import arrays, successions, windows
from forecast.features.registry import feature
from forecast.features.shared import shared

SOURCE = "Senese & Vasquez 2008; Kenwick, Vasquez & Powers 2015"
_feature = partial(feature, family="deterrence", source=SOURCE)

BoolArray = npt.NDArray[np.bool_]


def _old(world: xr.Dataset, window: int) -> BoolArray:
    """Treaties with a defence obligation formed `window` or more years ago, (year, treaty)."""
    windows.positive("window", window)
    age = world["year"].to_numpy()[:, None] - world["treaty_start"].to_numpy()[None, :]
    return np.asarray(arrays.defence_pacts(world) & (age >= window))


@shared
def ties_by_age(world: xr.Dataset, window: int) -> tuple[BoolArray, BoolArray]:
    """Established and new ties, each (year, state, other): `other` owes `state` defence."""
    owed = arrays.defenders(world) > 0
    old = arrays.treaty_ties(world, _old(world, window)) > 0
    old = successions.count_once(old, world) & owed
    return old, owed & ~old


def _either(ties: BoolArray) -> BoolArray:
    return np.asarray(ties | ties.transpose(0, 2, 1))


def _outside(ties: BoolArray) -> BoolArray:
    """Whether somebody other than `other` is tied to `state`."""
    return np.asarray(ties.sum(axis=2, keepdims=True) - ties.astype(np.int16) > 0)


@_feature(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if i and j have a defence pact that was formed w or more years ago",
    needs=("obligation", "treaty", "member"),
)
def established_pact_in_dyad(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether a defence pact that has lasted for `window` years binds the two."""
    return _either(ties_by_age(world, window)[0])


@_feature(
    level="dyad",
    unit="0/1",
    formula="1 if i and j have a defence pact, and none that was formed w or more years ago",
    needs=("obligation", "treaty", "member"),
)
def new_pact_in_dyad(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether only defence pacts younger than `window` years bind the two."""
    established, new = ties_by_age(world, window)
    return np.asarray(_either(new) & ~_either(established))


@_feature(
    level="directed",
    unit="0/1",
    sign="-",
    formula="1 if some k ≠ j owes i defence under a treaty formed w or more years ago",
    needs=("obligation", "treaty", "member"),
)
def outside_established_defense(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether an outside state has been bound to defend the state for `window` years."""
    return _outside(ties_by_age(world, window)[0])


@_feature(
    level="directed",
    unit="0/1",
    formula="1 if some k ≠ j owes i defence, under treaties formed within w years only",
    needs=("obligation", "treaty", "member"),
)
def outside_new_defense(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether an outside state has newly come to be bound to defend the state."""
    return _outside(ties_by_age(world, window)[1])


@_feature(
    family="expansion",
    level="state",
    unit="0/1",
    sign="-",
    formula="1 if i is in a defence pact that was formed w or more years ago",
    needs=("obligation", "treaty", "member"),
)
def established_pact(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether the state has a defence pact that is not new; `new_pact` is the other half."""
    old = _old(world, window)
    return np.asarray((world["treaty_member"].to_numpy() & old[:, :, None]).any(axis=1))
