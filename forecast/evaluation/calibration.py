"""Calibration: CORP curves and decompositions, recalibration, expected over observed, Murphy.

Rulings for degenerate input: NaN is an error everywhere (see `forecast.evaluation.scores`). With no
events, or only events, the reliability curve is flat at 0 or 1 and the decomposition stays exact.
Recalibration by logistic regression has no finite solution with one class, constant forecasts or
forecasts that separate the outcomes, and is an error then. A ratio to nothing observed is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit
from scipy.stats import chi2, norm

from forecast.draws import check_level
from forecast.errors import ArgumentError
from forecast.evaluation.scores import (
    FloatArray,
    as_finite,
    as_forecasts,
    brier_score,
    log_loss,
    log_odds,
)

__all__ = [
    "THETAS", "Decomposition", "Ratio", "Recalibration", "Reliability", "decompose",
    "expected_to_observed", "isotonic", "murphy", "recalibrate", "reliability",
]  # fmt: skip

THETAS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Decision thresholds of the Murphy diagram that matter for a rare event."""

_POINTS = 200  # of a reliability curve


@dataclass(frozen=True)
class Decomposition:
    """CORP decomposition, ``score == miscalibration - discrimination + uncertainty``.

    `miscalibration` is what isotonic recalibration would gain (0 is perfectly reliable),
    `discrimination` what the recalibrated forecasts gain on the mean outcome (larger is better),
    `uncertainty` the score of the mean outcome; `rule` is ``"brier"`` or ``"log_loss"``.
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

    `curve` has ``forecast``, ``observed`` (isotonic event frequency at that forecast), ``lower``,
    ``upper`` (the band, of pointwise probability `level`; `kind` says what it is) and ``rows``
    (with a forecast in the bin that ends there). `outside` is the share of rows whose part of the
    curve lies outside the band. `decompositions` are by rule.
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
    """Score (``"brier"`` or ``"log_loss"``) decomposed by isotonic recalibration (CORP).

    Both are proper, so all parts are at least 0 (with the log loss up to what its clip moves).
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
) -> Reliability:
    """CORP reliability curve with a consistency band.

    The band is what the curve of a perfectly calibrated forecaster would look like: outcomes are
    drawn from the forecasts themselves and the isotonic regression is repeated (Dimitriadis,
    Gneiting and Jordan 2021, PNAS 118 (8) e2016191118). The curve is kept at no more than `_POINTS`
    forecasts: quantiles, half of them spread evenly in log odds so that the rare high forecasts
    are there too.
    """
    y, p = as_forecasts(outcome, probability)
    check_level(level)
    distinct, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    rows = counts.astype(np.float64)
    grid = _curve_points(distinct, counts)
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
    curve = {"forecast": distinct[grid], "observed": at_grid, "lower": lower, "upper": upper}
    return Reliability(
        curve=pd.DataFrame(curve | {"rows": in_bin}),
        decompositions={rule: decompose(y, p, rule=rule) for rule in ("brier", "log_loss")},
        level=level,
        kind="pointwise consistency band: outcomes resampled from the forecasts",
        outside=float((outside * in_bin).sum() / in_bin.sum()),
    )


def _curve_points(distinct: FloatArray, counts: npt.NDArray[np.int_]) -> npt.NDArray[np.int_]:
    """Indices into the distinct forecasts at which the curve is kept, the last one included."""
    if distinct.size <= _POINTS:
        return np.arange(distinct.size)
    half = _POINTS // 2
    share = np.cumsum(counts) / counts.sum()
    by_rows = np.searchsorted(share, np.linspace(0.0, 1.0, half))
    odds = log_odds(distinct)
    by_odds = np.searchsorted(odds, np.linspace(odds[0], odds[-1], _POINTS - half))
    last = distinct.size - 1
    return np.unique(np.minimum(np.concatenate([by_rows, by_odds, [last]]), last))


@dataclass(frozen=True)
class Recalibration:
    """Logistic recalibration, logit P(y = 1) = intercept + slope * logit(p), with Wald intervals.

    A slope below 1 means forecasts too extreme, above 1 too timid; an intercept below 0 at slope 1
    means that they are too high. `kind` says how the intervals were made: from the information
    matrix, which takes rows as independent and with repeated dyads is on the narrow side, or the
    widest of cluster-robust ones.
    """

    intercept: float
    slope: float
    intercept_interval: tuple[float, float]
    slope_interval: tuple[float, float]
    level: float
    kind: str
    rows: int
    events: int


def recalibrate(
    outcome: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    level: float = 0.9,
    clusters: Mapping[str, npt.ArrayLike] | None = None,
) -> Recalibration:
    """Recalibration intercept and slope by logistic regression of the outcome on logit(p).

    Newton's method (Cox 1958; Miller, Hui and Tierney 1991), on log odds clipped at
    `forecast.evaluation.scores.CLIP`. `clusters` are labels by which rows hang together, e.g.
    ``{"year": …, "dyad": …}``: see `_robust`. One class, constant forecasts and perfect separation
    have no finite solution: an `ArgumentError`.
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
    inverse = np.linalg.inv(information)
    residual = design * (y - expit(design @ theta))[:, None]
    robust = _robust(residual, inverse, back, clusters or {})
    variance = np.max([np.diag(back @ inverse @ back.T), *robust.values()], axis=0)
    half = norm.ppf(0.5 + check_level(level) / 2.0) * np.sqrt(variance)
    (a, b), (da, db) = back @ theta, half
    by = f"Wald, the widest of independent rows and clusters by {' and '.join(robust)}"
    return Recalibration(
        intercept=float(a),
        slope=float(b),
        intercept_interval=(float(a - da), float(a + da)),
        slope_interval=(float(b - db), float(b + db)),
        level=level,
        kind=by if robust else "Wald, independent rows",
        rows=int(y.size),
        events=events,
    )


def _robust(
    residual: FloatArray, inverse: FloatArray, back: FloatArray, clusters: Mapping[str, Any]
) -> dict[str, FloatArray]:
    """Variances of intercept and slope that are robust to each kind of clusters.

    Sandwich (Liang and Zeger 1986) with the factor G / (G - 1) of its G clusters. Of these and the
    information matrix the widest interval is kept, for intercept and slope apart. Kinds with one
    cluster are left out.
    """
    found = {}
    for name, labels in clusters.items():
        label = np.asarray(labels)
        if label.shape != residual[:, 0].shape:
            raise ArgumentError(
                f"`clusters[{name!r}]` has shape {label.shape}, not {residual[:, 0].shape}."
            )
        index = np.unique(label, return_inverse=True)[1]
        count = int(index.max()) + 1
        if count > 1:
            sums = np.stack([np.bincount(index, weights=residual[:, j]) for j in (0, 1)])
            meat = sums @ sums.T * count / (count - 1.0)
            found[name] = np.diag(back @ inverse @ meat @ inverse @ back.T)
    return found


def _log_likelihood(y: FloatArray, eta: FloatArray) -> float:
    return float((y * eta - np.logaddexp(0.0, eta)).sum())


class Ratio(NamedTuple):
    """Expected over observed events, with its interval and what that is."""

    ratio: float
    lower: float
    upper: float
    kind: str


def expected_to_observed(
    outcome: npt.ArrayLike, probability: npt.ArrayLike, *, level: float = 0.9
) -> Ratio:
    """Sum of probabilities over observed events; with nothing observed no ratio and upper end.

    The interval divides the expected count by the exact (Garwood 1936) Poisson limits of the
    observed one, so it takes events as independent; it is wide where events are few.
    """
    y, p = as_forecasts(outcome, probability)
    alpha = 1.0 - check_level(level)
    seen, expected = float(y.sum()), float(p.sum())
    low = chi2.ppf(alpha / 2.0, 2.0 * seen) / 2.0 if seen else np.nan
    high = chi2.ppf(1.0 - alpha / 2.0, 2.0 * (seen + 1.0)) / 2.0
    return Ratio(
        ratio=expected / seen if seen else np.nan,
        lower=float(expected / high),
        upper=float(expected / low),
        kind="exact Poisson limits of the observed count",
    )


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
    Jordan and Krüger 2016). Columns ``theta``, ``score`` and, with forecasts to compare with,
    ``reference`` and ``skill`` (NaN where the reference scores 0).
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
