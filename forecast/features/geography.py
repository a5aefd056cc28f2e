"""Geography of a dyad: contiguity by land and by water (COW Direct Contiguity), distance."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from forecast.features.registry import feature
from forecast.panel.rows import relevant_pairs

SOURCE = "Stinnett et al. 2002, COW Direct Contiguity"
_feature = partial(feature, family="geography", source=SOURCE, needs=("contiguity", "member"))


def contiguity_class(world: xr.Dataset) -> np.ndarray:
    """COW class 1–5, 0 = not contiguous; symmetric (year, state, other)."""
    return np.asarray(world["contiguity"].to_numpy())


@_feature(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if the two share a land or river border (class 1)",
)
def land_contiguity(world: xr.Dataset) -> np.ndarray:
    """Whether the two states share a land or river border."""
    return np.asarray(contiguity_class(world) == 1)


@_feature(
    level="dyad",
    unit="classes",
    bounds=(0, 5),
    sign="+",
    formula="6 − contiguity class; 0 if not contiguous",
)
def contiguity_closeness(world: xr.Dataset) -> np.ndarray:
    """Steps of closeness: 5 shares a border, 4 within 12 miles of water … 0 beyond 400 miles."""
    found = contiguity_class(world)
    return np.where(found > 0, 6 - found, 0)


@_feature(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if the two are contiguous in no class, by land or within 400 miles of water",
)
def not_contiguous(world: xr.Dataset) -> np.ndarray:
    """Whether the two are far apart: relevant only if one of them is a major power."""
    return np.asarray(contiguity_class(world) == 0)


@_feature(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if the two are contiguous in any class or one of them is a COW major power",
    source="Maoz & Russett 1993; Lemke & Reed 2001",
)
def politically_relevant(world: xr.Dataset) -> np.ndarray:
    """Whether the two have the means to fight each other: neighbours, or a major power."""
    return relevant_pairs(world)


@_feature(
    level="dyad",
    unit="log km",
    sign="-",
    formula="log(1 + km between the nearest points of the two); 0 at a common border",
    source="Schvitz et al. 2022, CShapes 2.0; Gleditsch & Ward 2001 on minimum distance; Bremer "
    "1992",
    needs=("distance", "member"),
)
def distance(world: xr.Dataset) -> np.ndarray:
    """Log of the smallest distance between the territories of the two."""
    return np.log1p(world["distance_km"].to_numpy())
