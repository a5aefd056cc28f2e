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
from forecast.scenario.dynamics import Allies, Record, Track
from forecast.scenario.future import Future
from forecast.scenario.lookup import lookup
from forecast.scenario.predictor import Frame, Strata, simulated_terms

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["Paths", "simulate_paths"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


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
        Probability that a dispute begins in the year, given the simulated world of the draw at
        the end of the year before.
    hazard : numpy.ndarray, shape (horizon, R, D), float32
        Probability that the pair's first new dispute begins in the year, given that none has
        since the origin and given what the draw's world did to everybody else.
    onsets : numpy.ndarray, shape (horizon, R, D), bool
        Simulated onsets.
    at_risk : numpy.ndarray, shape (horizon, R, D), float32, or None
        Probability, in the draw's world at the end of the year before, that no dispute of the
        pair merely continues in the year; only if it was asked for.
    """

    rows: xr.Dataset
    origin: int
    annual: Float32Array
    hazard: Float32Array
    onsets: npt.NDArray[np.bool_]
    at_risk: Float32Array | None = None

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
    keep_at_risk: bool = False,
) -> Paths:
    """Step all dyads forward year by year, with feedback of simulated onsets.

    Each year: design columns and effects give the log-odds of an onset for a pair at risk; an
    ongoing dispute continues with the share seen in the record, and its pair is then not at
    risk. Onsets enter clocks, counts and allies in dispute of the next year. Two graphs that
    are simulated with one seed share every random number.
    """
    horizon, count = future.X.shape[1], record.a.size
    draws = coefficients.draws
    path = np.arange(draws) % future.X.shape[0]
    ties = allied(future.world)
    years = future.world["year"].to_numpy()
    terms = simulated_terms(fit.encoding)
    strata = coefficients.strata()
    elsewhere = any(code.feature == "ally_in_dispute_elsewhere" for code in terms)

    annual = np.empty((horizon, count, draws), dtype=np.float32)
    hazard = np.empty_like(annual)
    risky = np.empty_like(annual) if keep_at_risk else None
    real, quiet = Track.start(record, draws), Track.start(record, draws)
    ongoing = _Ongoing(record, horizon, draws)
    nothing = np.zeros((count, draws), dtype=bool)
    for h in range(horizon):
        year = record.origin + 1 + h
        beta = coefficients.at(year)
        rows = future.rows.assign_coords(year=("row", np.full(count, year)))
        effects = np.sum(list(coefficients.effects(rows).values()), axis=0, dtype=np.float32)
        now = ties[int(np.searchsorted(years, year - 1))]
        allies = Allies.of(record, now, real.active, elsewhere=elsewhere, first=h == 0)

        def frame(track: Track, h: int = h, allies: Allies = allies) -> Frame:
            """Design columns of every row and draw on a track."""
            values = {code.name: lookup(code, record, track, real, allies) for code in terms}
            return Frame(fit.encoding, future.X[:, h], path, values)

        stays = np.where(real.active, np.where(real.began, *record.continues), 0.0)
        stays = stays.astype(np.float32)
        if risky is not None:
            risky[h] = 1.0 - stays
        log_odds = effects + frame(real).log_odds(beta, strata)
        kernels.probability(log_odds, stays, annual[h])
        alone = frame(quiet)
        log_odds = effects + alone.log_odds(beta, strata)
        kernels.probability(log_odds, nothing.astype(np.float32), hazard[h])
        ongoing.see(h, alone, effects, beta, strata)

        rng = np.random.default_rng(np.random.SeedSequence([seed, 2, h]))
        uniform = rng.random((count, draws), dtype=np.float32)
        continuing = uniform < stays
        real.step(~continuing & (uniform < stays + annual[h]), continuing)
        quiet.step(nothing, nothing)
    hazard[:, ongoing.rows] = ongoing.hazard()
    return Paths(
        rows=future.rows,
        origin=record.origin,
        annual=annual,
        hazard=hazard,
        onsets=np.stack(real.onsets),
        at_risk=risky,
    )


class _Ongoing:
    """First new onset of pairs whose dispute is active at the origin.

    The dispute ends after k more years with a probability from the record, and only then is the
    pair at risk, with j years of peace behind it. Summing over k keeps the probability a smooth
    function of each posterior draw; simulating k would spread it between zero and its value.
    """

    def __init__(self, record: Record, horizon: int, draws: int) -> None:
        self.rows = np.flatnonzero(record.active)
        first, later = record.continues
        stays = np.where(record.began[self.rows], first, later)
        k = np.arange(horizon)[:, None]
        self.ends = np.where(k == 0, 1 - stays, stays * later ** np.maximum(k - 1, 0) * (1 - later))
        # By year h and years of peace j <= h.
        self.onset = np.zeros((horizon, horizon, self.rows.size, draws), dtype=np.float32)

    def see(
        self, h: int, alone: Frame, effects: Float32Array, beta: Float64Array, strata: Strata
    ) -> None:
        """Take the log-odds of year h, with each number j <= h of years of peace."""
        mine = alone.rows(self.rows)
        for j in range(h + 1):
            log_odds = effects[self.rows] + mine.at_peace(j).log_odds(beta, strata)
            self.onset[h, j] = 1.0 / (1.0 + np.exp(-log_odds))

    def hazard(self) -> Float32Array:
        """Hazard of the first new onset by year, (horizon, ongoing rows, D)."""
        horizon = self.onset.shape[0]
        cumulative = np.zeros((horizon + 1, *self.onset.shape[2:]))
        for h in range(1, horizon + 1):
            for k in range(h):
                none = np.prod([1 - self.onset[i, i - k] for i in range(k, h)], axis=0)
                cumulative[h] += self.ends[k][:, None] * (1 - none)
        return (1 - (1 - cumulative[1:]) / (1 - cumulative[:-1])).astype(np.float32)
