"""Rows of disputes and of their months: how far each rose, and in which month it ended, how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.panel.events import ESCALATIONS, Escalation
from forecast.panel.rows import account, coordinates, pairs_of
from forecast.sources.spells import day_year, span_days, span_years
from forecast.sources.tables import Tables

__all__ = [
    "ENDINGS",
    "Ending",
    "dispute_rows",
    "ending_of",
    "inside_population",
    "month_rows",
    "with_months",
]


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

    `table` has the conflict of each row; `year`, `a` and `b` are positions in the window;
    `population` is ``"originators"`` or as in `pairs_of`.
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

    The population is judged in the year in which the dispute began.
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


Ending = Literal["ended", "settled", "stalemated", "yielded"]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def ending_of(table: pd.DataFrame) -> npt.NDArray[np.str_]:
    """How each dispute between two states ended, as one of kinds that exclude each other.

    ``"yielded"``: one side won or gave in, whatever was signed afterwards. ``"settled"``: neither
    did, and a settlement was negotiated or a compromise found. ``"stalemated"``: it petered out, or
    what was seized was released, without either. ``"ongoing"``. ``"unclear"``: the source does not
    say.
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

    Where the conflicts know only the year of a bound, the days in which both states took part
    (``extra["participants"]``) give its month, if they agree on the year. Months are int,
    12 · year + month − 1; the last is the last month covered while a dispute runs. ``running`` and
    ``dated`` (both are known) are bool.
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

    The population is judged in the calendar year of the month. `outcome` says which ends count;
    another kind of end is a month without the outcome, after which the pair is no longer at risk
    (cause-specific hazard).
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
