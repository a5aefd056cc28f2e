"""Power-scaling: how far the posterior moves when prior or likelihood is raised to a power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from forecast.evaluation.inputs import FloatArray

if TYPE_CHECKING:
    from forecast.evaluation.insample import PosteriorDraws
    from forecast.modeling.design import Design

__all__ = ["SENSITIVE", "power_scaling"]

SENSITIVE = 0.05
"""Sensitivity above which the posterior follows the prior (Kallioinen et al. 2024)."""


def power_scaling(
    design: Design, posterior: PosteriorDraws, log_likelihood: FloatArray
) -> pd.DataFrame:
    """Sensitivity of every coefficient and scale to the prior and to the likelihood.

    The cumulative Jensen-Shannon distance between posterior and power-scaled posterior, per
    doubling of the power, by importance sampling (Kallioinen, Paananen, Bürkner and Vehtari 2024,
    Statistics and Computing 34:57).

    Parameters
    ----------
    design : Design
        Holds the priors.
    posterior : PosteriorDraws
        Draws.
    log_likelihood : numpy.ndarray, shape (draws,)
        Of all rows, for each draw.

    Returns
    -------
    pandas.DataFrame
        ``parameter``, posterior ``mean`` and ``sd``, ``prior`` and ``likelihood`` sensitivity,
        and a ``diagnosis``: "possible prior-data conflict" when both are at least `SENSITIVE`,
        "weak likelihood" when only the prior's is.
    """
    from arviz_stats.psense import psense

    # the top-level priors; p(effect | sigma) is part of the model, not of the prior
    log_prior = -0.5 * (((posterior.beta - design.prior_mean) / design.prior_sd) ** 2).sum(axis=1)
    for block in design.blocks:
        log_prior -= 0.5 * (posterior.sigma[block.name] / block.scale_prior) ** 2
    values = np.column_stack([posterior.beta, *posterior.sigma.values()])
    names = [*design.names, *(f"sigma_{name}" for name in posterior.sigma)]
    sample = ("chain", "draw")
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {"value": ((*sample, "parameter"), values[None])}, coords={"parameter": names}
            ),
            "log_prior": xr.Dataset({"total": ((*sample, "part"), log_prior[None, :, None])}),
            "log_likelihood": xr.Dataset(
                {"total": ((*sample, "part"), log_likelihood[None, :, None])}
            ),
        }
    )
    found = {g: psense(tree, group=g)["value"].to_numpy() for g in ("prior", "likelihood")}  # type: ignore[no-untyped-call]
    prior, likelihood = found["prior"], found["likelihood"]
    diagnosis = np.select(
        [(prior >= SENSITIVE) & (likelihood >= SENSITIVE), prior >= SENSITIVE],
        ["possible prior-data conflict", "weak likelihood"],
        default="",
    )
    return pd.DataFrame(
        {
            "parameter": names,
            "mean": values.mean(axis=0),
            "sd": values.std(axis=0),
            "prior": prior,
            "likelihood": likelihood,
            "diagnosis": diagnosis,
        }
    )
