"""Tables of the checks and the sentences that say what is too far in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecast.evaluation.check_result import RATE, listed
from forecast.evaluation.inputs import FloatArray
from forecast.evaluation.replicates import judged
from forecast.inference.diagnostics import khat_limit

__all__ = ["LEVEL", "loo_row", "predictive_table", "verdict"]

LEVEL = 0.9
"""Probability of every interval in the tables."""


def predictive_table(
    statistics: dict[str, tuple[FloatArray, float]], *, told: Sequence[str] = ()
) -> tuple[pd.DataFrame, float]:
    """Observed value, predictive median, interval and distance, and the largest plausible one.

    Statistics that are `told` are not judged: no distance, and None for whether it is plausible.
    """
    tail = (1.0 - LEVEL) / 2.0
    of = [name for name in statistics if name not in told]
    distance, limit = judged({name: statistics[name] for name in of}, rate=RATE)
    far = dict(zip(of, map(float, distance), strict=True))
    rows = []
    for name, (draws, observed) in statistics.items():
        lower, median, upper = np.quantile(draws, [tail, 0.5, 1.0 - tail])
        above = float((draws > observed).mean() + 0.5 * (draws == observed).mean())
        rows.append(
            {
                "statistic": name,
                "observed": observed,
                "median": float(median),
                "lower": float(lower),
                "upper": float(upper),
                "level": LEVEL,
                "tail_probability": 2.0 * min(above, 1.0 - above),
                "distance": far.get(name, np.nan),
                "plausible": far[name] <= limit if name in far else None,
            }
        )
    return pd.DataFrame(rows), limit


def loo_row(
    left_out: str,
    elpd: FloatArray,
    khat: FloatArray,
    climate: FloatArray,
    draws: int,
    weight: FloatArray,
) -> dict[str, Any]:
    """Sums over what was left out one at a time, the gain on the base rate, and Pareto k.

    Parameters
    ----------
    left_out : str
        What that is: ``"row"`` or ``"unit"``.
    elpd, khat, climate : numpy.ndarray, shape (n,)
        Log predictive density, Pareto shape, and log density of the base rate.
    draws : int
        Posterior draws behind them.
    weight : numpy.ndarray, shape (n,)
        How many each stands for.
    """
    total, base = float(weight @ elpd), float(weight @ climate)
    limit = khat_limit(draws)
    return {
        "left_out": left_out,
        "count": int(elpd.size),
        "elpd": total,
        "se": _error(elpd, weight),
        "base_rate_elpd": base,
        "skill": 1.0 - total / base,
        "gain": total - base,
        "gain_se": _error(elpd - climate, weight),
        "over_limit": int((khat > limit).sum()),
        "limit": limit,
        "largest_khat": float(khat.max()) if np.isfinite(khat.max()) else np.nan,
        "draws": draws,
    }


def _error(values: FloatArray, weight: FloatArray) -> float:
    """Standard error of a weighted sum."""
    mean = float(weight @ values) / float(weight.sum())
    return float(np.sqrt(weight @ (values - mean) ** 2))


def verdict(table: pd.DataFrame, limit: float, members: str) -> str:
    """Which statistics are too far from their draws, and how far that is."""
    table = table[table["plausible"].notna()]
    bad = table.loc[~table["plausible"].astype(bool), "statistic"]
    rule = (
        f"{limit:.1f} s.d., the distance that {1 - RATE:.0%} of the {members} keep in all of them"
    )
    but = "" if bad.empty else f" but {listed(bad)}"
    return f"Observed values of {len(table)} within {rule}: all{but}."
