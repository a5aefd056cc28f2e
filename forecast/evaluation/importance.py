"""Importance sampling with the draws of a fit: leaving rows out, and power-scaling its priors.

ArviZ smooths one row at a time; a panel has a hundred thousand. Here the same estimator is
vectorised over columns (Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25:72; the fit of the
generalised Pareto distribution is that of Zhang and Stephens 2009, Technometrics 51:316).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import norm

from forecast.errors import ArgumentError
from forecast.evaluation.scores import FloatArray
from forecast.inference.row_likelihood import log_prior

if TYPE_CHECKING:
    from forecast.inference.row_likelihood import PosteriorDraws
    from forecast.modeling.design import Design

__all__ = ["SENSITIVE", "loo_from_log_likelihood", "power_scaling", "smooth_log_weights"]

SENSITIVE = 0.05
"""Sensitivity below which the prior matters little (Kallioinen et al. 2024)."""
_NULLS = 200
_LEAST = 0.1
"""Least variance of E[u|y]: where the data say nothing, 1 - Var(u|y) may be noise or below 0."""
_FEWEST_DRAWS = 25


def smooth_log_weights(log_ratios: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Normalised, Pareto-smoothed log weights of each column, (draws, n), and its tail's shape.

    `log_ratios` are up to a constant per column, their draws (at least 25) taken as independent.
    The shape k is infinite where the tail is far from a generalised Pareto distribution (all its
    values the same, for instance), and then it is not smoothed.
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
    tail to smooth: the plain estimate (the harmonic mean) is used and its k is -infinity. Given
    the log likelihood of n rows or groups of rows, (draws, n); back come density and k, both (n,).
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


def power_scaling(
    design: Design,
    posterior: PosteriorDraws,
    log_likelihood: FloatArray,
    *,
    seed: int,
    rate: float = 0.05,
) -> pd.DataFrame:
    r"""Sensitivity of every coefficient and scale to the prior and to the likelihood.

    The cumulative Jensen-Shannon distance between posterior and power-scaled posterior, per
    doubling of the power, by importance sampling (Kallioinen, Paananen, Bürkner and Vehtari 2024,
    Statistics and Computing 34:57). Of few draws it is above 0 whatever the prior: the limit is
    the larger of `SENSITIVE` and what the largest of as many parameters that have nothing to do
    with the prior would reach at `rate`. That of the likelihood is mostly such noise: a thousand
    draws do not carry its power of 1.25; it is told, and nothing is judged by it.

    Sensitive to its prior is every parameter on which the data do not say much more, which is no
    conflict. That is judged by how far the posterior lies from the prior: with u the parameter's
    standard normal score under its prior, the model implies
    :math:`\operatorname{Var}(E[u|y]) = 1 - E[\operatorname{Var}(u|y)]`, so that
    :math:`z = E[u|y] / \sqrt{1 - \operatorname{Var}(u|y)}` is about standard normal (Evans and
    Moshonov 2006, Bayesian Analysis 1:893, in its Gaussian form). Its limit allows for the number
    of parameters (Bonferroni), and the denominator for the Monte Carlo error of the mean.

    Columns: ``parameter``, posterior ``mean`` and ``sd``, ``prior`` and ``likelihood``
    sensitivity, ``limit`` of the prior's, ``left`` (Var(u|y): the share of the prior's variance
    that the data have left), ``z`` and its ``z_limit``, and for parameters that are sensitive to
    the prior a ``diagnosis``: "prior-data conflict" when z is beyond its limit, "weak likelihood"
    when half of the variance is left, otherwise "informative prior".
    """
    values = np.column_stack([posterior.beta, *posterior.sigma.values()])
    count = values.shape[1]
    # importance resampling repeats draws: the same draw, the same value
    distinct, which, copies = np.unique(
        posterior.beta, axis=0, return_inverse=True, return_counts=True
    )
    noise = np.random.default_rng(seed).normal(size=(len(distinct), _NULLS))[which.ravel()]
    every = np.column_stack([values, noise])
    densities = log_prior(design, posterior).values()
    prior_density = np.sum([d.reshape(len(values), -1).sum(axis=1) for d in densities], axis=0)
    found = _scaled(every, prior_density, log_likelihood)
    unrelated = found["prior"][count:]
    # the largest of `count`, by the normal tail: a few hundred do not reach that far
    beyond = norm.isf(rate / count)
    limit = max(SENSITIVE, float(unrelated.mean() + beyond * unrelated.std()))
    prior = found["prior"][:count]
    effective = values.shape[0] ** 2 / float((copies**2).sum())
    left, z = _distance(design, posterior, draws=effective)
    z_limit = float(norm.isf(rate / (2.0 * count)))
    sensitive = prior >= limit
    diagnosis = np.select(
        [sensitive & (np.abs(z) > z_limit), sensitive & (left >= 0.5), sensitive],
        ["prior-data conflict", "weak likelihood", "informative prior"],
        default="",
    )
    return pd.DataFrame(
        {
            "parameter": [*design.names, *(f"sigma_{name}" for name in posterior.sigma)],
            "mean": values.mean(axis=0),
            "sd": values.std(axis=0),
            "prior": prior,
            "likelihood": found["likelihood"][:count],
            "limit": limit,
            "left": left,
            "z": z,
            "z_limit": z_limit,
            "diagnosis": diagnosis,
        }
    )


def _scaled(
    values: FloatArray, log_prior: FloatArray, log_likelihood: FloatArray
) -> dict[str, FloatArray]:
    """Sensitivity of each column to the power of the prior and of the likelihood."""
    from arviz_stats.psense import psense

    sample = ("chain", "draw")
    parts = {"log_prior": log_prior, "log_likelihood": log_likelihood}
    groups = {n: xr.Dataset({"total": ((*sample, "part"), p[None, :, None])})
              for n, p in parts.items()}  # fmt: skip
    of = xr.Dataset({"value": ((*sample, "parameter"), values[None])})
    tree = xr.DataTree.from_dict({"posterior": of, **groups})
    return {g: psense(tree, group=g)["value"].to_numpy() for g in ("prior", "likelihood")}  # type: ignore[no-untyped-call]


def _distance(
    design: Design, posterior: PosteriorDraws, *, draws: float
) -> tuple[FloatArray, FloatArray]:
    """Var(u|y), and distance of E[u|y] from the prior, standard normal if the model is true."""
    scores = [(posterior.beta - design.prior_mean) / design.prior_sd]
    for j, tail in design.tails.items():
        scores[0][:, j] = tail.normal_score(scores[0][:, j])
    for block in design.blocks:
        beyond = np.maximum(block.scale_prior.upper(posterior.sigma[block.name]), 1e-300)
        scores.append(norm.isf(beyond)[:, None])
    u = np.concatenate(scores, axis=1)
    variance = u.var(axis=0)
    error = variance / draws
    z: FloatArray = u.mean(axis=0) / np.sqrt(np.maximum(1.0 - variance, _LEAST) + error)
    return variance, z
