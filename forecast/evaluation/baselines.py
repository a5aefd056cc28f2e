"""Simple forecasters to beat. Each is fitted on a training panel and forecasts rows.

A method may learn only from the rows it is fitted on: rates, means and scales for
standardisation, coefficients, trees. The columns it reads are lagged features of the panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import betaln, expit, logit

from forecast.errors import ArgumentError, ForecastError, UnknownNameError
from forecast.evaluation.baseline_columns import (
    ACTIVITY,
    ALLIANCES,
    HISTORY,
    LOGGED,
    STRUCTURE,
)
from forecast.evaluation.inputs import FloatArray
from forecast.features import FeatureRequest, compute_features
from forecast.panel.types import Panel

__all__ = [
    "BASELINES",
    "Boosting",
    "Climatology",
    "Conflictology",
    "Forecaster",
    "Logit",
    "Predictor",
    "baseline",
    "boosted_trees",
    "ridge_logit",
    "training_outcome",
    "unit_keys",
]


class Predictor(Protocol):
    """A fitted method."""

    def predict(self, panel: Panel, *, seed: int) -> npt.NDArray[np.floating[Any]]:
        """Draws of the probability of each row, shape (draws, rows); one draw if it has none."""
        ...


class Forecaster(Protocol):
    """A method that can be fitted on a training panel."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def columns(self) -> Sequence[FeatureRequest]:
        """Feature columns that the panel must hold when it is fitted and when it forecasts."""
        ...

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Fit on rows with a known outcome; `previous` may serve as a warm start."""
        ...


def training_outcome(panel: Panel) -> FloatArray:
    """Outcomes of a training panel, shape (n,).

    Raises
    ------
    ArgumentError
        For no rows, or rows whose outcome is not known.
    """
    y = panel.data["outcome"].to_numpy().astype(np.float64)
    if y.size == 0:
        raise ArgumentError("The training panel has no rows.")
    if np.isnan(y).any():
        raise ArgumentError(
            f"{int(np.isnan(y).sum())} of {y.size} training rows have no outcome "
            f"(first in {int(panel.data['year'].to_numpy()[np.isnan(y)][0])}); restrict the years."
        )
    return y


def unit_keys(panel: Panel, *, either_way: bool = False) -> npt.NDArray[np.int64]:
    """One number per unit of the panel (state, pair or directed pair) for each row.

    With `either_way` both directions of a pair have the same.
    """
    if panel.unit == "state-year":
        return panel.data["ccode"].to_numpy().astype(np.int64)
    a = panel.data["ccode_a"].to_numpy().astype(np.int64)
    b = panel.data["ccode_b"].to_numpy().astype(np.int64)
    if either_way:
        a, b = np.minimum(a, b), np.maximum(a, b)
    return a * 100_000 + b


def _smoothed_rate(events: float, rows: float) -> float:
    """Rate with half an event and half a non-event added: never 0 or 1."""
    return (events + 0.5) / (rows + 1.0)


@dataclass(frozen=True)
class Climatology:
    """The training rate for every row (plus half an event, so that it is never 0 or 1)."""

    name: str = "climatology"

    def columns(self) -> Sequence[FeatureRequest]:
        """None."""
        return ()

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Rate of the training rows."""
        y = training_outcome(panel)
        return _Constant(_smoothed_rate(float(y.sum()), y.size))


@dataclass(frozen=True)
class _Constant:
    rate: float

    def predict(self, panel: Panel, *, seed: int) -> FloatArray:
        return np.full((1, panel.data.sizes["row"]), self.rate)


@dataclass(frozen=True)
class Conflictology:
    r"""Own recent rate, shrunk: :math:`(k + m\,\pi)/(n + m)`.

    k onsets in the n rows of the unit in the last `window` training years; :math:`\pi` the rate
    of all rows in that window; m, the weight of the population in rows, maximises the
    beta-binomial likelihood of the window's counts. A unit without rows gets :math:`\pi`.
    (Persistence as the strongest simple forecast of conflict: Hegre et al. 2021.)

    Attributes
    ----------
    window : int
        Years.
    """

    window: int = 10
    name: str = "conflictology"

    def columns(self) -> Sequence[FeatureRequest]:
        """None: it reads the outcomes of the training rows."""
        return ()

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Counts of each unit in the window, and m."""
        if self.window < 1:
            raise ArgumentError(f"`window` must be at least 1 year, found {self.window}.")
        y = training_outcome(panel)
        year = panel.data["year"].to_numpy()
        recent = year > year.max() - self.window
        keys, index = np.unique(unit_keys(panel)[recent], return_inverse=True)
        k = np.bincount(index, weights=y[recent])
        n = np.bincount(index).astype(np.float64)
        rate = _smoothed_rate(float(k.sum()), float(n.sum()))
        # counts with the same (k, n) share a term: a handful of distinct pairs
        pairs, times = np.unique(np.column_stack([k, n]), axis=0, return_counts=True)

        def minus_log_likelihood(log_m: float) -> float:
            a, b = np.exp(log_m) * rate, np.exp(log_m) * (1.0 - rate)
            terms = betaln(pairs[:, 0] + a, pairs[:, 1] - pairs[:, 0] + b) - betaln(a, b)
            return -float(times @ terms)

        found = minimize_scalar(minus_log_likelihood, bounds=(np.log(0.1), np.log(1e5)))
        m = float(np.exp(found.x))
        return _ShrunkRates(keys, (k + m * rate) / (n + m), rate, m)


@dataclass(frozen=True, eq=False)
class _ShrunkRates:
    keys: npt.NDArray[np.int64]
    rates: FloatArray
    population: float
    weight: float

    def predict(self, panel: Panel, *, seed: int) -> FloatArray:
        wanted = unit_keys(panel)
        place = np.searchsorted(self.keys, wanted).clip(max=self.keys.size - 1)
        known = self.keys[place] == wanted
        return np.where(known, self.rates[place], self.population)[None, :]


@dataclass(frozen=True)
class Logit:
    r"""Logistic regression with a light ridge on standardised columns.

    Peace years enter as a cubic (Carter and Signorino 2010), counts and joint capability in
    logs. A missing value is set to the training mean and marked by a column of its own.
    Maximises :math:`\sum_i \log p(y_i) - \tfrac{\lambda}{2}\|\beta\|^2`, the intercept free.

    Attributes
    ----------
    name : str
        What tables call it.
    requests : tuple of FeatureRequest
        Columns.
    ridge : float
        Lambda, in rows.
    """

    name: str
    requests: tuple[FeatureRequest, ...]
    ridge: float = 1.0

    def columns(self) -> Sequence[FeatureRequest]:
        """The columns of the regression."""
        return self.requests

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Penalised maximum likelihood by Newton's method."""
        y = training_outcome(panel)
        raw = _raw_columns(panel, self)
        X = _expand(raw)
        known = ~np.isnan(X)
        share = known.mean(axis=0)
        mean = np.where(known, X, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, X, mean)
        marked = np.flatnonzero((share < 1.0) & (share > 0.0))
        columns = np.hstack([filled, ~known[:, marked]])
        centre, scale = columns.mean(axis=0), columns.std(axis=0)
        scale = np.where(scale > 0.0, scale, 1.0)  # a constant column becomes 0: no effect
        design = np.column_stack([np.ones(y.size), (columns - centre) / scale])
        beta = ridge_logit(design, y, self.ridge)
        return _FittedLogit(self, beta, mean, marked, centre, scale)


@dataclass(frozen=True, eq=False)
class _FittedLogit:
    spec: Logit
    beta: FloatArray
    mean: FloatArray
    marked: npt.NDArray[np.intp]
    centre: FloatArray
    scale: FloatArray

    def predict(self, panel: Panel, *, seed: int) -> FloatArray:
        X = _expand(_raw_columns(panel, self.spec))
        known = ~np.isnan(X)
        columns = np.hstack([np.where(known, X, self.mean), ~known[:, self.marked]])
        eta = self.beta[0] + (columns - self.centre) / self.scale @ self.beta[1:]
        return np.asarray(expit(eta))[None, :]


def _raw_columns(panel: Panel, method: Logit | Boosting) -> dict[str, FloatArray]:
    if panel.unit == "state-year" and method.requests:
        raise ArgumentError(
            f"The baseline {method.name!r} reads features of pairs of states; the panel's unit is "
            "'state-year'. Use 'climatology' or 'conflictology'."
        )
    data = compute_features(panel, method.requests).data
    return {r.name: data[r.name].to_numpy().astype(np.float64) for r in method.requests}


def _expand(raw: dict[str, FloatArray]) -> FloatArray:
    """Columns of the regression: logs of counts, powers of peace years (per ten years)."""
    columns = []
    for name, values in raw.items():
        if name == "peace_years":
            decades = values / 10.0
            columns += [decades, decades**2, decades**3]
        elif name in LOGGED:
            columns.append(np.log(values) if name == "joint_capability" else np.log1p(values))
        else:
            columns.append(values)
    return np.column_stack(columns)


def ridge_logit(design: FloatArray, y: FloatArray, ridge: float) -> FloatArray:
    """Coefficients of the penalised logit; the first column is the unpenalised intercept."""
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    beta = np.zeros(design.shape[1])
    beta[0] = logit(_smoothed_rate(float(y.sum()), y.size))

    def objective(b: FloatArray) -> float:
        eta = design @ b
        return float((np.logaddexp(0.0, eta) - y * eta).sum() + 0.5 * penalty @ b**2)

    value = objective(beta)
    for _ in range(100):
        p = expit(design @ beta)
        gradient = design.T @ (y - p) - penalty * beta
        # 1e-9 keeps the system solvable when every row has the same outcome
        hessian = (design * (p * (1.0 - p))[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        if float(gradient @ step) < 1e-10:
            return beta
        size, new = 1.0, objective(beta + step)
        while new > value and size > 1e-6:
            size /= 2.0
            new = objective(beta + size * step)
        if new > value:
            return beta  # no descent left at the precision of the sums
        beta, value = beta + size * step, new
        if abs(beta[0]) > 30.0:
            return beta  # one class only: the rate is 0 or 1 to within 1e-13
    raise ForecastError("The ridge logit did not converge in 100 Newton steps.")


def boosted_trees(seed: int) -> Any:
    """Boosted trees before they are fitted: what a practitioner would try first.

    Raises
    ------
    ForecastError
        scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise ForecastError(
            "The baseline 'boosting' needs scikit-learn: install "
            "`alliance-forecast[baselines]`, or leave it out."
        ) from error
    return HistGradientBoostingClassifier(
        max_iter=200,
        learning_rate=0.04,
        max_leaf_nodes=12,
        min_samples_leaf=100,
        early_stopping=False,
        random_state=seed % 2**32,
    )


@dataclass(frozen=True)
class Boosting:
    """Gradient-boosted trees as a practitioner would try first (needs scikit-learn).

    HistGradientBoosting with 200 trees, learning rate .04, 12 leaves, at least 100 rows a leaf,
    no early stopping; missing values go their own way in each split.
    """

    name: str = "boosting"
    requests: tuple[FeatureRequest, ...] = (*STRUCTURE, *HISTORY, *ACTIVITY)

    def columns(self) -> Sequence[FeatureRequest]:
        """Geography, power, dispute history, and recent disputes of each state and the system."""
        return self.requests

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Fit the trees.

        Raises
        ------
        ForecastError
            scikit-learn is not installed.
        ArgumentError
            The training rows have only one class.
        """
        trees = boosted_trees(seed)
        y = training_outcome(panel)
        if y.min() == y.max():
            raise ArgumentError("Boosting needs training rows of both classes.")
        raw = _raw_columns(panel, self)
        return _FittedTrees(self, trees.fit(np.column_stack(list(raw.values())), y))


@dataclass(frozen=True, eq=False)
class _FittedTrees:
    spec: Boosting
    trees: Any

    def predict(self, panel: Panel, *, seed: int) -> FloatArray:
        raw = _raw_columns(panel, self.spec)
        p = self.trees.predict_proba(np.column_stack(list(raw.values())))[:, 1]
        return np.asarray(p, dtype=np.float64)[None, :]


BASELINES: dict[str, Forecaster] = {
    method.name: method
    for method in (
        Climatology(),
        Conflictology(),
        Logit("peace_years", HISTORY[:1]),
        Logit("geography_power", STRUCTURE),
        Logit("geography_peace_years", (*STRUCTURE, *HISTORY[:1])),
        Logit("history", (*STRUCTURE, *HISTORY)),
        Logit("history_activity", (*STRUCTURE, *HISTORY, *ACTIVITY)),
        Logit("history_activity_alliances", (*STRUCTURE, *HISTORY, *ACTIVITY, *ALLIANCES)),
        Boosting("boosting_history", (*STRUCTURE, *HISTORY)),
        Boosting(),
        Boosting("boosting_alliances", (*STRUCTURE, *HISTORY, *ACTIVITY, *ALLIANCES)),
    )
}
"""Baselines by name, the logits and the boosting each in steps.

Steps of the logit: ``geography_power`` (borders, major powers, capabilities), with the cubic of
peace years, with dispute ``history``, with recent ``activity`` of each state and of the system,
with ten pooled alliance features. ``boosting_history``, ``boosting`` and ``boosting_alliances``
have the columns of the last three. The model without alliances is a model, see
`forecast.evaluation.backtest`.
"""


def baseline(name: str) -> Forecaster:
    """Baseline by name.

    Raises
    ------
    UnknownNameError
        With the nearest valid name.
    """
    if name not in BASELINES:
        raise UnknownNameError("baseline", name, BASELINES)
    return BASELINES[name]
