"""Simulation of the years ahead: risks, onsets, and their feedback, for all dyads and draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features.arrays import allied
from forecast.scenario import kernels
from forecast.scenario.coefficients import Coefficients
from forecast.scenario.dynamics import SIMULATED, Allies, Record, Track, lookup
from forecast.scenario.future import Future

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["Paths", "simulate_paths"]

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Paths:
    """Simulated risks of one alliance graph.

    Attributes
    ----------
    rows : xarray.Dataset
        The R dyads.
    origin : int
        Last year of the record; entry h of the first axis is the year ``origin + 1 + h``.
    annual : numpy.ndarray, shape (horizon, R, D), float32
        Probability of an onset in the year, given the simulated world of the draw (0 while a
        dispute of the pair continues).
    hazard : numpy.ndarray, shape (horizon, R, D), float32
        The same on the path on which the pair itself has had no new onset since the origin.
    onsets : numpy.ndarray, shape (horizon, R, D), bool
        Simulated onsets.
    """

    rows: xr.Dataset
    origin: int
    annual: Float32Array
    hazard: Float32Array
    onsets: npt.NDArray[np.bool_]

    def cumulative(self) -> Float32Array:
        """Probability of at least one onset within the first h years, (horizon, R, D).

        1 − Π (1 − hazard): per posterior draw and simulated world, free of the noise of
        counting the pair's own simulated onsets (Rao–Blackwell).
        """
        with np.errstate(divide="ignore"):
            survival = np.cumsum(np.log1p(-self.hazard), axis=0, dtype=np.float32)
        return -np.expm1(survival)


def simulate_paths(
    fit: Fit,
    future: Future,
    record: Record,
    coefficients: Coefficients,
    *,
    seed: int,
) -> Paths:
    """Step all dyads forward year by year, with feedback of simulated onsets.

    Each year: design columns and effects give the log-odds; an ongoing dispute continues with
    the share observed in the record, and its pair is then not at risk; everybody else draws an
    onset. Onsets enter clocks, counts and allies in dispute of the next year. Two graphs that
    are simulated with one seed share every random number.
    """
    horizon, count = future.X.shape[1], record.a.size
    draws = coefficients.draws
    path = np.arange(draws) % future.X.shape[0]
    terms = [code for code in fit.encoding.terms if code.feature in SIMULATED]
    slices = fit.encoding.term_slices
    elsewhere = any(code.feature == "ally_in_dispute_elsewhere" for code in terms)
    ties = allied(future.world)
    years = future.world["year"].to_numpy()

    annual = np.empty((horizon, count, draws), dtype=np.float32)
    hazard = np.empty_like(annual)
    real = Track.start(record, draws)
    quiet = Track.start(record, draws)
    no_onset = np.zeros((count, draws), dtype=bool)
    for h in range(horizon):
        year = record.origin + 1 + h
        rng = np.random.default_rng(np.random.SeedSequence([seed, 2, h]))
        beta = coefficients.at(year)
        rows = future.rows.assign_coords(year=("row", np.full(count, year)))
        base = np.sum(list(coefficients.effects(rows).values()), axis=0, dtype=np.float32)
        for k in range(future.X.shape[0]):
            chosen = path == k
            base[:, chosen] += future.X[k, h] @ beta[chosen].T.astype(np.float32)
        now = ties[int(np.searchsorted(years, year - 1))]
        allies = Allies.of(record, now, real.active, elsewhere=elsewhere, first=h == 0)
        uniform = rng.random((count, draws), dtype=np.float32)
        stays = rng.random((count, draws), dtype=np.float32)
        steps = []
        for track, out in ((real, annual), (quiet, hazard)):
            log_odds = base.copy()
            for code in terms:
                index, raw = lookup(code, record, track, real, allies)
                table = fit.encoding.columns(code.name, raw) @ beta[:, slices[code.name]].T
                kernels.add_lookup(log_odds, index, np.ascontiguousarray(table, dtype=np.float32))
            continuing = track.active & (
                stays < np.where(track.began, *record.continues).astype(np.float32)
            )
            kernels.probability(log_odds, continuing, out[h])
            steps.append((track, uniform < out[h] if track is real else no_onset, continuing))
        for track, onset, continuing in steps:
            track.step(onset, continuing)
    return Paths(
        rows=future.rows,
        origin=record.origin,
        annual=annual,
        hazard=hazard,
        onsets=np.stack(real.onsets),
    )
