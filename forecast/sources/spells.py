"""Algebra of spells: closed intervals of days with a start and a possibly open end.

Arrays in, arrays out. A spell is a pair of dates ``[start, end]``, both days included; an end of
``NaT`` is open. Inside, days are integers since 1970-01-01 and an open end is `OPEN_DAY`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "OPEN_DAY",
    "OPEN_YEAR",
    "clip_spells",
    "cut_members",
    "day_year",
    "ends_before_start",
    "expand_years",
    "merge_memberships",
    "outside",
    "overlapping",
    "span_days",
    "span_years",
    "uncovered",
]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

#: Day that stands for an open end (year 7882); sorts after every real date.
OPEN_DAY = 2**31 - 1
#: Calendar year that stands for an open end.
OPEN_YEAR = 9999

# Dates are kept in seconds so that spells may begin long before 1677 and after 2262.
_DATE = "datetime64[s]"


def _days(values: pd.Series) -> IntArray:
    dates = values.to_numpy(dtype=_DATE)
    days = dates.astype("datetime64[D]").astype(np.int64)
    return np.where(np.isnat(dates), OPEN_DAY, days)


def span_days(spells: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """First and last day of each spell (``start``, ``end``) as integers since 1970-01-01."""
    return _days(spells["start"]), _days(spells["end"])


def span_years(spells: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """First and last calendar year of each spell; an open end is `OPEN_YEAR`.

    A status holds in a year if it held on any day of it.
    """
    return day_year(_days(spells["start"])), day_year(_days(spells["end"]))


def day_year(days: IntArray) -> IntArray:
    """Calendar year of each day number; `OPEN_DAY` gives `OPEN_YEAR`."""
    year = np.minimum(days, OPEN_DAY - 1).astype("datetime64[D]").astype("datetime64[Y]")
    return np.where(days >= OPEN_DAY, OPEN_YEAR, year.astype(np.int64) + 1970)


def ends_before_start(spells: pd.DataFrame) -> BoolArray:
    """Which spells end before they start."""
    first, last = span_days(spells)
    return last < first


def _groups(spells: pd.DataFrame, on: Sequence[str]) -> IntArray:
    return np.asarray(spells.groupby(list(on), sort=False).ngroup(), dtype=np.int64)


def overlapping(spells: pd.DataFrame, *, on: Sequence[str]) -> IntArray:
    """Pairs of positions (earlier, later spell) whose spells share a day and the key `on`.

    Each spell is compared with the one of the same key that reaches furthest among those that
    start no later; every overlap is therefore reported at least once. In the order of the later.
    """
    if spells.empty:
        return np.empty((0, 2), dtype=np.int64)
    first, last = span_days(spells)
    group = _groups(spells, on)
    order = np.lexsort((last, first, group))
    pairs: list[tuple[int, int]] = []
    reach = int(order[0])
    for position in map(int, order[1:]):
        if group[position] != group[reach]:
            reach = position
            continue
        if first[position] <= last[reach]:
            pairs.append((reach, position))
        if last[position] > last[reach]:
            reach = position
    pairs.sort(key=lambda pair: pair[1])
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _merged(first: IntArray, last: IntArray) -> list[tuple[int, int]]:
    """Union of intervals; one that starts the day after another ends continues it."""
    out: list[tuple[int, int]] = []
    for i in np.argsort(first, kind="stable"):
        if out and first[i] <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], int(last[i])))
        else:
            out.append((int(first[i]), int(last[i])))
    return out


def _containers(outer: pd.DataFrame, on: Sequence[str]) -> dict[object, list[tuple[int, int]]]:
    first, last = span_days(outer)
    return {
        (key if isinstance(key, tuple) else (key,)): _merged(first[rows], last[rows])
        for key, rows in outer.groupby(list(on), sort=False).indices.items()
    }


def _keys(spells: pd.DataFrame, on: Sequence[str]) -> list[object]:
    return list(zip(*(spells[c] for c in on), strict=True))


def clip_spells(spells: pd.DataFrame, within: pd.DataFrame, *, on: Sequence[str]) -> pd.DataFrame:
    """The parts of `spells` that lie inside the union of `within` of the same key `on`.

    Adjacent containers count as one. Columns and order of `spells`, index repeated for a spell
    that was cut into several parts, without the spells that lie outside entirely.
    """
    first, last = span_days(spells)
    containers = _containers(within, on)
    rows: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    for i, key in enumerate(_keys(spells, on)):
        for a, b in containers.get(key, ()):
            lo, hi = max(a, int(first[i])), min(b, int(last[i]))
            if lo <= hi:
                rows.append(i)
                starts.append(lo)
                ends.append(hi)
    out = spells.iloc[rows].copy()
    out["start"] = _dates(starts)
    out["end"] = _dates(ends)
    return out


def _dates(days: Sequence[int]) -> npt.NDArray[np.datetime64]:
    number = np.asarray(days, dtype=np.int64)
    open_end = number >= OPEN_DAY
    dates = np.where(open_end, 0, number).astype("datetime64[D]").astype(_DATE)
    dates[open_end] = np.datetime64("NaT", "s")
    return dates


def outside(inner: pd.DataFrame, outer: pd.DataFrame, *, on: Sequence[str]) -> BoolArray:
    """Which inner spells share no day with an outer spell of the same key."""
    return np.asarray(_covered_days(inner, outer, on) == 0)


def uncovered(inner: pd.DataFrame, outer: pd.DataFrame, *, on: Sequence[str]) -> BoolArray:
    """Which inner spells have a day that no outer spell of the same key covers."""
    first, last = span_days(inner)
    return np.asarray(_covered_days(inner, outer, on) < last - first + 1)


def _covered_days(inner: pd.DataFrame, outer: pd.DataFrame, on: Sequence[str]) -> IntArray:
    first, last = span_days(inner)
    containers = _containers(outer, on)
    covered = np.zeros(len(inner), dtype=np.int64)
    for i, key in enumerate(_keys(inner, on)):
        for a, b in containers.get(key, ()):
            covered[i] += max(0, min(b, int(last[i])) - max(a, int(first[i])) + 1)
    return covered


def expand_years(
    first_year: IntArray, last_year: IntArray, *, window: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """Position of each spell and, ascending, each year of the window that it touches."""
    first = np.maximum(first_year, window[0])
    length = np.maximum(np.minimum(last_year, window[1]) - first + 1, 0)
    row = np.repeat(np.arange(len(first), dtype=np.int64), length)
    offset = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(length) - length, length)
    return row, first[row] + offset


def merge_memberships(states: pd.DataFrame) -> pd.DataFrame:
    """Membership spells of the state system, those of one state that touch as one.

    A list may end one spell and begin the next on the day of a hand-over, or on the day after
    (Yugoslavia and Serbia, number 345, on 2006-06-03). The state goes on, and with it all that is
    counted from its entry: its age, years of peace, past disputes.

    `states` itself if no two touch. Else sorted by number and start, with one row for each run of
    spells: the last of them from the start of the first, under the name "last/first" where it
    changed. Spells that share more than one day, or follow one with an open end, contradict each
    other and stay two.
    """
    first, last = span_days(states)
    code = states["ccode"].to_numpy()
    order = np.lexsort((last, first, code))
    later, before = order[1:], order[:-1]
    goes_on = (code[later] == code[before]) & np.isin(first[later] - last[before], (0, 1))
    if not goes_on.any():
        return states
    run = np.cumsum(np.concatenate(([True], ~goes_on)))
    ordered = states.iloc[order]
    runs = ordered.groupby(run)
    names = runs["name"].agg(lambda own: "/".join(dict.fromkeys(own.iloc[::-1])))
    ends = np.flatnonzero(np.append(~goes_on, True))
    return ordered.iloc[ends].assign(
        start=runs["start"].first().to_numpy(), name=names.astype(states["name"].dtype).array
    )


def cut_members(members: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """Member spells cut at the system-membership spells of their states.

    A treaty can be signed before a state enters the system, and outlive an occupation; the state
    owes and is owed nothing while it is not a member.

    Sorted by key, with a fresh index.
    """
    cut = clip_spells(members, states[["ccode", "start", "end"]], on=["ccode"])
    return cut.sort_values(["alliance_id", "ccode", "start"], ignore_index=True)
