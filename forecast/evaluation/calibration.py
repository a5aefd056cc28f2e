"""Calibration: recalibration, expected over observed, Murphy diagram, PIT; CORP beside it.

Rulings for degenerate input: NaN is an error everywhere (see `forecast.evaluation.inputs`).
Recalibration by logistic regression has no finite solution with one class, constant forecasts
or forecasts that separate the outcomes, and is an error then. A ratio to an observed count of 0
is NaN. For the reliability curve see `forecast.evaluation.corp`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import chi2, norm

from forecast.errors import ArgumentError
from forecast.evaluation.corp import (
    Decomposition,
    Reliability,
    decompose,
    isotonic,
    reliability,
)
from forecast.evaluation.inputs import FloatArray, as_counts, as_finite, as_forecasts, as_level
from forecast.evaluation.scores import log_odds

__all__ = [
    "THETAS",
    "Decomposition",
    "Recalibration",
    "Reliability",
    "decompose",
    "expected_to_observed",
    "isotonic",
    "murphy",
    "pit_counts",
    "recalibrate",
    "reliability",
]

THETAS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Decision thresholds of the Murphy diagram that matter for a rare event."""


@dataclass(frozen=True)
class Recalibration:
    """Logistic recalibration, logit P(y = 1) = intercept + slope * logit(p).

    A slope below 1 means forecasts too extreme, above 1 too timid; an intercept below 0 at
    slope 1 means that they are too high.

    Attributes
    ----------
    intercept, slope : float
        Maximum-likelihood estimates.
    intercept_interval, slope_interval : (float, float)
        Wald intervals.
    level : float
        Probability of the intervals.
    kind : str
        How they were made: from the information matrix, which takes rows as independent and
        with repeated dyads is on the narrow side, or the widest of cluster-robust ones.
    rows, events : int
        What it was fitted on.
    """

    intercept: float
    slope: float
    intercept_interval: tuple[float, float]
    slope_interval: tuple[float, float]
    level: float
    kind: str
    rows: int
    events: int

    def apply(self, probability: npt.ArrayLike) -> FloatArray:
        """Recalibrated probabilities, same shape; use on later years than it was fitted on."""
        recalibrated: FloatArray = expit(self.intercept + self.slope * log_odds(probability))
        return recalibrated

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)


def recalibrate(
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    level: float = 0.9,
    clusters: Mapping[str, npt.ArrayLike] | None = None,
) -> Recalibration:
    """Recalibration intercept and slope by logistic regression of the outcome on logit(p).

    Newton's method (Cox 1958; Miller, Hui and Tierney 1991). Probabilities are clipped at
    `forecast.evaluation.scores.CLIP` so that their log odds are finite.

    Parameters
    ----------
    outcome, probability : array_like, shape (n,)
        What happened (0/1) and what was forecast.
    level : float
        Probability of the intervals.
    clusters : mapping of str to array_like, shape (n,), optional
        Labels by which rows hang together, e.g. ``{"year": …, "dyad": …}``: each gives a
        sandwich variance (Liang and Zeger 1986) with the factor G / (G - 1) of its G clusters,
        and of these and the information matrix the widest interval is kept, for intercept and
        slope apart. Kinds with one cluster are left out.

    Returns
    -------
    Recalibration

    Raises
    ------
    ArgumentError
        When no finite solution exists: one class, constant forecasts, or perfect separation.
    """
    y, p = as_forecasts(outcome, probability)
    events = int(y.sum())
    if events in (0, y.size):
        raise ArgumentError(
            f"Recalibration needs events and non-events; found {events} events in {y.size} rows."
        )
    x = log_odds(p)
    if np.ptp(x) < 1e-12:
        raise ArgumentError("Recalibration needs forecasts that differ; all are the same.")
    low, high = x[y == 1.0], x[y == 0.0]
    if low.min() >= high.max() or low.max() <= high.min():
        raise ArgumentError("The forecasts separate the outcomes: the slope has no finite value.")
    # centred and scaled, so that the information matrix is well conditioned
    centre, scale = float(x.mean()), float(x.std())
    design = np.column_stack([np.ones_like(x), (x - centre) / scale])
    theta = np.array([logit(y.mean()), 0.0])
    information = np.eye(2)
    for _ in range(100):
        eta = design @ theta
        mu = expit(eta)
        information = (design * (mu * (1.0 - mu))[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (y - mu))
        before = _log_likelihood(y, eta)
        while _log_likelihood(y, design @ (theta + step)) < before - 1e-9:
            step = step / 2.0
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise ArgumentError("Logistic recalibration did not converge in 100 Newton steps.")
    back = np.array([[1.0, -centre / scale], [0.0, 1.0 / scale]])
    estimate = back @ theta
    inverse = np.linalg.inv(information)
    variances = [np.diag(back @ inverse @ back.T)]
    used = []
    residual = design * (y - expit(design @ theta))[:, None]
    for name, labels in (clusters or {}).items():
        label = np.asarray(labels)
        if label.shape != y.shape:
            raise ArgumentError(f"`clusters[{name!r}]` has shape {label.shape}, not {y.shape}.")
        index = np.unique(label, return_inverse=True)[1]
        count = int(index.max()) + 1
        if count < 2:
            continue
        sums = np.stack([np.bincount(index, weights=residual[:, j]) for j in (0, 1)])
        meat = sums @ sums.T * count / (count - 1.0)
        variances.append(np.diag(back @ inverse @ meat @ inverse @ back.T))
        used.append(name)
    half = norm.ppf(0.5 + as_level(level) / 2.0) * np.sqrt(np.max(variances, axis=0))
    (a, b), (da, db) = estimate, half
    robust = f"Wald, the widest of independent rows and clusters by {' and '.join(used)}"
    return Recalibration(
        intercept=float(a),
        slope=float(b),
        intercept_interval=(float(a - da), float(a + da)),
        slope_interval=(float(b - db), float(b + db)),
        level=level,
        kind=robust if used else "Wald, independent rows",
        rows=int(y.size),
        events=events,
    )


def _log_likelihood(y: FloatArray, eta: FloatArray) -> float:
    return float((y * eta - np.logaddexp(0.0, eta)).sum())


def expected_to_observed(
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    group: npt.ArrayLike | None = None,
    level: float = 0.9,
) -> pd.DataFrame:
    r"""Sum of probabilities over observed events, in total and by group.

    The interval divides the expected count by the exact (Garwood 1936) Poisson limits of the
    observed one, so it takes events as independent; it is wide where events are few.

    Parameters
    ----------
    outcome, probability : array_like, shape (n,)
        What happened (0/1) and what was forecast.
    group : array_like, shape (n,), optional
        Label of each row, e.g. decade or region.
    level : float
        Probability of the interval.

    Returns
    -------
    pandas.DataFrame
        ``group`` (``"all"`` first), ``rows``, ``observed``, ``expected``, ``ratio``, ``lower``,
        ``upper``, ``level``, ``kind``. With nothing observed ``ratio`` and ``upper`` are NaN.
    """
    y, p = as_forecasts(outcome, probability)
    alpha = 1.0 - as_level(level)
    parts = [pd.DataFrame({"group": "all", "y": y, "p": p})]
    if group is not None:
        labels = np.asarray(group)
        if labels.shape != y.shape:
            raise ArgumentError(f"`group` has shape {labels.shape} but there are {y.size} rows.")
        parts.append(pd.DataFrame({"group": labels.astype(str), "y": y, "p": p}))
    grouped = pd.concat(parts).groupby("group", sort=False)
    table = grouped.agg(rows=("y", "size"), observed=("y", "sum"), expected=("p", "sum"))
    order = ["all", *sorted(name for name in table.index if name != "all")]
    table = table.loc[order].reset_index()
    seen = table["observed"].to_numpy()
    low = np.where(seen > 0, chi2.ppf(alpha / 2.0, np.maximum(2.0 * seen, 1.0)) / 2.0, np.nan)
    high = chi2.ppf(1.0 - alpha / 2.0, 2.0 * (seen + 1.0)) / 2.0
    expected = table["expected"].to_numpy()
    table["ratio"] = expected / np.where(seen > 0, seen, np.nan)
    table["lower"] = expected / high
    table["upper"] = expected / low
    table["level"] = level
    table["kind"] = "exact Poisson limits of the observed count"
    return table


def murphy(
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    reference: npt.ArrayLike | None = None,
    thetas: tuple[float, ...] = THETAS,
) -> pd.DataFrame:
    r"""Mean elementary scores, the curve of a Murphy diagram.

    :math:`S_\theta(p, y) = (1-\theta)\,y\,1\{p\le\theta\} + \theta\,(1-y)\,1\{p>\theta\}`: the
    loss of someone who acts when p exceeds the cost-loss ratio theta. Every proper score is a
    mixture of these; the Brier score is :math:`2\int_0^1 S_\theta\,d\theta` (Ehm, Gneiting,
    Jordan and Krüger 2016).

    Parameters
    ----------
    outcome, probability : array_like, shape (n,)
        What happened (0/1) and what was forecast.
    reference : array_like, shape (n,), optional
        Forecasts to compare with; adds ``reference`` and ``skill`` (NaN where it scores 0).
    thetas : tuple of float
        Thresholds in (0, 1).

    Returns
    -------
    pandas.DataFrame
        ``theta``, ``score`` and, with a reference, ``reference``, ``skill``.
    """
    y, p = as_forecasts(outcome, probability)
    theta = as_finite("thetas", thetas)
    if (theta <= 0.0).any() or (theta >= 1.0).any():
        raise ArgumentError(f"`thetas` must lie strictly between 0 and 1, found {list(thetas)}.")

    def elementary(forecast: FloatArray) -> FloatArray:
        events, others = np.sort(forecast[y == 1.0]), np.sort(forecast[y == 0.0])
        missed = np.searchsorted(events, theta, side="right")
        alarms = others.size - np.searchsorted(others, theta, side="right")
        mean: FloatArray = ((1.0 - theta) * missed + theta * alarms) / y.size
        return mean

    table = pd.DataFrame({"theta": theta, "score": elementary(p)})
    if reference is not None:
        base = elementary(as_forecasts(y, reference)[1])
        table["reference"] = base
        table["skill"] = 1.0 - table["score"] / np.where(base > 0.0, base, np.nan)
    return table


def pit_counts(observed: npt.ArrayLike, draws: npt.ArrayLike, *, seed: int) -> FloatArray:
    r"""Randomised probability integral transform of counts, uniform when calibrated.

    :math:`u = F(y-1) + v\,(F(y) - F(y-1))` with v uniform and F the distribution of the draws
    (Czado, Gneiting and Held 2009). Row-level PIT of a rare binary outcome says nothing; use
    yearly or regional counts.

    Parameters
    ----------
    observed : array_like, shape (n,)
        Observed counts.
    draws : array_like, shape (m, n)
        Predictive draws of the counts.
    seed : int
        Seed of v.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Values in [0, 1].
    """
    y, x = as_counts(observed, draws)
    below = (x < y).mean(axis=0)
    at = (x == y).mean(axis=0)
    v = np.random.default_rng(np.random.SeedSequence(seed)).uniform(size=y.size)
    pit: FloatArray = below + v * at
    return pit
