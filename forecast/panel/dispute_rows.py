"""Rows of disputes: one for each dyad and spell of a dispute, in the year in which it began."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from forecast.panel.events import ESCALATIONS, Escalation
from forecast.panel.populations import pairs_of
from forecast.panel.rows import account, coordinates
from forecast.sources.spells import day_year, span_days, span_years
from forecast.sources.tables import Tables

__all__ = ["dispute_rows", "inside_population"]


def inside_population(
    table: pd.DataFrame,
    window: xr.Dataset,
    population: str,
    *,
    year: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
) -> np.ndarray:
    """Which rows are of a population of pairs, or of those who were there from the first day.

    Parameters
    ----------
    table : pandas.DataFrame
        Conflicts, one for each row.
    window : xarray.Dataset
        World.
    population : str
        ``"originators"``, or as in `pairs_of`.
    year, a, b : numpy.ndarray of int, shape (row,)
        Positions in the window.
    """
    if population == "originators":
        roles = table[["role_a", "role_b"]].to_numpy(dtype=np.str_)
        return np.asarray((roles == "originator").all(axis=1))
    states = window.sizes["state"]
    shape = (window.sizes["year"], states, states)
    return np.asarray(np.broadcast_to(pairs_of(window, population), shape)[year, a, b])


def dispute_rows(
    tables: Tables, window: xr.Dataset, *, population: str, outcome: Escalation
) -> xr.Dataset:
    """Disputes that began in the years of the window, and how far each rose.

    Parameters
    ----------
    tables : Tables
        The data set.
    window : xarray.Dataset
        Years of the world that become rows.
    population : str
        As in `pairs_of`, in the year in which the dispute began.
    outcome : {"escalation_to_force", "escalation_to_fatality", "escalation_to_war"}
        What counts as escalation.

    Returns
    -------
    xarray.Dataset
        As `forecast.load_panel` describes.
    """
    table = tables.conflicts
    years, states = window["year"].to_numpy(), window["state"].to_numpy()
    start, _ = span_years(table)
    begun = (start >= years[0]) & (start <= years[-1])
    table = table[begun].assign(year=start[begun])
    table = table.sort_values(["year", "ccode_a", "ccode_b", "start", "conflict_id"])
    year = table["year"].to_numpy()
    a, b = (np.searchsorted(states, table[c].to_numpy()) for c in ("ccode_a", "ccode_b"))
    inside = inside_population(table, window, population, year=year - years[0], a=a, b=b)
    total = len(table)
    table, year, a, b = table[inside], year[inside], a[inside], b[inside]

    last_day = np.datetime64(f"{tables.coverage['conflicts'].last}-12-31", "D").astype(np.int64)
    first_day, ended = span_days(table)
    censored = ended > last_day
    rose = ESCALATIONS[outcome](table).astype(np.float64)
    # What still runs may yet rise, and a dispute of unknown deaths may have been fatal.
    open_question = censored & (rose == 0)
    if outcome == "escalation_to_fatality":
        open_question = open_question | table["deaths_class"].isna().to_numpy(dtype=bool)
    rose[open_question] = np.nan

    attrs = {
        "episodes": total,
        "onsets_total": total,
        "onsets_in_population": len(table),
        "onsets_outside_population": int((~inside).sum()),
        "rows_dropped_ongoing": 0,
        "rows_dropped_unknown": 0,
        "rows_outcome_unknown": int(open_question.sum()),
        "rows_censored": int(censored.sum()),
    }
    account(attrs)
    joined = ((table["role_a"] == "joiner") | (table["role_b"] == "joiner")).to_numpy(dtype=bool)
    exact = ((table["start_precision"] == "day") & (table["end_precision"] == "day")).to_numpy()
    region = window["region"].to_numpy()
    return xr.Dataset(
        {
            "outcome": ("row", rose),
            "region_a": ("row", region[a]),
            "region_b": ("row", region[b]),
            "duration": ("row", np.minimum(ended, last_day) - first_day + 1.0, {"unit": "days"}),
            "duration_exact": ("row", (exact & ~censored).astype(np.int8)),
            "censored": ("row", censored.astype(np.int8)),
            # How far a dispute rose is known when it is over: a forecaster of an earlier year
            # must not learn from it.
            "end_year": ("row", day_year(np.minimum(ended, last_day)).astype(np.int64)),
            "joined": ("row", joined.astype(np.float64)),
            "deaths_class": ("row", table["deaths_class"].to_numpy(np.float64, na_value=np.nan)),
            "reciprocated": ("row", _reciprocated(tables, table)),
            **{
                name: ("row", table[column].to_numpy(dtype=np.str_))
                for name, column in (
                    ("level", "level"),
                    ("initiator", "initiator"),
                    ("role_a", "role_a"),
                    ("role_b", "role_b"),
                    ("dispute_outcome", "outcome"),
                    ("settlement", "settlement"),
                )
            },
        },
        coords=coordinates(
            year,
            ccode_a=states[a],
            ccode_b=states[b],
            conflict_id=table["conflict_id"].to_numpy(dtype=np.str_),
        ),
        attrs=attrs,
    )


def _reciprocated(tables: Tables, table: pd.DataFrame) -> np.ndarray:
    """Whether the target answered with a militarised action: 0/1, NaN where nobody recorded it."""
    disputes = tables.extra.get("disputes")
    if disputes is None:
        return np.full(len(table), np.nan)
    known = disputes.set_index("conflict_id")["reciprocated"]
    # A later spell of the same dispute carries its number with a suffix.
    ids = table["conflict_id"]
    own = ids.where(ids.isin(known.index), ids.str.replace(r"\.\d+$", "", regex=True))
    return own.map(known).to_numpy(dtype=np.float64, na_value=np.nan)
