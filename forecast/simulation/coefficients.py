"""Posterior draws as arrays that a simulation can use year by year, into the future too."""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.inference.predict import memberships, new_level, posterior_values, predictor

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.blocks import BlockCode, RowBlock

__all__ = ["Coefficients"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


#: Groups whose effect on a pair differs between years.
_OF_YEARS = frozenset({"era", "year"})


class Coefficients:
    """Draws of the coefficients and effects of a fit.

    Levels that the fit did not see (a new dyad, a walk step after the last) are drawn from
    their population distribution, once per level and posterior draw: the same numbers in every
    year and in every scenario of one seed.

    Parameters
    ----------
    fit : Fit
        Posterior.
    draws : int or None
        Number of posterior draws D, evenly spaced over all; None for all.
    seed : int
        Seed of the new levels.
    """

    def __init__(self, fit: Fit, *, draws: int | None, seed: int) -> None:
        self._values = cache(posterior_values(fit, draws))
        self._fit = fit
        self._seed = seed
        self._pairs = b""
        self._lasting: dict[str, Float32Array] = {}
        self.beta: Float64Array = self._values("beta")
        self.draws = self.beta.shape[0]

    def at(self, year: int) -> Float64Array:
        """Coefficients in force in `year`; (D, p).

        Common mean plus the deviations of the era and of the step of a walk; those of strata,
        which differ between rows, are `strata`.
        """
        beta = self.beta.copy()
        names = self._fit.encoding.names
        for code in self._fit.encoding.blocks:
            if not code.is_slope or code.by:
                continue
            for column in code.columns:
                if code.structure == "random_walk":
                    deviation = self._walk(code, column, int(code.step_of([year])[0]))
                else:
                    era = code.eras[int(code.era_of([year])[0])][0]
                    deviation = self._level(code, f"{column}|{era}")
                beta[:, names.index(column)] += deviation
        return beta

    def strata(self) -> dict[str, dict[int, Float64Array]]:
        """Deviations of the coefficients by group of slopes and stratum, each (D, p)."""
        names = self._fit.encoding.names
        found: dict[str, dict[int, Float64Array]] = {}
        for code in self._fit.encoding.blocks:
            if not code.by:
                continue
            found[code.name] = {}
            for number in range(1 << len(code.by)):
                deviation = np.zeros_like(self.beta)
                for column in code.columns:
                    label = f"{column}|{code.part_label(number)}"
                    deviation[:, names.index(column)] = self._level(code, label)
                found[code.name][number] = deviation
        return found

    def _level(self, code: BlockCode, label: str) -> Float64Array:
        """Effect of one level, as drawn or, if the fit did not see it, new; (D,)."""
        if label in code.levels:
            return self._values(f"effect_{code.name}")[:, code.levels.index(label)]
        return self._new(code.name, label)

    def _walk(self, code: BlockCode, column: str, step: int) -> Float64Array:
        """A walking slope in a step, which may lie after the last of the fit; (D,)."""
        last = int(code.levels[-1].rpartition("|")[2])
        value = self._level(code, f"{column}|{min(step, last)}")
        for ahead in range(last + code.step, step + 1, code.step):
            value = value + self._new(code.name, f"{column}|{ahead}")
        return value

    def effects(self, rows: xr.Dataset) -> dict[str, Float32Array]:
        """Effect of each group but the slopes on rows of one year; (rows, D) by group.

        Those of states and pairs are the same in every year and world, and are made once.
        """
        pairs = b"".join(rows[name].to_numpy().tobytes() for name in ("ccode_a", "ccode_b"))
        if pairs != self._pairs:
            self._pairs, self._lasting = pairs, {}
        found = dict(self._lasting)
        for code, block in self._blocks(rows, without=found):
            groups = memberships(block, self._values, self._seed)
            found[code.name] = predictor(*groups).astype(np.float32)
            if code.name not in _OF_YEARS:
                self._lasting[code.name] = found[code.name]
        return found

    def _blocks(
        self, rows: xr.Dataset, without: Container[str] = ()
    ) -> Iterator[tuple[BlockCode, RowBlock]]:
        """Every group but the slopes, whose weights need no design columns."""
        names = self._fit.encoding.names
        empty = np.zeros((rows.sizes["row"], len(names)))
        for code in self._fit.encoding.blocks:
            if not code.is_slope and code.name not in without:
                yield code, code.apply(rows, empty, names)

    def new_levels(self, rows: xr.Dataset) -> dict[str, npt.NDArray[np.bool_]]:
        """Rows that use a level which the fit did not see, by group; years to come always are."""
        return {
            code.name: block.unknown_weight > 0
            for code, block in self._blocks(rows)
            if code.name != "year"
        }

    def _new(self, block: str, label: str) -> Float64Array:
        """Fresh draws of one level from Normal(0, sigma_block), shape (D,)."""
        return new_level(self._seed, block, label, self.draws) * self._values(f"sigma_{block}")
