"""Answers to risk queries, read from the simulated draws: one pair in full, or many as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.evaluation.strata import OUTSIDE
from forecast.risk import Risk
from forecast.scenario.outlook import Outlook
from forecast.scenario.simulate import CAUTION

if TYPE_CHECKING:
    from forecast.evaluation.backtest import Backtest

__all__ = ["risk_answer", "risk_table"]


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
    evidence: Backtest | None,
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
            calibration={"source": "none: an observed rate, not a forecast"},
        )
    values = outlook.cumulative[row, horizon - 1]
    tail = (1.0 - level) / 2.0
    lower, upper = (float(q) for q in np.quantile(values, [tail, 1.0 - tail]))
    probability = float(values.mean(dtype=np.float64))
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
        calibration=outlook.calibration(row, evidence),
    )
