"""Posterior draws as arrays that a simulation can use year by year, into the future too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.inference.predict import block_effects, new_level, posterior_values

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.blocks import BlockCode, RowBlock

__all__ = ["Coefficients"]

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


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
        self.beta: Float64Array = self._values("beta")
        self.draws = self.beta.shape[0]

    def at(self, year: int) -> Float64Array:
        """Coefficients in force in `year`, common mean plus the era's deviation; (D, p)."""
        beta = self.beta.copy()
        names = self._fit.encoding.names
        for code in self._fit.encoding.blocks:
            if code.name != "slope":
                continue
            era = code.eras[int(code.era_of([year])[0])][0]
            known = {label: i for i, label in enumerate(code.levels)}
            for column in code.columns:
                label = f"{column}|{era}"
                if label in known:
                    deviation = self._values("effect_slope")[:, known[label]]
                else:
                    deviation = self._new("slope", label)
                beta[:, names.index(column)] += deviation
        return beta

    def effects(self, rows: xr.Dataset) -> dict[str, Float64Array]:
        """Effect of each group but the slopes on rows of one year; (rows, D) by group.

        Parameters
        ----------
        rows : xarray.Dataset
            Row coordinates.
        """
        found: dict[str, Float64Array] = {}
        for code, block in self._blocks(rows):
            known, fresh = block_effects(block, self._values, self._seed)
            total = block.matrix @ known.T
            if fresh is not None:
                total = total + block.unknown @ fresh.T
            found[code.name] = total
        return found

    def _blocks(self, rows: xr.Dataset) -> Iterator[tuple[BlockCode, RowBlock]]:
        """Every group but the slopes, whose weights need no design columns."""
        names = self._fit.encoding.names
        empty = np.zeros((rows.sizes["row"], len(names)))
        for code in self._fit.encoding.blocks:
            if code.name != "slope":
                yield code, code.apply(rows, empty, names)

    def new_levels(self, rows: xr.Dataset) -> dict[str, npt.NDArray[np.bool_]]:
        """Rows that use a level which the fit did not see, by group of effects."""
        return {code.name: block.unknown_weight > 0 for code, block in self._blocks(rows)}

    def _new(self, block: str, label: str) -> Float64Array:
        """Fresh draws of one level from Normal(0, sigma_block), shape (D,)."""
        return new_level(self._seed, block, label, self.draws) * self._values(f"sigma_{block}")
