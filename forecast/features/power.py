"""Geography and power: contiguity (COW Direct Contiguity), distance, major powers, capability."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from forecast.features import arrays, successions
from forecast.features.needs import with_calendar
from forecast.features.registry import feature
from forecast.panel.rows import relevant_pairs

_geography = partial(
    feature,
    family="geography",
    source="Stinnett et al. 2002, COW Direct Contiguity",
    needs=("contiguity", "member"),
)
_feature = partial(feature, family="power", needs=("member",))


def contiguity_class(world: xr.Dataset) -> np.ndarray:
    """COW class 1–5, 0 = not contiguous; symmetric (year, state, other)."""
    return np.asarray(world["contiguity"].to_numpy())


@_geography(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if the two share a land or river border (class 1)",
)
def land_contiguity(world: xr.Dataset) -> np.ndarray:
    """Whether the two states share a land or river border."""
    return np.asarray(contiguity_class(world) == 1)


@_geography(
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


@_geography(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if the two are contiguous in no class, by land or within 400 miles of water",
)
def not_contiguous(world: xr.Dataset) -> np.ndarray:
    """Whether the two are far apart: relevant only if one of them is a major power."""
    return np.asarray(contiguity_class(world) == 0)


@_geography(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if the two are contiguous in any class or one of them is a COW major power",
    source="Maoz & Russett 1993; Lemke & Reed 2001",
)
def politically_relevant(world: xr.Dataset) -> np.ndarray:
    """Whether the two have the means to fight each other: neighbours, or a major power."""
    return relevant_pairs(world)


@_geography(
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


@_feature(
    level="dyad",
    unit="states",
    bounds=(0, 2),
    sign="+",
    formula="number of the two that are COW major powers",
    source="COW State System Membership; Bremer 1992",
)
def major_powers(world: xr.Dataset) -> np.ndarray:
    """How many of the two states are major powers: 0, 1 or 2."""
    major = world["major"].to_numpy().astype(np.int8)
    return major[:, :, None] + major[:, None, :]


@_feature(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if both are COW major powers",
    source="COW State System Membership; Bremer 1992",
)
def joint_major(world: xr.Dataset) -> np.ndarray:
    """Whether both states are major powers."""
    major = world["major"].to_numpy()
    return np.asarray(major[:, :, None] & major[:, None, :])


@_feature(
    level="state",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="c_i",
    source="Singer, Bremer & Stuckey 1972; here the mean of population and GDP shares; no arms",
    needs=("capability", "member"),
)
def capability_share(world: xr.Dataset) -> np.ndarray:
    """Share of the state in the capability of all states of the year."""
    return arrays.capability(world)


@_feature(
    level="dyad",
    unit="log ratio",
    sign="-",
    formula="log(max(c_i, c_j) / min(c_i, c_j))",
    source="Bremer 1992; Russett & Oneal 2001",
    needs=("capability", "member"),
)
def capability_ratio(world: xr.Dataset) -> np.ndarray:
    """Log of the stronger side's capability over the weaker side's; 0 at parity."""
    logged = np.log(arrays.capability(world))
    return np.abs(logged[:, :, None] - logged[:, None, :])


@_feature(
    level="dyad",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="c_i + c_j",
    source="Hegre 2008",
    needs=("capability", "member"),
)
def joint_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the two together."""
    share = arrays.capability(world)
    return share[:, :, None] + share[:, None, :]


@_feature(
    level="state",
    unit="log ratio",
    bounds=(None, None),
    sign="+",
    formula="log(c_i(s) / c_i(s−w)); a relabelled state's past is its predecessor's",
    source="Organski & Kugler 1980 on rising challengers; Levy 1987 on preventive motives",
    needs=("capability", "member"),
)
def capability_growth(world: xr.Dataset, *, window: int = 10) -> np.ndarray:
    """How much larger the state's share of capability is than `window` years before, in logs.

    Missing for a state that was not there then. Releases of capabilities that join two records
    may have a step where they meet.
    """
    share = arrays.capability(world)
    before = successions.relabelled_past(share, world, arrays.positive("window", window))
    grown = np.log(share) - np.log(before)
    return arrays.where_known(grown, arrays.known_past(world, "capability", window))


@_feature(
    level="state",
    unit="years",
    formula="s − first year of i's running spell in the system (a relabelled state's: of its "
    "predecessor); at most the cap",
    source="Maoz 1989 on new states; COW State System Membership",
    whole_record=True,
    simulate=with_calendar("a year older every year"),
)
def state_age(world: xr.Dataset, *, cap: int = 100) -> np.ndarray:
    """Years that the state has been in the system; with ``side="min"`` the age of the dyad."""
    years = world["year"].to_numpy()[:, None]
    return np.clip(years - successions.entry_year(world), 0, arrays.positive("cap", cap))
