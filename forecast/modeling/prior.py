"""What a model believes before it sees an outcome: prior predictive draws through the design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError
from forecast.modeling.density import linear_predictor
from forecast.modeling.design import Design

__all__ = ["PriorDraws", "onset_statistics", "prior_draws", "prior_predictive"]

FloatArray = npt.NDArray[np.float64]

#: Draws of the linear predictor that are held at a time: 25 x 100,000 rows are 20 MB.
_CHUNK = 25


@dataclass(frozen=True, eq=False)
class PriorDraws:
    """Draws of every parameter from its prior.

    Attributes
    ----------
    beta : numpy.ndarray, shape (draws, p)
        Population-level coefficients.
    sigma : dict of str to numpy.ndarray, shape (draws,)
        Scales, by block.
    effects : dict of str to numpy.ndarray, shape (draws, m)
        Effects, by block.
    """

    beta: FloatArray
    sigma: dict[str, FloatArray]
    effects: dict[str, FloatArray]


def prior_draws(design: Design, *, draws: int, seed: int | np.random.SeedSequence) -> PriorDraws:
    """Draws of coefficients, scales and effects from their priors.

    Parameters
    ----------
    design : Design
        Design arrays, which hold the priors.
    draws : int
        Number of draws.
    seed : int or numpy.random.SeedSequence
        Seed.
    """
    if draws < 1:
        raise ArgumentError(f"draws must be at least 1, found {draws}")
    rng = np.random.default_rng(seed)
    beta = rng.normal(design.prior_mean, design.prior_sd, size=(draws, len(design.names)))
    sigma: dict[str, FloatArray] = {}
    effects: dict[str, FloatArray] = {}
    for block in design.blocks:
        scale = np.abs(rng.normal(0.0, block.scale_prior, size=draws))
        z = rng.normal(size=(draws, len(block.levels)))
        sigma[block.name], effects[block.name] = scale, scale[:, None] * block.effects(z)
    return PriorDraws(beta, sigma, effects)


def prior_predictive(
    design: Design, *, draws: int = 200, seed: int | np.random.SeedSequence
) -> xr.Dataset:
    """Simulated outcomes of the rows of a design, summed up as onsets per year and per unit.

    The covariates are those observed: a simulated onset does not enter the next year's history.

    Parameters
    ----------
    design : Design
        Design arrays.
    draws : int
        Number of prior draws.
    seed : int or numpy.random.SeedSequence
        Seed.

    Returns
    -------
    xarray.Dataset
        As `onset_statistics` with dimension ``draw``, and the same of the observed outcome under
        ``observed_<name>``.
    """
    parameters, outcomes = np.random.SeedSequence(_entropy(seed)).spawn(2)
    prior = prior_draws(design, draws=draws, seed=parameters)
    rng = np.random.default_rng(outcomes)
    parts: list[xr.Dataset] = []
    for start in range(0, draws, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        effects = {name: values[chunk] for name, values in prior.effects.items()}
        eta = linear_predictor(design, prior.beta[chunk], effects)
        # logistic noise: y = 1 exactly when a uniform draw is below 1 / (1 + exp(-eta))
        y = eta + rng.logistic(size=eta.shape) > 0.0
        parts.append(onset_statistics(y, design.rows))
    simulated = xr.concat(parts, dim="draw")
    observed = onset_statistics(design.y[None, :] > 0.5, design.rows).isel(draw=0)
    return simulated.assign({f"observed_{name}": value for name, value in observed.items()})


def onset_statistics(y: npt.NDArray[np.bool_], rows: xr.Dataset) -> xr.Dataset:
    """Onsets per year, and shares of dyads (or states) with none and with many.

    Parameters
    ----------
    y : numpy.ndarray, shape (draws, n), bool
        Outcomes.
    rows : xarray.Dataset
        Row coordinates.

    Returns
    -------
    xarray.Dataset
        ``onsets`` (draw, year): number of rows with an onset. ``rate`` (draw): onsets per row.
        ``share_without``, ``share_3_or_more``, ``share_5_or_more`` (draw): shares of the dyads
        (states, in a state-year design) that occur in the rows.
    """
    year, position = np.unique(rows["year"].to_numpy(), return_inverse=True)
    codes = [rows[name].to_numpy() for name in ("ccode", "ccode_a", "ccode_b") if name in rows]
    unit = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].ravel()
    by_year = _sums(y, position, year.size)
    by_unit = _sums(y, unit, int(unit.max()) + 1)
    return xr.Dataset(
        {
            "onsets": (("draw", "year"), by_year),
            "rate": ("draw", y.mean(axis=1)),
            "share_without": ("draw", (by_unit == 0).mean(axis=1)),
            "share_3_or_more": ("draw", (by_unit >= 3).mean(axis=1)),
            "share_5_or_more": ("draw", (by_unit >= 5).mean(axis=1)),
        },
        coords={"year": year},
    )


def _sums(
    y: npt.NDArray[np.bool_], group: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    """Number of true values by draw and group, shape (draws, size)."""
    draw, row = np.nonzero(y)
    counts = np.bincount(draw * size + group[row], minlength=y.shape[0] * size)
    return counts.reshape(y.shape[0], size)


def _entropy(seed: int | np.random.SeedSequence) -> int:
    if isinstance(seed, np.random.SeedSequence):
        return int(seed.generate_state(1, np.uint64)[0])
    return seed
