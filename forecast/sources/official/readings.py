"""What the readers of official files share: roles, declared layouts, dates, the reading they give.

Dates are made from what official files hold: years, months and days, some of them unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.sources.cells import LAST_YEAR, Kind, refuse_cells, refuse_repeated
from forecast.sources.checking import validate
from forecast.sources.reader import read_official
from forecast.sources.schemas import SCHEMAS
from forecast.sources.tables import OBLIGATIONS, Reading

__all__ = [
    "Layout",
    "OfficialReader",
    "combine_obligations",
    "dates_of",
    "given_roles",
    "month_dates",
    "one_per_state_year",
    "ordered_pairs",
    "read_layout",
    "reading_of",
    "refuse_end_before_start",
    "spells_of_years",
    "year_dates",
    "years_covered",
]


@dataclass(frozen=True)
class OfficialReader:
    """How the files of a source are read.

    `roles` say what the file of each is, and the columns it has. `read` takes the path of each file
    by role and gives one `Reading` per kind of fact, checked against its schema. `code_system` is
    "cow" or "gw": whose state numbers the readings have.
    """

    roles: Mapping[str, str]
    read: Callable[[Mapping[str, Path]], list[Reading]]
    code_system: str = "cow"


@dataclass(frozen=True)
class Layout:
    """A file of one row per unit and year: its columns, and what is made of them.

    `columns`, `optional`, `rename` and `na` as in `read_official`. Rows of which none of the
    columns `known` has a value are left out. `tidy` turns that frame into one with the columns of
    `table`, and adds to the notes what it left out.
    """

    table: str
    columns: Mapping[str, Kind]
    rename: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    na: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known: Sequence[str] = ()
    tidy: Callable[[pd.DataFrame, list[str]], pd.DataFrame] | None = None


def read_layout(layout: Layout, path: Path) -> Reading:
    """Reading of a file in a layout; it covers the years that it lists."""
    frame = read_official(
        path, layout.columns, optional=layout.optional, rename=layout.rename, na=layout.na
    )
    if layout.known:
        frame = frame[frame[list(layout.known)].notna().any(axis=1)]
    first, last = years_covered(frame["year"], path.name)
    notes: list[str] = []
    if layout.tidy is not None:
        frame = layout.tidy(frame, notes)
    return reading_of(
        layout.table, frame, file=path.name, first=first, last=last, notes=tuple(notes)
    )


def given_roles(
    files: Mapping[str, Path], roles: Mapping[str, str], *layouts: tuple[str, ...]
) -> tuple[str, ...]:
    """First of the layouts, preferred first, all of whose files were given by role."""
    for role in files:
        if role not in roles:
            raise UnknownNameError("role", role, roles, f"The roles are {', '.join(roles)}.")
    for layout in layouts:
        if all(role in files for role in layout):
            return layout
    expected = " or ".join(
        " and ".join(f"{role!r} ({roles[role]})" for role in layout) for layout in layouts
    )
    found = ", ".join(map(repr, files)) or "none"
    raise ArgumentError(f"The files given have the roles {found}; expected {expected}.")


def reading_of(
    table: str,
    frame: pd.DataFrame,
    *,
    file: str,
    first: int,
    last: int,
    notes: tuple[str, ...] = (),
) -> Reading:
    """Reading of one kind of fact: the columns of its schema, in order and checked.

    `frame` has at least the required columns and is indexed by line number in the `file`; `first`
    and `last` are the calendar years covered.
    """
    if frame.empty:
        raise DataError(f"{file}: there is no record of the table {table!r} in it.")
    schema = SCHEMAS[table].columns
    columns = {name: c for name, c in schema.items() if c.required or name in frame}
    text = {name: "str" for name, c in columns.items() if str(c.dtype).lower().startswith("str")}
    tidy = validate(table, frame[list(columns)].astype(text), file=file)
    _refuse_outside(tidy, file, first if table == "conflicts" or "year" in tidy else None, last)
    return Reading(table, tidy, first, last, notes)


def _refuse_outside(frame: pd.DataFrame, file: str, first: int | None, last: int) -> None:
    """Raise for the first row of a year that its source does not cover."""
    column = "year" if "year" in frame else "start"
    if column not in frame:
        return
    years = frame[[column]] if column == "year" else frame[["start"]].apply(lambda s: s.dt.year)
    wrong = (years[column] > last) | (years[column] < (first or 0))
    begin = "" if first is None else f"from {first} "
    expected = f"a year {begin}to {last}: the source covers no other"
    refuse_cells(years, column, wrong, file=file, expected=expected)


def years_covered(values: pd.Series, file: str) -> tuple[int, int]:
    """First and last calendar year among years, or dates, of which some are known."""
    years = (values.dt.year if values.dtype.kind == "M" else values).dropna()
    if years.empty:
        raise DataError(f"{file}: there is no record with a known year in it.")
    return int(years.min()), int(years.max())


def one_per_state_year(table: pd.DataFrame, *, unit: str, file: str) -> pd.DataFrame:
    """Rows by state and year: of two units that have one number in a year, the one that goes on."""
    refuse_repeated(table, [unit, "year"], file=file)
    until = table.groupby(unit)["year"].transform("max")
    order = table.assign(_until=until).sort_values(["ccode", "year", "_until"], kind="stable")
    return order.drop_duplicates(["ccode", "year"], keep="last").drop(columns="_until")


def ordered_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of pairs with ``ccode_a < ccode_b``; one in both directions counts once."""
    one, two = table["ccode_a"].to_numpy(), table["ccode_b"].to_numpy()
    if not (one > two).any():
        return table
    table = table.assign(ccode_a=np.minimum(one, two), ccode_b=np.maximum(one, two))
    return table.drop_duplicates()


def combine_obligations(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per ordered pair and year: what is owed under any of the treaties.

    Columns ``ccode_owing, ccode_owed, year`` and the five obligations as 0/1, sorted; the index is
    that of the first row of each.
    """
    # The flags as bits of one number: "any of them" is then one reduction instead of five.
    bits = sum(frame[name].to_numpy(dtype=np.int64) << i for i, name in enumerate(OBLIGATIONS))
    pair = ("ccode_owing", "ccode_owed", "year")
    keys = [frame[name].to_numpy(dtype=np.int64) for name in pair]
    order = np.lexsort(tuple(reversed(keys)))
    first = np.ones(len(frame), dtype=bool)
    first[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    start = np.flatnonzero(first)
    if not len(frame):
        owed = np.empty(0, dtype=np.int64)
    else:
        owed = np.bitwise_or.reduceat(np.asarray(bits)[order], start)
    data = {name: key[order][start] for name, key in zip(pair, keys, strict=True)}
    data |= {name: (owed >> i) & 1 for i, name in enumerate(OBLIGATIONS)}
    return pd.DataFrame(data, index=frame.index[order[start]])


def dates_of(
    frame: pd.DataFrame,
    columns: Sequence[str],
    *,
    last: bool = False,
    file: str = "",
    coarsen: bool = False,
) -> tuple[pd.Series, pd.Series]:
    """Dates (``datetime64[s]``), and how precisely each is known (day, month, year).

    `columns` name the year, the month (1-12) and the day; the last or the last two may be left
    out. A part is unknown if it is missing, zero or negative (COW writes -9, ATOP 0). An unknown
    day becomes the first of the month, an unknown month the first of the year; with `last`, for
    dates that end something, the last. Where the year is unknown the date is ``NaT``.

    A part that no calendar has (month 31) is refused with `file` and line; with `coarsen` it counts
    as unknown: GML has five such cells.
    """
    parts = [_part(frame, column) for column in columns]
    unknown_part = np.zeros(len(frame), dtype=np.int64)
    year, month, day = (parts + [unknown_part] * 2)[:3]
    wrong_month = (month > 12) & (year > 0)
    if not coarsen and len(columns) > 1:
        expected = "a month from 1 to 12"
        refuse_cells(frame, columns[1], wrong_month, file=file, expected=expected)
    month = np.where(wrong_month, 0, month)
    first_of = _month_starts(year, np.where(month > 0, month, 1))
    days = _month_starts(year, np.where(month > 0, month, 1) + 1) - first_of
    wrong_day = (month > 0) & (year > 0) & (day > days)
    if not coarsen and len(columns) > 2:
        refuse_cells(frame, columns[2], wrong_day, file=file, expected="a day of that month")
    day = np.where(wrong_day | (month == 0), 0, day)
    coarse = _month_starts(year, np.where(month > 0, month + 1, 13)) - 1 if last else first_of
    number = np.where(day > 0, first_of + day - 1, coarse)
    dates = number.astype("datetime64[D]").astype("datetime64[s]")
    dates[year <= 0] = np.datetime64("NaT", "s")
    precision = np.select([day > 0, month > 0], ["day", "month"], "year")
    precision[year <= 0] = "year"
    return (
        pd.Series(dates, index=frame.index),
        pd.Series(pd.array(precision, dtype="str"), index=frame.index),
    )


def month_dates(
    frame: pd.DataFrame, column: str, *, last: bool = False, file: str = "", coarsen: bool = False
) -> pd.Series:
    """First (or last) day of months written as YYYYMM, as in the contiguity files.

    With `coarsen` a month that no calendar has counts as unknown, and its year is kept; contiguity
    3.1 has one such cell (198190).
    """
    code = _part(frame, column)
    wrong = (code > 0) & ((code < 100_000) | (code > 100 * LAST_YEAR + 99))
    if not coarsen:
        wrong |= (code > 0) & ((code % 100 < 1) | (code % 100 > 12))
    refuse_cells(frame, column, wrong, file=file, expected="a month as YYYYMM")
    parts = pd.DataFrame({"year": code // 100, "month": code % 100}, index=frame.index)
    return dates_of(parts, ("year", "month"), last=last, file=file, coarsen=coarsen)[0]


def _part(frame: pd.DataFrame, column: str) -> npt.NDArray[np.int64]:
    """Whole numbers; zero where unknown."""
    values = pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=0.0)
    number: npt.NDArray[np.int64] = np.maximum(np.nan_to_num(values), 0).astype(np.int64)
    return number


def _month_starts(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """First day of months as days since 1970-01-01; month 13 is the next year's first."""
    known = np.where(year > 0, year, 1970)
    months = ((known - 1970) * 12 + (month - 1)).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64)


def refuse_end_before_start(spells: pd.DataFrame, file: str) -> None:
    """Raise for the first spell, by line number in the file, that ends before it starts."""
    wrong = (spells["end"] < spells["start"]).to_numpy(dtype=bool)
    if wrong.any():
        row = spells.iloc[int(np.flatnonzero(wrong)[0])]
        raise DataError(
            f"{file}, row {row.name}: found an end ({row['end'].date()}) before the start "
            f"({row['start'].date()}), expected a day no earlier."
        )


def year_dates(years: pd.Series, *, last: bool = False) -> pd.Series:
    """First (or last) day of calendar years as ``datetime64[s]``."""
    start = (years.to_numpy(dtype=np.int64) - 1970 + last).astype("datetime64[Y]")
    days = start.astype("datetime64[D]") - np.timedelta64(int(last), "D")
    return pd.Series(days.astype("datetime64[s]"), index=years.index)


def spells_of_years(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Runs of consecutive years with the same `keys`.

    The row of each run's first year, with ``first`` and ``last`` (calendar years) in place of
    ``year``; the index is that of the row.
    """
    rows = frame.drop_duplicates([*keys, "year"]).sort_values([*keys, "year"], kind="stable")
    group = rows.groupby(list(keys), sort=False).ngroup().to_numpy()
    year = rows["year"].to_numpy()
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = (group[1:] != group[:-1]) | (year[1:] != year[:-1] + 1)
    ends = np.append(starts[1:], True) if len(rows) else starts
    spells = rows.loc[starts].rename(columns={"year": "first"})
    return spells.assign(last=year[ends])
