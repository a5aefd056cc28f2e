"""Regimes, trade and organisations: the ties between states besides alliances.

Each comes from a table that a data set may lack (V-Dem, Polity, COW trade, COW IGO); without it,
or past its coverage, the feature is missing. The two measures of democracy are never mixed: a
feature has the one that its name, formula or option `measure` says. Trade openness (trade over
GDP) is not among them: the data sets with trade have no GDP on the same footing, so it cannot be
measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import arrays, successions
from forecast.features.registry import feature
from forecast.features.shared import shared

VDEM = "Teorell et al. 2019 (polyarchy); V-Dem"
POLITY = "Marshall, Gurr & Jaggers 2019 (Polity5)"
#: Of each measure the lowest and highest value, and that from which on a state counts as a
#: democracy: a half, and the usual cut of the field.
MEASURED: Mapping[str, tuple[float, float, float]] = {
    "polyarchy": (0.0, 1.0, 0.5),
    "polity": (-10.0, 10.0, 6.0),
}
#: How `joint_igos` counts.
SCALES = ("log", "count")
_feature = partial(feature, family="society", needs=("regime", "member"))


@_feature(level="state", unit="index", formula="electoral democracy index of i", source=VDEM)
def polyarchy(world: xr.Dataset) -> np.ndarray:
    """How democratic the state is, from 0 to 1."""
    return np.asarray(world["polyarchy"].to_numpy())


@_feature(
    level="state",
    unit="points",
    bounds=(-10, 10),
    formula="polity2 of i; with side='min' the weak link, with 'absdiff' the distance",
    source=POLITY,
    needs=("polity", "member"),
)
def polity(world: xr.Dataset) -> np.ndarray:
    """How democratic the state is, from -10 (autocracy) to 10 (democracy)."""
    return np.asarray(world["polity"].to_numpy())


@_feature(
    level="state",
    unit="index",
    sign="+",
    formula="|d_i(s) − d_i(s−w)|, d the electoral democracy index; a relabelled state's past is "
    "its predecessor's",
    source=VDEM + "; Mansfield & Snyder 1995; Enterline 1996 on regime change",
)
def regime_change(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """How far the regime is from what it was `window` years before, towards whichever side.

    Missing for a state that was not there, or not coded, then.
    """
    level = world["polyarchy"].to_numpy()
    before = successions.relabelled_past(level, world, arrays.positive("window", window))
    return arrays.where_known(np.abs(level - before), arrays.known_past(world, "regime", window))


@_feature(
    level="dyad",
    unit="index",
    sign="+",
    formula="|d_i − d_j|, d the electoral democracy index",
    source=VDEM + "; Werner 2000; Bennett 2006 on political similarity",
)
def regime_distance(world: xr.Dataset) -> np.ndarray:
    """How different the regimes of the two are."""
    level = world["polyarchy"].to_numpy()
    return np.asarray(np.abs(level[:, :, None] - level[:, None, :]))


@_feature(
    level="dyad",
    unit="index",
    sign="-",
    formula="min(d_i, d_j), d the electoral democracy index",
    source=VDEM + "; Dixon 1994 and Oneal & Russett 1997 on the weak link",
)
def lowest_polyarchy(world: xr.Dataset) -> np.ndarray:
    """Democracy of the less democratic of the two."""
    return lower(world, "polyarchy")


@shared
def lower(world: xr.Dataset, measure: str) -> np.ndarray:
    """Lower of the two levels of democracy, (year, state, other); NaN if either is missing."""
    level = world[measure].to_numpy()
    return np.asarray(np.minimum(level[:, :, None], level[:, None, :]))


@_feature(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if d_i ≥ threshold and d_j ≥ threshold, d the electoral democracy index (threshold "
    "0.5), or with measure='polity' polity2 (threshold 6)",
    source=VDEM + "; " + POLITY + "; Maoz & Russett 1993",
)
def joint_democracy(
    world: xr.Dataset, *, measure: str = "polyarchy", threshold: float | None = None
) -> np.ndarray:
    """Whether both are democracies; missing if the regime of either is.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    measure : {"polyarchy", "polity"}
        Whose measure: V-Dem's electoral democracy index, or Polity's polity2.
    threshold : float, optional
        Least value of a democracy; 0.5 for V-Dem, 6 for Polity.
    """
    low, high, usual = MEASURED[measure]
    threshold = usual if threshold is None else threshold
    if not low < threshold <= high:
        raise ArgumentError(f"threshold must be in ({low:g}, {high:g}]; found {threshold!r}")
    lowest = lower(world, measure)
    return np.where(np.isnan(lowest), np.nan, lowest >= np.float32(threshold))


@shared
def dependence(world: xr.Dataset) -> np.ndarray:
    """Trade of `state` with `other` over its whole trade, (year, state, other)."""
    flow = world["trade_flow"].to_numpy().astype(np.float64)
    whole = world["imports"].to_numpy().astype(np.float64) + world["exports"].to_numpy()
    between = flow + flow.transpose(0, 2, 1)
    return arrays.over(between, whole[:, :, None])


@_feature(
    level="directed",
    unit="ratio",
    formula="(imports of i from j + exports of i to j) / (imports of i + exports of i)",
    source="Barbieri 1996, trade share; Barbieri, Keshk & Pollins 2009",
    needs=("trade", "member"),
)
def trade_dependence(world: xr.Dataset) -> np.ndarray:
    """How much of the state's trade is with the other.

    Exports of i to j are what j reports as imports from i. Mirror reports and national totals
    come from different records, so a value may be a little above 1. Missing if a flow or a total
    is, or if the state has no trade at all. With ``side="min"`` it is the weak link.
    """
    return dependence(world)


@_feature(
    level="dyad",
    unit="ratio",
    sign="-",
    formula="min of the trade dependence of i on j and of j on i",
    source="Oneal & Russett 1997, weak link; Barbieri 1996",
    needs=("trade", "member"),
)
def trade_interdependence(world: xr.Dataset) -> np.ndarray:
    """Trade dependence of the less dependent of the two."""
    one = dependence(world)
    return np.asarray(np.minimum(one, one.transpose(0, 2, 1)))


@_feature(
    level="dyad",
    unit="log organisations",
    sign="-",
    formula="log(1 + number of shared memberships); with scale='count' the number itself",
    source="Russett, Oneal & Davis 1998; Pevehouse et al. 2020",
    needs=("igo", "member"),
)
def joint_igos(world: xr.Dataset, *, scale: str = "log") -> np.ndarray:
    """Intergovernmental organisations of which both are members.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    scale : {"log", "count"}
        log(1 + n), or the number n.
    """
    if scale not in SCALES:
        raise UnknownNameError("scale of joint_igos", scale, SCALES)
    number = world["joint_igos"].to_numpy()
    return np.asarray(np.log1p(number) if scale == "log" else number)
