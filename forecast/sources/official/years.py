"""Rows by year: consecutive years joined into spells, obligations of several treaties combined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecast.sources.spells import expand_years
from forecast.sources.tables import OBLIGATIONS

__all__ = ["combine_obligations", "expand_obligations", "spells_of_years", "year_dates"]

_PAIR = ("ccode_owing", "ccode_owed", "year")


def year_dates(years: pd.Series, *, last: bool = False) -> pd.Series:
    """First (or last) day of calendar years as ``datetime64[s]``."""
    start = (years.to_numpy(dtype=np.int64) - 1970 + last).astype("datetime64[Y]")
    days = start.astype("datetime64[D]") - np.timedelta64(int(last), "D")
    return pd.Series(days.astype("datetime64[s]"), index=years.index)


def spells_of_years(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Runs of consecutive years with the same keys.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns `keys` and ``year``.
    keys : sequence of str
        What stays the same within a spell.

    Returns
    -------
    pandas.DataFrame
        The row of each run's first year, with ``first`` and ``last`` (calendar years) in place
        of ``year``; the index is that of the row.
    """
    rows = frame.drop_duplicates([*keys, "year"]).sort_values([*keys, "year"], kind="stable")
    group = rows.groupby(list(keys), sort=False).ngroup().to_numpy()
    year = rows["year"].to_numpy()
    starts = np.ones(len(rows), dtype=bool)
    starts[1:] = (group[1:] != group[:-1]) | (year[1:] != year[:-1] + 1)
    ends = np.append(starts[1:], True) if len(rows) else starts
    spells = rows.loc[starts].rename(columns={"year": "first"})
    return spells.assign(last=year[ends])


def combine_obligations(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per ordered pair and year: what is owed under any of the treaties.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``ccode_owing, ccode_owed, year`` and the five obligations as 0/1.

    Returns
    -------
    pandas.DataFrame
        Those columns, the pairs and years unique and sorted; the index is that of the first row
        of each.
    """
    # The flags as bits of one number: "any of them" is then one reduction instead of five.
    bits = sum(frame[name].to_numpy(dtype=np.int64) << i for i, name in enumerate(OBLIGATIONS))
    keys = [frame[name].to_numpy(dtype=np.int64) for name in _PAIR]
    order = np.lexsort(tuple(reversed(keys)))
    first = np.ones(len(frame), dtype=bool)
    first[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    start = np.flatnonzero(first)
    if not len(frame):
        owed = np.empty(0, dtype=np.int64)
    else:
        owed = np.bitwise_or.reduceat(np.asarray(bits)[order], start)
    data = {name: key[order][start] for name, key in zip(_PAIR, keys, strict=True)}
    data |= {name: (owed >> i) & 1 for i, name in enumerate(OBLIGATIONS)}
    return pd.DataFrame(data, index=frame.index[order[start]])


def expand_obligations(
    spells: pd.DataFrame, first: pd.Series, last: pd.Series, *, window: tuple[int, int]
) -> pd.DataFrame:
    """Obligations of spells in every calendar year that they touch, combined over treaties.

    Parameters
    ----------
    spells : pandas.DataFrame
        Columns ``ccode_owing, ccode_owed`` and the five obligations as 0/1.
    first, last : pandas.Series
        First and last calendar year of each spell.
    window : tuple of int
        First and last year kept.

    Returns
    -------
    pandas.DataFrame
        As from `combine_obligations`.
    """
    row, year = expand_years(
        first.to_numpy(dtype=np.int64), last.to_numpy(dtype=np.int64), window=window
    )
    columns = ["ccode_owing", "ccode_owed", *OBLIGATIONS]
    return combine_obligations(spells[columns].iloc[row].assign(year=year))
