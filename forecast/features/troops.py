"""US troops that a state hosts: dependency on the patron's own soldiers, beside its pledge.

The embedded data have no such table: ``sources={"troops": "us_troops_2024"}`` adds it. The United
States host no troops of another state here: 0 by definition. Past its coverage a world that is
carried forward keeps the last year's figures; no scenario of alliances moves them.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.sources.codes import UNITED_STATES

__all__ = ["us_troops", "us_troops_per_capita", "us_troops_share"]

SOURCE = "Allen, Flynn & Machain 2022"


@shared
def hosted(world: xr.Dataset) -> np.ndarray:
    """Active-duty US personnel in each state, persons, (year, state); 0 for the United States."""
    troops = world["us_troops"].to_numpy().astype(np.float64)
    return np.where(world["state"].to_numpy() == UNITED_STATES, 0.0, troops)


@feature(
    family="dependency",
    level="state",
    unit="log persons",
    bounds=(0, None),
    sign="free",
    formula="log(1 + T_i), T active-duty US personnel in i; 0 for the United States",
    source=SOURCE + "; Martinez Machain & Morgan 2013",
    needs=("troops", "member"),
    pre_treatment=False,
)
def us_troops(world: xr.Dataset) -> np.ndarray:
    """US troops that the state hosts (side b of a directed dyad: the target's)."""
    return np.asarray(np.log1p(hosted(world)))


@feature(
    family="dependency",
    level="state",
    unit="log persons per 100,000",
    bounds=(0, None),
    sign="free",
    formula="log(1 + 100,000 T_i / population of i)",
    source=SOURCE,
    needs=("troops", "capability", "member"),
    pre_treatment=False,
)
def us_troops_per_capita(world: xr.Dataset) -> np.ndarray:
    """US troops that the state hosts for each 100,000 of its people."""
    return np.asarray(np.log1p(1e5 * _over(hosted(world), _size(world, "host_population"))))


@feature(
    family="dependency",
    level="state",
    unit="share",
    bounds=(0, 1),
    sign="free",
    formula="T_i / (T_i + own military personnel of i); missing without the latter",
    source=SOURCE + "; own personnel: Singer, Bremer & Stuckey 1972 (milper)",
    needs=("troops", "capability", "member"),
    pre_treatment=False,
)
def us_troops_share(world: xr.Dataset) -> np.ndarray:
    """Share of the US troops in all soldiers in the state (historical data only)."""
    troops = hosted(world)
    return _over(troops, troops + _size(world, "host_personnel"))


def _size(world: xr.Dataset, name: str) -> np.ndarray:
    """A size of the hosts, persons; NaN throughout if the capabilities do not have it."""
    if name not in world:
        return np.full(world["us_troops"].shape, np.nan)
    return np.asarray(world[name].to_numpy(), dtype=np.float64)


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part` / `whole`; NaN where the whole is zero or unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
