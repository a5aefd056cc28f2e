"""COW Direct Contiguity, releases 3.1 and 3.2.

Roles
-----
``contdir``
    ``contdir.csv``: one row per pair and spell, columns ``statelno < statehno, conttype, begin,
    end`` (months as YYYYMM) and ``notes``. Also peacesciencer's ``cow_contdir`` (``ccode1, ccode2,
    conttype, stdate, enddate``, both directions, the dates being the first of the month).
``contdird``
    ``contdird.csv``: one row per ordered pair and year, columns ``state1no, state2no, year,
    conttype``. Read only where there is no ``contdir``.

``conttype``: 1 land or river border, 2 at most 12 miles of water, 3 at most 24, 4 at most 150,
5 at most 400. A pair without a row is not contiguous.

Traps: where a pair has two types in a month (or, in the file by year, in a year: 58 ordered
dyad-years of release 3.2) the smaller number counts. A spell that ends in the last month of the
data is open. An ending month counts in full. Release 3.1 has a month that does not exist
(198190, Vanuatu and the Solomon Islands; 198109 in 3.2): its year is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.sources.checking import validate
from forecast.sources.official.dates import month_dates
from forecast.sources.official.roles import given_roles
from forecast.sources.official.text import columns_of, read_official
from forecast.sources.official.years import spells_of_years, year_dates
from forecast.sources.spells import expand_years
from forecast.sources.tables import Reading

__all__ = ["CODE_SYSTEM", "ROLES", "read"]

ROLES: Mapping[str, str] = {
    "contdir": "contdir.csv, spells",
    "contdird": "contdird.csv, directed dyad-years",
}
CODE_SYSTEM = "cow"

_PAIR = ["ccode_a", "ccode_b"]


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Spells of contiguity: the table ``contiguity``.

    Parameters
    ----------
    files : mapping of str to pathlib.Path
        By role, see the module.

    Raises
    ------
    ArgumentError
        If neither role is there.
    MissingFileError, DataError
        If the file cannot be read.
    """
    role = given_roles(files, ROLES, ("contdir",), ("contdird",))[0]
    path = files[role]
    spells = _nearest_of_overlapping(_spells(path)) if role == "contdir" else _by_year(path)
    end_of_data = spells["end"].max()
    frame = spells.assign(end=spells["end"].mask(spells["end"] == end_of_data))
    frame = frame[[*_PAIR, "type", "start", "end", "note"]].sort_values(
        [*_PAIR, "start"], kind="stable"
    )
    validate("contiguity", frame, file=path.name)
    return [Reading("contiguity", frame, int(frame["start"].min().year), int(end_of_data.year))]


def _spells(path: Path) -> pd.DataFrame:
    """Rows as in the file."""
    if "statelno" not in columns_of(path) and "ccode1" in columns_of(path):
        return _both_directions(path)
    raw = read_official(
        path,
        {
            "statelno": "int",
            "statehno": "int",
            "conttype": "int",
            "begin": "int",
            "end": "int",
        },
        optional={"notes": "str?"},
        rename={"statelno": "ccode_a", "statehno": "ccode_b", "conttype": "type", "notes": "note"},
        na={"str": ("",)},
    )
    return raw.assign(
        start=month_dates(raw, "begin", file=path.name, coarsen=True),
        end=month_dates(raw, "end", last=True, file=path.name, coarsen=True),
    )


def _both_directions(path: Path) -> pd.DataFrame:
    raw = read_official(
        path,
        {
            "ccode1": "int",
            "ccode2": "int",
            "conttype": "int",
            "stdate": "date",
            "enddate": "date",
        },
        rename={"ccode1": "ccode_a", "ccode2": "ccode_b", "conttype": "type", "stdate": "start"},
    )
    # The package writes 0 for months between two spells in which the pair was not contiguous.
    raw = raw[(raw["ccode_a"] < raw["ccode_b"]) & (raw["type"] > 0)]
    month = raw["enddate"].to_numpy().astype("datetime64[M]")
    return raw.assign(end=_last_days(month), note=pd.array([np.nan] * len(raw), dtype="str"))


def _last_days(months: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
    following = months.astype(np.int64) + 1
    days = following.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    return days.astype("datetime64[D]").astype("datetime64[s]")


def _nearest_of_overlapping(spells: pd.DataFrame) -> pd.DataFrame:
    """Spells of a pair that do not overlap: in every month the smallest type of those given."""
    spells = spells.sort_values([*_PAIR, "start", "end"], kind="stable")
    reach = (
        spells.assign(reach=spells.groupby(_PAIR)["end"].cummax()).groupby(_PAIR)["reach"].shift()
    )
    crowded = spells.loc[(spells["start"] <= reach).to_numpy(), _PAIR].drop_duplicates()
    keys = pd.MultiIndex.from_frame(spells[_PAIR])
    is_crowded = keys.isin(pd.MultiIndex.from_frame(crowded))
    several = spells[is_crowded]
    first = several["start"].to_numpy().astype("datetime64[M]").astype(np.int64)
    last = several["end"].to_numpy().astype("datetime64[M]").astype(np.int64)
    row, month = expand_years(first, last, window=(int(first.min(initial=0)), 2**31))
    by_month = several.iloc[row].assign(year=month, source=row)
    by_month = by_month.sort_values([*_PAIR, "year", "type"], kind="stable")
    by_month = by_month.drop_duplicates([*_PAIR, "year"])
    # One run per row of the file: two rows of one type stay two spells, with their notes.
    runs = spells_of_years(by_month, [*_PAIR, "source"])
    runs["start"] = runs["first"].to_numpy().astype("datetime64[M]").astype("datetime64[s]")
    runs["end"] = _last_days(runs["last"].to_numpy().astype("datetime64[M]"))
    return pd.concat([spells[~is_crowded], runs])[[*_PAIR, "type", "start", "end", "note"]]


def _by_year(path: Path) -> pd.DataFrame:
    raw = read_official(
        path,
        {"state1no": "int", "state2no": "int", "year": "int", "conttype": "int"},
        rename={"state1no": "ccode_a", "state2no": "ccode_b", "conttype": "type"},
    )
    raw = raw[raw["ccode_a"] < raw["ccode_b"]].sort_values("type", kind="stable")
    raw = raw.drop_duplicates([*_PAIR, "year"])
    spells = spells_of_years(raw, [*_PAIR, "type"])
    return spells.assign(
        start=year_dates(spells["first"]),
        end=year_dates(spells["last"], last=True),
        note=pd.array([np.nan] * len(spells), dtype="str"),
    )
