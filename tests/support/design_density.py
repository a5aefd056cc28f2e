"""Log density of a `Design` in plain numpy: what every sampler must agree with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from forecast.inference.predict import design_predictor
from forecast.modeling.design import Design

FloatArray = npt.NDArray[np.float64]
_LOG_2PI = float(np.log(2.0 * np.pi))


def design_logp(
    design: Design,
    beta: npt.ArrayLike,
    sigma: Mapping[str, float],
    effects: Mapping[str, npt.ArrayLike],
) -> float:
    """Joint log density of outcome, coefficients, scales and (centred) effects.

    log p(y | eta) + sum log p(beta) + sum_b [log p(sigma_b) + log p(f_b | sigma_b)], with f_b iid
    Normal(0, sigma_b) or a random walk from zero; densities of priors are those of scipy.

    Parameters
    ----------
    design : Design
        Design of n rows, p columns.
    beta : array_like, shape (p,)
        Population-level coefficients.
    sigma : mapping of str to float
        Scale of each block, > 0.
    effects : mapping of str to array_like, shape (m,)
        Effects of each block on their own scale.

    Returns
    -------
    float
    """
    coefficients = np.asarray(beta, dtype=np.float64)
    eta = design_predictor(design, coefficients, effects)
    # log p(y | eta) = y eta - log(1 + exp(eta)), without overflow on either side
    total = float(design.y @ eta - np.logaddexp(0.0, eta).sum())
    for j, (value, mean, sd) in enumerate(
        zip(coefficients, design.prior_mean, design.prior_sd, strict=True)
    ):
        tail = design.tails.get(j)
        if tail is None:
            total += float(st.norm.logpdf(value, mean, sd))
        elif tail.form == "laplace":
            total += float(st.laplace.logpdf(value, mean, sd))
        else:
            total += float(st.t.logpdf(value, tail.df, mean, sd))
    for block in design.blocks:
        scale, prior = float(sigma[block.name]), block.scale_prior
        if prior.form == "half_normal":
            total += float(st.halfnorm.logpdf(scale, scale=prior.scale))
        elif prior.form == "half_t":
            total += float(np.log(2.0) + st.t.logpdf(scale, prior.df, scale=prior.scale))
        else:
            assert prior.form == "exponential"
            total += float(st.expon.logpdf(scale, scale=prior.scale))
        u = block.increments(np.asarray(effects[block.name], dtype=np.float64)) / scale
        total += float(-0.5 * (u @ u) - u.size * (np.log(scale) + 0.5 * _LOG_2PI))
    return total
