"""Cases against data: the features of a case, and whether its expectations are met."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, CoverageError
from forecast.features import get_feature
from forecast.features.shared import sharing
from forecast.panel.types import Panel
from forecast.panel.window import coverage_window
from forecast.panel.world import build_world
from forecast.sources.datasets import read_tables
from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.cases.records import Case, Expectation, Requested

__all__ = ["case_features", "check_case"]

Data = str | Path | Tables | Panel | xr.Dataset


def case_features(case: Case, data: Data, *, features: Requested) -> pd.DataFrame:
    """Features of the states of a case in its years: see `Case.features`."""
    if isinstance(features, str):
        features = (features,)
    wanted = dict(features) if isinstance(features, Mapping) else {name: {} for name in features}
    first, last = case.years
    reach = max((_reach(name, options) for name, options in wanted.items()), default=0)
    world = _world(case, data, first - reach, last)
    first, last = max(first, int(world["year"][0])), min(last, int(world["year"][-1]))
    known = set(world["state"].to_numpy().tolist())
    shown = [case.ccodes[state] for state in case.states if case.ccodes[state] in known]
    member = world["member"].sel(year=slice(first, last), state=shown).to_series()
    members = set(member.index[member.to_numpy()])
    parts = []
    with sharing():
        arrays = {name: get_feature(name)(world, **options) for name, options in wanted.items()}
    for name, found in arrays.items():
        values = found.sel(year=slice(first, last))
        for dim in values.dims[1:]:
            values = values.sel({dim: shown})
        part = values.to_series().rename("value").reset_index()
        for dim in values.dims[1:]:
            pairs = zip(part["year"], part[dim], strict=True)
            part = part[[pair in members for pair in pairs]]
        if "other" in part:
            part = part[part["state"] != part["other"]]
        part = part.rename(columns={"state": "ccode", "other": "other_ccode"})
        parts.append(part.assign(feature=name, unit=get_feature(name).unit))
    table = pd.concat(parts, ignore_index=True)
    of = {ccode: state for state, ccode in case.ccodes.items()}
    for column, label in (("ccode", "state"), ("other_ccode", "other")):
        codes = table[column] if column in table else pd.Series(pd.NA, index=table.index)
        table[column] = codes.astype("Int64")
        table[label] = table[column].map(of).astype("str")
    columns = ["feature", "year", "ccode", "state", "other_ccode", "other", "value", "unit"]
    return table[columns]


def check_case(case: Case, data: Data) -> pd.DataFrame:
    """Hold a data set against the expectations of a case: see `forecast.cases.check_case`."""
    wanted = case.expectations
    years = [e.year for e in wanted] + [e.since for e in wanted if e.since is not None]
    reach = max(_reach(e.feature, e.options) for e in wanted)
    world = _world(case, data, min(years) - reach, max(years))
    arrays: dict[tuple[str, str], xr.DataArray] = {}
    with sharing():
        for one in wanted:
            if _key(one) not in arrays:
                arrays[_key(one)] = get_feature(one.feature)(world, **one.options)
    rows = []
    for one in wanted:
        values = arrays[_key(one)]
        value = _value(values, case, one, one.year)
        if one.since is not None:
            value -= _value(values, case, one, one.since)
        note = _cannot_tell(one, world, values)
        rows.append(
            {
                "feature": one.feature,
                "options": _key(one)[1],
                "state": one.state,
                "other": one.other or "",
                "year": one.year,
                "since": one.since,
                "expected": one.expected,
                "value": value,
                "met": pd.NA if note else one.met_by(value),
                "note": note,
                "why": one.why,
            }
        )
    return pd.DataFrame(rows).astype({"met": "boolean", "since": "Int64"})


def _key(one: Expectation) -> tuple[str, str]:
    """Feature and options: equal keys share one array."""
    return one.feature, json.dumps(dict(one.options), sort_keys=True)


def _value(values: xr.DataArray, case: Case, one: Expectation, year: int) -> float:
    """Value of one state or pair; NaN if it is not in the world."""
    at: dict[str, int] = {"year": year}
    if "state" in values.dims:
        at["state"] = case.ccodes[one.state]
    if "other" in values.dims and one.other is not None:
        at["other"] = case.ccodes[one.other]
    if any(code not in values[dim].to_numpy() for dim, code in at.items()):
        return float("nan")
    return float(values.sel(at))


def _cannot_tell(one: Expectation, world: xr.Dataset, values: xr.DataArray) -> str:
    """Why these data have no say on an expectation; empty if they have."""
    name = str(world.attrs["data"])
    if one.data and name not in one.data:
        return f"only for {', '.join(one.data)} data"
    for year in (one.year, one.year if one.since is None else one.since):
        if year not in world["year"].to_numpy() or np.isnan(values.sel(year=year)).all():
            return f"{year} is not covered by {name} data"
    return ""


def _reach(name: str, options: Mapping[str, Any]) -> int:
    """Years by which a feature looks back: the longest of its windows."""
    spec = get_feature(name)
    spec.check_options(options)
    merged = {**spec.options, **options}
    return max((v for k, v in merged.items() if k.endswith("window")), default=0)


def _world(case: Case, data: Data, first: int, last: int) -> xr.Dataset:
    """World of the years that the data cover; `CoverageError` if none is one of the case."""
    if isinstance(data, str | Path):
        # What is expected was worked out on the data as published.
        data = read_tables(data, amend=None)
    if isinstance(data, Panel):
        if data.world is None:
            raise ArgumentError(
                "A panel that was read from a file has no alliances to compute features from; "
                "give one made by load_panel."
            )
        data = data.world
    if isinstance(data, xr.Dataset):
        covers = data["year"].to_numpy()[data["obligation_covered"].to_numpy()]
        low, high = (int(covers[0]), int(covers[-1])) if covers.size else (0, -1)
        name = str(data.attrs["data"])
    elif isinstance(data, Tables):
        low, high = coverage_window(data.coverage, ("states", "alliances", "members"))
        name = data.name
    else:
        raise ArgumentError(
            "A case is held against the name or folder of a data set, Tables, a Panel or a world; "
            f"found {type(data).__name__}."
        )
    if max(low, case.years[0]) > min(high, case.years[1]):
        raise CoverageError(
            f"The case {case.name!r} is of {case.years[0]}–{case.years[1]}; the states and "
            f"alliances of the {name} data are known for {low}–{high}. {_where_to_get(case)}"
        )
    if isinstance(data, Tables):
        # An expectation may lie past the data although the case does not: one year is always built.
        return build_world(data, first_year=min(max(first, low), high), last_year=min(last, high))
    return data


def _where_to_get(case: Case) -> str:
    """Which data cover a case, and how they are loaded."""
    if "embedded" in case.data:
        return "The embedded data cover it: load_tables()."
    return (
        "It needs the historical data: load_historical(), from the official files that "
        "`forecast data get` fetches."
    )
