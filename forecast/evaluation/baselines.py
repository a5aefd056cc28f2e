"""Simple forecasters to beat. Each is fitted on a training panel and forecasts rows.

A method may learn only from the rows it is fitted on: rates, means and scales for
standardisation, coefficients, trees. The columns it reads are lagged features of the panel, or
come with its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import betaln

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.scores import FloatArray
from forecast.features import FeatureRequest, compute_features
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.evaluation.forecasters import Forecaster, Predictor

__all__ = [
    "ALLIANCES", "BASELINES", "HISTORY", "UNDER_WAY", "Boosting", "Climatology", "Conflictology",
    "Logit", "baseline", "baselines_for", "boosted_trees", "unit_keys",
]  # fmt: skip


def _outcome(panel: Panel) -> FloatArray:
    """Outcomes of a training panel, shape (n,); an error for none, or one that is not known."""
    y = panel.data["outcome"].to_numpy().astype(np.float64)
    if y.size == 0:
        raise ArgumentError("The training panel has no rows.")
    if (gaps := np.isnan(y)).any():
        raise ArgumentError(
            f"{int(gaps.sum())} of {y.size} training rows have no outcome "
            f"(first in {int(panel.data['year'].to_numpy()[gaps][0])}); restrict the years."
        )
    return y


def unit_keys(panel: Panel, *, either_way: bool = False) -> npt.NDArray[np.int64]:
    """A number of each row's state, pair or directed pair (`either_way`: of both directions)."""
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
        y = _outcome(panel)
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
        y = _outcome(panel)
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
class _OnColumns:
    """A classifier of scikit-learn on columns of a panel; `name` is what tables call it."""

    name: str
    requests: tuple[FeatureRequest, ...]

    def columns(self) -> Sequence[FeatureRequest]:
        """The features of the method."""
        return self.requests

    def matrix(self, panel: Panel) -> FloatArray:
        """Columns as they are, shape (rows, columns)."""
        return np.column_stack(list(_columns(panel, self.name, self.requests).values()))


@dataclass(frozen=True)
class Logit(_OnColumns):
    r"""Logistic regression with a light ridge on standardised columns.

    A missing value is set to the training mean and marked by a column of its own. Maximises
    :math:`\sum_i \log p(y_i) - \tfrac{\lambda}{2}\|\beta\|^2`, the intercept free. Trained on rows
    of one outcome only, it forecasts their smoothed rate.

    Attributes
    ----------
    name : str
        What tables call it.
    requests : tuple of FeatureRequest
        Features.
    own : tuple of str
        Columns that come with the rows, such as ``months_elapsed``.
    logged : tuple of str
        Of both, those that enter as log(1 + x), shares of capabilities as log x.
    powers : tuple of str
        Of both, those that enter with their square and cube too, after the log. By default peace
        years, as a cubic (Carter and Signorino 2010).
    ridge : float
        Lambda, in rows.
    """

    own: tuple[str, ...] = ()
    logged: tuple[str, ...] = (
        "disputes_total", "disputes_recent", "joint_capability", "baseline_shared_allies",
    )  # fmt: skip
    powers: tuple[str, ...] = ("peace_years",)
    ridge: float = 1.0

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Penalised maximum likelihood by Newton's method."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        y = _outcome(panel)
        X = self.matrix(panel)
        if y.min() == y.max():
            return _Constant(_smoothed_rate(float(y.sum()), y.size))
        regression = LogisticRegression(C=1.0 / self.ridge, solver="newton-cholesky", tol=1e-12)
        filled = SimpleImputer(add_indicator=True, keep_empty_features=True)
        return _Classifier(self, make_pipeline(filled, StandardScaler(), regression).fit(X, y))

    def matrix(self, panel: Panel) -> FloatArray:
        """Columns of the regression, shape (rows, columns)."""
        columns = []
        for name, x in _columns(panel, self.name, self.requests, self.own).items():
            if name in self.logged:
                x = np.log(x) if name.endswith("capability") else np.log1p(x)
            columns.append(x)
            if name in self.powers:
                columns += [x**2, x**3]
        return np.column_stack(columns)


def _columns(
    panel: Panel, name: str, requests: Sequence[FeatureRequest], own: Sequence[str] = ()
) -> dict[str, FloatArray]:
    """Columns by name as they are in the panel."""
    if panel.unit == "state-year" and any(r.spec.level in ("dyad", "directed") for r in requests):
        raise ArgumentError(
            f"The baseline {name!r} reads features of pairs of states; the panel's unit is "
            "'state-year'. Use 'climatology' or 'conflictology'."
        )
    data = compute_features(panel, requests).data
    names = (*(r.name for r in requests), *own)
    return {name: data[name].to_numpy().astype(np.float64) for name in names}


@dataclass(frozen=True, eq=False)
class _Classifier:
    """What scikit-learn fitted to the columns of a method."""

    method: _OnColumns
    fitted: Any

    def predict(self, panel: Panel, *, seed: int) -> FloatArray:
        p = self.fitted.predict_proba(self.method.matrix(panel))[:, 1]
        return np.asarray(p, dtype=np.float64)[None, :]


def boosted_trees(seed: int) -> Any:
    """Boosted trees before they are fitted: what a practitioner would try first."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.04, max_leaf_nodes=12, min_samples_leaf=100,
        early_stopping=False, random_state=seed % 2**32,
    )  # fmt: skip


@dataclass(frozen=True)
class Boosting(_OnColumns):
    """Gradient-boosted trees as a practitioner would try first.

    HistGradientBoosting with 200 trees, learning rate .04, 12 leaves, at least 100 rows a leaf,
    no early stopping; missing values go their own way in each split.
    """

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> Predictor:
        """Fit the trees; an error where the training rows have only one class."""
        y = _outcome(panel)
        if y.min() == y.max():
            raise ArgumentError("Boosting needs training rows of both classes.")
        return _Classifier(self, boosted_trees(seed).fit(self.matrix(panel), y))


# Columns of the baselines, in the steps in which they are compared.

STRUCTURE = (
    # What defines the population is known of a state's first year too.
    *(
        FeatureRequest(name, name, at_entry="current")
        for name in ("land_contiguity", "contiguity_closeness", "major_powers")
    ),
    FeatureRequest("capability_ratio", "capability_ratio"),
    FeatureRequest("joint_capability", "joint_capability"),
)
HISTORY = (
    FeatureRequest("peace_years", "peace_years"),
    FeatureRequest("dispute_last_year", "dispute_last_year"),
    FeatureRequest("disputes_total", "disputes_total"),
    FeatureRequest("disputes_recent", "disputes_recent", {"window": 10}),
)
#: Beside `HISTORY` where the rows of disputes under way are among the others.
UNDER_WAY = FeatureRequest("under_way", "under_way")
_SYSTEM = FeatureRequest("system_disputes", "system_disputes_recent", {"window": 5})
ACTIVITY = (
    FeatureRequest("state_disputes_max", "state_disputes_recent", {"window": 10}, "max"),
    FeatureRequest("state_disputes_min", "state_disputes_recent", {"window": 10}, "min"),
    _SYSTEM,
)
#: Ten alliance features as they would be pooled into one model, one slope each for two centuries.
ALLIANCES = (
    *(
        FeatureRequest(f"baseline_{name}_pact", "pact_in_dyad", {"obligation": name})
        for name in ("defense", "nonaggression", "neutrality")
    ),
    FeatureRequest("outside_defense_max", "outside_defense", {}, "max"),
    FeatureRequest("outside_defense_min", "outside_defense", {}, "min"),
    FeatureRequest("outside_offense_max", "outside_offense", {}, "max"),
    FeatureRequest("outside_neutrality_max", "outside_neutrality", {}, "max"),
    FeatureRequest("baseline_shared_allies", "shared_allies"),
    FeatureRequest("new_pact_max", "new_pact", {"window": 5}, "max"),
    FeatureRequest("ally_in_dispute_max", "ally_in_dispute_with_opponent", {}, "max"),
)  # fmt: skip

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
        Boosting("boosting", (*STRUCTURE, *HISTORY, *ACTIVITY)),
        Boosting("boosting_alliances", (*STRUCTURE, *HISTORY, *ACTIVITY, *ALLIANCES)),
    )
}
"""Baselines by name, the logits and the boosting each in steps.

Steps of the logit: ``geography_power`` (borders, major powers, capabilities), with the cubic of
peace years, with dispute ``history``, with recent ``activity`` of each state and of the system,
with ten pooled alliance features. Those of the boosting have the columns of the last three.
"""


def baseline(name: str) -> Forecaster:
    """Baseline by name; the error for an unknown one has the nearest."""
    if name not in BASELINES:
        raise UnknownNameError("baseline", name, BASELINES)
    return BASELINES[name]


# Of the units that the dyad-year's do not fit: what one would fit first without alliances, on the
# history, power and geography of the unit.

_DIRECTED = Logit(
    "directed_history",
    (
        *STRUCTURE,
        FeatureRequest("challenger_capability", "capability_share", {}, "a"),
        FeatureRequest("target_capability", "capability_share", {}, "b"),
        *HISTORY,
        FeatureRequest("challenger_disputes", "state_disputes_recent", {"window": 10}, "a"),
        FeatureRequest("target_disputes", "state_disputes_recent", {"window": 10}, "b"),
        _SYSTEM,
    ),
    logged=(
        "joint_capability", "challenger_capability", "target_capability", "peace_years",
        "disputes_total", "disputes_recent", "challenger_disputes", "target_disputes",
    ),
)  # fmt: skip
_STATES = Logit(
    "state_history",
    (
        FeatureRequest("capability", "capability_share"),
        FeatureRequest("disputes_last_year", "state_disputes_recent", {"window": 1}),
        FeatureRequest("disputes_recent", "state_disputes_recent", {"window": 10}),
        _SYSTEM,
    ),
    logged=("capability", "disputes_last_year", "disputes_recent"),
)
_POWER = tuple(
    FeatureRequest(name, name)
    for name in ("land_contiguity", "major_powers", "capability_ratio", "joint_capability")
)
_DISPUTES = Logit(
    "dispute_history", (*_POWER, HISTORY[0], HISTORY[2], _SYSTEM),
    logged=("joint_capability", "peace_years", "disputes_total"), powers=(),
)  # fmt: skip
_MONTHS = "months_elapsed"
_DURATION = Logit("duration", (), own=(_MONTHS,), logged=(_MONTHS,), powers=(_MONTHS,))
_DURATION_POWER = Logit(
    "duration_power", (*_POWER, HISTORY[2]), own=(_MONTHS,),
    logged=(_MONTHS, "joint_capability", "disputes_total"), powers=(_MONTHS,),
)  # fmt: skip
_BY_UNIT: dict[str, tuple[str | Forecaster, ...]] = {
    "dyad-year": ("climatology", "conflictology", "peace_years", "history"),
    "directed-dyad-year": ("climatology", "conflictology", "peace_years", "history", _DIRECTED),
    "state-year": ("climatology", "conflictology", _STATES),
    "dispute-dyad": ("climatology", "conflictology", _DISPUTES),
    "dispute-dyad-month": ("climatology", _DURATION, _DURATION_POWER),
}


def baselines_for(unit: str) -> tuple[str | Forecaster, ...]:
    """What a model of a unit has to beat, simplest first; the last is the strongest rival.

    Shipped baselines are given by name, as `forecast.backtest` takes them.
    """
    if unit not in _BY_UNIT:
        raise UnknownNameError("unit with baselines", unit, _BY_UNIT)
    return _BY_UNIT[unit]
