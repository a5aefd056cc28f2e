"""Militarized interstate disputes: of COW, and as Gibler, Miller and Little corrected them.

COW 5.0 (MIDA, MIDB) and Dyadic MID 4.02 and 4.03 give different counts of disputes by construction.
MIDB pairs every participant of side A with every one of side B; the dyadic file has only the pairs
that really confronted each other.

GML 2.1.1 and 2.2.1 are directed dyad-dispute-years (``gml-ddy-disputes``, ``gml_dirdisp``, or
reduced to one dispute for each pair and year, ``gml_mid_ddydisps``); 2.0 is disputes and
participants (``gml-mida``, ``gml-midb``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind, refuse_cells, refuse_repeated
from forecast.sources.official.disputes import (
    HOSTILITY,
    OUTCOMES,
    SETTLEMENTS,
    coded,
    conflicts_of,
    fatality_class,
    is_dyad_years,
    merged_spells,
    opposed_pairs,
    read_dyad_years,
    until,
    without_mirror,
)
from forecast.sources.official.readings import (
    OfficialReader,
    dates_of,
    given_roles,
    reading_of,
    refuse_end_before_start,
    year_dates,
    years_covered,
)
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import Reading

__all__ = ["READERS"]

_COW_ROLES: Mapping[str, str] = {
    "mida": "MIDA 5.0.csv, disputes: dispnum, st*/end* dates, outcome, settle, fatality, hostlev, "
    "recip",
    "midb": "MIDB 5.0.csv, participants: dispnum, ccode, st*/end* dates, sidea, orig, hostlev, "
    "fatality",
    "dyadic": "dyadic_mid_4.03.csv, directed dyad-dispute-years: disno, statea, stateb, "
    "strt*/end* dates, rolea, roleb, hihost, fatlev, year; or cow_mid_ddydisps",
}

_GML_ROLES: Mapping[str, str] = {
    "directed_dyad_disputes": "gml-ddy-disputes-2.1.1.csv or gml_dirdisp, directed "
    "dyad-dispute-years: dispnum, ccode1, ccode2, year, midonset, sidea1, sidea2, orig1, orig2, "
    "hostlev, fatality",
    "mida": "gml-mida-2.0.csv, disputes: dispnum3, st*/end* dates, outcome, settle, fatality, "
    "hostlev, recip",
    "midb": "gml-midb-2.0.csv or gml_part, participants: dispnum, ccode, st*/end* dates, sidea, "
    "orig",
}

_DATES: Mapping[str, Kind] = {
    "styear": "year",
    "endyear": "year",
    **dict.fromkeys(("stmon", "stday", "endmon", "endday"), "int?"),
}
_DISPUTE: Mapping[str, Kind] = {
    **_DATES,
    **dict.fromkeys(("outcome", "settle", "fatality", "hostlev", "recip"), "int?"),
}
_PARTICIPANT: Mapping[str, Kind] = {"ccode": "int", **_DATES, "sidea": "int?", "orig": "int?"}
_DYADIC: Mapping[str, Kind] = {
    **dict.fromkeys(("disno", "statea", "stateb", "hihost", "rolea", "roleb"), "int"),
    "year": "year",
    "strtyr": "year",
    "endyear": "year?",
    **dict.fromkeys(("strtday", "strtmnth", "endday", "endmnth"), "int?"),
    **dict.fromkeys(("outcome", "settlmnt", "fatlev"), "int?"),
}
# GML writes a dash for an unknown class of deaths.
_NA = {"fatality": ("", "NA", "-9", ".", "-")}
_SIDES = {1: "a", 0: "b"}
_ORIGINS = {1: "originator", 0: "joiner"}


def _read_cow(files: Mapping[str, Path]) -> list[Reading]:
    """Conflicts, and with MIDA and MIDB disputes and participants.

    Dispute and pair are one row of ``conflicts`` for each spell. Level and class of deaths are
    those of the dispute in MIDA, those of the pair in the dyadic file. The last year covered is
    the last in which a dispute begins (MIDA) or is listed (dyadic).
    """
    if given_roles(files, _COW_ROLES, ("mida", "midb"), ("dyadic",)) == ("dyadic",):
        path = files["dyadic"]
        if is_dyad_years(columns_of(path)):
            return [read_dyad_years(path, prefix="mid", label="MID")]
        return [_read_dyadic(path)]
    number = _number(files["mida"])
    return _participants_and_disputes(files, number=number, prefix="mid", label="MID")


def _read_gml(files: Mapping[str, Path]) -> list[Reading]:
    """Conflicts; disputes and participants of release 2.0.

    ``midb`` of the same release as the directed file adds the days of each pair. Level and class
    of deaths are those of the dispute. The last year covered is the last one listed.
    """
    layout = given_roles(files, _GML_ROLES, ("directed_dyad_disputes",), ("mida", "midb"))
    if "mida" in layout:
        return _participants_and_disputes(
            files, number="dispnum3", prefix="gml", label="GML MID", coarsen=True
        )
    dated = None
    notes: tuple[str, ...] = ()
    if "midb" in files:
        participants, notes = _participant_spells(files["midb"], coarsen=True)
        dated = opposed_pairs(participants)
    path = files["directed_dyad_disputes"]
    reading = read_dyad_years(path, prefix="gml", label="GML MID", dated=dated)
    return [replace(reading, notes=(*reading.notes, *notes))]


def _participants_and_disputes(
    files: Mapping[str, Path], *, number: str, prefix: str, label: str, coarsen: bool = False
) -> list[Reading]:
    """Disputes and participants in the layout of MIDA and MIDB, and the pairs they make.

    `number` is the column of MIDA with the number of the dispute. With `coarsen` a month that no
    calendar has, or an end before its start, counts as known to the year only instead of being
    refused: GML 2.0 has five and fifty-one such records.
    """
    mida, midb = files["mida"], files["midb"]
    disputes = _disputes(mida, number, coarsen=coarsen)
    first, last = years_covered(disputes["start"], mida.name)
    participants, notes = _participant_spells(midb, coarsen=coarsen)
    unknown = ~participants["number"].isin(disputes["number"])
    expected = f"a dispute that is in {mida.name}"
    refuse_cells(participants, "number", unknown, file=midb.name, expected=expected, name="dispnum")
    about = disputes.set_index("number")[["level", "deaths_class", "outcome", "settlement"]]
    own = participants.drop(columns=["level", "deaths_class"])
    spells = opposed_pairs(own).join(about, on="number")
    spells = until(merged_spells(spells), last)
    source = f"{label} {_version(midb)}".rstrip()
    conflicts = conflicts_of(spells, prefix=prefix, label=f"{label} dispute", source=source)
    disputes = until(disputes, last)
    participants = until(participants, last)
    for frame in (disputes, participants):
        frame["conflict_id"] = f"{prefix}-" + frame["number"].astype(str)
    disputes["name"] = f"{label} dispute " + disputes["number"].astype(str)
    pairs = f"{midb.name}, pairs of participants"
    return [
        reading_of("conflicts", conflicts, file=pairs, first=first, last=last, notes=notes),
        reading_of("disputes", disputes, file=mida.name, first=first, last=last),
        reading_of(
            "participants", participants, file=midb.name, first=first, last=last, notes=notes
        ),
    ]


def _number(path: Path) -> str:
    """Column with the number of the dispute: releases 4.x number them as 3.x did."""
    return "dispnum3" if "dispnum3" in columns_of(path) else "dispnum"


def _disputes(path: Path, number: str, *, coarsen: bool) -> pd.DataFrame:
    table = read_official(path, {number: "int", **_DISPUTE}, na=_NA)
    refuse_repeated(table, [number], file=path.name)
    out = pd.DataFrame({"number": table[number]})
    out["start"], out["start_precision"], out["end"], out["end_precision"] = _dates(
        table, path, coarsen=coarsen
    )
    # Disputes without a level do not exist in the codebook; a missing one would be a damaged file.
    out["level"] = coded(table, "hostlev", HOSTILITY, file=path.name)
    out["deaths_class"] = fatality_class(table, "fatality", file=path.name)
    out["outcome"] = coded(table, "outcome", OUTCOMES, file=path.name, missing="unclear")
    out["settlement"] = coded(table, "settle", SETTLEMENTS, file=path.name, missing="unclear")
    out["reciprocated"] = table["recip"]
    return out


def _participant_spells(path: Path, *, coarsen: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Participants in terms of sides and roles, one row each time a state is in a dispute.

    ``number, ccode, side, role, start, start_precision, end, end_precision, level, deaths_class,
    deaths``, indexed by line number; and how many rows without a side are left out: nobody is
    known to oppose them.
    """
    extra: dict[str, Kind] = {"hostlev": "int?", "fatality": "int?", "fatalpre": "int?"}
    number = _number(path)
    table = read_official(
        path,
        {number: "int", **_PARTICIPANT},
        optional=extra,
        # A level of 0, which no codebook has, is in a row of MIDB 4.3: not known.
        na={**_NA, "fatalpre": ("", "NA", "-9", ".", "-"), "hostlev": ("", "NA", "-9", ".", "0")},
    )
    aside = table["sidea"].isna().to_numpy(dtype=bool)
    table = table[~aside]
    expected = "1 (originator) or 0 (joiner)"
    refuse_cells(table, "orig", table["orig"].isna(), file=path.name, expected=expected)
    notes = (f"{int(aside.sum())} participants without a side left out",) if aside.any() else ()
    out = pd.DataFrame({"number": table[number], "ccode": table["ccode"]})
    out["side"] = coded(table, "sidea", _SIDES, file=path.name)
    out["role"] = coded(table, "orig", _ORIGINS, file=path.name)
    out["start"], out["start_precision"], out["end"], out["end_precision"] = _dates(
        table, path, coarsen=coarsen
    )
    out["level"] = coded(table, "hostlev", HOSTILITY, file=path.name)
    out["deaths_class"] = fatality_class(table, "fatality", file=path.name)
    out["deaths"] = table["fatalpre"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    return out, notes


def _dates(
    table: pd.DataFrame, path: Path, *, coarsen: bool
) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    """Start, its precision, end, its precision."""
    starts, ends = ("styear", "stmon", "stday"), ("endyear", "endmon", "endday")
    start, start_precision = dates_of(table, starts, file=path.name, coarsen=coarsen)
    end, end_precision = dates_of(table, ends, last=True, file=path.name, coarsen=coarsen)
    wrong = (end < start).to_numpy(dtype=bool)
    if not coarsen:
        refuse_end_before_start(pd.DataFrame({"start": start, "end": end}), path.name)
    year = np.maximum(start.dt.year, end.dt.year)[wrong]
    end[wrong] = year_dates(year, last=True)
    end_precision[wrong] = "year"
    return start, start_precision, end, end_precision


def _version(path: Path) -> str:
    table = read_official(path, {}, optional={"version": "str?"})
    versions = table["version"].dropna()
    return "" if versions.empty else str(versions.iloc[-1]).removeprefix("gml-")


def _read_dyadic(path: Path) -> Reading:
    table = read_official(path, _DYADIC, optional={"dyad_rolea": "int?"})
    _check_mirrored(table, path)
    first, last = int(table["year"].min()), int(table["year"].max())
    # Side A as the dyadic codebook has it: 1 primary initiator, 2 joiner on its side, 3 and 4
    # the same on the side of the target. (Cells of sideaa and sideab are damaged in 4.02.)
    key = ["disno", "year", "statea", "stateb"]
    on_side_a = table["rolea"].isin([1, 2]) & table["roleb"].isin([3, 4])
    # A few pairs have the same roles in both directions: who began is then not known.
    low_first = table["statea"] < table["stateb"]
    pairs = pd.MultiIndex.from_frame(table[key])
    turned = pd.MultiIndex.from_frame(table[["disno", "year", "stateb", "statea"]])
    # One direction must have the roles of side A, the other not.
    contested = pd.Series(on_side_a.to_numpy() == turned.isin(pairs[on_side_a]), table.index)
    table = table[(on_side_a & ~contested) | (low_first & contested)]
    out = pd.DataFrame({"number": table["disno"]})
    out["ccode_1"], out["ccode_2"] = table["statea"], table["stateb"]
    for i, column in ((1, "rolea"), (2, "roleb")):
        roles = {1: "originator", 2: "joiner", 3: "originator", 4: "joiner"}
        out[f"role_{i}"] = coded(table, column, roles, file=path.name)
    # Within a pair the file has a role of its own: 1 began against the other, 3 was its target.
    own = table["dyad_rolea"].fillna(1)
    sure = ~contested[table.index]
    out["began_1"] = ((out["role_1"] == "originator") & sure & (own == 1)).astype(bool)
    out["began_2"] = ((out["role_2"] == "originator") & sure & (own == 3)).astype(bool)
    starts, ends = ("strtyr", "strtmnth", "strtday"), ("endyear", "endmnth", "endday")
    out["start"], out["start_precision"] = dates_of(table, starts, file=path.name)
    out["end"], out["end_precision"] = dates_of(table, ends, last=True, file=path.name)
    # Unknown days were filled in: a quarter of all disputes of known day cannot begin on a first.
    filled = (out["start"].dt.day == 1) & (out["start_precision"] == "day")
    out.loc[filled, "start_precision"] = "month"
    filled = out["end"].dt.is_month_end & (out["end_precision"] == "day")
    out.loc[filled, "end_precision"] = "month"
    # The years listed count, also where the dates end before them (dispute 4182).
    december = year_dates(table["year"], last=True)
    beyond = (out["end"].dt.year < table["year"]).to_numpy(dtype=bool)
    out.loc[beyond, "end"] = december[beyond]
    out.loc[beyond, "end_precision"] = "year"
    out["level"] = coded(table, "hihost", HOSTILITY, file=path.name)
    out["deaths_class"] = fatality_class(table, "fatlev", file=path.name)
    out["outcome"] = coded(table, "outcome", OUTCOMES, file=path.name, missing="unclear")
    out["settlement"] = coded(table, "settlmnt", SETTLEMENTS, file=path.name, missing="unclear")
    spells = until(merged_spells(out), last)
    conflicts = conflicts_of(spells, prefix="mid", label="MID", source="COW Dyadic MID")
    return reading_of("conflicts", conflicts, file=path.name, first=first, last=last)


def _check_mirrored(table: pd.DataFrame, path: Path) -> None:
    """Every pair is there in both directions, or the file is not directed."""
    alone = without_mirror(table, ["disno", "year"], [["statea", "stateb"]])
    if alone.any():
        row = table.iloc[int(np.flatnonzero(alone)[0])]
        raise DataError(
            f"{path.name}, row {row.name}: dispute {row['disno']} has the pair {row['statea']} "
            f"and {row['stateb']} in {row['year']} in one direction only, expected both: take the "
            "directed file as its authors distribute it. "
            f"({int(alone.sum()) - 1} more of this kind in the file.)"
        )


READERS: Mapping[str, OfficialReader] = {
    "cow_mid": OfficialReader(_COW_ROLES, _read_cow),
    "gml": OfficialReader(_GML_ROLES, _read_gml),
}
