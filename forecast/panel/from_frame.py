"""`panel_from_frame`: a panel of rows that somebody else made, in whatever code they are."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, DataError, shown, wrong_type
from forecast.panel.columns import KEYS, LABELS, RESERVED, put_columns, values_of, whole_years
from forecast.panel.types import CHOICES, Panel
from forecast.sources.datasets import naming_tables
from forecast.sources.frame_codes import (
    Codes,
    StateColumns,
    column_of,
    place_of,
    state_columns,
    usual_columns,
    years_of,
)
from forecast.sources.tables import Tables

__all__ = ["FrameUnit", "as_panel", "panel_from_frame"]

FrameUnit = Literal["dyad-year", "directed-dyad-year", "state-year"]


def panel_from_frame(
    frame: pd.DataFrame,
    *,
    outcome: str = "outcome",
    unit: FrameUnit = "dyad-year",
    a: str | None = None,
    b: str | None = None,
    year: str = "year",
    lead: int = 0,
    lag: int = 0,
    codes: Codes = "auto",
    data: str | Path | Tables = "embedded",
) -> Panel:
    """Panel of a frame of your own: it is fitted, checked, backtested and compared like ours.

    Parameters
    ----------
    frame : pandas.DataFrame
        Long: a row for each unit and year. Or wide: a row for each unit, and a column for each
        year, called by the year (the outcome) or ``NAME_1950`` (the column ``NAME``).
    outcome : str
        Column of what happened: 0, 1 or missing. Its name is the outcome of the panel, which a
        model names too (``outcome = "…"``, `ModelSpec.with_outcome`); of a column that is called
        ``outcome`` it is ``onset``, as of ours.
    unit : {"dyad-year", "directed-dyad-year", "state-year"}
        What a row is. Undirected pairs may be written either way round, once a year.
    a, b : str, optional
        Columns, or levels of the index, of the states (of state-years only `a`); found by the names
        that are usual if not given.
    year : str
        Column or level of the calendar year of the row.
    lead : int
        Years by which the outcome is ahead of the year of its row: 1 where a row of 1950 has what
        happened in 1951. The panel's year is that of the outcome.
    lag : int
        Years by which columns are put back here: the row of year t has the value of the same unit
        in t - lag, missing where there is no such row. 0 takes columns as they are: whoever made
        the frame has lagged them (or `lead` says so).
    codes : {"auto", "cow", "gw", "iso", "names", "labels"}
        In which code the states are: COW or Gleditsch–Ward numbers, names or letters (each in the
        year of its row), or labels that mean nothing to us. ``auto`` tells by the values and never
        guesses: if some are known and some not, it is an error.
    data : str, pathlib.Path or Tables
        Data set whose names of states are meant, as in `forecast.load_panel`.

    Returns
    -------
    Panel
        With `lag` ``max(1, lead + lag)``, a ``fingerprint`` of the content, and no `world`: no
        features can be computed for it (`forecast.attach` puts them on the frame before), and
        nothing can be simulated. Numbers and truths are float columns, anything else is text.

    Raises
    ------
    ArgumentError, DataError, UnknownNameError
        Names argument, row and column, what was found and what was expected.
    """
    frame = _checked(frame, unit, lead, lag)
    if year not in frame.columns and year not in frame.index.names:
        frame = _long(frame, outcome, year)
    pair = unit != "state-year"
    if b is not None and not pair:
        raise ArgumentError(f"b={b!r}: a row of unit 'state-year' has one state, `a`.")
    if pair and (a is None) != (b is None):
        raise ArgumentError(f"a={a!r}, b={b!r}: a row of unit {unit!r} has two states; give both.")
    keys = tuple(n for n in (a, b) if n is not None) or usual_columns(frame, pair=pair)
    when = years_of(frame, year)
    states = state_columns(frame, keys, when, naming_tables(data), codes=codes)
    _refuse_twins(frame, unit, states.codes, when)
    happened = _outcome(frame, outcome)
    panel = _panel(unit, outcome, states, when + lead, happened, max(1, lead + lag))
    rest = [str(c) for c in frame.columns if c not in (*keys, year, outcome)]
    if taken := [name for name in rest if name in RESERVED]:
        raise ArgumentError(
            f"The column {taken[0]!r} of the frame is called as a column of every panel and is not "
            f"given as one ({', '.join(sorted(RESERVED))}); rename it or leave it out."
        )
    if twice := [name for name in rest if rest.count(name) > 1]:
        raise ArgumentError(f"The frame has two columns {twice[0]!r}; rename one.")
    return _with_columns(panel, frame, rest, states, when, lead + lag)


def _checked(frame: object, unit: str, lead: object, lag: object) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise wrong_type("panel_from_frame", frame, "a pandas.DataFrame.")
    if unit not in get_args(FrameUnit):
        raise ArgumentError(
            f"unit={unit!r}: a frame may be of {', '.join(get_args(FrameUnit))}; panels of other "
            "units are made by load_panel."
        )
    for name, value in (("lead", lead), ("lag", lag)):
        whole_years(name, value, most=50)
    if not len(frame):
        raise DataError("The frame has no rows.")
    return frame


def _long(frame: pd.DataFrame, outcome: str, year: str) -> pd.DataFrame:
    """A frame with a column for each year as one with a row for each year."""
    parts: dict[int, dict[str, str]] = {}
    fixed = []
    for column in frame.columns:
        found = re.fullmatch(r"(.*?)[_.]?((?:1[6-9]|20)\d\d)(?:\.0)?", str(column))
        if found is None:
            fixed.append(column)
        else:
            parts.setdefault(int(found[2]), {})[column] = found[1] or outcome
    if not any(outcome in names.values() for names in parts.values()):
        column_of(frame, year, "year")  # its error has the columns
    kept = frame[fixed].reset_index() if frame.index.names[0] is not None else frame[fixed]
    long = [
        kept.assign(**{year: when}, **{to: frame[of].array for of, to in names.items()})
        for when, names in sorted(parts.items())
    ]
    return pd.concat(long, ignore_index=True)


def _refuse_twins(
    frame: pd.DataFrame, unit: str, codes: tuple[npt.NDArray[np.int64], ...], year: Any
) -> None:
    if len(codes) == 2 and (same := codes[0] == codes[1]).any():
        row = int(np.flatnonzero(same)[0])
        raise DataError(f"{place_of(frame, row)}: both states are the same one.")
    either = unit == "dyad-year"
    sides = (np.minimum(*codes), np.maximum(*codes)) if either else codes
    key = pd.DataFrame({"year": year, **{str(i): side for i, side in enumerate(sides)}})
    twice = key.duplicated().to_numpy()
    if twice.any():
        second = int(np.flatnonzero(twice)[0])
        first = int(np.flatnonzero((key == key.iloc[second]).all(axis=1).to_numpy())[0])
        way = ""
        if either and codes[0][first] != codes[0][second]:
            way = " The pair is written both ways round: unit='directed-dyad-year' has such rows."
        raise DataError(
            f"{place_of(frame, second)} is of the same states and year as "
            f"{place_of(frame, first)}: the row is there twice.{way}"
        )


def _outcome(frame: pd.DataFrame, outcome: str) -> npt.NDArray[np.float64]:
    column_of(frame, outcome, "outcome")
    values = values_of(frame, outcome)
    wrong = ~np.isnan(values) & ~np.isin(values, (0.0, 1.0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {outcome!r}, {place_of(frame, row)}: found {values[row]:g}, expected 0, 1 or "
            "missing. A level or a count is made into one by what is asked of it, e.g. "
            f"(frame[{outcome!r}] >= 4).astype(float)."
        )
    return values


def _panel(
    unit: FrameUnit,
    outcome: str,
    states: StateColumns,
    year: npt.NDArray[np.int64],
    happened: npt.NDArray[np.float64],
    lag: int,
) -> Panel:
    """Rows in the order of the frame, without columns."""
    sides = ("ccode",) if unit == "state-year" else ("ccode_a", "ccode_b")
    coords = {"year": year, **dict(zip(sides, states.codes, strict=True))}
    rows = xr.Dataset(
        {"outcome": ("row", happened)},
        coords={name: ("row", values) for name, values in coords.items()},
        attrs={
            "codes": states.system,
            LABELS: json.dumps({str(c): n for c, n in states.names.items()}, ensure_ascii=False),
        },
    )
    return Panel(
        data=rows, world=None, tables=None, unit=unit, population=None,
        outcome="onset" if outcome == "outcome" else outcome, lag=lag, fingerprint="",
    )  # fmt: skip


def _with_columns(
    panel: Panel,
    frame: pd.DataFrame,
    names: list[str],
    states: StateColumns,
    when: npt.NDArray[np.int64],
    lag: int,
) -> Panel:
    """Rows with the columns of the frame, sorted by year and states, with their fingerprint."""
    from forecast.files import fingerprint_values

    texts: dict[str, Any] = {}
    for name in names:
        try:
            values_of(frame, name)
        except DataError:  # no term of a model, but shown
            column = column_of(frame, name, "column")
            texts[name] = ("row", column.astype(object).where(column.notna(), "").to_numpy(str))
    numbers = [name for name in names if name not in texts]
    data = put_columns(panel, frame, numbers, states.codes, when, lag=lag).assign(texts)
    data = data.isel(row=np.lexsort([data[n].to_numpy() for n in reversed(KEYS) if n in data]))
    content = data.to_dataframe()[[*(n for n in KEYS if n in data), "outcome", *names]]
    rows = pd.util.hash_pandas_object(content, index=False).to_numpy()
    choices = {name: getattr(panel, name) for name in CHOICES}
    whole = fingerprint_values(
        rows=hashlib.sha256(rows.tobytes()).hexdigest(), names=names, choices=choices
    )
    return replace(panel, data=data, fingerprint=whole)


def as_panel(given: object, where: str) -> Panel:
    """A panel as it is; a frame with the columns of one converted; anything else refused.

    Raises `ArgumentError`: Says what was found and how to make a panel of it.
    """
    if isinstance(given, Panel):
        return given
    if isinstance(given, pd.DataFrame):
        there = {*map(str, given.columns), *map(str, given.index.names)}
        if there >= {"year", "outcome"} and (there >= {"ccode_a", "ccode_b"} or "ccode" in there):
            unit: FrameUnit = "dyad-year" if "ccode_a" in there else "state-year"
            return panel_from_frame(given, unit=unit, codes="cow")
        listed = ", ".join(list(map(str, given.columns))[:8])
        raise ArgumentError(
            f"{where}: found a DataFrame ({listed} …), expected a Panel. Make one of it: "
            'forecast.panel_from_frame(frame, outcome="…", a="…", b="…", year="…").'
        )
    raise ArgumentError(
        f"{where}: found {shown(given)} of type {type(given).__name__}, expected a Panel "
        "(forecast.load_panel, forecast.panel_from_frame)."
    )
