"""Log density of a `Design` in plain numpy: what every sampler must agree with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

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

    log p(y | eta) + sum log Normal(beta | mean, sd) + sum_b [log HalfNormal(sigma_b) +
    log p(f_b | sigma_b)], with f_b iid Normal(0, sigma_b) or a random walk from zero.

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
    z = (coefficients - design.prior_mean) / design.prior_sd
    total += float(-0.5 * (z @ z) - np.log(design.prior_sd).sum() - 0.5 * z.size * _LOG_2PI)
    for block in design.blocks:
        scale, prior = float(sigma[block.name]), block.scale_prior
        total += float(np.log(2.0) - 0.5 * _LOG_2PI - np.log(prior) - 0.5 * (scale / prior) ** 2)
        u = block.increments(np.asarray(effects[block.name], dtype=np.float64)) / scale
        total += float(-0.5 * (u @ u) - u.size * (np.log(scale) + 0.5 * _LOG_2PI))
    return total
