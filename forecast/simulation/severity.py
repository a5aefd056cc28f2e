"""How bad a dispute becomes, given that it begins: draws of the ladder of deaths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.special
import xarray as xr

from forecast.draws import Stream, generator
from forecast.errors import ArgumentError, DataError
from forecast.inference.fit import Fit, fit
from forecast.inference.predict import predictor
from forecast.simulation import kernels
from forecast.simulation.coefficients import Coefficients
from forecast.simulation.levels import LEVELS, Level
from forecast.simulation.severity_rows import (
    model_columns,
    recent_log_odds,
    severity_history,
    severity_panel,
    steps_of,
)

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = ["Severity"]

_LEAST_DRAWS = 100
_FEW = 256
#: Part of the slopes by level (bits of beyond_fatal and beyond_25) of each level that is left.
_PARTS = (0, 1, 3)

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Pairs = npt.NDArray[np.integer]


class Severity:
    """Draws of how bad a dispute becomes that begins between two states.

    Parameters
    ----------
    tables : Tables
        The data set.
    origin : int
        Last year that is known.
    draws : int
        Number of posterior draws D.
    seed : int

    Attributes
    ----------
    unrecorded : tuple of str
        Levels of which the data say of no dispute whether it came to them.

    Notes
    -----
    Where there is nothing to fit, since every dispute of the record came to the next level or none
    did, the draws are those of one share for each level (Jeffreys).
    """

    def __init__(self, tables: Tables, *, origin: int, draws: int, seed: int) -> None:
        self.tables, self.origin, self.draws = tables, origin, draws
        self._years: dict[int, tuple[list[Float32Array], Float32Array]] = {}
        panel = severity_panel(tables, last=origin)
        year, level, outcome = (panel.data[n].to_numpy() for n in ("year", "level", "outcome"))
        self._recent = recent_log_odds(year, level, outcome, before=origin + 1)
        rng = generator(seed, Stream.SEVERITY)
        rose, stayed = (np.bincount(level[outcome == value], minlength=3) for value in (1.0, 0.0))
        told = (rose + stayed > 0).tolist()
        # A level above one that nothing is known of is not known either.
        first = told.index(False) if False in told else len(told)
        self.unrecorded: tuple[str, ...] = tuple(LEVELS)[1 + first :]
        shares = rng.beta(rose[:, None] + 0.5, stayed[:, None] + 0.5, (3, draws))
        self._shares = shares.astype(np.float32)
        try:
            self.fit: Fit | None = fit("severity", panel, seed=seed, draws=max(draws, _LEAST_DRAWS))
        except DataError:
            self.fit = None
            return
        self._coefficients = Coefficients(self.fit, draws=draws, seed=seed)

    def require(self, level: Level) -> None:
        """Raise if the data do not record a level.

        Raises
        ------
        ArgumentError
            Says what is missing.
        """
        if level in self.unrecorded:
            cover = self.tables.coverage["conflicts"]
            raise ArgumentError(
                f"severity={level!r}: the conflicts of these data ({cover.source} {cover.version})"
                f" say of no dispute whether it came to this level (deaths_class). Recorded:"
                f" {', '.join(name for name in LEVELS if name not in self.unrecorded)}."
            )

    def columns(
        self, pairs: Pairs, *, tables: Tables | None = None, year: int | None = None
    ) -> Float64Array:
        """Design columns of disputes that begin between pairs.

        Parameters
        ----------
        pairs : numpy.ndarray, shape (n, 2)
            COW numbers, smaller first.
        tables : Tables, optional
            What is known before `year`, where that is more than the fit learnt from.
        year : int, optional
            In which they begin; that after the origin by default.

        Returns
        -------
        numpy.ndarray, shape (3, n, p)
            By level that is left; no columns where there is no fit.
        """
        n = len(pairs)
        if self.fit is None:
            return np.empty((3, n, 0))
        year = self.origin + 1 if year is None else year
        recent = self._recent
        if tables is not None:
            recent = steps_of(tables, year - 1).recent(year)
        history = severity_history(tables or self.tables, pairs, year)
        level = np.repeat(np.arange(3), n)
        tiled = {name: np.tile(values, 3) for name, values in history.items()}
        rows = xr.Dataset(
            model_columns(level, recent[level], tiled),
            coords={
                "year": ("row", np.full(3 * n, year)),
                "ccode_a": ("row", np.tile(pairs[:, 0], 3)),
                "ccode_b": ("row", np.tile(pairs[:, 1], 3)),
            },
        )
        columns: Float64Array = self.fit.encoding.apply(rows).X
        return columns.reshape(3, n, -1)

    def given_onset(self, columns: Float64Array, year: int, *, levels: int = 3) -> Float32Array:
        """Probability that a dispute comes to each level, given that it begins in `year`.

        Parameters
        ----------
        columns : numpy.ndarray, shape (3, n, p)
            As `columns` gives them: the pairs as they are at the origin.
        year : int
            After the origin; the level drifts on, and what is not known of it grows.
        levels : int
            How many, from the lowest up.

        Returns
        -------
        numpy.ndarray, shape (levels, n, D), float32
            Fatal, deaths_25, deaths_1000; each at most the one before, draw by draw.
        """
        if self.fit is None:
            shape = (levels, columns.shape[1], self.draws)
            passed = np.broadcast_to(self._shares[:levels, None], shape)
            return np.cumprod(passed, axis=0)
        beta, shift = self._in_force(year)
        steps = np.empty((levels, columns.shape[1], self.draws), dtype=np.float32)
        for number in range(levels):
            log_odds = predictor((columns[number].astype(np.float32), beta[number]))
            log_odds += shift
            if len(log_odds) < _FEW:  # threads would take longer to start
                scipy.special.expit(log_odds, out=steps[number])
            else:
                kernels.probability(log_odds, steps[number])
        for number in range(1, levels):
            steps[number] *= steps[number - 1]
        return steps

    def at_level(self, level: Level, rows: xr.Dataset, horizon: int) -> Float32Array:
        """Probability that an onset of a year ahead comes to a level; (horizon, R, D), float32.

        Parameters
        ----------
        level : str
            Above ``"onset"``.
        rows : xarray.Dataset
            Coordinates ``ccode_a`` and ``ccode_b`` of the R pairs.
        horizon : int
        """
        pairs = np.stack([rows[name].to_numpy() for name in ("ccode_a", "ccode_b")], axis=1)
        columns, levels = self.columns(pairs), tuple(LEVELS).index(level)
        years = range(self.origin + 1, self.origin + 1 + horizon)
        return np.stack([self.given_onset(columns, y, levels=levels)[-1] for y in years])

    def _in_force(self, year: int) -> tuple[list[Float32Array], Float32Array]:
        """Coefficients of each level, (D, p), and what all disputes of a year share, (D,)."""
        if year not in self._years:
            assert self.fit is not None
            strata = self._coefficients.strata().values()
            common = self._coefficients.at(year)
            # Binary terms are parts in their order: none, the first, both.
            beta = [
                (common + sum(parts[number] for parts in strata)).astype(np.float32)
                for number in _PARTS
            ]
            # No group is of pairs: any will do.
            row = {"year": [year], "ccode_a": [0], "ccode_b": [0]}
            one = xr.Dataset(coords={name: ("row", value) for name, value in row.items()})
            effects = self._coefficients.effects(one)
            shift = np.asarray(sum(effect[0] for effect in effects.values()), dtype=np.float32)
            self._years[year] = beta, shift
        return self._years[year]
