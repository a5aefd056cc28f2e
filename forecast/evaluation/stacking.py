"""Stacking of methods: weights learnt from forecasts whose outcomes were known at the origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from forecast.evaluation.recalibration import LEAST_YEARS
from forecast.evaluation.scores import log_odds

__all__ = ["RollingStack", "rolling_stack", "stack_name"]

FloatArray = npt.NDArray[np.float64]

_WIDTH = 0.32  # s.d. of each weight around equal ones, and of the intercept around zero


@dataclass(frozen=True, eq=False)
class RollingStack:
    """logit q = intercept + Σ weight_k logit p_k, for each origin.

    ``lines`` by origin: ``first``, ``last`` (target years it was learnt from), ``rows``,
    ``events``, ``intercept``, one column for each of the `members` (its weight), ``remark``. Where
    there are too few years the first member has weight one and the remark says so.
    """

    members: tuple[str, ...]
    lines: pd.DataFrame

    def apply(
        self, origin: int, others: Sequence[npt.ArrayLike], probability: npt.ArrayLike
    ) -> FloatArray:
        """Stacked probabilities of forecasts made at `origin`.

        `probability` are forecasts, ends of intervals or draws of the first member, against which
        the forecasts of the others broadcast.
        """
        line = self.lines.loc[origin]
        if line["remark"]:
            return np.asarray(probability, dtype=np.float64)
        total = np.asarray(line["intercept"], dtype=np.float64)
        for member, p in zip(self.members, (probability, *others), strict=True):
            total = total + line[member] * log_odds(p)
        return np.asarray(expit(total), dtype=np.float64)


def stack_name(members: Sequence[str]) -> str:
    """Name of a stack of methods."""
    return " + ".join(members)


def rolling_stack(
    origin: npt.ArrayLike,
    year: npt.ArrayLike,
    outcome: npt.ArrayLike,
    probabilities: Mapping[str, npt.ArrayLike],
    *,
    least: int = LEAST_YEARS,
) -> RollingStack:
    """Logistic pool of methods, its weights learnt at each origin from the years before it.

    The weights maximise the log score of the pool on past forecasts, with Normal priors: the
    intercept around zero, the weights around equal ones, s.d. .32. With one member it is a
    recalibration. (Stacking by log score: Yao et al. 2018, Bayesian Analysis 13:917; logistic
    pools: Ranjan & Gneiting 2010, JRSS B 72:71.)

    All forecasts are of one horizon, finite, of shape (n,) by method; the first is used alone
    while there are fewer than `least` distinct target years.
    """
    o, t, y = np.asarray(origin), np.asarray(year), np.asarray(outcome, dtype=np.float64)
    members = tuple(probabilities)
    X = np.column_stack([np.ones(y.size), *(log_odds(p) for p in probabilities.values())])
    equal = np.append(0.0, np.full(len(members), 1.0 / len(members)))
    table = []
    for now in np.unique(o):
        past = t < now
        seen = np.unique(t[past])
        weights = np.append([0.0, 1.0], np.zeros(len(members) - 1))
        remark = ""
        if seen.size < least:
            remark = f"{seen.size} earlier forecast years, {least} needed: {members[0]} alone"
        else:
            weights = _weights(X[past], y[past], equal)
        table.append(
            {
                "origin": int(now),
                "first": int(seen.min()) if seen.size else 0,
                "last": int(seen.max()) if seen.size else 0,
                "rows": int(past.sum()),
                "events": int(y[past].sum()),
                "intercept": float(weights[0]),
            }
            | dict(zip(members, map(float, weights[1:]), strict=True))
            | {"remark": remark}
        )
    return RollingStack(members, pd.DataFrame(table).set_index("origin"))


def _weights(X: FloatArray, y: FloatArray, center: FloatArray) -> FloatArray:
    """Mode of a logistic regression with Normal priors around `center`."""

    def loss(b: FloatArray) -> tuple[float, FloatArray]:
        eta, apart = X @ b, (b - center) / _WIDTH**2
        value = np.sum(np.logaddexp(0.0, eta) - y * eta) + 0.5 * apart @ (b - center)
        return float(value), X.T @ (expit(eta) - y) + apart

    return np.asarray(minimize(loss, center, jac=True, method="BFGS").x)
