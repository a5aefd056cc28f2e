"""Answers to risk queries, read from the simulated draws: one pair in full, or many as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.evaluation.digits import percentage, percentage_interval, rounded, rounding_step
from forecast.evaluation.strata import OUTSIDE
from forecast.risk import Risk
from forecast.scenario.outlook import Outlook
from forecast.scenario.simulate import CAUTION

if TYPE_CHECKING:
    from forecast.evaluation.record import CalibrationRecord

__all__ = ["risk_answer", "risk_table"]

_NO_RECORD = {
    "covered": False,
    "source": "none: an observed rate, not a forecast",
    "text": "This is an observed rate, not a forecast, and has no record.",
}


def risk_table(
    outlook: Outlook, pairs: Sequence[tuple[int, int]], horizon: int, level: float
) -> pd.DataFrame:
    """One row per pair and year ahead; columns as `forecast.risk` documents them."""
    at = np.array([outlook.position.get(pair, -1) for pair in pairs], dtype=np.int64)
    inside = at >= 0
    mean, lower, upper, base = (np.empty((len(pairs), horizon)) for _ in range(4))
    mean[inside], lower[inside], upper[inside] = outlook.estimates(at[inside], horizon, level)
    stratum = np.where(inside, outlook.stratum[at], OUTSIDE)
    for h in range(1, horizon + 1):
        rates = outlook.base_rates[h]
        outside = rates[OUTSIDE]
        mean[~inside, h - 1] = outside.rate
        lower[~inside, h - 1], upper[~inside, h - 1] = outside.interval(level)
        base[:, h - 1] = [rates[str(name)].rate for name in stratum]
    ongoing = inside & outlook.record.active[at]
    count = np.arange(1, horizon + 1)
    codes = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    names = np.array([[outlook.label(x), outlook.label(y)] for x, y in pairs]).reshape(-1, 2)

    def each(values: Any) -> Any:
        return np.repeat(values, horizon)

    return pd.DataFrame(
        {
            "ccode_a": each(codes[:, 0]),
            "ccode_b": each(codes[:, 1]),
            "state_a": each(names[:, 0]),
            "state_b": each(names[:, 1]),
            "horizon": np.tile(count, len(pairs)),
            "first_year": outlook.origin + 1,
            "last_year": np.tile(outlook.origin + count, len(pairs)),
            "probability": mean.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "interval_kind": "equal-tailed",
            "interval_level": level,
            "stratum": each(stratum),
            "base_rate": base.ravel(),
            "ratio": (mean / base).ravel(),
            "ongoing": each(ongoing),
            "handling": each(np.where(inside, "model", "observed rate")),
        }
    )


def risk_answer(
    outlook: Outlook,
    pair: tuple[int, int],
    horizon: int,
    level: float,
    record: CalibrationRecord | None,
) -> Risk:
    """Everything about one pair: the fields of `forecast.risk.Risk`."""
    row = outlook.position.get(pair)
    fit = outlook.fit
    stratum = OUTSIDE if row is None else str(outlook.stratum[row])
    base = outlook.base_rates[horizon][stratum]
    common: dict[str, Any] = {
        "state_a": outlook.label(pair[0]),
        "state_b": outlook.label(pair[1]),
        "ccode_a": pair[0],
        "ccode_b": pair[1],
        "first_year": outlook.origin + 1,
        "last_year": outlook.origin + horizon,
        "horizon": horizon,
        "interval_level": level,
        "unit": (
            f"probability of at least one {fit.spec.outcome} between the two (undirected dyad)"
            f" within {horizon} year{'s' if horizon > 1 else ''}"
        ),
        "stratum": stratum,
        "base_rate": base.rate,
        "base_rows": base.rows,
        "vintage": outlook.vintage,
        "caution": CAUTION,
    }
    if row is None:
        lower, upper = base.interval(level)
        return Risk(
            **common,
            probability=base.rate,
            lower=lower,
            upper=upper,
            interval_kind="equal-tailed (Jeffreys)",
            ratio=1.0,
            drivers=(),
            effects={},
            ongoing=False,
            handling=(
                f"The pair is outside the population {fit.spec.population!r} on which the model"
                " was fitted; the answer is the observed rate among such pairs."
            ),
            support={"rows_in_stratum": base.rows, "rows_of_dyad": 0},
            calibration=dict(_NO_RECORD),
            rounded=_rounded(
                (base.rate, lower, upper),
                [upper - lower],
                (base.rate, upper - lower),
                "the interval of the observed rate",
            ),
        )
    values = outlook.cumulative[row, horizon - 1]
    tail = (1.0 - level) / 2.0
    lower, upper = (float(q) for q in np.quantile(values, [tail, 1.0 - tail]))
    probability = float(values.mean(dtype=np.float64))
    first = outlook.first_probability(row)
    calibration = (
        outlook.in_sample(row)
        if record is None
        else record.quote(outlook.record_stratum(row), first)
    )
    widths, reason = _supported(calibration, upper - lower, probability / first)
    return Risk(
        **common,
        probability=probability,
        lower=lower,
        upper=upper,
        interval_kind="equal-tailed",
        ratio=probability / base.rate,
        drivers=outlook.drivers(row),
        effects={name: float(effect[row]) for name, effect in outlook.effects.items()},
        ongoing=bool(outlook.record.active[row]),
        handling=f"model {fit.spec.name}, {fit.method}, {values.size} posterior draws",
        support=outlook.support(row),
        calibration=calibration,
        rounded=_rounded(
            (probability, lower, upper),
            widths,
            (base.rate, outlook.base_width(horizon, stratum)),
            reason,
        ),
    )


def _supported(calibration: dict[str, Any], width: float, scale: float) -> tuple[list[float], str]:
    """Widths of what is not known of a probability, and in words what they are.

    The record is about the first year; `scale`, the probability over that of the first year,
    carries its widths to more years. Without a record no width is known.
    """
    if not calibration["covered"]:
        return [], "one digit: there is no record of such forecasts"
    band, rate = calibration["band"], calibration["observed_rate_interval"]
    widths = [width, scale * (band[1] - band[0]), scale * (rate[1] - rate[0])]
    names = (
        "the interval of the probability",
        "the band of the calibration record",
        "the interval of the calibration record",
    )
    return widths, f"the widest of three: {names[int(np.argmax(widths))]}"


def _rounded(
    numbers: tuple[float, float, float],
    widths: list[float],
    base: tuple[float, float],
    reason: str,
) -> dict[str, Any]:
    """The field `rounded` of `forecast.risk.Risk`."""
    probability, lower, upper = numbers
    step = rounding_step(probability, widths)
    base_step = rounding_step(base[0], [base[1]])
    return {
        "probability": rounded(probability, step),
        "lower": rounded(lower, step),
        "upper": rounded(upper, step),
        "step": step,
        "text": percentage(probability, step),
        "interval": percentage_interval(lower, upper, step),
        "base_rate": percentage(base[0], base_step),
        "supported_by": reason,
    }
