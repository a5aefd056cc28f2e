"""Pareto-smoothed importance sampling for many rows at once.

ArviZ smooths one row at a time; a panel has a hundred thousand. The same estimator, vectorised
over columns (Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25:72; the fit of the
generalised Pareto distribution is that of Zhang and Stephens 2009, Technometrics 51:316).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from forecast.errors import ArgumentError
from forecast.evaluation.inputs import FloatArray

__all__ = ["loo_from_log_likelihood", "smooth_log_weights"]

_FEWEST_DRAWS = 25


def smooth_log_weights(log_ratios: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Normalised, Pareto-smoothed log weights of each column and the shape of its tail.

    Parameters
    ----------
    log_ratios : array_like, shape (draws, n)
        Log importance ratios, up to a constant per column. Draws are taken as independent.

    Returns
    -------
    log_weights : numpy.ndarray, shape (draws, n)
        Columns sum to 1 after exponentiation.
    khat : numpy.ndarray, shape (n,)
        Shape of the tail; infinite where the tail is far from a generalised Pareto
        distribution (all its values the same, for instance), and then not smoothed.

    Raises
    ------
    ArgumentError
        Fewer than 25 draws, or values that are not finite.
    """
    ratios = np.array(log_ratios, dtype=np.float64)  # a copy: the tail is overwritten
    if ratios.ndim != 2 or ratios.shape[0] < _FEWEST_DRAWS:
        raise ArgumentError(
            f"`log_ratios` must have shape (draws, n) with at least {_FEWEST_DRAWS} draws, found "
            f"{ratios.shape}."
        )
    if not np.isfinite(ratios).all():
        raise ArgumentError("`log_ratios` holds values that are not finite.")
    draws = ratios.shape[0]
    tail = int(3.0 * draws**0.5) if draws > 225 else draws // 5
    ratios -= ratios.max(axis=0)
    top = np.argpartition(ratios, draws - tail - 1, axis=0)[draws - tail - 1 :]
    values = np.take_along_axis(ratios, top, axis=0)
    order = np.argsort(values, axis=0)
    places = np.take_along_axis(top, order, axis=0)[1:]
    values = np.exp(np.take_along_axis(values, order, axis=0))
    cutoff, exceeding = values[0], values[1:] - values[0]
    khat, sigma = _fit_pareto(exceeding)
    fitted = np.isfinite(khat)
    k, s = np.where(fitted, khat, 1.0), np.where(fitted, sigma, 1.0)
    log_q = np.log1p(-(np.arange(0.5, tail) / tail))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(np.abs(k) < 1e-12, -log_q, np.expm1(-k * log_q) / k)
    smooth = np.minimum(np.log(cutoff + s * beyond), 0.0)
    raw = np.take_along_axis(ratios, places, axis=0)
    np.put_along_axis(ratios, places, np.where(fitted, smooth, raw), axis=0)
    return ratios - logsumexp(ratios, axis=0), khat


def _fit_pareto(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shape and scale for each column of exceedances, sorted ascending, shape (m, n)."""
    m, n = x.shape
    grid = 30 + int(m**0.5)
    quartile = x[int(m / 4 + 0.5) - 1]
    usable = (quartile > x[0]) & (x[-1] > 0.0)
    khat, sigma = np.full(n, np.inf), np.full(n, np.nan)
    if not usable.any():
        return khat, sigma
    x, quartile = x[:, usable], quartile[usable]
    b = (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5)))[:, None] / (3.0 * quartile)
    b = b + 1.0 / x[-1]
    shape = np.stack([np.log1p(-row * x).mean(axis=0) for row in b])
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = m * (np.log(-b / shape) - shape - 1.0)
    weight = np.where(np.isfinite(weight), weight, -np.inf)
    weight = np.exp(weight - logsumexp(weight, axis=0))
    weight[weight < 10.0 * np.finfo(float).eps] = 0.0
    weight /= weight.sum(axis=0)
    b_mean = (b * weight).sum(axis=0)
    k = np.log1p(-b_mean * x).mean(axis=0)
    sigma[usable] = -k / b_mean
    khat[usable] = (m * k + 5.0) / (m + 10.0)  # weakly informative prior centred at 0.5
    bad = ~(np.isfinite(khat) & (sigma > 0.0))
    khat[bad], sigma[bad] = np.inf, np.nan
    return khat, sigma


def loo_from_log_likelihood(
    log_likelihood: npt.ArrayLike, *, even: float = 2.0
) -> tuple[FloatArray, FloatArray]:
    r"""Leave-one-out log predictive density of each column.

    :math:`\log \sum_s w_s\, p(y \mid \theta_s)` with w the smoothed weights of the ratios
    :math:`1 / p(y \mid \theta_s)`. Where no ratio is more than `even` times their mean there is no
    tail to smooth: the plain estimate (the harmonic mean) is used and its k is -infinity.

    Parameters
    ----------
    log_likelihood : array_like, shape (draws, n)
        Log likelihood of n rows or groups of rows.
    even : float
        Largest ratio over the mean for which smoothing is skipped; 1 never skips.

    Returns
    -------
    elpd : numpy.ndarray, shape (n,)
        Leave-one-out log predictive density.
    khat : numpy.ndarray, shape (n,)
        Pareto shape.
    """
    ll = np.asarray(log_likelihood)
    lowest = ll.min(axis=0)
    relative = np.exp(lowest - ll)  # ratios over the largest, at most 1
    mean = relative.mean(axis=0, dtype=np.float64)
    elpd = lowest.astype(np.float64) - np.log(mean)
    khat = np.full(elpd.shape, -np.inf)
    uneven = mean * even < 1.0
    if uneven.any():
        chosen = ll[:, uneven].astype(np.float64)
        weights, khat[uneven] = smooth_log_weights(-chosen)
        elpd[uneven] = logsumexp(weights + chosen, axis=0)
    return elpd, khat
