"""A Bayesian model as a forecaster: refitted at each origin, warm-started from the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError
from forecast.evaluation.baselines import Forecaster, Predictor, baseline
from forecast.features import FeatureRequest
from forecast.modeling.encoding import requests
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["WITHOUT_ALLIANCES", "FittedModel", "ModelForecaster", "comparison"]

WITHOUT_ALLIANCES = "without_alliances"
"""Name of the comparison with the same model, its alliance terms left out."""


@dataclass(frozen=True)
class ModelForecaster:
    """A model specification with the way it is fitted.

    Attributes
    ----------
    spec : ModelSpec
        The model; its lag is set to the panel's, so that one specification serves all horizons.
    method : {"laplace", "nuts"}
        Inference.
    draws : int
        Posterior draws behind each forecast.
    label : str
        What tables call it; the model's name by default.
    """

    spec: ModelSpec
    method: Literal["laplace", "nuts"] = "laplace"
    draws: int = 500
    label: str = ""

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.label or self.spec.name

    def columns(self) -> Sequence[FeatureRequest]:
        """Features of the model's terms."""
        return requests(self.spec.entries)

    def fit(self, panel: Panel, *, seed: int, previous: Predictor | None = None) -> FittedModel:
        """Posterior of the training rows; starts from the fit of the origin before."""
        from forecast.inference.fit import fit

        start = previous.posterior if isinstance(previous, FittedModel) else None
        return FittedModel(
            fit(
                self.spec.model_copy(update={"lag": panel.lag}),
                panel,
                method=self.method,
                seed=seed,
                draws=self.draws,
                warm_start=start,
            )
        )


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A posterior that forecasts rows.

    Attributes
    ----------
    posterior : Fit
        The fit.
    """

    posterior: Fit

    def predict(self, panel: Panel, *, seed: int) -> npt.NDArray[np.floating[Any]]:
        """Probability of each row by draw, shape (draws, rows).

        New states and dyads are drawn from their population and the era walk is continued. Rows
        that the model leaves out for a missing value (policy ``drop``) are NaN.
        """
        from forecast.inference.predict import predict

        rows = self.posterior.encoding.apply(panel)
        draws = predict(self.posterior, rows, seed=seed).to_numpy()
        if rows.kept.size == panel.data.sizes["row"]:
            return np.asarray(draws)
        full = np.full((draws.shape[0], panel.data.sizes["row"]), np.nan, dtype=np.float32)
        full[:, rows.kept] = draws
        return full

    def record(self) -> dict[str, Any]:
        """Diagnostics of the fit as one table row."""
        found = self.posterior.diagnostics
        result = self.posterior.gate()
        return {
            "fit_id": self.posterior.id,
            "passed": result.passed,
            "failures": "; ".join(map(str, result.failures)),
            "pareto_k": found.pareto_k,
            "wall_seconds": found.wall_seconds,
        }


def comparison(name: str | Forecaster, model: ModelForecaster) -> Forecaster:
    """Method to compare with: a baseline by name, the model without alliances, or any method.

    Raises
    ------
    ArgumentError
        ``"without_alliances"`` for a model that has no alliance term.
    UnknownNameError
        For another name that is not a baseline.
    """
    if not isinstance(name, str):
        return name
    if name != WITHOUT_ALLIANCES:
        return baseline(name)
    bare = model.spec.without()
    if len(bare.entries) == len(model.spec.entries) and model.spec.alliance_level is None:
        raise ArgumentError(
            f"Model {model.spec.name!r} has no alliance term, so it cannot be compared with itself "
            f"{WITHOUT_ALLIANCES!r}; leave that baseline out."
        )
    return ModelForecaster(bare, model.method, model.draws, WITHOUT_ALLIANCES)
