"""Power of the two states: major-power status and capability shares."""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.features import arrays
from forecast.features.registry import feature

__all__ = [
    "capability_ratio",
    "capability_share",
    "joint_capability",
    "joint_major",
    "major_powers",
]


@feature(
    family="power",
    level="dyad",
    unit="states",
    bounds=(0, 2),
    sign="+",
    formula="number of the two that are COW major powers",
    source="COW State System Membership; Bremer 1992",
    needs=("member",),
    pre_treatment=True,
)
def major_powers(world: xr.Dataset) -> np.ndarray:
    """How many of the two states are major powers: 0, 1 or 2."""
    major = world["major"].to_numpy().astype(np.int8)
    return major[:, :, None] + major[:, None, :]


@feature(
    family="power",
    level="dyad",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if both are COW major powers",
    source="COW State System Membership; Bremer 1992",
    needs=("member",),
    pre_treatment=True,
)
def joint_major(world: xr.Dataset) -> np.ndarray:
    """Whether both states are major powers."""
    major = world["major"].to_numpy()
    return np.asarray(major[:, :, None] & major[:, None, :])


@feature(
    family="power",
    level="state",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="c_i",
    source="Singer, Bremer & Stuckey 1972; here the mean of population and GDP shares; no arms",
    needs=("capability", "member"),
    pre_treatment=True,
)
def capability_share(world: xr.Dataset) -> np.ndarray:
    """Share of the state in the capability of all states of the year."""
    return arrays.capability(world)


@feature(
    family="power",
    level="dyad",
    unit="log ratio",
    bounds=(0, None),
    sign="-",
    formula="log(max(c_i, c_j) / min(c_i, c_j))",
    source="Bremer 1992; Russett & Oneal 2001",
    needs=("capability", "member"),
    pre_treatment=True,
)
def capability_ratio(world: xr.Dataset) -> np.ndarray:
    """Log of the stronger side's capability over the weaker side's; 0 at parity."""
    logged = np.log(arrays.capability(world))
    return np.abs(logged[:, :, None] - logged[:, None, :])


@feature(
    family="power",
    level="dyad",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="c_i + c_j",
    source="Hegre 2008",
    needs=("capability", "member"),
    pre_treatment=True,
)
def joint_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the two together."""
    share = arrays.capability(world)
    return share[:, :, None] + share[:, None, :]
