"""Dates from what official files hold: years, months and days, some of them unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import refuse_cells

__all__ = ["dates_of", "month_dates", "refuse_end_before_start", "spells_of_years", "year_dates"]


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
    wrong = (code > 0) & ((code < 100_000) | (code >= 1_000_000))
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
