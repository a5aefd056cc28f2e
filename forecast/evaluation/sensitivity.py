"""Power-scaling: how far the posterior moves when prior or likelihood is raised to a power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import norm

from forecast.evaluation.inputs import FloatArray

if TYPE_CHECKING:
    from forecast.evaluation.insample import PosteriorDraws
    from forecast.modeling.design import Design

__all__ = ["SENSITIVE", "power_scaling"]

SENSITIVE = 0.05
"""Sensitivity below which the prior matters little (Kallioinen et al. 2024)."""
_NULLS = 200
_LEAST = 0.1
"""Least variance of E[u|y]: where the data say nothing, 1 - Var(u|y) may be noise or below 0."""


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

    Parameters
    ----------
    design : Design
        Holds the priors.
    posterior : PosteriorDraws
        Draws.
    log_likelihood : numpy.ndarray, shape (draws,)
        Of all rows, for each draw.
    seed : int
        Seed of the parameters that have nothing to do with the prior.
    rate : float
        At which a model that is true, priors included, has any conflict.

    Returns
    -------
    pandas.DataFrame
        ``parameter``, posterior ``mean`` and ``sd``, ``prior`` and ``likelihood`` sensitivity,
        ``limit`` of the prior's, ``left`` (Var(u|y): the share of the prior's variance that the
        data have left), ``z`` and its ``z_limit``, and for parameters that are sensitive to the
        prior a ``diagnosis``: "prior-data conflict" when z is beyond its limit, "weak likelihood"
        when half of the variance is left, otherwise "informative prior".
    """
    from arviz_stats.psense import psense

    # the top-level priors; p(effect | sigma) is part of the model, not of the prior
    log_prior = -0.5 * (((posterior.beta - design.prior_mean) / design.prior_sd) ** 2).sum(axis=1)
    for block in design.blocks:
        log_prior -= 0.5 * (posterior.sigma[block.name] / block.scale_prior) ** 2
    values = np.column_stack([posterior.beta, *posterior.sigma.values()])
    names = [*design.names, *(f"sigma_{name}" for name in posterior.sigma)]
    count = len(names)
    # importance resampling repeats draws: the same draw, the same value
    distinct, which, copies = np.unique(
        posterior.beta, axis=0, return_inverse=True, return_counts=True
    )
    noise = np.random.default_rng(seed).normal(size=(len(distinct), _NULLS))[which.ravel()]
    sample = ("chain", "draw")
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {"value": ((*sample, "parameter"), np.column_stack([values, noise])[None])}
            ),
            "log_prior": xr.Dataset({"total": ((*sample, "part"), log_prior[None, :, None])}),
            "log_likelihood": xr.Dataset(
                {"total": ((*sample, "part"), log_likelihood[None, :, None])}
            ),
        }
    )
    found = {g: psense(tree, group=g)["value"].to_numpy() for g in ("prior", "likelihood")}  # type: ignore[no-untyped-call]
    unrelated = found["prior"][count:]
    # the largest of `count`, by the normal tail: a few hundred do not reach that far
    beyond = norm.isf(rate / count)
    limit = max(SENSITIVE, float(unrelated.mean() + beyond * unrelated.std()))
    prior, likelihood = found["prior"][:count], found["likelihood"][:count]
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
            "parameter": names,
            "mean": values.mean(axis=0),
            "sd": values.std(axis=0),
            "prior": prior,
            "likelihood": likelihood,
            "limit": limit,
            "left": left,
            "z": z,
            "z_limit": z_limit,
            "diagnosis": diagnosis,
        }
    )


def _distance(
    design: Design, posterior: PosteriorDraws, *, draws: float
) -> tuple[FloatArray, FloatArray]:
    """Var(u|y), and distance of E[u|y] from the prior, standard normal if the model is true."""
    scores = [(posterior.beta - design.prior_mean) / design.prior_sd]
    for block in design.blocks:
        # upper tail of the half-normal, without loss of digits far out
        tail = np.maximum(2.0 * norm.sf(posterior.sigma[block.name] / block.scale_prior), 1e-300)
        scores.append(norm.isf(tail)[:, None])
    u = np.concatenate(scores, axis=1)
    variance = u.var(axis=0)
    error = variance / draws
    z: FloatArray = u.mean(axis=0) / np.sqrt(np.maximum(1.0 - variance, _LEAST) + error)
    return variance, z
