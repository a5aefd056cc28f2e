"""A user's own columns on the rows of a panel: matched by state and year, lagged as ours are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.draws import is_whole
from forecast.errors import ArgumentError, DataError, shown
from forecast.sources.codes import name_in_year, state_label
from forecast.sources.datasets import naming_tables
from forecast.sources.frame_codes import (
    Codes,
    StateColumns,
    column_of,
    place_of,
    refuse_rows,
    state_columns,
    usual_columns,
    years_of,
)

if TYPE_CHECKING:
    from forecast.panel.types import Panel
    from forecast.sources.tables import Tables

__all__ = [
    "COMBINE", "KEYS", "LABELS", "RESERVED", "Side", "covered", "own_columns", "put_columns",
    "row_names", "rows_frame", "values_of", "whole_years", "with_frame",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Side = Literal["a", "b", "sum", "mean", "min", "max", "product", "absdiff", "none"]

#: How the values of the two sides become one. NaN on either side is NaN.
COMBINE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "a": lambda a, b: a,
    "b": lambda a, b: b,
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "min": np.minimum,
    "max": np.maximum,
    "product": lambda a, b: a * b,
    "absdiff": lambda a, b: np.abs(a - b),
}

#: Coordinates of a row, in any unit.
KEYS = ("year", "ccode", "ccode_a", "ccode_b", "conflict_id", "alliance_id")
#: What no column of a user may be called.
RESERVED = frozenset({*KEYS, "outcome", "row"})
#: Attribute of the rows: names of states that no table of the panel holds, as JSON.
LABELS = "labels"
#: Attribute of a column that came with a user's frame: of what it is (pair, state or year).
_OWN = "own"
_BASE = 100_000
#: Levels that a column of groups may have.
_LEVELS = 20


def whole_years(name: str, value: object, most: int = 9999) -> int:
    """Years by which something is put off, as they were given."""
    if not is_whole(value) or not 0 <= value <= most:  # type: ignore[operator]
        raise ArgumentError(f"{name}={shown(value)}: expected whole years, 0 to {most:,}.")
    return int(value)  # type: ignore[call-overload, no-any-return]


def own_columns(panel: Panel) -> list[str]:
    """Names of the columns that a user put on the rows."""
    return [str(name) for name, column in panel.data.data_vars.items() if _OWN in column.attrs]


def with_frame(
    panel: Panel,
    frame: pd.DataFrame,
    *,
    a: str | None,
    b: str | None,
    year: str | None,
    side: Side,
    lag: int | None,
    codes: Codes,
) -> Panel:
    """`Panel.with_data` of a frame."""
    from forecast.files import fingerprint_values

    lag = panel.lag if lag is None else whole_years("lag", lag)
    sides = [name for name in ("ccode", "ccode_a", "ccode_b") if name in panel.data.coords]
    if not sides:
        raise ArgumentError(
            f"with_data: rows of unit {panel.unit!r} are not of states or pairs of states; put "
            "columns on `panel.data` as an xarray.Dataset."
        )
    keys = _key_columns(frame, a, b, year, pair=len(sides) == 2)
    if frame.empty:
        raise DataError("with_data: the frame has no rows.")
    states = keys[:-1] if year is not None else keys
    years = years_of(frame, year) if year is not None else np.zeros(len(frame), dtype=np.int64)
    # What does not change is of the states that their names mean in the last year of the rows.
    named = years if year is not None else np.full(len(frame), int(panel.data["year"].max()))
    given = _states_of(panel, frame, states, named, codes)
    names = [str(c) for c in frame.columns if c not in keys]
    _check_names(panel, names)
    frame, names = _with_indicators(frame, names)
    _check_names(panel, names)
    if side not in COMBINE and side != "none":
        raise ArgumentError(f"side={side!r}: expected one of {', '.join((*COMBINE, 'none'))}.")
    if len(states) == 1 and len(sides) == 2 and side == "none":
        raise ArgumentError(
            f"side='none': the frame has one value for each state, a row of unit {panel.unit!r} has"
            f" two states; say which or how they become one: {', '.join(COMBINE)}."
        )
    made = put_columns(
        panel, frame, names, given.codes, None if year is None else years, side=side, lag=lag
    )
    if names and all(np.isnan(made[name].to_numpy()).all() for name in names):
        who = "the state of a row" if len(sides) == 1 else "both states of a row"
        then = panel.data["year"].to_numpy() - lag
        when = "" if year is None else f", in years of {then.min()}–{then.max()} (lag={lag})"
        raise DataError(
            f"None of the {panel.data.sizes['row']:,} rows of the panel gets a value of the frame:"
            f" expected {who}{when}."
        )
    text = hashlib.sha256()
    for name in names:
        text.update(np.ascontiguousarray(made[name].to_numpy(), "<f8").tobytes())
    twin = panel.with_data(made)
    print_ = fingerprint_values(
        panel=panel.fingerprint, own=text.hexdigest(), names=names, lag=lag, side=side
    )
    object.__setattr__(twin, "fingerprint", print_)
    return twin


def put_columns(
    panel: Panel,
    frame: pd.DataFrame,
    names: Sequence[str],
    codes: Sequence[IntArray],
    years: IntArray | None,
    *,
    side: Side = "none",
    lag: int,
) -> xr.Dataset:
    """Rows of a panel with columns of a frame whose states (in its numbers) and years are given.

    The row of year t has the value of the year t - `lag`; any, if the frame has no years.
    """
    sides = [name for name in ("ccode", "ccode_a", "ccode_b") if name in panel.data.coords]
    rows = [panel.data[name].to_numpy().astype(np.int64) for name in sides]
    then = panel.data["year"].to_numpy().astype(np.int64) - lag
    at = np.zeros_like(then) if years is None else then
    kind = ("year", "state", "pair")[len(codes)]
    either = kind == "pair" and panel.unit != "directed-dyad-year" and side == "none"
    when = np.zeros(len(frame), dtype=np.int64) if years is None else years
    find = _Finder(frame, codes, when, either_way=either)
    if kind == "pair":
        places = [find(rows, at), find(rows[::-1], at)]
    elif kind == "state":
        places = [find([each], at) for each in rows]
    else:
        places = [find([], at)]
    made: dict[str, Any] = {}
    for name in names:
        values = values_of(frame, name)
        each = [np.where(p >= 0, values[p], np.nan) for p in places]
        column = each[0] if side == "none" else COMBINE[side](each[0], each[-1])
        about: dict[str, Any] = {_OWN: kind, "lag": lag, "covers": covered(column, then)}
        about |= {} if side == "none" else {"side": side}
        made[name] = ("row", column, about)
    return panel.data.assign(made)


def _key_columns(
    frame: pd.DataFrame, a: str | None, b: str | None, year: str | None, *, pair: bool
) -> list[str]:
    """Columns of states, then the year, of a frame; the states by their usual names if not said."""
    if b is not None and (a is None or not pair):
        raise ArgumentError(f"b={b!r}: expected with `a`, and on rows of pairs only.")
    states = [name for name in (a, b) if name is not None]
    if not states:
        with suppress(ArgumentError):  # then its columns are of years
            states = list(usual_columns(frame, pair=None if pair else False))
    return [*states, *([] if year is None else [year])]


def _states_of(
    panel: Panel, frame: pd.DataFrame, names: Sequence[str], years: IntArray, codes: Codes
) -> StateColumns:
    """States of a frame in the numbers of the panel."""
    labels = _labels(panel)
    if panel.data.attrs.get("codes") != "labels":
        return state_columns(frame, names, years, _tables(panel), codes=codes, gaps=True)
    given = state_columns(frame, names, years, _tables(panel), codes="labels", gaps=True)
    number = {label: code for code, label in labels.items()}
    to = np.array([0, *(number.get(given.names[i], 0) for i in sorted(given.names))])
    return StateColumns(tuple(to[each] for each in given.codes), "labels", labels)


def _with_indicators(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """A frame whose columns of groups (text, categories) are columns of 0 and 1.

    ``NAME_LEVEL`` for each level but the first (of a pandas Categorical in its order, of text in
    that of the alphabet), missing where the group is.
    """
    made: dict[str, pd.Series] = {}
    for name in names:
        column = column_of(frame, name, "column")
        levels = _levels(column)
        if levels is None:
            made[name] = column
            continue
        if len(levels) > _LEVELS:
            raise DataError(
                f"column {name!r}: found {len(levels):,} different texts, expected groups, at most"
                f" {_LEVELS}; leave the column out, or make fewer groups of it."
            )
        if len(levels) < 2:
            one = f"one group, {shown(levels[0])}" if levels else "nothing"
            raise DataError(f"column {name!r}: found {one}, expected two groups or more.")
        for level in levels[1:]:
            own = f"{name}_{re.sub(r'[^a-z0-9]+', '_', str(level).casefold()).strip('_')}"
            if own in made or own in frame.columns:
                raise DataError(
                    f"column {name!r}: the level {shown(level)} becomes {own!r}, which is there"
                    " already; rename one."
                )
            made[own] = (column.astype(object) == level).astype(float).where(column.notna())
    kept = frame.drop(columns=list(names)).reset_index(drop=True)
    return kept.assign(**{n: s.to_numpy() for n, s in made.items()}).set_axis(frame.index), [*made]


def _levels(column: pd.Series) -> list[Any] | None:
    """Groups of a column of text or categories; None for one of numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = set(column.dropna().unique())
        levels = [level for level in column.cat.categories if level in used]
        return levels if any(isinstance(level, str) for level in levels) else None
    if column.dtype.kind not in "OUT" and not isinstance(column.dtype, pd.StringDtype):
        return None
    found = column.dropna()
    if pd.to_numeric(found, errors="coerce").notna().any():
        return None  # numbers, with a mistake among them that has a row
    texts = found.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    return sorted(found.unique()) if texts.all() else None


def _check_names(panel: Panel, names: Sequence[str]) -> None:
    if not names:
        raise ArgumentError("with_data: the frame has no column besides its keys.")
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"with_data: the frame has two columns {name!r}.")
        if name in panel.data or name in RESERVED:
            raise ArgumentError(
                f"with_data: the panel has a column {name!r} already; rename it in the frame."
            )


class _Finder:
    """Where in a frame the row of a key is."""

    def __init__(
        self, frame: pd.DataFrame, codes: Sequence[IntArray], years: IntArray, *, either_way: bool
    ) -> None:
        self.either_way = either_way
        keys = self._keys(codes, years)
        usable = np.all([c > 0 for c in codes], axis=0) if codes else np.ones(keys.size, bool)
        places = np.flatnonzero(usable)
        self.order = places[np.argsort(keys[places], kind="stable")]
        self.sorted = keys[self.order]
        twice = np.flatnonzero(self.sorted[1:] == self.sorted[:-1])
        if twice.size:
            first, second = self.order[twice[0]], self.order[twice[0] + 1]
            both = " (the pair both ways: give `side`, or one row a pair)" if either_way else ""
            if not codes:
                both = " (the year: say which columns hold states, a=…, b=…)"
            raise DataError(
                f"The frame has two rows for the same key{both}: {place_of(frame, int(first))} and "
                f"{place_of(frame, int(second))}."
            )

    def _keys(self, codes: Sequence[IntArray], years: IntArray) -> IntArray:
        if self.either_way:
            codes = [np.minimum(*codes), np.maximum(*codes)]
        key = years.astype(np.int64)
        for code in codes:
            key = key * _BASE + code
        return key

    def __call__(self, codes: Sequence[IntArray], years: IntArray) -> IntArray:
        """Row of each key, -1 for one that the frame has not."""
        key = self._keys(codes, years)
        if not self.sorted.size:
            return np.full(key.shape, -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.sorted, key), self.sorted.size - 1)
        return np.where(self.sorted[at] == key, self.order[at], -1)


def values_of(frame: pd.DataFrame, name: str) -> FloatArray:
    """A column of numbers, truths or missing values as float64; DataError for anything else."""
    column = column_of(frame, name, "column")
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind in "mMc":
        column = column.astype(str).where(column.notna(), None)
    if column.dtype.kind in "biuf" or pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=np.nan)
    numbers = pd.to_numeric(column, errors="coerce")
    bad = (numbers.isna() & column.notna()).to_numpy()
    refuse_rows(frame, name, column, bad, "a number or missing")
    return numbers.to_numpy(dtype=float, na_value=np.nan)


def covered(column: FloatArray, year: npt.NDArray[np.integer[Any]]) -> str:
    """First and last year with a value, e.g. "1951-2025": what a message about gaps can say."""
    known = ~np.isnan(column)
    if not known.any():
        return "no year"
    if bool((year[1:] >= year[:-1]).all()):
        return f"{year[known.argmax()]}-{year[-1 - known[::-1].argmax()]}"
    return f"{year[known].min()}-{year[known].max()}"


def _labels(panel: Panel) -> dict[int, str]:
    return {
        int(code): name for code, name in json.loads(panel.data.attrs.get(LABELS, "{}")).items()
    }


def _tables(panel: Panel) -> Tables:
    return naming_tables("embedded") if panel.tables is None else panel.tables


def row_names(panel: Panel, rows: xr.Dataset | None = None) -> dict[str, npt.NDArray[np.object_]]:
    """Names of the states of rows, each in its year: ``state``, or ``state_a`` and ``state_b``.

    `rows` are those of the panel, or others with the same coordinates. A number that no table of
    the panel holds is itself.
    """
    rows = panel.data if rows is None else rows
    labels, ours = _labels(panel), panel.data.attrs.get("codes") != "labels"
    tables = _tables(panel)
    known = set(tables.states["ccode"].tolist()) if ours and not labels else set()

    def name(code: int, year: int) -> str:
        if code in labels:
            return name_in_year(code, labels[code], year) if ours else labels[code]
        return state_label(tables, code, year=year) if code in known else str(code)

    found: dict[str, npt.NDArray[np.object_]] = {}
    year = rows["year"].to_numpy().astype(np.int64)
    for side in ("ccode", "ccode_a", "ccode_b"):
        if side in rows.variables:
            code = rows[side].to_numpy().astype(np.int64)
            key, back = np.unique(code * 10_000 + year, return_inverse=True)
            texts = np.array([name(*divmod(k, 10_000)) for k in key.tolist()], dtype=object)
            found[side.replace("ccode", "state")] = texts[back]
    return found


def rows_frame(panel: Panel, *, names: bool) -> pd.DataFrame:
    """`Panel.to_dataframe`."""
    data = panel.data
    keys = [name for name in KEYS if name in data.coords]
    columns: dict[str, Any] = {name: data[name].to_numpy() for name in keys}
    if names:
        columns |= row_names(panel)
    rest = [str(n) for n in data.variables if str(n) not in columns and data[n].dims == ("row",)]
    first = [name for name in rest if name == "outcome"]
    columns |= {
        name: data[name].to_numpy() for name in (*first, *(r for r in rest if r not in first))
    }
    return pd.DataFrame(columns)
