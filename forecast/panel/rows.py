"""Rows of dyad-years and state-years: who is at risk, what happened, and no onset lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError, ForecastError
from forecast.panel.events import UnderWay
from forecast.panel.populations import pairs_of
from forecast.panel.window import BoolArray, IntArray

if TYPE_CHECKING:
    from forecast.panel.types import Panel

__all__ = [
    "account",
    "coordinates",
    "dyad_rows",
    "rows_by",
    "state_rows",
    "under_way_on_1_january",
]


def account(attrs: dict[str, int]) -> None:
    """No onset may be lost without a trace between the conflicts and the rows.

    Raises
    ------
    ForecastError
        If those inside and outside the population do not add up to all.
    """
    if attrs["onsets_total"] != attrs["onsets_in_population"] + attrs["onsets_outside_population"]:
        raise ForecastError(f"Onsets were lost on the way to the rows of the panel: {attrs}.")


def coordinates(year: IntArray, **codes: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates of the dimension ``row``."""
    return {"year": ("row", year), **{name: ("row", code) for name, code in codes.items()}}


def under_way_on_1_january(world: xr.Dataset) -> xr.DataArray:
    """Pairs whose dispute of an earlier year still went on when the year began.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.

    Returns
    -------
    xarray.DataArray, shape (year, state, other), bool
        Of the first year of the record, before which nothing is known, only those in which a
        dispute goes on and none begins.
    """
    goes_on = world["dispute"] & ~world["at_risk"]
    return world["open"].shift(year=1, fill_value=False) | goes_on


#: Rows that each rule leaves out, of those with a dispute under way on 1 January and, among them,
#: those in whose year it merely continues.
_LEFT_OUT: Mapping[UnderWay, Callable[[BoolArray, BoolArray], BoolArray]] = {
    "stratum": lambda under_way, continues: np.zeros_like(under_way),
    "drop": lambda under_way, continues: under_way,
    "convention": lambda under_way, continues: continues,
}


def rows_by(panel: Panel, rule: UnderWay | None) -> Panel:
    """The rows that a panel has by another rule of what is under way on 1 January.

    Parameters
    ----------
    panel : Panel
        Dyad-years. One that does not know its rule is given back as it is.
    rule : {"stratum", "drop", "convention"} or None
        As in `forecast.load_panel`; None for the panel's own.

    Raises
    ------
    ArgumentError
        The panel lacks rows: only ``"stratum"`` has those of all rules.
    """
    if rule is None or panel.under_way in (None, rule):
        return panel
    if panel.under_way != "stratum":
        raise ArgumentError(
            f"The panel has the rows of under_way={panel.under_way!r}, which are not all of "
            f"under_way={rule!r}. Load it with under_way='stratum', which has those of every rule."
        )
    names = ("under_way_1_january", "continues")
    out = _LEFT_OUT[rule](*(panel.data[name].to_numpy().astype(bool) for name in names))
    chosen = panel.with_data(panel.data.isel(row=~out))
    object.__setattr__(chosen, "under_way", rule)
    return chosen


def dyad_rows(
    window: xr.Dataset,
    under_way: BoolArray,
    *,
    directed: bool,
    population: str,
    keep: UnderWay,
) -> xr.Dataset:
    """Pairs of a population at risk in each year of the window.

    Parameters
    ----------
    window : xarray.Dataset
        Years of the world that become rows.
    under_way : numpy.ndarray of bool, shape (year, state, other)
        `under_way_on_1_january` in these years.
    directed : bool
        Both orders of a pair, or only the one with the smaller number first.
    population : str
        As in `pairs_of`.
    keep : {"stratum", "drop", "convention"}
        Which pairs with a dispute under way are rows.

    Returns
    -------
    xarray.Dataset
        As `forecast.load_panel` describes.
    """
    n = window.sizes["state"]
    pairs = window["together"].to_numpy()
    if not directed:
        pairs = pairs & np.triu(np.ones((n, n), dtype=bool), k=1)
    inside = pairs & pairs_of(window, population)
    under_way = under_way & inside
    continues = under_way & ~window["at_risk"].to_numpy()
    at_risk = inside & ~_LEFT_OUT[keep](under_way, continues)
    onset = window["onset"].to_numpy()
    happened = window["initiated"].to_numpy() if directed else onset
    unclear = window["initiator_unknown"].to_numpy() if directed else np.zeros_like(onset)
    unknown = window["onset_unknown"].to_numpy() | (unclear & ~happened)
    rows = at_risk & ~unknown
    t, a, b = np.nonzero(rows)
    outcome = happened[t, a, b].astype(np.float64)
    left_out = int((happened & inside & ~at_risk).sum())
    attrs = {
        "episodes": int(window["episodes"].sum()),
        "onsets_total": int((happened & pairs).sum()),
        "onsets_in_population": int(outcome.sum()) + left_out,
        "onsets_outside_population": int((happened & pairs & ~inside).sum()),
        "onsets_under_way": int((happened & under_way & rows).sum()),
        "onsets_dropped_ongoing": left_out,
        "rows_under_way": int((under_way & rows).sum()),
        "rows_dropped_ongoing": int((inside & ~at_risk).sum()),
        "rows_dropped_unknown": int((at_risk & unknown).sum()),
    }
    if directed:
        attrs["onsets_dropped_initiator_unclear"] = int((unclear & pairs).sum()) // 2
    account(attrs)
    region = window["region"].to_numpy()
    codes = window["state"].to_numpy()
    return xr.Dataset(
        {
            "outcome": ("row", outcome),
            "region_a": ("row", region[a]),
            "region_b": ("row", region[b]),
            "under_way_1_january": ("row", under_way[t, a, b].astype(np.int8)),
            "continues": ("row", continues[t, a, b].astype(np.int8)),
        },
        coords=coordinates(window["year"].to_numpy()[t], ccode_a=codes[a], ccode_b=codes[b]),
        attrs=attrs,
    )


def state_rows(window: xr.Dataset, *, population: str) -> xr.Dataset:
    """States of a population in each year of the window.

    Parameters
    ----------
    window : xarray.Dataset
        Years of the world that become rows.
    population : str
        ``"all"`` members of the system, or the major powers.

    Returns
    -------
    xarray.Dataset
        As `forecast.load_panel` describes.
    """
    member = window["member"].to_numpy()
    inside = window["major"].to_numpy() if population == "major_power" else member
    onset = window["onset"].to_numpy().any(axis=2)
    unknown = window["onset_unknown"].to_numpy().any(axis=2) & ~onset
    keep = inside & ~unknown
    t, i = np.nonzero(keep)
    outcome = onset[t, i].astype(np.float64)
    attrs = {
        "episodes": int(window["episodes"].sum()),
        "onsets_total": int(onset.sum()),
        "onsets_in_population": int(outcome.sum()),
        "onsets_outside_population": int((onset & ~inside).sum()),
        # A state in a running dispute can still begin another one: it stays at risk.
        "rows_dropped_ongoing": 0,
        "rows_dropped_unknown": int((inside & unknown).sum()),
    }
    account(attrs)
    return xr.Dataset(
        {"outcome": ("row", outcome), "region": ("row", window["region"].to_numpy()[i])},
        coords=coordinates(window["year"].to_numpy()[t], ccode=window["state"].to_numpy()[i]),
        attrs=attrs,
    )
