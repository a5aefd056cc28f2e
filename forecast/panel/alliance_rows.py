"""Rows of alliances: treaties in force, and whether a member clashed with an outsider."""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.panel.events import OF_DEATHS, OUTCOMES, Outcome
from forecast.panel.rows import account, coordinates
from forecast.panel.window import IntArray
from forecast.sources.spells import span_years
from forecast.sources.tables import Tables

__all__ = ["alliance_rows"]


def alliance_rows(tables: Tables, window: xr.Dataset, *, outcome: Outcome) -> xr.Dataset:
    """Treaties that bind at least two members of the system in each year of the window.

    Parameters
    ----------
    tables : Tables
        The data set.
    window : xarray.Dataset
        Years of the world that become rows.
    outcome : str
        Which conflicts count.

    Returns
    -------
    xarray.Dataset
        As `forecast.load_panel` describes.
    """
    belongs = window["treaty_member"].to_numpy()
    years = window["year"].to_numpy()
    size = belongs.sum(axis=2)
    in_force = size >= 2

    table = tables.conflicts
    start, _ = span_years(table)
    begun = (start >= years[0]) & (start <= years[-1]) & OUTCOMES[outcome](table)
    table, when = table[begun], start[begun] - years[0]
    a, b = _sides(window, table["ccode_a"].to_numpy(), table["ccode_b"].to_numpy())
    # Of the two, exactly one is a member: an onset with an outsider. (onset, treaty)
    one, other = belongs[when, :, a], belongs[when, :, b]
    live = in_force[when]
    crossing, within = (one ^ other) & live, one & other & live
    initiator = table["initiator"].to_numpy(dtype=np.str_)
    by_a, by_b = np.isin(initiator, ("a", "both")), np.isin(initiator, ("b", "both"))
    begun_by_member = crossing & ((one & by_a[:, None]) | (other & by_b[:, None]))

    count = np.zeros((3, *in_force.shape), dtype=np.int64)
    for k, mask in enumerate((crossing, within, begun_by_member)):
        event, treaty = np.nonzero(mask)
        np.add.at(count[k], (when[event], treaty), 1)
    event, treaty = np.nonzero(crossing)
    number = np.unique(table["conflict_id"].to_numpy(dtype=np.str_), return_inverse=True)[1]
    distinct = np.unique(np.stack([when[event], treaty, number[event]]), axis=1)
    conflicts = np.zeros(in_force.shape, dtype=np.int64)
    np.add.at(conflicts, (distinct[0], distinct[1]), 1)
    unknown = np.zeros(in_force.shape, dtype=bool)
    if outcome in OF_DEATHS:
        unknown = _unknown_deaths(tables, window, in_force)

    t, treaty = np.nonzero(in_force)
    happened = np.where(unknown & (count[0] == 0), np.nan, count[0] > 0)
    attrs = {
        "episodes": len(table),
        "onsets_total": len(table),
        "onsets_in_population": int(crossing.any(axis=1).sum()),
        "onsets_outside_population": int((~crossing.any(axis=1)).sum()),
        "rows_dropped_ongoing": 0,
        "rows_dropped_unknown": int(np.isnan(happened[t, treaty]).sum()),
    }
    account(attrs)
    keep = ~np.isnan(happened[t, treaty])
    t, treaty = t[keep], treaty[keep]
    treaties = window["treaty"].to_numpy()
    order = np.lexsort((treaties[treaty], t))
    t, treaty = t[order], treaty[order]
    return xr.Dataset(
        {
            "outcome": ("row", happened[t, treaty]),
            "onsets": ("row", count[0, t, treaty]),
            "onsets_begun_by_member": ("row", count[2, t, treaty]),
            "onsets_between_members": ("row", count[1, t, treaty]),
            "conflicts": ("row", conflicts[t, treaty]),
            "members": ("row", size[t, treaty].astype(np.int64)),
            "short_name": ("row", window["treaty_short_name"].to_numpy()[treaty]),
        },
        coords=coordinates(years[t], alliance_id=treaties[treaty]),
        attrs=attrs,
    )


def _sides(window: xr.Dataset, *codes: np.ndarray) -> tuple[IntArray, ...]:
    states = window["state"].to_numpy()
    return tuple(np.searchsorted(states, code) for code in codes)


def _unknown_deaths(tables: Tables, window: xr.Dataset, in_force: np.ndarray) -> np.ndarray:
    """Where a conflict with an outsider may have been fatal: its deaths are not known."""
    table = tables.conflicts
    start, _ = span_years(table)
    years = window["year"].to_numpy()
    inside = (start >= years[0]) & (start <= years[-1])
    rows = inside & table["deaths_class"].isna().to_numpy(dtype=bool)
    table, when = table[rows], start[rows] - years[0]
    a, b = _sides(window, table["ccode_a"].to_numpy(), table["ccode_b"].to_numpy())
    belongs = window["treaty_member"].to_numpy()
    event, treaty = np.nonzero(belongs[when, :, a] ^ belongs[when, :, b])
    out = np.zeros_like(in_force)
    out[when[event], treaty] = True
    return out
