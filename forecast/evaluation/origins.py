"""What is known at an origin: tables, training rows, target rows, features at the horizon."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import ArgumentError, CoverageError
from forecast.evaluation.baselines import unit_keys
from forecast.evaluation.forecasters import Forecaster
from forecast.features import FeatureRequest, compute_features
from forecast.features.strata import NEW, STRATUM_COLUMNS, UNDER_WAY, stratum_of
from forecast.panel.types import Panel
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = [
    "known_before", "known_steps", "panel_at_horizon", "target_panel", "target_rows",
    "training_panel", "views_of", "with_strata",
]  # fmt: skip

#: Tables of spells in which an end may not be known yet, and of what happens in a year.
_RUNNING = {"outcome": "ongoing", "settlement": "none"}


def panel_at_horizon(panel: Panel, horizon: int) -> Panel:
    """The same rows with every feature lagged ``horizon - 1`` years more.

    Computed features are dropped (they are gathered again at the new lag), and so are the first
    rows, whose features would lie before the data. An error without a world to gather from.
    """
    if horizon < 1:
        raise ArgumentError(f"A horizon is at least 1 year, found {horizon}.")
    if horizon == 1:
        return panel
    if panel.world is None:
        raise ArgumentError(
            f"Horizon {horizon} needs features lagged {panel.lag + horizon - 1} years, and this "
            "panel was read with its features already gathered; only horizon 1 can be scored."
        )
    lag = panel.lag + horizon - 1
    year = panel.data["year"].to_numpy()
    computed = [str(n) for n, v in panel.data.data_vars.items() if "feature" in v.attrs]
    late = panel.data.isel(row=year >= int(year.min()) + horizon - 1)
    return replace(panel, data=late.drop_vars(computed), lag=lag)


def with_strata(panel: Panel) -> Panel:
    """Panel with ``stratum_*`` columns, where its unit has them and they can be computed.

    ``stratum_first_year`` is the first year in which the pair is a row at all.
    """
    if panel.unit not in ("dyad-year", "directed-dyad-year"):
        return panel
    keys = unit_keys(panel)
    _, index = np.unique(keys, return_inverse=True)
    first = np.full(index.max() + 1 if keys.size else 0, np.iinfo(np.int64).max)
    np.minimum.at(first, index, panel.data["year"].to_numpy().astype(np.int64))
    panel = panel.with_data(panel.data.assign(stratum_first_year=("row", first[index])))
    if panel.world is not None:
        return compute_features(panel, STRATUM_COLUMNS)
    there = {c.name: panel.data[c.feature] for c in STRATUM_COLUMNS if c.feature in panel.data}
    if {"stratum_peace_years", "stratum_disputes"} <= set(there):
        return panel.with_data(panel.data.assign(there))
    return panel


def _known(panel: Panel) -> Panel:
    """Rows whose outcome is known."""
    return panel.with_data(panel.data.isel(row=np.isfinite(panel.data["outcome"].to_numpy())))


def training_panel(panel: Panel, origin: int, *, window: int | None = None) -> Panel:
    """Rows of the years before the origin, all or of a window, with their own fingerprint."""
    first = int(panel.data["year"].min()) if window is None else origin - window
    text = f"{panel.fingerprint}|lag={panel.lag}|before={origin}" + (
        f"|window={window}" if window is not None else ""
    )
    known = _known(panel.select_years(first, origin - 1))
    if "end_year" in known.data:
        # How far a dispute rose is known when it is over.
        over = known.data["end_year"].to_numpy() < origin
        known = known.with_data(known.data.isel(row=over))
    return replace(known, fingerprint=hashlib.sha256(text.encode()).hexdigest())


def target_panel(panel: Panel, year: int) -> Panel:
    """Rows of one year whose outcome is known."""
    return _known(panel.select_years(year, year))


def known_steps(
    panels: Mapping[int, Panel], origins: Sequence[int], *, window: int | None = None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Steps (origin, horizon) whose outcomes are known, and the others; panels are by horizon.

    An origin without training rows (in the `window`), or without any known outcome, is an error
    that names the years there are.
    """
    steps: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    years = {}
    for h, panel in panels.items():
        finite = np.isfinite(panel.data["outcome"].to_numpy())
        years[h] = np.unique(panel.data["year"].to_numpy()[finite])
    for o in origins:
        for h, known in years.items():
            first = int(known.min()) if known.size else 0
            since = first if window is None else o - window
            if not ((known < o) & (known >= since)).any():
                raise CoverageError(
                    f"Origin {o} has no training rows: at horizon {h} the first year is {first}"
                    + (f", and only {window} years before the origin are used." if window else ".")
                )
            steps[bool((known == o + h - 1).any())].append((o, h))
    h, known = next(iter(years.items()))
    for o in sorted(set(origins) - {o for o, _ in steps[True]}):
        raise CoverageError(
            f"Origin {o} at horizon {h} forecasts {o + h - 1}, for which no outcome is known "
            f"(years with outcomes: {known.min()}–{known.max()})."
        )
    return steps[True], steps[False]


def views_of(
    panel: Panel, methods: Sequence[Forecaster], columns: Sequence[Sequence[FeatureRequest]]
) -> list[Panel]:
    """One panel for each method, with its columns and those of the strata.

    Only what the jobs read goes with them to other processes: the world stays here unless a
    method reads it.
    """
    given = [str(n) for n, v in panel.data.data_vars.items() if "feature" not in v.attrs]
    panel = with_strata(panel)
    strata = [str(n) for n in panel.data.data_vars if str(n).startswith("stratum_")]
    views: list[Panel] = []
    for method, wanted in zip(methods, columns, strict=True):
        # a column that several want is computed once; one of the same name but of another kind
        # is made anew, for this method and those after it
        panel = compute_features(panel, wanted)
        names = dict.fromkeys((*given, *strata, *(r.name for r in wanted)))
        ours = type(method).__module__.startswith("forecast.")
        with_world = getattr(method, "needs_world", not ours)
        views.append(
            Panel(
                data=panel.data[list(names)].compute(),
                world=panel.world if with_world else None,
                tables=None,
                fingerprint=panel.fingerprint,
                **panel.choices,
            )
        )
    return views


def target_rows(panel: Panel, origin: int, horizon: int) -> pd.DataFrame:
    """Keys, outcome and groups of the rows of a target year.

    ``stratum``: as `forecast.features.strata.stratum_of` has it before the origin, but ``"new
    dyad"`` where the pair was not a row in any year before it, unless a dispute of the two is
    ``"under way"``. ``relevance`` is ``"relevant"`` or ``"remote"``.
    ``continues``: a dispute under way on 1 January of the year goes on in it and no new one
    begins, so that it is no row by the field's convention.
    """
    data = panel.data
    keys = [n for n in ("year", "ccode", "ccode_a", "ccode_b") if n in data.coords]
    rows = pd.DataFrame({name: data[name].to_numpy() for name in keys})
    rows.insert(0, "horizon", horizon)
    rows.insert(0, "origin", origin)
    # Blocks of the bootstrap: the two directions of a pair share their disputes.
    rows["unit"] = unit_keys(panel, either_way=True)
    rows["outcome"] = data["outcome"].to_numpy().astype(np.float64)
    rows["decade"] = rows["year"] // 10 * 10
    if "stratum_peace_years" in data:
        peace = data["stratum_peace_years"].to_numpy()
        # Of rows without a world behind them nothing else is known.
        relevant = np.ones(peace.shape, dtype=bool)
        if "stratum_relevant" in data:
            relevant = data["stratum_relevant"].to_numpy() == 1
        known = stratum_of(peace, data["stratum_disputes"].to_numpy(), relevant=relevant)
        known = np.where(data["stratum_first_year"].to_numpy() >= origin, NEW, known)
        if "stratum_under_way" in data:
            known = np.where(data["stratum_under_way"].to_numpy() == 1, UNDER_WAY, known)
        rows["stratum"] = known
        rows["relevance"] = np.where(relevant, "relevant", "remote")
        rows["peace_years"] = peace
    if "continues" in data:
        rows["continues"] = data["continues"].to_numpy().astype(bool)
    if "region_a" in data and "region_b" in data:
        a, b = (data[name].to_numpy().astype(str) for name in ("region_a", "region_b"))
        rows["region"] = np.where(a == b, a, "between regions")
    elif "region" in data:
        rows["region"] = data["region"].to_numpy().astype(str)
    return rows


def known_before(tables: Tables, origin: int) -> Tables:
    """A data set cut as if it had been released before `origin`, whose fingerprint has the year.

    What began later is not there; what ended later runs on (its end is open, a dispute's outcome
    ``"ongoing"``); yearly values of later years are gone, and every table covers no year after
    ``origin - 1``; one that begins later is an error.

    The level and the deaths of a dispute that was running at the end of ``origin - 1`` are those
    of its whole length: sources code them once. Dates are as coded by later scholarship.
    """
    last = origin - 1
    for name in TABLES:
        if tables.coverage[name].first > last:
            raise CoverageError(
                f"{name} are covered from {tables.coverage[name].first}; nothing is known before "
                f"{origin}."
            )
    frames: dict[str, Any] = {name: _cut(getattr(tables, name), last) for name in TABLES}
    # the pledges of a treaty that is not signed yet
    signed = set(frames["alliances"]["alliance_id"])
    frames["members"] = _of(frames["members"], signed)
    kept = {n for n in tables.extra if tables.coverage[n].first <= last}
    extra = {name: _cut(tables.extra[name], last) for name in kept}
    if "treaty_design" in extra:
        extra["treaty_design"] = _of(extra["treaty_design"], signed)
    return replace(
        tables,
        **frames,
        extra=extra,
        coverage={name: _covered(tables.coverage[name], last) for name in {*TABLES, *kept}},
        fingerprint=f"{tables.fingerprint}|before={origin}",
    )


def _cut(frame: pd.DataFrame, last: int) -> pd.DataFrame:
    if "start" in frame:
        begun = frame["start"].dt.year <= last
        frame = frame[begun].reset_index(drop=True)
        running = (frame["end"].dt.year > last).to_numpy()
        if running.any():
            frame = frame.copy()
            frame.loc[running, "end"] = pd.NaT
            for column, value in _RUNNING.items():
                if column in frame:
                    frame.loc[running, column] = value
        return frame
    if "year" in frame:
        return frame[frame["year"].to_numpy() <= last].reset_index(drop=True)
    return frame


def _of(frame: pd.DataFrame, treaties: set[str]) -> pd.DataFrame:
    return frame[np.isin(frame["alliance_id"].to_numpy(dtype=object), list(treaties))].reset_index(
        drop=True
    )


def _covered(cover: Coverage, last: int) -> Coverage:
    def before(year: int | None) -> int | None:
        return year if year is not None and year < last else None

    return replace(
        cover,
        last=min(cover.last, last),
        amended_after=before(cover.amended_after),
        declared_after=before(cover.declared_after),
    )
