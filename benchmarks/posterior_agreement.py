"""Whether two sets of posterior draws are of the same distribution, parameter by parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError

__all__ = ["Agreement", "posterior_agreement"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Differences of posterior means and standard deviations, with their Monte Carlo error.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a parameter: ``variable``, ``parameter``; ``mean`` = difference of means in s.d.
        of the reference, ``mean_error`` its Monte Carlo standard error; ``sd`` = log ratio of
        the s.d., ``sd_error``; ``ess`` of the reference.
    """

    table: pd.DataFrame

    def within(self, *, mean: float = 0.1, sd: float = 0.1) -> pd.DataFrame:
        """How many parameters agree to a tolerance, by kind of variable and in all.

        Parameters
        ----------
        mean : float
            Largest difference of means, in s.d.
        sd : float
            Largest ratio of the s.d., less one.

        Returns
        -------
        pandas.DataFrame
            For means and s.d.: the largest difference as seen; the share of parameters within
            the tolerance as seen; how many are outside by more than Monte Carlo error explains
            (one-sided, 5% over all parameters of the row after Bonferroni); and the root mean
            square difference with the Monte Carlo variance taken off (0 where that is larger).
        """
        from scipy.stats import norm

        limits = {"mean": mean, "sd": float(np.log1p(sd))}
        kinds = [*dict.fromkeys(self.table["variable"]), "all"]
        rows = []
        for kind in kinds:
            some = self.table if kind == "all" else self.table[self.table["variable"] == kind]
            row: dict[str, Any] = {"variable": kind, "parameters": len(some)}
            for what, limit in limits.items():
                seen = some[what].abs().to_numpy()
                error = some[f"{what}_error"].to_numpy()
                critical = float(norm.isf(0.05 / len(some)))
                row[f"largest {what}"] = float(seen.max())
                row[f"{what} within"] = float((seen <= limit).mean())
                row[f"{what} outside beyond error"] = int((seen - critical * error > limit).sum())
                row[f"{what} r.m.s. less error"] = float(
                    np.sqrt(max(np.mean(seen**2) - np.mean(error**2), 0.0))
                )
            rows.append(row)
        return pd.DataFrame(rows)


def posterior_agreement(
    draws: xr.Dataset, reference: xr.Dataset, *, ess: float | None = None
) -> Agreement:
    """Compare posterior draws with those of a reference, for all variables of both.

    Parameters
    ----------
    draws, reference : xarray.Dataset
        Variables with dimensions ``chain``, ``draw`` and at most one more, whose labels agree
        in any order.
    ess : float, optional
        Effective sample size of `draws` where they are not a Markov chain, e.g. that of
        importance weights; otherwise it is estimated for each parameter, as for the reference.

    Returns
    -------
    Agreement

    Notes
    -----
    The Monte Carlo variance of a mean is s²/ESS; that of log s is Var((x − m)²)/(4 s⁴ ESS), with
    the effective sample size of the squared deviations.

    Raises
    ------
    ArgumentError
        No variable in common, or other labels.
    """
    names = [str(name) for name in reference.data_vars if name in draws.data_vars]
    if not names:
        raise ArgumentError(
            f"No variable in common: {list(map(str, draws.data_vars))} and "
            f"{list(map(str, reference.data_vars))}."
        )
    rows = []
    for name in names:
        theirs = reference[name].transpose("chain", "draw", ...)
        labels: list[str] = [name]
        mine = draws[name].transpose("chain", "draw", ...)
        if theirs.ndim == 3:
            dim, other = str(theirs.dims[2]), str(mine.dims[2])
            labels = [str(label) for label in theirs[dim].to_numpy()]
            have = [str(label) for label in mine[other].to_numpy()]
            if sorted(labels) != sorted(have):
                raise ArgumentError(f"{name!r} has other labels in the two posteriors.")
            mine = mine.isel({other: [have.index(label) for label in labels]})
        m1, s1, e1, q1 = _moments(mine.to_numpy(), ess)
        m2, s2, e2, q2 = _moments(theirs.to_numpy(), None)
        rows.append(
            pd.DataFrame(
                {
                    "variable": name,
                    "parameter": labels,
                    "mean": (m1 - m2) / s2,
                    "mean_error": np.sqrt((s1 / s2) ** 2 / e1 + 1.0 / e2),
                    "sd": np.log(s1 / s2),
                    "sd_error": np.sqrt(q1 + q2),
                    "ess": e2,
                }
            )
        )
    return Agreement(pd.concat(rows, ignore_index=True))


def _moments(
    values: FloatArray, ess: float | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean, s.d., effective sample size, and Monte Carlo variance of log s.d., by parameter."""
    from arviz_stats import base

    statistics = cast(Any, base).array_stats
    x = np.asarray(values, dtype=np.float64).reshape(*values.shape[:2], -1)
    mean, sd = x.mean((0, 1)), x.std((0, 1))
    square = (x - mean) ** 2
    if ess is None:
        of = [
            np.atleast_1d(statistics.ess(v, method="mean", chain_axis=0, draw_axis=1))
            for v in (x, square)
        ]
    else:
        of = [np.full(mean.shape, float(ess))] * 2
    return mean, sd, of[0], square.var((0, 1)) / (4.0 * sd**4 * of[1])
