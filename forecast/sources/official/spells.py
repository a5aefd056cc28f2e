"""Sources of spells: the state system, major powers, contiguity and rivalries.

``cow_states``
    COW State System Membership, releases 2016 and 2024. A spell that ends on the last day of the
    data (31 December of the release) is that of a state that is still a member; its end is open
    here. Release 2024 ends Yugoslavia (345) and begins Serbia (345) on 2006-06-03: one
    membership, as in release 2016. The files have no ISO codes.
``cow_majors``
    COW major powers, releases 2016 and 2024, and peacesciencer's ``cow_majors``. A spell that ends
    on the last day of the data is that of a state that still is one.
``cow_contiguity``
    COW Direct Contiguity, releases 3.1 and 3.2. ``contdir``: months as YYYYMM, or peacesciencer's
    ``cow_contdir`` (``ccode1, ccode2, conttype, stdate, enddate``, both directions, the dates being
    the first of the month). ``conttype``: 1 land or river border, 2 at most 12 miles of water, 3 at
    most 24, 4 at most 150, 5 at most 400. A pair without a row is not contiguous.

    Traps: where a pair has two types in a month (or, in the file by year, in a year: 58 ordered
    dyad-years of release 3.2) the smaller number counts. A spell that ends in the last month of
    the data is open. An ending month counts in full. Release 3.1 has a month that does not exist
    (198190, Vanuatu and the Solomon Islands; 198109 in 3.2): its year is kept.
``rivalries``
    Strategic rivalries: Thompson and Dreyer (2012), and Thompson, Sakuwa and Suhas (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind, refuse_cells
from forecast.sources.codes import region_of
from forecast.sources.official.readings import (
    OfficialReader,
    dates_of,
    given_roles,
    month_dates,
    reading_of,
    refuse_end_before_start,
    spells_of_years,
    year_dates,
    years_covered,
)
from forecast.sources.reader import columns_of, read_official
from forecast.sources.spells import expand_years, merge_memberships
from forecast.sources.tables import Reading

__all__ = ["READERS"]

_STATES_ROLES = {"states": "statelist2024.csv or states2016.csv, membership spells"}
_MAJORS_ROLES = {"majors": "majors2024.csv or majors2016.csv, spells of major powers"}
_STARTS, _ENDS = ("styear", "stmonth", "stday"), ("endyear", "endmonth", "endday")


def _dated_spells(path: Path, more: Mapping[str, Kind]) -> tuple[pd.DataFrame, int, int]:
    """Spells by state and start, open where the data end, and the first and last year covered."""
    columns: dict[str, Kind] = {"ccode": "int", **more, **dict.fromkeys((*_STARTS, *_ENDS), "int")}
    columns |= {_STARTS[0]: "year", _ENDS[0]: "year"}
    raw = read_official(path, columns, na={"str": ("",)})
    start, _ = dates_of(raw, _STARTS, file=path.name)
    end, _ = dates_of(raw, _ENDS, last=True, file=path.name)
    spells = raw.assign(start=start, end=end.mask(end == end.max()))
    refuse_end_before_start(spells, path.name)
    spells = spells.sort_values(["ccode", "start"], kind="stable")
    return spells, *years_covered(pd.concat([start, end]), path.name)


def _read_states(files: Mapping[str, Path]) -> list[Reading]:
    given_roles(files, _STATES_ROLES, ("states",))
    path = files["states"]
    spells, first, last = _dated_spells(path, {"stateabb": "str", "statenme": "str"})
    spells = spells.rename(columns={"stateabb": "abbrev", "statenme": "name"})
    # A number that is none is left to the schema, which names the row.
    region = [region_of(c) if 2 <= c <= 999 else "Oceania" for c in spells["ccode"]]
    spells = spells.assign(iso3=np.nan, region=region)
    checked = reading_of("states", spells, file=path.name, first=first, last=last).frame
    whole = merge_memberships(checked)
    merged = len(checked) - len(whole)
    text = "spells joined to the one before: of the same number, and no day is between them"
    return [Reading("states", whole, first, last, (f"{merged:,} {text}",) if merged else ())]


def _read_majors(files: Mapping[str, Path]) -> list[Reading]:
    given_roles(files, _MAJORS_ROLES, ("majors",))
    path = files["majors"]
    spells, first, last = _dated_spells(path, {})
    return [reading_of("powers", spells, file=path.name, first=first, last=last)]


_CONTIGUITY_ROLES = {
    "contdir": "contdir.csv, spells",
    "contdird": "contdird.csv, directed dyad-years",
}
_PAIR = ["ccode_a", "ccode_b"]
_SPELL = [*_PAIR, "type", "start", "end", "note"]


def _read_contiguity(files: Mapping[str, Path]) -> list[Reading]:
    role = given_roles(files, _CONTIGUITY_ROLES, ("contdir",), ("contdird",))[0]
    path = files[role]
    spells = _nearest_of_overlapping(_month_spells(path)) if role == "contdir" else _by_year(path)
    end_of_data = spells["end"].max()
    frame = spells.assign(end=spells["end"].mask(spells["end"] == end_of_data))
    frame = frame[_SPELL].sort_values([*_PAIR, "start"], kind="stable")
    first, last = years_covered(pd.concat([spells["start"], spells["end"]]), path.name)
    return [reading_of("contiguity", frame, file=path.name, first=first, last=last)]


def _month_spells(path: Path) -> pd.DataFrame:
    """Rows as in the file."""
    if "statelno" not in columns_of(path) and "ccode1" in columns_of(path):
        return _both_directions(path)
    raw = read_official(
        path,
        dict.fromkeys(("statelno", "statehno", "conttype", "begin", "end"), "int"),
        optional={"notes": "str?"},
        rename={"statelno": "ccode_a", "statehno": "ccode_b", "conttype": "type", "notes": "note"},
        na={"str": ("",)},
    )
    for column in ("begin", "end"):
        unknown = raw[column].to_numpy() <= 0
        refuse_cells(raw, column, unknown, file=path.name, expected="a month as YYYYMM")
    return raw.assign(
        start=month_dates(raw, "begin", file=path.name, coarsen=True),
        end=month_dates(raw, "end", last=True, file=path.name, coarsen=True),
    )


def _both_directions(path: Path) -> pd.DataFrame:
    columns: dict[str, Kind] = {"ccode1": "int", "ccode2": "int", "conttype": "int"}
    raw = read_official(
        path,
        columns | {"stdate": "date", "enddate": "date"},
        rename={"ccode1": "ccode_a", "ccode2": "ccode_b", "conttype": "type", "stdate": "start"},
    )
    # The package writes 0 for months between two spells in which the pair was not contiguous.
    raw = raw[(raw["ccode_a"] < raw["ccode_b"]) & (raw["type"] > 0)]
    month = raw["enddate"].to_numpy().astype("datetime64[M]")
    return raw.assign(end=_last_days(month), note=np.nan)


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
    return pd.concat([spells[~is_crowded], runs])[_SPELL]


def _by_year(path: Path) -> pd.DataFrame:
    raw = read_official(
        path,
        {**dict.fromkeys(("state1no", "state2no", "conttype"), "int"), "year": "year"},
        rename={"state1no": "ccode_a", "state2no": "ccode_b", "conttype": "type"},
    )
    raw = raw[raw["ccode_a"] < raw["ccode_b"]].sort_values("type", kind="stable")
    spells = spells_of_years(raw.drop_duplicates([*_PAIR, "year"]), [*_PAIR, "type"])
    start, end = year_dates(spells["first"]), year_dates(spells["last"], last=True)
    return spells.assign(start=start, end=end, note=np.nan)


_RIVALRIES_ROLES = {
    "rivalries": "td_rivalries: rivalryno, ccode1, ccode2, styear, endyear, type1 to type3; or "
    "tss_rivalries: tssr_id, ccode1, ccode2, start, end, positional, spatial, ideological, "
    "interventionary"
}
_TYPES = ("positional", "spatial", "ideological", "interventionary")


def _read_rivalries(files: Mapping[str, Path]) -> list[Reading]:
    """Rivalries as spells of whole years; ``kind`` joins the types with ``+``.

    One that lasts into the last year of the data (2010 or 2020) is open. Many begin before the
    state system (1494).
    """
    given_roles(files, _RIVALRIES_ROLES, ("rivalries",))
    path = files["rivalries"]
    newer = "tssr_id" in columns_of(path)
    table = _thompson_sakuwa_suhas(path) if newer else _thompson_dreyer(path)
    if table.empty:
        raise DataError(f"{path.name}: the file has no records.")
    wrong = (table["last"] < table["first"]).to_numpy(dtype=bool)
    if wrong.any():
        row = table.iloc[int(np.flatnonzero(wrong)[0])]
        raise DataError(
            f"{path.name}, row {row.name}: the rivalry ends in {row['last']}, before it begins "
            f"({row['first']})."
        )
    end = int(table["last"].max())
    out = table.assign(
        ccode_a=table[["ccode1", "ccode2"]].min(axis=1),
        ccode_b=table[["ccode1", "ccode2"]].max(axis=1),
        start=year_dates(table["first"]),
        end=year_dates(table["last"], last=True).where(table["last"] < end),
    )
    first = int(table["first"].min())
    return [reading_of("rivalries", out, file=path.name, first=first, last=end)]


def _thompson_dreyer(path: Path) -> pd.DataFrame:
    columns: dict[str, Kind] = dict.fromkeys(("rivalryno", "ccode1", "ccode2"), "int")
    columns |= dict.fromkeys(("styear", "endyear"), "year")
    types: dict[str, Kind] = dict.fromkeys(("type1", "type2", "type3"), "str?")
    names = {"styear": "first", "endyear": "last"}
    table = read_official(path, columns, optional=types, rename=names)
    table["rivalry_id"] = "td-" + table["rivalryno"].astype(str)
    rows = table[list(types)].itertuples(index=False)
    table["kind"] = _joined([[t for t in row if isinstance(t, str)] for row in rows])
    return table


def _thompson_sakuwa_suhas(path: Path) -> pd.DataFrame:
    columns: dict[str, Kind] = dict.fromkeys(("tssr_id", "ccode1", "ccode2"), "int")
    columns |= dict.fromkeys(("start", "end"), "year")
    types: dict[str, Kind] = dict.fromkeys(_TYPES, "int?")
    table = read_official(path, columns, optional=types, rename={"start": "first", "end": "last"})
    table["rivalry_id"] = "tss-" + table["tssr_id"].astype(str)
    marks = table[list(_TYPES)].eq(1).fillna(False).to_numpy(dtype=bool)
    table["kind"] = _joined([[t for t, on in zip(_TYPES, row, strict=True) if on] for row in marks])
    return table


def _joined(types: list[list[str]]) -> list[str | None]:
    return ["+".join(row) if row else None for row in types]


READERS: Mapping[str, OfficialReader] = {
    "cow_states": OfficialReader(_STATES_ROLES, _read_states),
    "cow_majors": OfficialReader(_MAJORS_ROLES, _read_majors),
    "cow_contiguity": OfficialReader(_CONTIGUITY_ROLES, _read_contiguity),
    "rivalries": OfficialReader(_RIVALRIES_ROLES, _read_rivalries),
}
