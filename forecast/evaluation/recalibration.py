"""Recalibration and stacking, learnt from forecasts whose outcomes were known at the origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from forecast.errors import ArgumentError
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.scores import FloatArray, log_odds

__all__ = [
    "LEAST_YEARS", "SUFFIX", "RollingRecalibration", "RollingStack", "rolling_recalibration",
    "rolling_stack", "stack_name",
]  # fmt: skip

LEAST_YEARS = 10
"""Earlier forecast years below which a forecast is left raw."""

SUFFIX = ", recalibrated"
"""Ending of the name of a recalibrated method."""

_WIDTH = 0.32  # s.d. of each weight of a stack around equal ones, and of the intercept around zero


def _pasts(
    origin: npt.NDArray[np.generic],
    year: npt.NDArray[np.generic],
    outcome: FloatArray,
    usable: npt.NDArray[np.bool_],
    years: float,
) -> Iterator[tuple[npt.NDArray[np.bool_], int, dict[str, Any]]]:
    """For each origin the rows of earlier target years, how many these are, and what is told."""
    for now in np.unique(origin):
        past = (year >= now - years) & (year < now) & usable
        seen = np.unique(year[past])
        yield (
            past,
            int(seen.size),
            {
                "origin": int(now),
                "first": int(seen.min()) if seen.size else 0,
                "last": int(seen.max()) if seen.size else 0,
                "rows": int(past.sum()),
                "events": int(outcome[past].sum()),
            },
        )


@dataclass(frozen=True, eq=False)
class RollingRecalibration:
    """One line, logit q = intercept + slope logit p, for each origin.

    ``lines`` by origin: ``first``, ``last`` (target years it was learnt from), ``rows``,
    ``events``, ``intercept``, ``slope``, ``remark``. Where nothing could be learnt (too few years,
    one class) the line is the identity and the remark says why.
    """

    lines: pd.DataFrame

    def apply(self, origin: int, probability: npt.ArrayLike) -> FloatArray:
        """Recalibrated probabilities of forecasts made at `origin`, any shape; NaN stays NaN."""
        line = self.lines.loc[origin]
        p = np.asarray(probability, dtype=np.float64)
        if (line["intercept"], line["slope"]) == (0.0, 1.0):
            return p
        moved = line["intercept"] + line["slope"] * log_odds(p)
        return np.asarray(expit(moved), dtype=np.float64)


def rolling_recalibration(
    origin: npt.ArrayLike,
    year: npt.ArrayLike,
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    years: int,
) -> RollingRecalibration:
    """Recalibration line of each origin of one method at one horizon.

    An origin o learns from forecasts of the target years o - `years` to o - 1: those made at
    earlier origins whose outcomes were known at o. With fewer than `LEAST_YEARS` of them forecasts
    stay raw; asking for fewer is an `ArgumentError`.
    """
    if years < LEAST_YEARS:
        raise ArgumentError(
            f"recalibrate={years}: expected at least {LEAST_YEARS} years of earlier forecasts."
        )
    o, t = np.asarray(origin), np.asarray(year)
    y, p = np.asarray(outcome, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    table = []
    for past, seen, about in _pasts(o, t, y, np.isfinite(p) & np.isfinite(y), years):
        line = about | {"intercept": 0.0, "slope": 1.0, "remark": ""}
        if seen < LEAST_YEARS:
            line["remark"] = f"{seen} earlier forecast years, {LEAST_YEARS} needed: left raw"
        else:
            try:
                found = recalibrate(y[past], p[past])
            except ArgumentError as error:
                line["remark"] = f"left raw: {error}"
            else:
                line |= {"intercept": found.intercept, "slope": found.slope}
        table.append(line)
    return RollingRecalibration(pd.DataFrame(table).set_index("origin"))


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
) -> RollingStack:
    """Logistic pool of methods, its weights learnt at each origin from the years before it.

    The weights maximise the log score of the pool on past forecasts, with Normal priors: the
    intercept around zero, the weights around equal ones, s.d. .32. With one member it is a
    recalibration. (Stacking by log score: Yao et al. 2018, Bayesian Analysis 13:917; logistic
    pools: Ranjan & Gneiting 2010, JRSS B 72:71.)

    All forecasts are of one horizon, finite, of shape (n,) by method; the first is used alone
    while there are fewer than `LEAST_YEARS` distinct target years.
    """
    o, t, y = np.asarray(origin), np.asarray(year), np.asarray(outcome, dtype=np.float64)
    members = tuple(probabilities)
    X = np.column_stack([np.ones(y.size), *(log_odds(p) for p in probabilities.values())])
    equal = np.append(0.0, np.full(len(members), 1.0 / len(members)))
    table = []
    for past, seen, about in _pasts(o, t, y, np.ones(y.size, dtype=bool), np.inf):
        weights = np.append([0.0, 1.0], np.zeros(len(members) - 1))
        remark = f"{seen} earlier forecast years, {LEAST_YEARS} needed: {members[0]} alone"
        if seen >= LEAST_YEARS:
            weights, remark = _weights(X[past], y[past], equal), ""
        learnt = dict(zip(("intercept", *members), map(float, weights), strict=True))
        table.append(about | learnt | {"remark": remark})
    return RollingStack(members, pd.DataFrame(table).set_index("origin"))


def _weights(X: FloatArray, y: FloatArray, center: FloatArray) -> FloatArray:
    """Mode of a logistic regression with Normal priors around `center`."""

    def loss(b: FloatArray) -> tuple[float, FloatArray]:
        eta, apart = X @ b, (b - center) / _WIDTH**2
        value = np.sum(np.logaddexp(0.0, eta) - y * eta) + 0.5 * apart @ (b - center)
        return float(value), X.T @ (expit(eta) - y) + apart

    return np.asarray(minimize(loss, center, jac=True, method="BFGS").x)
