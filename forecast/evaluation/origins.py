"""What is known at an origin: tables, training rows, features; the rows of later target years.

Forecasts several years ahead are simulated from the origin with feedback, nothing later known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.arrays import SingleArray
from forecast.errors import ArgumentError, CoverageError
from forecast.evaluation.baselines import unit_keys
from forecast.evaluation.forecasters import Forecaster
from forecast.features import FeatureRequest, compute_features
from forecast.features.strata import NEW, STRATUM_COLUMNS, UNDER_WAY, stratum_of
from forecast.panel.build import future_panel
from forecast.panel.types import Panel
from forecast.panel.world import build_world
from forecast.sources.tables import TABLES, Coverage, Tables

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.simulation.future import Future

__all__ = [
    "at_risk_draws", "known_before", "known_steps", "panel_at_horizon", "simulated_forecasts",
    "target_panel", "target_rows", "training_panel", "views_of", "with_strata",
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


#: Drawn paths of capabilities; draw d uses path d modulo this number.
_CAPABILITY_PATHS = 4


def simulated_forecasts(
    fit: Fit,
    tables: Tables,
    targets: Mapping[int, Panel],
    *,
    origin: int,
    seed: int,
) -> dict[int, tuple[SingleArray, SingleArray]]:
    """Probabilities of the rows of later target years, simulated year by year from the origin.

    The states, borders and alliances of the end of ``origin - 1`` are carried forward,
    capabilities drawn forward. Each posterior draw goes through a world of its own: simulated
    onsets end its years of peace, enter its histories and make the disputes of its allies.

    `fit` is of a dyad-year model of lag 1, from rows before the origin (or before an earlier one);
    `tables` are cut at the origin here; `targets` are the rows whose probability is wanted, by
    horizon: h is the year ``origin + h - 1``.

    By horizon come the probability of an onset given that the pair is a row, and whether it is
    one in the draw's world (0 or 1), both (draws, rows). The forecast of a row is the mean of the
    first, weighted by the second: Pr(onset, row) / Pr(row). Every pair is a row of a model with
    ``under_way="stratum"``; for others it is one where no dispute of its own is under way. A row
    of a pair that was not in the population at the origin is NaN.
    """
    from forecast.simulation.dynamics import Record
    from forecast.simulation.ending import Endings
    from forecast.simulation.engine import simulate_paths
    from forecast.simulation.predictor import Coefficients

    known = known_before(tables, origin)
    _refuse(fit, known, origin)
    last = origin - 1
    future = _future(fit, known, last, horizon=max(targets), paths=_CAPABILITY_PATHS, seed=seed)
    # the record of conflicts needs no treaties and extras
    bare: Any = {name: getattr(known, name).iloc[:0] for name in ("members", "alliances")}
    past = build_world(replace(known, **bare, extra={}), succession=fit.spec.succession)
    states = future.world["state"].to_numpy()
    coefficients = Coefficients(fit, draws=None, seed=seed)
    paths = simulate_paths(
        fit,
        future,
        Record.of(past, future.rows, last, states=states, tables=known),
        coefficients,
        Endings(known, origin=last, draws=coefficients.draws, seed=seed),
        seed=seed,
        keep_at_risk=True,
    )
    assert paths.at_risk is not None
    keys = unit_keys(fit.panel.with_data(future.rows))
    found = {}
    for horizon, target in targets.items():
        wanted = unit_keys(target)
        place = np.searchsorted(keys, wanted).clip(max=max(keys.size - 1, 0))
        there = keys[place] == wanted
        at_risk = paths.at_risk[horizon - 1][place].T
        with np.errstate(invalid="ignore", divide="ignore"):
            probability = np.where(at_risk > 0, paths.annual[horizon - 1][place].T / at_risk, 0.0)
        probability = np.where(there, probability, np.nan).astype(np.float32)
        found[horizon] = (probability, at_risk)
    return found


def _refuse(fit: Fit, known: Tables, origin: int) -> None:
    """Refuse what cannot be simulated from an origin."""
    if fit.spec.unit != "dyad-year":
        raise ArgumentError(
            f"Model {fit.spec.name!r} is of unit {fit.spec.unit!r}: horizons beyond 1 are "
            "simulated for dyad-years only. Use multi_step='direct'."
        )
    if (covered := known.coverage["conflicts"].last) < origin - 1:
        raise ArgumentError(
            f"Conflicts are covered to {covered}, so that a simulation cannot begin in {origin}."
        )


def _future(fit: Fit, known: Tables, last: int, **options: int) -> Future:
    """What is fixed before conflicts are simulated, of the pairs of the year after `last`."""
    from forecast.simulation.future import prepare_future

    begin = xr.Dataset(coords={"year": [last]})
    ahead = future_panel(replace(fit.panel, tables=known, world=begin), year=last + 1)
    rows = xr.Dataset(coords={name: ahead.data[name] for name in ("ccode_a", "ccode_b")})
    there = replace(fit, panel=replace(fit.panel, world=begin))
    future = prepare_future(there, known, rows=rows, origin=last, **options)
    return future.where(future.complete)


def at_risk_draws(
    draws: npt.NDArray[np.floating[Any]],
    at_risk: npt.NDArray[np.floating[Any]],
    rng: np.random.Generator,
) -> npt.NDArray[np.floating[Any]]:
    """Draws of each row as they are given that the row is at risk, (draws, rows).

    Each row's draws are resampled in proportion to how likely it is at risk in them, by a maximal
    coupling: a draw stays where it is with the largest probability that allows for that, so that
    the rows of one draw still belong to one world, and totals over rows keep their spread. A row
    that is at risk in none of them becomes NaN.
    """
    n = draws.shape[0]
    total = at_risk.sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = at_risk * (n / total)  # 1 where the draw is worth as much as any
    out = draws.copy()
    # The same numbers for every row, so that no row depends on which others there are.
    stay, to = rng.random((2, n))
    moved = stay[:, None] > share
    for row in np.flatnonzero(moved.any(axis=0)):
        where = np.flatnonzero(moved[:, row])
        spare = np.cumsum(np.maximum(share[:, row] - 1.0, 0.0))
        chosen = np.searchsorted(spare, to[where] * spare[-1], side="right")
        out[where, row] = draws[np.minimum(chosen, n - 1), row]
    out[:, ~(total > 0)] = np.nan
    return out
