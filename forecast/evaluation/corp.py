"""CORP: reliability curves and score decomposition by isotonic regression, with no binning.

Rulings for degenerate input: NaN is an error (see `forecast.evaluation.inputs`). With no events,
or only events, the curve is flat at 0 or 1 and the decomposition stays exact.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression

from forecast.errors import ArgumentError
from forecast.evaluation.inputs import FloatArray, as_forecasts, as_level
from forecast.evaluation.scores import brier_score, log_loss, log_odds

__all__ = ["Decomposition", "Reliability", "decompose", "isotonic", "reliability"]


@dataclass(frozen=True)
class Decomposition:
    """CORP decomposition, ``score == miscalibration - discrimination + uncertainty``.

    Attributes
    ----------
    score : float
        Mean score of the forecasts.
    miscalibration : float
        What isotonic recalibration would gain; 0 is perfectly reliable.
    discrimination : float
        What the recalibrated forecasts gain on the mean outcome; larger is better.
    uncertainty : float
        Score of the mean outcome.
    rule : str
        ``"brier"`` or ``"log_loss"``.
    """

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    rule: str

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Reliability curve with a band and both decompositions.

    Attributes
    ----------
    curve : pandas.DataFrame
        ``forecast``, ``observed`` (isotonic event frequency at that forecast), ``lower``,
        ``upper`` (band), ``rows`` (rows with a forecast in the bin that ends there).
    decompositions : dict of str to Decomposition
        ``"brier"`` and ``"log_loss"``.
    level : float
        Pointwise probability of the band.
    kind : str
        What the band is.
    outside : float
        Share of rows whose part of the curve lies outside the band.
    """

    curve: pd.DataFrame
    decompositions: dict[str, Decomposition]
    level: float
    kind: str
    outside: float

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {
            "curve": self.curve.to_dict(orient="list"),
            "decompositions": {k: d.to_dict() for k, d in self.decompositions.items()},
            "level": self.level,
            "kind": self.kind,
            "outside": self.outside,
        }


def isotonic(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> FloatArray:
    """Event frequency that is non-decreasing in the forecast, closest in squares to the outcomes.

    Pool-adjacent-violators over the distinct forecasts, each weighted by its rows, so that rows
    with the same forecast get the same value (Ayer et al. 1955; Dimitriadis, Gneiting and
    Jordan 2021).

    Returns
    -------
    numpy.ndarray, shape (n,)
        Recalibrated forecast of each row.
    """
    y, p = as_forecasts(outcome, probability)
    _, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    return _pool(np.bincount(index, weights=y), counts.astype(np.float64))[index]


def _pool(events: FloatArray, rows: FloatArray) -> FloatArray:
    """Isotonic event frequency of ordered groups from their events and rows."""
    fitted: FloatArray = isotonic_regression(events / rows, weights=rows).x
    return np.clip(fitted, 0.0, 1.0)  # the solver leaves rounding of 1e-17 outside


def decompose(
    outcome: npt.ArrayLike, probability: npt.ArrayLike, *, rule: str = "brier"
) -> Decomposition:
    """Score decomposed into miscalibration, discrimination and uncertainty (CORP).

    Parameters
    ----------
    outcome, probability : array_like, shape (n,)
        What happened (0/1) and what was forecast.
    rule : {"brier", "log_loss"}
        The score; both are proper, so all three parts are at least 0 (with the log loss up to
        what its clip moves).

    Returns
    -------
    Decomposition
    """
    y, p = as_forecasts(outcome, probability)
    if rule not in ("brier", "log_loss"):
        raise ArgumentError(f"`rule` must be 'brier' or 'log_loss', found {rule!r}.")

    def mean_score(forecast: FloatArray) -> float:
        return brier_score(y, forecast) if rule == "brier" else log_loss(y, forecast).value

    score = mean_score(p)
    recalibrated = mean_score(isotonic(y, p))
    uncertainty = mean_score(np.full_like(p, y.mean()))
    return Decomposition(score, score - recalibrated, uncertainty - recalibrated, uncertainty, rule)


def reliability(
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    seed: int,
    level: float = 0.9,
    resamples: int = 200,
    points: int = 200,
) -> Reliability:
    """CORP reliability curve with a consistency band.

    The band is what the curve of a perfectly calibrated forecaster would look like: outcomes are
    drawn from the forecasts themselves and the isotonic regression is repeated.

    Parameters
    ----------
    outcome, probability : array_like, shape (n,)
        What happened (0/1) and what was forecast.
    seed : int
        Seed of the resampling.
    level : float
        Pointwise probability of the band.
    resamples : int
        Resampled outcomes.
    points : int
        Most points of the curve: quantiles of the forecasts, half of them spread evenly in
        log odds so that the rare high forecasts are there too.

    Returns
    -------
    Reliability

    References
    ----------
    Dimitriadis, Gneiting and Jordan (2021), PNAS 118 (8) e2016191118.
    """
    y, p = as_forecasts(outcome, probability)
    as_level(level)
    distinct, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    rows = counts.astype(np.float64)
    grid = _curve_points(distinct, counts, points)
    observed = _pool(np.bincount(index, weights=y), rows)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    # rows with the same forecast are exchangeable: their events are one binomial draw
    simulated = np.stack(
        [
            _pool(rng.binomial(counts, distinct).astype(np.float64), rows)[grid]
            for _ in range(resamples)
        ]
    )
    tail = (1.0 - level) / 2.0
    lower, upper = np.quantile(simulated, [tail, 1.0 - tail], axis=0)
    cumulative = np.cumsum(counts)[grid]
    in_bin = np.diff(cumulative, prepend=0)
    at_grid = observed[grid]
    outside = ((at_grid < lower - 1e-12) | (at_grid > upper + 1e-12)).astype(float)
    return Reliability(
        curve=pd.DataFrame(
            {
                "forecast": distinct[grid],
                "observed": at_grid,
                "lower": lower,
                "upper": upper,
                "rows": in_bin,
            }
        ),
        decompositions={rule: decompose(y, p, rule=rule) for rule in ("brier", "log_loss")},
        level=level,
        kind="pointwise consistency band: outcomes resampled from the forecasts",
        outside=float((outside * in_bin).sum() / in_bin.sum()),
    )


def _curve_points(
    distinct: FloatArray, counts: npt.NDArray[np.int_], points: int
) -> npt.NDArray[np.int_]:
    """Indices into the distinct forecasts at which the curve is kept, the last one included."""
    if distinct.size <= points:
        return np.arange(distinct.size)
    half = points // 2
    share = np.cumsum(counts) / counts.sum()
    by_rows = np.searchsorted(share, np.linspace(0.0, 1.0, half))
    odds = log_odds(distinct)
    by_odds = np.searchsorted(odds, np.linspace(odds[0], odds[-1], points - half))
    last = distinct.size - 1
    return np.unique(np.minimum(np.concatenate([by_rows, by_odds, [last]]), last))
