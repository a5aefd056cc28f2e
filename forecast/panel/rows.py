"""Rows of pairs, states and alliances by year: who is at risk, what happened, no onset lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError, ForecastError
from forecast.panel.events import OF_DEATHS, OUTCOMES, Outcome, UnderWay
from forecast.panel.window import BoolArray, IntArray
from forecast.sources.spells import span_years
from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.panel.types import Panel

__all__ = [
    "account",
    "alliance_rows",
    "coordinates",
    "dyad_rows",
    "pairs_of",
    "relevant_pairs",
    "rows_by",
    "state_rows",
    "under_way_on_1_january",
]


def account(attrs: dict[str, int]) -> None:
    """No onset may be lost without a trace between the conflicts and the rows."""
    if attrs["onsets_total"] != attrs["onsets_in_population"] + attrs["onsets_outside_population"]:
        raise ForecastError(f"Onsets were lost on the way to the rows of the panel: {attrs}.")


def coordinates(year: IntArray, **codes: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates of the dimension ``row``."""
    return {"year": ("row", year), **{name: ("row", code) for name, code in codes.items()}}


def under_way_on_1_january(world: xr.Dataset) -> xr.DataArray:
    """Pairs whose dispute of an earlier year still went on when the year began.

    Of the first year of the record, before which nothing is known, only those in which a dispute
    goes on and none begins.
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
    """The rows that a panel of dyad-years has by another rule of what is under way on 1 January.

    A panel that does not know its rule is given back as it is. Only ``"stratum"`` has the rows of
    all rules: of another panel it is an ArgumentError.
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
    window: xr.Dataset, under_way: BoolArray, *, directed: bool, population: str, keep: UnderWay
) -> xr.Dataset:
    """Pairs of a population at risk in each year of the window, as `forecast.load_panel` describes.

    `under_way` is `under_way_on_1_january` in these years, `keep` which of those pairs are rows.
    `directed`: both orders of a pair, or only the one with the smaller number first.
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
    """States in each year of the window: ``"all"`` members of the system, or the major powers."""
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


def relevant_pairs(world: xr.Dataset) -> BoolArray:
    """Politically relevant pairs: contiguous in any class, or one of them a major power."""
    return np.asarray((world["contiguity"].to_numpy() > 0) | _with_major(world))


def _with_major(world: xr.Dataset) -> BoolArray:
    major = world["major"].to_numpy()
    return np.asarray(major[:, :, None] | major[:, None, :])


def pairs_of(world: xr.Dataset, population: str) -> BoolArray:
    """Pairs of a population, whether or not both are members; broadcasts to (year, state, other).

    ``"politically_relevant"`` (contiguous by land or up to 400 miles of water, or with a major
    power; Maoz and Russett 1993), ``"contiguous"``, ``"major_power"`` (at least one of the two),
    ``"same_region"`` or ``"all"``.
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


def alliance_rows(tables: Tables, window: xr.Dataset, *, outcome: Outcome) -> xr.Dataset:
    """Treaties that bind at least two members of the system in each year of the window."""
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
