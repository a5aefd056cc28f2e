"""Baselines of the units that the dyad-year's do not fit: states, directed pairs, disputes.

Each is what one would fit first without alliances: a logistic regression with a light ridge
(`forecast.evaluation.baselines.Logit`) on the history, power and geography of the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from forecast.errors import UnknownNameError
from forecast.evaluation.baseline_columns import STRUCTURE
from forecast.evaluation.baselines import Forecaster, Predictor, ridge_logit, training_outcome
from forecast.evaluation.inputs import FloatArray
from forecast.features import FeatureRequest, compute_features
from forecast.panel.types import Panel

__all__ = ["ColumnLogit", "baselines_for"]


@dataclass(frozen=True, eq=False)
class ColumnLogit:
    """Logistic regression with a light ridge on lagged features and on the panel's own columns.

    Columns are standardised; a missing value is set to the training mean and marked by a column
    of its own.

    Attributes
    ----------
    name : str
        What tables call it.
    requests : tuple of FeatureRequest
        Features.
    own : tuple of str
        Columns that come with the rows, such as ``months_elapsed``.
    logged : tuple of str
        Of both, those that enter as log(1 + x), shares as log x.
    powers : tuple of str
        Of both, those that enter with their square and cube too, after the log.
    ridge : float
        Penalty on the squared standardised coefficients, in rows.
    """

    name: str
    requests: tuple[FeatureRequest, ...]
    own: tuple[str, ...] = ()
    logged: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    ridge: float = 1.0

    def columns(self) -> Sequence[FeatureRequest]:
        """The features of the regression."""
        return self.requests

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Penalised maximum likelihood by Newton's method."""
        y = training_outcome(panel)
        X = self._matrix(panel)
        known = ~np.isnan(X)
        mean = np.where(known, X, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        share = known.mean(axis=0)
        marked = np.flatnonzero((share < 1.0) & (share > 0.0))
        columns = np.hstack([np.where(known, X, mean), ~known[:, marked]])
        centre, scale = columns.mean(axis=0), columns.std(axis=0)
        scale = np.where(scale > 0.0, scale, 1.0)  # a constant column becomes 0: no effect
        design = np.column_stack([np.ones(y.size), (columns - centre) / scale])
        return _Fitted(self, ridge_logit(design, y, self.ridge), mean, marked, centre, scale)

    def _matrix(self, panel: Panel) -> FloatArray:
        data = compute_features(panel, self.requests).data
        columns = []
        for name in (*(r.name for r in self.requests), *self.own):
            x = data[name].to_numpy().astype(np.float64)
            if name in self.logged:
                x = np.log(x) if name.endswith("capability") else np.log1p(x)
            columns.append(x)
            if name in self.powers:
                columns += [x**2, x**3]
        return np.column_stack(columns)


@dataclass(frozen=True, eq=False)
class _Fitted:
    spec: ColumnLogit
    beta: FloatArray
    mean: FloatArray
    marked: np.ndarray
    centre: FloatArray
    scale: FloatArray

    def predict(self, panel: Panel, *, seed: int) -> FloatArray:
        X = self.spec._matrix(panel)
        known = ~np.isnan(X)
        columns = np.hstack([np.where(known, X, self.mean), ~known[:, self.marked]])
        eta = self.beta[0] + (columns - self.centre) / self.scale @ self.beta[1:]
        return np.asarray(expit(eta))[None, :]


_POWER = (
    FeatureRequest("land_contiguity", "land_contiguity"),
    FeatureRequest("major_powers", "major_powers"),
    FeatureRequest("capability_ratio", "capability_ratio"),
    FeatureRequest("joint_capability", "joint_capability"),
)
_DIRECTED = ColumnLogit(
    "directed_history",
    (
        *STRUCTURE,
        FeatureRequest("challenger_capability", "capability_share", {}, "a"),
        FeatureRequest("target_capability", "capability_share", {}, "b"),
        FeatureRequest("peace_years", "peace_years"),
        FeatureRequest("dispute_last_year", "dispute_last_year"),
        FeatureRequest("disputes_total", "disputes_total"),
        FeatureRequest("disputes_recent", "disputes_recent", {"window": 10}),
        FeatureRequest("challenger_disputes", "state_disputes_recent", {"window": 10}, "a"),
        FeatureRequest("target_disputes", "state_disputes_recent", {"window": 10}, "b"),
        FeatureRequest("system_disputes", "system_disputes_recent", {"window": 5}),
    ),
    logged=(
        "joint_capability", "challenger_capability", "target_capability", "peace_years",
        "disputes_total", "disputes_recent", "challenger_disputes", "target_disputes",
    ),
    powers=("peace_years",),
)  # fmt: skip
_STATES = ColumnLogit(
    "state_history",
    (
        FeatureRequest("capability", "capability_share"),
        FeatureRequest("disputes_last_year", "state_disputes_recent", {"window": 1}),
        FeatureRequest("disputes_recent", "state_disputes_recent", {"window": 10}),
        FeatureRequest("system_disputes", "system_disputes_recent", {"window": 5}),
    ),
    logged=("capability", "disputes_last_year", "disputes_recent"),
)
_DISPUTES = ColumnLogit(
    "dispute_history",
    (
        *_POWER,
        FeatureRequest("peace_years", "peace_years"),
        FeatureRequest("disputes_total", "disputes_total"),
        FeatureRequest("system_disputes", "system_disputes_recent", {"window": 5}),
    ),
    logged=("joint_capability", "peace_years", "disputes_total"),
)
_DURATION = ColumnLogit(
    "duration", (), own=("months_elapsed",), logged=("months_elapsed",), powers=("months_elapsed",)
)
_MONTHS = ColumnLogit(
    "duration_power",
    (*_POWER, FeatureRequest("disputes_total", "disputes_total")),
    own=("months_elapsed",),
    logged=("months_elapsed", "joint_capability", "disputes_total"),
    powers=("months_elapsed",),
)

_BASELINES: Mapping[str, tuple[str | Forecaster, ...]] = {
    "dyad-year": ("climatology", "conflictology", "peace_years", "history"),
    "directed-dyad-year": ("climatology", "conflictology", "peace_years", "history", _DIRECTED),
    "state-year": ("climatology", "conflictology", _STATES),
    "dispute-dyad": ("climatology", "conflictology", _DISPUTES),
    "dispute-dyad-month": ("climatology", _DURATION, _MONTHS),
}


def baselines_for(unit: str) -> tuple[str | Forecaster, ...]:
    """What a model of a unit has to beat, simplest first; the last is the strongest rival.

    Shipped baselines are given by name, as `forecast.evaluation.backtest.backtest` takes them.

    Parameters
    ----------
    unit : str
        Unit of the panel.

    Raises
    ------
    UnknownNameError
        A unit without baselines; names the nearest.
    """
    if unit not in _BASELINES:
        raise UnknownNameError("unit with baselines", unit, _BASELINES)
    return _BASELINES[unit]
