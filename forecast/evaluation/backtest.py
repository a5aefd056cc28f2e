"""Rolling-origin backtest: at each origin everything is learnt again from the years before it.

An origin o knows the years before o. A forecast at horizon h is of year o + h - 1 and reads
features of year o - 1 or earlier: at horizon h every feature is lagged h - 1 years more, in
training as in forecasting (direct forecasts). Nothing that happened in o or later can enter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from forecast.errors import ArgumentError, ForecastError
from forecast.evaluation import tables
from forecast.evaluation.baselines import Forecaster, Predictor
from forecast.evaluation.corp import Reliability, reliability
from forecast.evaluation.forecasters import WITHOUT_ALLIANCES, ModelForecaster, comparison
from forecast.evaluation.origins import (
    check_step,
    panel_at_horizon,
    target_panel,
    target_rows,
    training_panel,
    with_strata,
)
from forecast.features import compute_features
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

__all__ = ["DEFAULT_BASELINES", "Backtest", "backtest"]

DEFAULT_BASELINES = ("climatology", "conflictology", "peace_years", "history", WITHOUT_ALLIANCES)
"""What a model is compared with; ``"boosting"`` needs the extra `baselines`."""

_REFERENCE = "climatology"


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts made without hindsight, and how they scored.

    Attributes
    ----------
    forecasts : pandas.DataFrame
        One row per target and model: ``origin``, ``horizon``, ``year``, ``ccode_a``, ``ccode_b``
        (or ``ccode``), ``outcome``, ``model``, ``probability`` (posterior mean), ``lower`` and
        ``upper`` (equal-tailed interval of the probability, parameter uncertainty only; NaN for
        a method without draws), and where known ``stratum``, ``peace_years``, ``decade``,
        ``region``.
    scores : pandas.DataFrame
        By horizon, model and group (all, stratum, decade, region, long peace).
    differences : pandas.DataFrame
        Paired differences of the model to each other method, with block-bootstrap intervals.
    calibration : pandas.DataFrame
        CORP decompositions, recalibration intercept and slope, by horizon and model.
    ratios : pandas.DataFrame
        Expected over observed events, in total and by group.
    murphy : pandas.DataFrame
        Elementary scores at the usual decision thresholds.
    counts : pandas.DataFrame
        Yearly counts, in total and by region: observed, interval, CRPS, PIT.
    reliability : dict of (int, str) to Reliability
        CORP curve with consistency band, by horizon and model.
    fits : pandas.DataFrame
        Diagnostics of every fit of a Bayesian model.
    model : str
        Name of the model under test.
    level : float
        Probability of every interval.
    settings : dict
        Origins, horizons, method, seed, panel, rows that could not be forecast.
    """

    forecasts: pd.DataFrame
    scores: pd.DataFrame
    differences: pd.DataFrame
    calibration: pd.DataFrame
    ratios: pd.DataFrame
    murphy: pd.DataFrame
    counts: pd.DataFrame
    reliability: dict[tuple[int, str], Reliability]
    fits: pd.DataFrame
    model: str
    level: float
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the row-level forecasts as plain values for JSON; NaN becomes None."""
        frames = ("scores", "differences", "calibration", "ratios", "murphy", "counts", "fits")
        return {
            "model": self.model,
            "level": self.level,
            "settings": self.settings,
            **{name: _records(getattr(self, name)) for name in frames},
            "reliability": [
                {"horizon": horizon, "model": model, **curve.to_dict()}
                for (horizon, model), curve in self.reliability.items()
            ],
        }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(k): None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
        for row in table.astype(object).to_dict(orient="records")
    ]


def backtest(
    model: ModelSpec | str | Path,
    panel: Panel,
    *,
    origins: Iterable[int],
    horizons: Iterable[int] = (1,),
    method: Literal["laplace", "nuts"] = "laplace",
    seed: int,
    baselines: Sequence[str | Forecaster] = DEFAULT_BASELINES,
    draws: int = 500,
    level: float = 0.9,
    resamples: int = 1000,
    progress: bool = False,
) -> Backtest:
    """Refit at each origin on all earlier years, forecast, and score against the baselines.

    Parameters
    ----------
    model : ModelSpec, str or Path
        The model under test.
    panel : Panel
        Rows of any unit; for a horizon beyond 1 it must carry its world.
    origins : iterable of int
        First year that is not known at each refit.
    horizons : iterable of int
        Years ahead; horizon 1 is the origin's own year. Each is scored on its own.
    method : {"laplace", "nuts"}
        Inference of every fit.
    seed : int
        One seed; children are spawned by horizon, origin and method.
    baselines : sequence of str or Forecaster
        Names in `forecast.evaluation.baselines.BASELINES`, ``"without_alliances"``, or any
        object with the protocol. Climatology is always run: skill is measured against it.
    draws : int
        Posterior draws of each fit.
    level : float
        Probability of all intervals.
    resamples : int
        Bootstrap resamples of the paired differences.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Backtest

    Raises
    ------
    ArgumentError
        Bad origins or horizons, or a horizon beyond 1 on a panel without its world.
    CoverageError
        An origin with no training years before it, or no target year with known outcomes.

    Notes
    -----
    The rows of a target year are those at risk in that year: both states in the system,
    politically relevant, and no dispute that merely continues. At longer horizons this part is
    known only afterwards; the forecast is of the outcome, given that the row exists.
    """
    subject = ModelForecaster(load_model(model), method, draws)
    others = [comparison(name, subject) for name in dict.fromkeys((*baselines, _REFERENCE))]
    return _run(
        [subject, *others],
        panel,
        origins=_years("origins", origins),
        horizons=_years("horizons", horizons),
        seed=seed,
        level=level,
        resamples=resamples,
        progress=progress,
    )


def _run(
    methods: list[Forecaster],
    panel: Panel,
    *,
    origins: tuple[int, ...],
    horizons: tuple[int, ...],
    seed: int,
    level: float,
    resamples: int,
    progress: bool,
) -> Backtest:
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ArgumentError(f"Two methods have the same name: {names}.")
    prepared = {h: _prepare(panel_at_horizon(panel, h), methods) for h in horizons}
    steps = [(h, o) for h in horizons for o in origins]
    for horizon, origin in steps:
        check_step(prepared[horizon][0], origin, horizon)
    parts: list[pd.DataFrame] = []
    counts: list[tuple[dict[str, Any], float, np.ndarray]] = []
    fits: list[dict[str, Any]] = []
    previous: dict[tuple[int, str], Predictor] = {}
    left_out = 0
    for (horizon, origin), advance in _tracked(steps, progress):
        views = prepared[horizon]
        target = origin + horizon - 1
        probabilities: dict[str, np.ndarray] = {}
        at = {"origin": origin, "horizon": horizon}

        def one(
            i: int, at: dict[str, int] = at, views: list[Panel] = views, target: int = target
        ) -> tuple[Predictor, np.ndarray]:
            """Fit and forecast of one method; its seeds do not depend on the others."""
            fit_seed, predict_seed = _children(seed, at["horizon"], at["origin"], i)
            try:
                fitted = methods[i].fit(
                    training_panel(views[i], at["origin"]),
                    seed=fit_seed,
                    previous=previous.get((at["horizon"], names[i])),
                )
            except ForecastError as error:
                error.add_note(f"While fitting {names[i]!r} at {at}.")
                raise
            return fitted, fitted.predict(target_panel(views[i], target), seed=predict_seed)

        # The fits leave Python's lock most of the time, and bring threads of their own.
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(2) as workers:
            done = list(workers.map(one, range(len(methods))))
        for name, (fitted, probability) in zip(names, done, strict=True):
            previous[horizon, name] = fitted
            probabilities[name] = probability
            if hasattr(fitted, "record"):
                fits.append(at | {"model": name} | fitted.record())
        rows = target_rows(target_panel(views[0], target), origin, horizon)
        usable = np.all([np.isfinite(p).all(axis=0) for p in probabilities.values()], axis=0)
        left_out += int((~usable).sum())
        rows = rows[usable].reset_index(drop=True)
        for i, (name, p) in enumerate(probabilities.items()):
            parts.append(_forecast_rows(rows, name, p[:, usable], level))
            rng = np.random.default_rng(_children(seed, horizon, origin, len(methods) + i)[0])
            counts += _year_counts(rows, name, p[:, usable], rng)
        advance()
    forecasts = pd.concat(parts, ignore_index=True)
    return _assemble(
        forecasts,
        counts,
        fits,
        names,
        seed=seed,
        level=level,
        resamples=resamples,
        settings={
            "origins": list(origins),
            "horizons": list(horizons),
            "seed": seed,
            "resamples": resamples,
            "panel": panel.to_dict(),
            "rows_left_out": left_out,
        },
    )


def _years(name: str, values: Iterable[int]) -> tuple[int, ...]:
    """Distinct integers in ascending order."""
    found = sorted({int(v) for v in values})
    if not found:
        raise ArgumentError(f"`{name}` is empty.")
    return tuple(found)


def _children(seed: int, horizon: int, origin: int, index: int) -> tuple[int, int]:
    """Seeds of fit and prediction; independent of which other origins and horizons are run."""
    child = np.random.SeedSequence(seed, spawn_key=(horizon, origin, index))
    first, second = child.generate_state(2)
    return int(first), int(second)


def _tracked(
    steps: list[tuple[int, int]], progress: bool
) -> Iterable[tuple[tuple[int, int], Callable[[], None]]]:
    if not progress:
        yield from ((step, lambda: None) for step in steps)
        return
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("backtest", total=len(steps))
        for step in steps:
            bar.update(task, description=f"backtest: origin {step[1]}, horizon {step[0]}")
            yield step, lambda: bar.advance(task)


def _prepare(panel: Panel, methods: list[Forecaster]) -> list[Panel]:
    """One panel per method, with its columns and those of the strata."""
    panel = with_strata(panel)
    # the first method's columns are shared by those that want the same
    shared = compute_features(panel, methods[0].columns())
    return [shared, *(compute_features(shared, method.columns()) for method in methods[1:])]


def _forecast_rows(rows: pd.DataFrame, name: str, draws: np.ndarray, level: float) -> pd.DataFrame:
    part = rows.copy()
    part["model"] = name
    part["probability"] = draws.mean(axis=0, dtype=np.float64)
    tail = (1.0 - level) / 2.0
    if draws.shape[0] > 1:
        part["lower"], part["upper"] = np.quantile(draws, [tail, 1.0 - tail], axis=0)
    else:
        part["lower"] = part["upper"] = np.nan
    return part


def _year_counts(
    rows: pd.DataFrame, name: str, draws: np.ndarray, rng: np.random.Generator
) -> list[tuple[dict[str, Any], float, np.ndarray]]:
    region = rows["region"].to_numpy().astype(str) if "region" in rows else None
    outcome = rows["outcome"].to_numpy()
    key = {c: int(rows[c].iloc[0]) for c in ("origin", "horizon", "year")} | {"model": name}
    return [
        (
            key | {"group": group},
            float(outcome.sum() if group == "all" else outcome[region == group].sum()),
            simulated,
        )
        for group, simulated in tables.simulate_counts(draws, region, rng=rng).items()
    ]


def _assemble(
    forecasts: pd.DataFrame,
    counts: list[tuple[dict[str, Any], float, np.ndarray]],
    fits: list[dict[str, Any]],
    names: list[str],
    *,
    seed: int,
    level: float,
    resamples: int,
    settings: dict[str, Any],
) -> Backtest:
    unit = forecasts.pop("unit").to_numpy()
    curves = {
        (int(str(h)), str(m)): reliability(
            part["outcome"], part["probability"], seed=seed, level=level
        )
        for (h, m), part in forecasts.groupby(["horizon", "model"], sort=False)
    }
    return Backtest(
        forecasts=forecasts,
        scores=tables.score_table(forecasts, reference=_REFERENCE),
        differences=tables.difference_table(
            forecasts, model=names[0], unit=unit, seed=seed, level=level, resamples=resamples
        ),
        calibration=tables.calibration_table(forecasts, level=level),
        ratios=tables.ratio_table(forecasts, level=level),
        murphy=tables.murphy_table(forecasts, reference=_REFERENCE),
        counts=tables.count_table(
            np.array([observed for _, observed, _ in counts]),
            np.column_stack([draws for _, _, draws in counts]),
            pd.DataFrame([key for key, _, _ in counts]),
            seed=seed,
            level=level,
        ),
        reliability=curves,
        fits=pd.DataFrame(fits),
        model=names[0],
        level=level,
        settings=settings,
    )
