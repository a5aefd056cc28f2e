"""Directed dyad-dispute-years: the layout of GML's file and of the tables made from it.

GML distributes one row for each ordered pair, dispute and year, with flags for "ongoing" and
"onset". The R package peacesciencer carries it (``gml_dirdisp``), and a reduced table with one
dispute for each pair and year (``gml_mid_ddydisps``, ``cow_mid_ddydisps``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind
from forecast.sources.official.dates import dates_of, year_dates
from forecast.sources.official.disputes import (
    HOSTILITY,
    OUTCOMES,
    SETTLEMENTS,
    coded,
    conflicts_of,
    fatality_class,
)
from forecast.sources.official.readings import reading_of
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import Reading

__all__ = ["is_dyad_years", "read_dyad_years"]

#: Name of the onset column by layout; those after the first keep one dispute a pair and year.
_ONSETS = ("midonset", "gmlmidonset", "cowmidonset")
_PAIR = ["number", "ccode_1", "ccode_2"]


def is_dyad_years(columns: Sequence[str]) -> bool:
    """Whether a file with these columns (lower case) has the layout."""
    return {"dispnum", "ccode1", "ccode2", "year"} <= set(columns) and any(
        name in columns for name in _ONSETS
    )


def read_dyad_years(
    path: Path, *, prefix: str, label: str, dated: pd.DataFrame | None = None
) -> Reading:
    """Conflicts: one row for each spell of a pair in a dispute.

    A spell begins in a year that the source flags as an onset, and lasts over the years that
    follow without a gap and without a further onset. The first year of a pair in a dispute is an
    onset even if GML 2.1.1 does not flag it (six pairs; 2.2.1 does). In a reduced table it is
    not, if the pair has another dispute in the year before: the onset is then that year's.

    Dates are known to the year; to the month for a pair of originators in the first and last year
    of the dispute; as in `dated` (spells of pairs with known days, as `opposed_pairs` returns)
    where their years agree. The coverage is that of the years listed.
    """
    onset = next(name for name in _ONSETS if name in columns_of(path))
    table = _read(path, onset)
    _check_directed(table, path)
    table = table[table["sidea1"] == 1].copy()
    if table.empty:
        raise DataError(f"{path.name}: no row has side A first (sidea1 = 1), expected half of all.")
    first, last = int(table["year"].min()), int(table["year"].max())
    table = table.drop_duplicates([*_PAIR, "year"]).sort_values([*_PAIR, "year"], kind="stable")
    years = _spell_years(table, reduced=onset != "midonset")
    spells = _spells(table, years, path, last)
    if dated is not None:
        spells = _with_dates(spells, dated, last)
    version = table["version"].dropna()
    source = f"{label} {'' if version.empty else version.iloc[0].removeprefix('gml-')}".rstrip()
    conflicts = conflicts_of(spells, prefix=prefix, label=f"{label} dispute", source=source)
    return reading_of("conflicts", conflicts, file=path.name, first=first, last=last)


def _read(path: Path, onset: str) -> pd.DataFrame:
    columns: dict[str, Kind] = dict.fromkeys(
        ("dispnum", "ccode1", "ccode2", "year", onset, "sidea1", "sidea2", "orig1", "orig2"), "int"
    )
    columns |= {"hostlev": "int", "fatality": "int?"}
    optional: dict[str, Kind] = dict.fromkeys(
        ("outcome", "settle", "stmon", "endmon", "ongo2010"), "int?"
    )
    optional["version"] = "str?"
    names = {"dispnum": "number", "ccode1": "ccode_1", "ccode2": "ccode_2", onset: "onset"}
    return read_official(path, columns, optional=optional, rename=names)


def _check_directed(table: pd.DataFrame, path: Path) -> None:
    """Both directions of every row are there, with the sides exchanged."""
    one = pd.MultiIndex.from_frame(table[[*_PAIR, "year", "sidea1", "sidea2"]])
    turned = ["number", "ccode_2", "ccode_1", "year", "sidea2", "sidea1"]
    alone = ~one.isin(pd.MultiIndex.from_frame(table[turned]))
    alone |= (table["sidea1"] == table["sidea2"]).to_numpy()
    if alone.any():
        row = table.iloc[int(np.flatnonzero(alone)[0])]
        raise DataError(
            f"{path.name}, row {row.name}: the pair {row['ccode_1']} and {row['ccode_2']} is in "
            f"dispute {row['number']} in {row['year']} without its other direction, expected both, "
            f"with sides 1 and 0 exchanged. ({int(alone.sum()) - 1} more of this kind in the file.)"
        )


def _spell_years(table: pd.DataFrame, *, reduced: bool) -> pd.DataFrame:
    """Number of the spell of each row (``spell``) and the year it began (``began``)."""
    groups = table.groupby(_PAIR, sort=False)
    step = groups["year"].diff()
    out = pd.DataFrame({"number": table["number"], "year": table["year"]})
    starts = step.isna() | (table["onset"] == 1)
    # A gap that is not flagged as an onset would be bridged: the dispute merely continues.
    out["spell"] = starts.cumsum()
    out["began"] = table["year"].where(starts).groupby(out["spell"]).transform("first").astype(int)
    if reduced:
        pair = table[["ccode_1", "ccode_2"]]
        rows = list(zip(pair.min(axis=1), pair.max(axis=1), table["year"], strict=True))
        flagged = (table["onset"] == 1).to_numpy(dtype=bool)
        known = set(rows)
        onsets = {row for row, flag in zip(rows, flagged, strict=True) if flag}
        for i in np.flatnonzero(starts.to_numpy(dtype=bool) & ~flagged):
            (a, b, year), spell = rows[i], out["spell"].iloc[i]
            while (a, b, year) in known and (a, b, year) not in onsets:
                year -= 1
            if (a, b, year) in onsets:
                out["began"] = out["began"].mask(out["spell"] == spell, year)
    return out


def _spells(table: pd.DataFrame, years: pd.DataFrame, path: Path, last: int) -> pd.DataFrame:
    """One row per spell in terms of sides, dated by year and month."""
    ends = years.groupby("spell")["year"].transform("max")
    dispute_first = table.groupby("number")["year"].transform("min")
    dispute_last = table.groupby("number")["year"].transform("max")
    head = ~years["spell"].duplicated()
    one = table[head]
    began, ended = years.loc[head, "began"], ends[head]
    out = one[[*_PAIR]].copy()
    origins = {1: "originator", 0: "joiner"}
    for i in (1, 2):
        out[f"role_{i}"] = coded(one, f"orig{i}", origins, file=path.name)
    out["start"], out["end"] = year_dates(began), year_dates(ended, last=True)
    out["start_precision"], out["end_precision"] = "year", "year"
    both = (out["role_1"] == "originator") & (out["role_2"] == "originator")
    # The months are those of the dispute: they date the pairs that were in it from its first day.
    opens = both & (began == dispute_first[head]) & one["stmon"].between(1, 12)
    # In the last year covered a dispute may not have ended: its month could be that of a later one.
    closes = both & (ended == dispute_last[head]) & (ended < last) & one["endmon"].between(1, 12)
    for column, rows, month in (("start", opens, "stmon"), ("end", closes, "endmon")):
        at = rows.fillna(False).to_numpy(dtype=bool)
        parts = pd.DataFrame({"year": out.loc[at, column].dt.year, "month": one.loc[at, month]})
        out.loc[at, column] = dates_of(parts, ("year", "month"), last=column == "end")[0]
        out.loc[at, f"{column}_precision"] = "month"
    early = (out["end"] < out["start"]).to_numpy(dtype=bool)
    out.loc[early, "end"] = year_dates(ended[early], last=True)
    out.loc[early, "end_precision"] = "year"
    out["level"] = coded(one, "hostlev", HOSTILITY, file=path.name)
    out["deaths_class"] = fatality_class(one, "fatality", file=path.name)
    out["outcome"] = coded(one, "outcome", OUTCOMES, file=path.name, missing="unclear")
    out["settlement"] = coded(one, "settle", SETTLEMENTS, file=path.name, missing="unclear")
    open_end = ((one["ongo2010"] == 1) & (ended == last)).fillna(False).to_numpy(dtype=bool)
    out.loc[open_end, "end"] = pd.NaT
    out.loc[open_end, ["outcome", "settlement"]] = ["ongoing", "unclear"]
    return out


def _with_dates(spells: pd.DataFrame, dated: pd.DataFrame, last: int) -> pd.DataFrame:
    """The days of `dated` in place of years, where pair, dispute and year agree."""
    out = spells.copy()
    going_on = dated[dated["end"].isna() | (dated["end"].dt.year > last)]
    still = pd.MultiIndex.from_frame(out[_PAIR]).isin(pd.MultiIndex.from_frame(going_on[_PAIR]))
    still &= (out["end"].dt.year == last).to_numpy(dtype=bool)
    out.loc[still, "end"] = pd.NaT
    out.loc[still, ["outcome", "settlement"]] = ["ongoing", "unclear"]
    for column in ("start", "end"):
        known = dated.assign(year=dated[column].dt.year).dropna(subset=["year"])
        known = known.sort_values(column, kind="stable", ascending=column == "start")
        known = known.drop_duplicates([*_PAIR, "year"])
        index = pd.MultiIndex.from_frame(known[[*_PAIR, "year"]].astype(int))
        wanted = out.assign(year=out[column].dt.year.fillna(0))[[*_PAIR, "year"]].astype(int)
        at = index.get_indexer(pd.MultiIndex.from_frame(wanted))
        for name in (column, f"{column}_precision"):
            values = known[name].to_numpy()
            out.loc[at >= 0, name] = values[at[at >= 0]]
    early = (out["end"] < out["start"]).to_numpy(dtype=bool)
    year = out.loc[early, "end"].dt.year
    out.loc[early, "end"] = year_dates(year, last=True)
    out.loc[early, "end_precision"] = "year"
    return out
