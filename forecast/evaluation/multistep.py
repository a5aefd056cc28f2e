"""Forecasts several years ahead: simulated from the origin with feedback, nothing later known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError
from forecast.evaluation.baselines import unit_keys
from forecast.evaluation.origins import known_before
from forecast.panel.build import future_panel
from forecast.panel.types import Panel
from forecast.panel.world import build_world
from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.simulation.future import Future

__all__ = ["at_risk_draws", "simulated_forecasts"]

Float32Array = npt.NDArray[np.float32]

#: Drawn paths of capabilities; draw d uses path d modulo this number.
_CAPABILITY_PATHS = 4


def simulated_forecasts(
    fit: Fit,
    tables: Tables,
    targets: Mapping[int, Panel],
    *,
    origin: int,
    seed: int,
    capability_paths: int = _CAPABILITY_PATHS,
) -> dict[int, tuple[Float32Array, Float32Array]]:
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
    future = _future(fit, known, last, horizon=max(targets), paths=capability_paths, seed=seed)
    past = build_world(_conflicts_only(known), succession=fit.spec.succession)
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


def _conflicts_only(tables: Tables) -> Tables:
    """The tables without treaties and extras: what the record of conflicts needs, and no more."""
    frames = {name: getattr(tables, name).iloc[:0] for name in ("members", "alliances")}
    return replace(tables, **frames, extra={})
