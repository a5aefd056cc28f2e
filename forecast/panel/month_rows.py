"""Rows of months of disputes: each month that two states were in one, and whether it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.panel.dispute_rows import inside_population
from forecast.panel.rows import account, coordinates
from forecast.sources.tables import Tables

__all__ = ["ENDINGS", "Ending", "ending_of", "month_rows", "with_months"]

Ending = Literal["ended", "settled", "stalemated", "yielded"]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def ending_of(table: pd.DataFrame) -> npt.NDArray[np.str_]:
    """How each dispute between two states ended, as one of kinds that exclude each other.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``outcome`` and ``settlement`` of the schema.

    Returns
    -------
    numpy.ndarray of str
        ``"yielded"``: one side won or gave in, whatever was signed afterwards. ``"settled"``:
        neither did, and a settlement was negotiated or a compromise found. ``"stalemated"``: it
        petered out, or what was seized was released, without either. ``"ongoing"``.
        ``"unclear"``: the source does not say.
    """
    outcome, settlement = table["outcome"], table["settlement"]
    yielded = outcome.isin(("victory_a", "victory_b", "yield_a", "yield_b"))
    settled = (settlement == "negotiated") | (outcome == "compromise")
    kinds = [outcome == "ongoing", yielded, settled, outcome.isin(("stalemate", "released"))]
    return np.select(
        [kind.to_numpy(dtype=bool) for kind in kinds],
        ["ongoing", "yielded", "settled", "stalemated"],
        "unclear",
    )


def _kind(name: str) -> Callable[[npt.NDArray[np.str_]], npt.NDArray[np.float64]]:
    return lambda kinds: np.where(kinds == "unclear", np.nan, kinds == name)


#: Whether an end of a kind (as `ending_of`) counts; NaN where it is not known whether it does.
ENDINGS: Mapping[Ending, Callable[[npt.NDArray[np.str_]], npt.NDArray[np.float64]]] = {
    "ended": lambda kinds: np.ones(len(kinds)),
    "settled": _kind("settled"),
    "stalemated": _kind("stalemated"),
    "yielded": _kind("yielded"),
}


def with_months(tables: Tables) -> pd.DataFrame:
    """The conflicts with ``first_month`` and ``last_month``, and whether they are known.

    Parameters
    ----------
    tables : Tables
        The data set. Where the conflicts know only the year of a bound, the days in which both
        states took part (``extra["participants"]``) give its month, if they agree on the year.

    Returns
    -------
    pandas.DataFrame
        The conflicts with ``first_month``, ``last_month`` (int, 12 · year + month − 1; the last
        month covered while it runs), ``running`` and ``dated`` (bool: both are known).
    """
    table = tables.conflicts.copy()
    covered = tables.coverage["conflicts"].last
    running = (table["end"].isna() | (table["end"].dt.year > covered)).to_numpy(dtype=bool)
    bounds = {c: table[c].fillna(pd.Timestamp(f"{covered}-12-31")) for c in ("start", "end")}
    known = {c: (table[f"{c}_precision"] != "year").to_numpy(dtype=bool) for c in bounds}
    known["end"] = known["end"] | running
    participants = tables.extra.get("participants")
    if participants is not None:
        for column, dates in bounds.items():
            found = _dates_of_pairs(table, participants, column)
            take = ~known[column] & found.notna().to_numpy(dtype=bool)
            bounds[column] = dates.mask(take, found)
            known[column] = known[column] | take
    months = {c: (12 * d.dt.year + d.dt.month - 1).to_numpy(np.int64) for c, d in bounds.items()}
    months["end"] = np.where(running, 12 * covered + 11, months["end"])
    return table.assign(
        first_month=months["start"],
        last_month=months["end"],
        running=running,
        dated=known["start"] & known["end"] & (months["start"] <= months["end"]),
    )


def _dates_of_pairs(
    table: pd.DataFrame, participants: pd.DataFrame, column: str
) -> pd.Series[pd.Timestamp]:
    """First or last date on which both states took part, in the year of the conflict; or NaT."""
    from forecast.sources.official.disputes import opposed_pairs

    pairs = opposed_pairs(participants.rename(columns={"conflict_id": "number"}))
    sides = pairs[["ccode_1", "ccode_2"]]
    pairs = pairs.assign(a=sides.min(axis=1), b=sides.max(axis=1), year=pairs[column].dt.year)
    pairs = pairs[(pairs[f"{column}_precision"] != "year") & pairs[column].notna()]
    pairs = pairs.sort_values(column, kind="stable", ascending=column == "start")
    pairs = pairs.drop_duplicates(["number", "a", "b", "year"])
    index = pd.MultiIndex.from_frame(pairs[["number", "a", "b", "year"]])
    number = table["conflict_id"].str.partition(".")[0]
    wanted = pd.MultiIndex.from_arrays(
        [number, table["ccode_a"], table["ccode_b"], table[column].dt.year]
    )
    at = index.get_indexer(wanted)
    dates = pairs[column].astype("datetime64[s]").to_numpy()
    out = np.full(len(table), np.datetime64("NaT", "s"))
    out[at >= 0] = dates[at[at >= 0]]
    return pd.Series(out, index=table.index)


def month_rows(
    tables: Tables, window: xr.Dataset, *, population: str, outcome: Ending
) -> xr.Dataset:
    """Months of disputes in the years of the window, from the first to the last of each pair.

    Parameters
    ----------
    tables : Tables
        The data set.
    window : xarray.Dataset
        Years of the world that become rows.
    population : str
        As in `inside_population`, in the calendar year of the month.
    outcome : {"ended", "settled", "stalemated", "yielded"}
        Which ends count; another kind of end is a month without the outcome, after which the
        pair is no longer at risk (cause-specific hazard).

    Returns
    -------
    xarray.Dataset
        As `forecast.load_panel` describes.
    """
    every = with_months(tables)
    years, states = window["year"].to_numpy(), window["state"].to_numpy()
    low, high = 12 * int(years[0]), 12 * int(years[-1]) + 11
    inside = (every["first_month"] <= high) & (every["last_month"] >= low)
    table = every[inside & every["dated"]].reset_index(drop=True)
    first, last = (table[c].to_numpy(np.int64) for c in ("first_month", "last_month"))
    start, end = np.maximum(first, low), np.minimum(last, high)

    length = end - start + 1
    row = np.repeat(np.arange(len(table)), length)
    month = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length) + start[row]
    ends = (month == last[row]) & ~table["running"].to_numpy(dtype=bool)[row]
    kinds = ending_of(table)
    happened = np.where(ends, ENDINGS[outcome](kinds)[row], 0.0)

    year = month // 12
    a, b = (np.searchsorted(states, table[c].to_numpy())[row] for c in ("ccode_a", "ccode_b"))
    member = inside_population(table.iloc[row], window, population, year=year - years[0], a=a, b=b)
    unknown = np.isnan(happened)
    keep = member & ~unknown
    attrs = {
        "episodes": int(inside.sum()),
        "onsets_total": int((happened == 1).sum()),
        "onsets_in_population": int((happened[keep] == 1).sum()),
        "onsets_outside_population": int((happened[~member] == 1).sum()),
        "rows_dropped_ongoing": 0,
        "rows_dropped_unknown": int((member & unknown).sum()),
        "disputes_dropped_dates_unknown": int((inside & ~every["dated"]).sum()),
        "rows_censored": int(table["running"].sum()),
    }
    account(attrs)
    ids = table["conflict_id"].to_numpy(dtype=np.str_)
    order = np.flatnonzero(keep)
    order = order[np.lexsort((ids[row[order]], b[order], a[order], month[order]))]
    row, month, year, a, b = (values[order] for values in (row, month, year, a, b))
    region = window["region"].to_numpy()
    joined = (table[["role_a", "role_b"]] == "joiner").any(axis=1).to_numpy()
    return xr.Dataset(
        {
            "outcome": ("row", happened[order]),
            "month": ("row", month % 12 + 1),
            "months_elapsed": ("row", (month - first[row]).astype(np.float64), {"unit": "months"}),
            "joined": ("row", joined[row].astype(np.float64)),
            "region_a": ("row", region[a]),
            "region_b": ("row", region[b]),
        },
        coords=coordinates(year, ccode_a=states[a], ccode_b=states[b], conflict_id=ids[row]),
        attrs=attrs,
    )
