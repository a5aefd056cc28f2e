"""A Bayesian model as a forecaster: refitted at each origin, begun where another ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.baseline_columns import HISTORY, UNDER_WAY
from forecast.evaluation.baselines import BASELINES, Boosting, Forecaster, Logit, baseline
from forecast.features import FeatureRequest
from forecast.inference.warm_start import WarmStart
from forecast.modeling.encoding import requests
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.events import UnderWay
from forecast.panel.types import Panel
from forecast.paths import models_folder

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
        Posterior draws behind each forecast (NUTS: per chain).
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

    @property
    def needs_world(self) -> bool:
        """Whether rows are not enough: treaties are read from the world."""
        return self.spec.alliance_level is not None

    def columns(self) -> Sequence[FeatureRequest]:
        """Features of the model's terms."""
        return requests(self.spec.entries)

    def fit(self, panel: Panel, *, seed: int, previous: object = None) -> FittedModel:
        """Posterior of the training rows; the search begins at `previous`, a `WarmStart`."""
        from forecast.inference.fit import fit

        start = previous if isinstance(previous, WarmStart) and self.method == "laplace" else None
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

    def warm_start(self) -> WarmStart | None:
        """Where a later fit may begin; None for NUTS, which needs no mode."""
        return self.posterior.warm_start() if self.posterior.method == "laplace" else None

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


def comparison(name: str | Path | ModelSpec | Forecaster, model: ModelForecaster) -> Forecaster:
    """Method to compare with: a baseline or a model by name, or any method.

    Parameters
    ----------
    name : str, Path, ModelSpec or Forecaster
        A name in `BASELINES`, ``"without_alliances"``, another model (by name, file or as a
        specification; fitted as the one under test), ``"without_alliances:MODEL"`` for another
        model without its alliance terms, or an object with the protocol. ``"stratum"``,
        ``"drop"`` or ``"convention"``: the model under test, or after a colon another, learnt from
        the rows of another rule of what is under way (`forecast.load_panel`) and forecasting the
        rows of the panel.
    model : ModelForecaster
        The model under test.

    Raises
    ------
    ArgumentError
        ``"without_alliances"`` for a model that has no alliance term.
    UnknownNameError
        For a name that is neither a baseline nor a model.
    """
    if isinstance(name, ModelSpec | Path):
        return replace(model, spec=load_model(name), label="")
    if not isinstance(name, str):
        return name
    if name == WITHOUT_ALLIANCES:
        return replace(model, spec=_bare(model.spec), label=WITHOUT_ALLIANCES)
    kind, _, other = name.rpartition(":")
    for rule in get_args(UnderWay):
        if rule in (kind, name):
            spec = load_model(other) if kind else model.spec
            return replace(model, spec=spec.with_under_way(rule), label="")
    if kind == WITHOUT_ALLIANCES:
        return replace(model, spec=_bare(load_model(other)), label="")
    shipped = {file.stem for file in models_folder().glob("*.toml")}
    if name in shipped or name.endswith(".toml"):
        return replace(model, spec=load_model(name), label="")
    if name not in BASELINES:
        known = [*BASELINES, WITHOUT_ALLIANCES, *get_args(UnderWay), *shipped]
        raise UnknownNameError("baseline", name, known)
    found = baseline(name)
    tells = any(entry.feature == UNDER_WAY.feature for entry in model.spec.entries)
    # what the model is told of its rows, its rivals are told too
    if tells and isinstance(found, Logit | Boosting) and HISTORY[-1] in found.requests:
        found = replace(found, requests=(*found.requests, UNDER_WAY))
    return found


def _bare(spec: ModelSpec) -> ModelSpec:
    """The model without alliance terms, which it must have."""
    bare = spec.without()
    if len(bare.entries) == len(spec.entries) and spec.alliance_level is None:
        raise ArgumentError(
            f"Model {spec.name!r} has no alliance term, so it cannot be compared with itself "
            f"{WITHOUT_ALLIANCES!r}; leave that baseline out."
        )
    return bare
