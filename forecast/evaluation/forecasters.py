"""What a backtest refits at each origin: Bayesian models, baselines, methods of the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.baselines import BASELINES, HISTORY, UNDER_WAY, Boosting, Logit, baseline
from forecast.features import FeatureRequest
from forecast.inference.warm_start import WarmStart
from forecast.modeling.encoding import requests
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.events import UnderWay
from forecast.panel.types import Panel
from forecast.paths import models_folder

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = [
    "WITHOUT_ALLIANCES", "FittedModel", "Forecaster", "ModelForecaster", "Predictor", "comparison",
    "identity",
]  # fmt: skip

WITHOUT_ALLIANCES = "without_alliances"
"""Name of the comparison with the same model, its alliance terms left out."""


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


@dataclass(frozen=True)
class ModelForecaster:
    """A model specification with the way it is fitted, `draws` for each forecast (NUTS: chain).

    Its lag is set to the panel's, so that one specification serves all horizons. Tables call it by
    its `label`, by default the model's name.
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
    """A posterior that forecasts rows."""

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


def identity(method: Forecaster) -> dict[str, Any]:
    """What tells a method from others of the same name."""
    if isinstance(method, ModelForecaster):
        own = {"model": method.spec.sha256, "method": method.method, "draws": method.draws}
        return {"name": method.name, **own}
    about = repr(method) if is_dataclass(method) else ""
    return {"name": method.name, "class": type(method).__qualname__, "about": about}


def comparison(name: str | ModelSpec | Forecaster, subject: Forecaster) -> Forecaster:
    """Method to compare the one under test with: a baseline or a model by name, or any method.

    A name in `BASELINES`, ``"without_alliances"``, another model (by name, file or as a
    specification; fitted as the one under test), ``"without_alliances:MODEL"`` for another model
    without its alliance terms, or an object with the protocol. ``"stratum"``, ``"drop"`` or
    ``"convention"``: the model under test, or after a colon another, learnt from the rows of
    another rule of what is under way (`forecast.load_panel`), forecasting the rows of the panel.
    """
    if not isinstance(name, str | ModelSpec):
        return name
    if isinstance(name, str) and name in BASELINES:
        return _told(baseline(name), subject)
    own = subject if isinstance(subject, ModelForecaster) else None
    spec, label = _specification(name, None if own is None else own.spec)
    if own is None or spec is None:
        raise ArgumentError(
            f"{subject.name!r} is no model that could be compared with {name!r}; leave that out."
        )
    return replace(own, spec=spec, label=label)


def _specification(name: str | ModelSpec, own: ModelSpec | None) -> tuple[ModelSpec | None, str]:
    """The model to compare `own` with, and what tables call it if not by its own name."""
    if isinstance(name, ModelSpec):
        return name, ""
    rules = (WITHOUT_ALLIANCES, *get_args(UnderWay))
    rule, _, other = (name, "", "") if name in rules else name.rpartition(":")
    if rule in rules:
        base = load_model(other) if other else own
        if base is None:
            return None, ""
        if rule != WITHOUT_ALLIANCES:
            return base.with_under_way(rule), ""  # type: ignore[arg-type]
        return _bare(base), "" if other else WITHOUT_ALLIANCES
    shipped = {file.stem for file in models_folder().glob("*.toml")}
    if name in shipped or name.endswith(".toml"):
        return load_model(name), ""
    known = [*BASELINES, *rules, *shipped]
    raise UnknownNameError("baseline", name, known)


def _told(found: Forecaster, subject: Forecaster) -> Forecaster:
    """What the model is told of its rows, its rivals are told too."""
    entries = subject.spec.entries if isinstance(subject, ModelForecaster) else ()
    if not any(entry.feature == UNDER_WAY.feature for entry in entries):
        return found
    if isinstance(found, Logit | Boosting) and HISTORY[-1] in found.requests:
        return replace(found, requests=(*found.requests, UNDER_WAY))
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
