"""`attach`: our features onto a frame that somebody else owns, whose rows stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, shown, wrong_type
from forecast.features.gather import FeatureRequest, compute_features
from forecast.features.registry import get_feature
from forecast.panel.columns import whole_years
from forecast.panel.types import Panel, choose
from forecast.sources.frame_codes import (
    NO_STATE,
    Codes,
    StateColumns,
    state_columns,
    usual_columns,
    years_of,
)
from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.sources.overlay.keeping import Amend

__all__ = ["attach"]


def attach(
    frame: pd.DataFrame,
    features: Sequence[str | FeatureRequest],
    *,
    a: str | None = None,
    b: str | None = None,
    year: str = "year",
    lag: int = 1,
    data: str | Path | Tables | Panel = "embedded",
    codes: Codes = "auto",
    amend: Amend = "kept",
) -> pd.DataFrame:
    """The frame with a column for each feature: its rows, their order and its index stay.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row for each pair and year (directed or not: each row is read from `a` to `b`), or for
        each state and year. Rows may be there more than once, in any order.
    features : sequence of str or FeatureRequest
        Names of features (`forecast features`). One that each state of a pair has for itself
        becomes two columns, ``NAME_a`` and ``NAME_b``; a `forecast.features.FeatureRequest` says
        column, options, and how the two become one (``side="min"``).
    a, b : str, optional
        Columns, or levels of the index, of the states; only `a` for state-years. Found by the names
        that are usual (``ccode1`` and ``ccode2``, ``statea`` and ``stateb``, ``ccode`` …).
    year : str
        Column or level of the calendar year.
    lag : int
        Years: a row of year t has the state of affairs in t - lag. 1 by default, so that nothing of
        the year itself is in it; 0 for a frame whose outcome is that of the year after.
    data : str, pathlib.Path, Tables or Panel
        As in `forecast.load_panel`: ``"embedded"`` (from 1946), ``"historical"`` (from 1816) …; or
        a panel, whose world is used as it is.
    codes : {"auto", "cow", "gw", "iso", "names"}
        In which code the states are, as in `forecast.panel_from_frame`; each in the year of its
        row.
    amend : as in `forecast.load_panel`

    Returns
    -------
    pandas.DataFrame
        A new frame. NaN where a row is not covered: a year without data, a state that was not a
        member of the system in its year, or is missing. ``attrs["forecast"]`` has, for each column,
        the feature, its unit, and the years (of the state of affairs) with a value.

    Raises
    ------
    ArgumentError, DataError, UnknownNameError
        A column or feature that is not there, a column that is there already, a name that is known
        of no state, a lag that is no number of years.
    """
    if not isinstance(frame, pd.DataFrame):
        raise wrong_type("attach", frame, "a pandas.DataFrame.")
    lag = whole_years("lag", lag)
    keys, pair = _keys(frame, a, b)
    requests = _requests(features, pair=pair)
    for request in requests:
        if request.name in frame.columns:
            raise ArgumentError(
                f"attach: the frame has a column {request.name!r} already; rename it, or give a "
                "FeatureRequest with another name."
            )
    source = _source(data, amend)
    assert source.tables is not None
    when = years_of(frame, year, gaps=True)
    states = state_columns(frame, keys, when, source.tables, codes=codes, gaps=True)
    if states.system == "labels":
        raise ArgumentError(
            f"attach: no value of {', '.join(map(repr, keys))} is known as a state; give COW or "
            "Gleditsch–Ward numbers, ISO codes, COW letters or names."
        )
    made = _columns(source, states, when, requests, lag)
    new = pd.DataFrame({n: v.to_numpy() for n, v in made.items()}, index=frame.index, copy=False)
    out = pd.concat([frame, new], axis=1)
    about = {n: {k: v.attrs[k] for k in ("feature", "unit", "covers")} for n, v in made.items()}
    out.attrs = {**frame.attrs, "forecast": {"data": source.tables.name, "lag": lag} | about}
    return out


def _keys(frame: pd.DataFrame, a: str | None, b: str | None) -> tuple[tuple[str, ...], bool]:
    """Columns of the states, and whether they are pairs."""
    given = tuple(name for name in (a, b) if name is not None)
    if b is not None and a is None:
        raise ArgumentError(f"b={b!r}: expected with `a`.")
    if given:
        return given, len(given) == 2
    found = usual_columns(frame, pair=None)
    return found, len(found) == 2


def _requests(features: Sequence[str | FeatureRequest], *, pair: bool) -> list[FeatureRequest]:
    if isinstance(features, str | FeatureRequest):
        features = [features]
    if not isinstance(features, Sequence):
        raise ArgumentError(
            f"features: found {shown(features)}, expected names of features or FeatureRequest."
        )
    found: list[FeatureRequest] = []
    for feature in features:
        if isinstance(feature, FeatureRequest):
            found.append(feature)
            continue
        if not isinstance(feature, str):
            raise ArgumentError(
                f"features: found {shown(feature)}, expected names of features or FeatureRequest."
            )
        if pair and get_feature(feature).level in ("state", "directed"):
            found += [FeatureRequest(f"{feature}_{s}", feature, {}, s) for s in ("a", "b")]
        else:
            found.append(FeatureRequest(feature, feature))
    if not found:
        raise ArgumentError("features: expected at least one; `forecast features` lists them.")
    return found


def _source(data: str | Path | Tables | Panel, amend: Amend) -> Panel:
    """A panel without rows, with the world from which features are read."""
    if isinstance(data, Panel):
        if data.world is None or data.tables is None:
            raise ArgumentError(
                "data: the panel has no world to read features from; expected one of load_panel, "
                "or the data themselves ('embedded', 'historical')."
            )
        return data
    from forecast.panel.world import build_world
    from forecast.sources.datasets import read_tables

    tables = read_tables(data, amend=amend)
    choices = choose("dyad-year", None, None, 1)
    return Panel(
        data=xr.Dataset(), world=build_world(tables), tables=tables, unit=choices.unit,
        population=None, outcome=choices.outcome, lag=1, fingerprint="",
    )  # fmt: skip


def _columns(
    source: Panel,
    states: StateColumns,
    year: npt.NDArray[np.int64],
    requests: Sequence[FeatureRequest],
    lag: int,
) -> dict[str, xr.DataArray]:
    """Column of each request for every row; rows that the world does not hold are NaN."""
    world = source.world
    assert world is not None
    known = world["state"].to_numpy()
    place = np.zeros(int(known.max(initial=0)) + 2, dtype=bool)  # the last: no state
    place[known] = True
    here = np.ones(year.shape, dtype=bool)
    for code in states.codes:
        here &= (code != NO_STATE) & place[code.clip(-1, place.size - 1)]
    rows = np.flatnonzero(here)
    rows = rows[np.argsort(year[rows], kind="stable")]
    sides = ("ccode",) if len(states.codes) == 1 else ("ccode_a", "ccode_b")
    coords: dict[str, Any] = {"year": ("row", year[rows])}
    coords |= {n: ("row", code[rows]) for n, code in zip(sides, states.codes, strict=True)}
    unit = "state-year" if len(sides) == 1 else "directed-dyad-year"
    panel = Panel(
        data=xr.Dataset(coords=coords), world=world, tables=None, unit=unit,
        population=None, outcome="onset", lag=lag, fingerprint="",
    )  # fmt: skip
    found = compute_features(panel, requests).data
    made: dict[str, xr.DataArray] = {}
    for request in requests:
        column = np.full(year.shape, np.nan)
        column[rows] = found[request.name].to_numpy()
        made[request.name] = xr.DataArray(column, dims="row", attrs=found[request.name].attrs)
    return made
