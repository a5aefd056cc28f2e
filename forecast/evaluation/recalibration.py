"""Rolling recalibration: learnt from forecasts whose outcomes were known at the origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from forecast.errors import ArgumentError
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.inputs import FloatArray
from forecast.evaluation.scores import log_odds

__all__ = ["LEAST_YEARS", "SUFFIX", "RollingRecalibration", "rolling_recalibration"]

LEAST_YEARS = 10
"""Earlier forecast years below which a forecast is left raw."""

SUFFIX = ", recalibrated"
"""Ending of the name of a recalibrated method."""


@dataclass(frozen=True, eq=False)
class RollingRecalibration:
    """One line, logit q = intercept + slope logit p, for each origin.

    Attributes
    ----------
    lines : pandas.DataFrame
        By origin: ``first``, ``last`` (target years it was learnt from), ``rows``, ``events``,
        ``intercept``, ``slope``, ``remark``. Where nothing could be learnt (too few years, one
        class) the line is the identity and the remark says why.
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
    for now in np.unique(o):
        past = (t >= now - years) & (t < now) & np.isfinite(p) & np.isfinite(y)
        seen = np.unique(t[past])
        line = {
            "origin": int(now),
            "first": int(seen.min()) if seen.size else 0,
            "last": int(seen.max()) if seen.size else 0,
            "rows": int(past.sum()),
            "events": int(y[past].sum()),
            "intercept": 0.0,
            "slope": 1.0,
            "remark": "",
        }
        if seen.size < LEAST_YEARS:
            line["remark"] = f"{seen.size} earlier forecast years, {LEAST_YEARS} needed: left raw"
        else:
            try:
                found = recalibrate(y[past], p[past])
            except ArgumentError as error:
                line["remark"] = f"left raw: {error}"
            else:
                line |= {"intercept": found.intercept, "slope": found.slope}
        table.append(line)
    return RollingRecalibration(pd.DataFrame(table).set_index("origin"))
