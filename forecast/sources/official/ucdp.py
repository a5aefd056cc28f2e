"""UCDP/PRIO Armed Conflict and UCDP Dyadic: armed conflict between states.

State numbers are Gleditsch and Ward's. Only conflicts between states (type 2) are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind, cell_error, refuse_cells
from forecast.sources.official.disputes import conflicts_of
from forecast.sources.official.readings import OfficialReader, given_roles, reading_of, year_dates
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import Reading

__all__ = ["READERS"]

_COLUMNS = (
    "conflict_id, location, year, gwno_a, gwno_a_2nd, gwno_b, gwno_b_2nd, type_of_conflict, "
    "intensity_level, start_date2, start_prec2"
)
_ROLES: Mapping[str, str] = {
    "conflicts": f"UcdpPrioConflict_v25_1.csv, conflict-years: {_COLUMNS}, ep_end, ep_end_date",
    "dyads": f"Dyadic_v24_1.csv, years of pairs of sides: dyad_id, {_COLUMNS}",
}

#: First year of every release.
FIRST = 1946

_KINDS: Mapping[str, Kind] = {
    "conflict_id": "int",
    "year": "year",
    "gwno_a": "str?",
    "gwno_a_2nd": "str?",
    "gwno_b": "str?",
    "gwno_b_2nd": "str?",
    "type_of_conflict": "str",
    "intensity_level": "int",
    "start_date2": "date",
    "start_prec2": "int",
}
_OPTIONAL: Mapping[str, Kind] = {"location": "str?", "ep_end": "int?", "ep_end_date": "date?"}
#: Types of conflict as numbers, and as the words of the R package peacesciencer.
_TYPES = {
    "1": False,
    "2": True,
    "3": False,
    "4": False,
    "extrasystemic": False,
    "interstate": True,
    "intrastate": False,
    "II": False,
    "internationalized intrastate": False,
    "internationalised intrastate": False,
}
_CODE = re.compile(r"\d{1,3}", re.ASCII)
_PAIR = ["number", "low", "high"]


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Conflicts between states, one row for each spell of active years of a pair.

    Every state of one side is paired with every one of the other: primary parties (``gwno_a``,
    ``gwno_b``) are originators, those that sent troops in support (``_2nd``) joiners. A spell
    begins with the first year of at least 25 battle deaths after a year without them; it is dated
    by the start of the episode where that falls into the year and both are primary parties.

    State numbers are Gleditsch and Ward's. ``level`` is war from 1,000 battle deaths in a year,
    else use of force; ``deaths_class`` is the lowest that the level of intensity allows (1 or 6).
    UCDP does not say who began.
    """
    role = given_roles(files, _ROLES, ("conflicts",), ("dyads",))[0]
    path = files[role]
    optional = dict(_OPTIONAL)
    table = read_official(path, _KINDS, optional=optional)
    if table.empty:
        raise DataError(f"{path.name}: the file has no records.")
    last = int(table["year"].max())
    interstate = table["type_of_conflict"].map(_TYPES)
    expected = "a type from 1 to 4 (2 is interstate)"
    refuse_cells(table, "type_of_conflict", interstate.isna(), file=path.name, expected=expected)
    table = table[interstate.astype(bool)]
    has_end = "ep_end" in columns_of(path)
    spells = _spells(_pairs(table, path.name), last, has_end=has_end)
    conflicts = conflicts_of(spells, prefix="ucdp", label="UCDP conflict", source="UCDP")
    return [reading_of("conflicts", conflicts, file=path.name, first=FIRST, last=last)]


def _pairs(table: pd.DataFrame, file: str) -> pd.DataFrame:
    """One row per year and pair of opposed states."""
    rows: list[tuple[int, int, int, str, str]] = []
    for line, sides in zip(
        table.index,
        table[["gwno_a", "gwno_a_2nd", "gwno_b", "gwno_b_2nd"]].itertuples(index=False),
        strict=True,
    ):
        a = _parties(file, line, ("gwno_a", "gwno_a_2nd"), sides[:2])
        b = _parties(file, line, ("gwno_b", "gwno_b_2nd"), sides[2:])
        rows += [
            (line, x, y, role_x, role_y)
            for x, role_x in a.items()
            for y, role_y in b.items()
            if x != y
        ]
    pairs = pd.DataFrame(rows, columns=["line", "ccode_1", "ccode_2", "role_1", "role_2"])
    pairs = pairs.join(table.drop(columns=["gwno_a", "gwno_b"]), on="line").set_index("line")
    pairs = pairs.rename(columns={"conflict_id": "number"})
    pairs["low"] = pairs[["ccode_1", "ccode_2"]].min(axis=1)
    pairs["high"] = pairs[["ccode_1", "ccode_2"]].max(axis=1)
    # The same pair twice in a year: two dyads of one conflict, or one party in several rows.
    # Primary parties come first, so that a role given twice is the stronger one.
    rank = (pairs["role_1"] == "joiner").astype(int) + (pairs["role_2"] == "joiner").astype(int)
    order = pairs.assign(rank=rank).sort_values([*_PAIR, "year", "rank"], kind="stable")
    top = order.groupby([*_PAIR, "year"])["intensity_level"].transform("max")
    return order.assign(intensity_level=top).drop_duplicates([*_PAIR, "year"])


def _parties(
    file: str, line: int, columns: tuple[str, str], cells: tuple[object, ...]
) -> dict[int, str]:
    """Role of each state of one side; a field may hold several numbers, as in "2, 200"."""
    out: dict[int, str] = {}
    for column, cell, role in zip(columns, cells, ("originator", "joiner"), strict=True):
        codes = [] if not isinstance(cell, str) else [part.strip() for part in cell.split(",")]
        for code in codes:
            if not _CODE.fullmatch(code):
                expected = "Gleditsch-Ward numbers separated by commas"
                raise cell_error(file, line, column, cell, expected)
            out.setdefault(int(code), role)
    if "originator" not in out.values():
        expected = "the number of a state: the conflict is between states"
        raise cell_error(file, line, columns[0], "", expected)
    return out


def _spells(pairs: pd.DataFrame, last: int, *, has_end: bool) -> pd.DataFrame:
    """Consecutive years of a pair in a conflict, dated by the episode."""
    step = pairs.groupby(_PAIR)["year"].diff()
    spell = (step.isna() | (step > 1)).cumsum()
    head, tail = ~spell.duplicated(), ~spell.duplicated(keep="last")
    out = pairs[head].copy()
    ends = pairs[tail].set_axis(out.index)
    out["start"], out["end"] = year_dates(out["year"]), year_dates(ends["year"], last=True)
    out["start_precision"], out["end_precision"] = "year", "year"
    primary = (out["role_1"] == "originator") & (out["role_2"] == "originator")
    dated = (primary & (out["start_date2"].dt.year == out["year"])).to_numpy(dtype=bool)
    # 1: the day is known; 2 and 3: the month; from 4 on: the year.
    known = [out["start_prec2"] <= 1, out["start_prec2"] <= 3]
    precision = np.where(dated, np.select(known, ["day", "month"], "year"), "year")
    day = out["start_date2"].to_numpy(dtype="datetime64[D]")
    month = day.astype("datetime64[M]").astype("datetime64[s]")
    for name, dates in (("day", day.astype("datetime64[s]")), ("month", month)):
        out["start"] = out["start"].mask(precision == name, pd.Series(dates, index=out.index))
    out["start_precision"] = precision
    closed = primary & (ends["ep_end"] == 1) & (ends["ep_end_date"].dt.year == ends["year"])
    closed &= ends["ep_end_date"] >= out["start"]
    at = closed.fillna(False).to_numpy(dtype=bool)
    out.loc[at, "end"] = ends.loc[at, "ep_end_date"]
    out.loc[at, "end_precision"] = "day"
    top = pairs["intensity_level"].groupby(spell).max().to_numpy()
    out["level"] = np.where(top >= 2, "war", "use_of_force")
    out["deaths_class"] = np.where(top >= 2, 6, 1)
    out["outcome"], out["settlement"] = "unclear", "unclear"
    # An episode of the last year that has not ended goes on; the dyadic file does not say.
    ongoing = has_end & (ends["year"] == last) & (ends["ep_end"] != 1).fillna(True)
    at = ongoing.to_numpy(dtype=bool)
    out.loc[at, "end"] = pd.NaT
    out.loc[at, "outcome"] = "ongoing"
    out["began_1"], out["began_2"] = False, False
    out["name"] = out["location"].fillna("UCDP conflict " + out["number"].astype(str))
    return out


READERS: Mapping[str, OfficialReader] = {"ucdp": OfficialReader(_ROLES, read, code_system="gw")}
