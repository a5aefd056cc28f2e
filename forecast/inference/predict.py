"""Predictions from posterior draws: known effects as drawn, new ones from their population."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.draws import generator
from forecast.errors import ArgumentError
from forecast.modeling.blocks import RowBlock
from forecast.modeling.encoding import Rows
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["block_effects", "linear_predictor", "new_level", "posterior_values", "predict"]

FloatArray = npt.NDArray[np.float64]
_CHUNK = 4096


def linear_predictor(
    fit: Fit, rows: Panel | Rows | xr.Dataset, *, draws: int | None = None, seed: int | None = None
) -> xr.DataArray:
    """Logit of the probability of each row under every posterior draw.

    Parameters
    ----------
    fit : Fit
        Posterior.
    rows : Panel, Rows or xarray.Dataset
        Rows to predict; anything but `Rows` is encoded as at the fit.
    draws : int, optional
        Number of posterior draws, evenly spaced over all of them; all by default.
    seed : int, optional
        Seed of the effects of new levels; that of the fit by default. A new level has the same
        draws in every call with the same seed and number of draws, and in the scenario engine.

    Returns
    -------
    xarray.DataArray, dims (draw, row), float32
        Coordinates of the rows. Attributes: ``rows_with_new_levels``, the number of rows by
        group of effects that used a level which the fit did not see; ``new_levels``, how many
        such levels; ``kept``, positions of the rows in what was given.

    Notes
    -----
    A new state, dyad or treaty is drawn from Normal(0, sigma) of its group, once per posterior
    draw and shared by all its rows. A year after the last step of the era walk continues it:
    one path per draw, f_{l+1} = f_l + Normal(0, sigma).
    """
    rows = rows if isinstance(rows, Rows) else fit.encoding.apply(rows)
    posterior = fit.posterior["posterior"]
    if tuple(rows.names) != tuple(str(name) for name in posterior["term"].to_numpy()):
        raise ArgumentError(
            f"The rows have the columns {list(rows.names)}, the fit "
            f"{posterior['term'].to_numpy().tolist()}: they were encoded for another model."
        )
    values = posterior_values(fit, draws)
    seed = fit.seed if seed is None else seed
    beta = values("beta")
    effects = [block_effects(block, values, seed) for block in rows.blocks]
    n = rows.X.shape[0]
    out = np.empty((beta.shape[0], n), dtype=np.float32)
    for first in range(0, n, _CHUNK):
        part = slice(first, min(first + _CHUNK, n))
        eta = rows.X[part] @ beta.T
        for block, (known, fresh) in zip(rows.blocks, effects, strict=True):
            eta += block.matrix[part] @ known.T
            if fresh is not None:
                eta += block.unknown[part] @ fresh.T
        out[:, part] = eta.T
    return xr.DataArray(
        out,
        dims=("draw", "row"),
        coords={name: coord for name, coord in rows.rows.coords.items() if coord.dims == ("row",)},
        name="linear_predictor",
        attrs={
            "rows_with_new_levels": {
                block.name: int((block.unknown_weight > 0).sum()) for block in rows.blocks
            },
            "new_levels": {block.name: len(block.unknown_levels) for block in rows.blocks},
            "kept": rows.kept,
        },
    )


def predict(
    fit: Fit, rows: Panel | Rows | xr.Dataset, *, draws: int | None = None, seed: int | None = None
) -> xr.DataArray:
    """Probability of an onset in each row under every posterior draw.

    The mean over ``draw`` is the forecast; the spread is what is not known about parameters,
    new levels and the era to come, not the spread of the outcome.

    Parameters
    ----------
    fit, rows, draws, seed
        See `linear_predictor`.

    Returns
    -------
    xarray.DataArray, dims (draw, row), float32
        In [0, 1]; coordinates and attributes as of `linear_predictor`.
    """
    eta = linear_predictor(fit, rows, draws=draws, seed=seed)
    values = eta.to_numpy()
    # In place: the array may hold hundreds of megabytes.
    np.negative(values, out=values)
    with np.errstate(over="ignore"):
        np.exp(values, out=values)
    values += 1.0
    np.reciprocal(values, out=values)
    return eta.rename("probability")


def new_level(seed: int, block: str, label: str, draws: int) -> FloatArray:
    """Standard normal draws of a level that the fit did not see, shape (draws,).

    They depend on the seed and the label only, not on which other levels are new.
    """
    key = zlib.crc32(f"{block}|{label}".encode())
    return generator(seed, key).standard_normal(draws)


def posterior_values(fit: Fit, draws: int | None) -> Callable[[str], FloatArray]:
    """Reader of the draws of a variable of the posterior, shape (draws, …).

    Parameters
    ----------
    fit : Fit
        Posterior.
    draws : int or None
        Number of draws, evenly spaced over all; None for all.

    Raises
    ------
    ArgumentError
        More draws than the fit has, or none.
    """
    posterior = fit.posterior["posterior"].to_dataset()
    available = posterior.sizes["chain"] * posterior.sizes["draw"]
    if draws is not None and not 1 <= draws <= available:
        raise ArgumentError(f"draws={draws}: the fit has {available}; expected 1-{available}.")
    chosen = np.linspace(0, available - 1, draws or available).round().astype(np.int64)

    def values(name: str) -> FloatArray:
        array = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return np.asarray(array.reshape(available, *array.shape[2:])[chosen], dtype=np.float64)

    return values


def block_effects(
    block: RowBlock, values: Callable[[str], FloatArray], seed: int
) -> tuple[FloatArray, FloatArray | None]:
    """Draws of the known effects (draws, m) and of the new ones (draws, k) of a group."""
    known: FloatArray = values(f"effect_{block.name}")
    if not block.unknown_levels:
        return known, None
    sigma: FloatArray = values(f"sigma_{block.name}")
    fresh = np.column_stack(
        [new_level(seed, block.name, label, sigma.size) * sigma for label in block.unknown_levels]
    )
    if block.structure == "random_walk":
        # Each walk goes on from where it was at its last step.
        draws, chains = len(known), block.chains
        last = known.reshape(draws, chains, -1)[:, :, -1:]
        ahead = last + np.cumsum(fresh.reshape(draws, chains, -1), axis=2)
        fresh = ahead.reshape(draws, -1)
    return known, fresh
