"""Rolling-origin backtest: at each origin everything is learnt again from the years before it.

An origin o knows the years before o. A forecast at horizon h is of year o + h - 1 and rests on
what was known before o: at horizon 1 on features of year o - 1. Beyond, a model is simulated
forward from the origin with feedback (`forecast.evaluation.multistep`), and every other method
(a model too, on request) is fitted to features that are lagged h - 1 years more (direct
forecasts). Nothing that happened in o or later can enter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.backtest_result import REFERENCE, Backtest
from forecast.evaluation.baselines import Forecaster
from forecast.evaluation.forecast_table import Pieces, assemble, forecast_rows
from forecast.evaluation.forecasters import WITHOUT_ALLIANCES, ModelForecaster, comparison
from forecast.evaluation.origins import target_panel, target_rows
from forecast.evaluation.preparation import (
    CHECK,
    fingerprint,
    identity,
    known_steps,
    make_setting,
    nuts_check,
)
from forecast.evaluation.rolling import Job, JobResult, plan, run_jobs
from forecast.evaluation.run_folder import Progress, RunFolder
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

__all__ = ["DEFAULT_BASELINES", "Backtest", "backtest"]

DEFAULT_BASELINES = ("climatology", "conflictology", "peace_years", "history", WITHOUT_ALLIANCES)
"""What a model is compared with; ``"boosting"`` needs the extra `baselines`."""


def backtest(
    model: ModelSpec | str | Path,
    panel: Panel,
    *,
    origins: Iterable[int],
    horizons: Iterable[int] = (1,),
    method: Literal["laplace", "nuts"] = "laplace",
    seed: int,
    baselines: Sequence[str | Path | ModelSpec | Forecaster] = DEFAULT_BASELINES,
    draws: int = 500,
    level: float = 0.9,
    resamples: int = 1000,
    window: int | None = None,
    refit: int = 1,
    multi_step: Literal["simulate", "direct"] = "simulate",
    recalibrate: int | None = None,
    stack: Sequence[str] = (),
    warm_up: int = 0,
    nuts_at: Iterable[int] = (),
    nuts_draws: int = 500,
    out: str | Path | None = None,
    workers: int = 1,
    client: Any = None,
    progress: bool = False,
) -> Backtest:
    """Refit at the origins on the years before, forecast, and score against the baselines.

    Parameters
    ----------
    model : ModelSpec, str or Path
        The model under test.
    panel : Panel
        Rows of any unit; for a horizon beyond 1 it must carry its world and its tables.
    origins : iterable of int
        First years that are not known.
    horizons : iterable of int
        Years ahead; horizon 1 is the origin's own year. Each is scored on its own. Steps beyond
        the last known outcome are left out and listed in ``settings``.
    method : {"laplace", "nuts"}
        Inference of every fit.
    seed : int
        One seed; children are spawned by horizon, origin and name of the method.
    baselines : sequence of str, Path, ModelSpec or Forecaster
        Names in `forecast.evaluation.baselines.BASELINES`, ``"without_alliances"``, other models
        (by name, file or specification), or any object with the protocol. Climatology is always
        run: skill is measured against it.
    draws : int
        Posterior draws of each fit.
    level : float
        Probability of all intervals.
    resamples : int
        Bootstrap resamples of the paired differences.
    window : int, optional
        Learn from so many years before the origin only (sliding); all by default (expanding).
    refit : int
        Refit at the first origin and every `refit` years after it; an origin between uses the
        last fit before it, with features of the year before the origin.
    multi_step : {"simulate", "direct"}
        How models forecast beyond horizon 1: simulated year by year with feedback of simulated
        onsets, or fitted anew to features that are older by as much. Baselines are direct.
    recalibrate : int, optional
        Also score every method recalibrated by logistic regression on its own forecasts of so
        many years before each origin (``"<name>, recalibrated"``, beside the raw ones; see
        `forecast.evaluation.recalibration`).
    stack : sequence of str
        Also score the model stacked with these of the baselines: a logistic pool whose weights
        are learnt at each origin from all forecasts of the years before it (see
        `forecast.evaluation.stacking`). Intervals and draws are the model's, moved.
    warm_up : int
        Origins of so many years before the first are forecast too, for recalibration to learn
        from; they are not scored.
    nuts_at : iterable of int
        Origins at which NUTS fits the model too, as a check of `method`.
    nuts_draws : int
        Its draws of each of four chains.
    out : str or Path, optional
        Folder in which finished parts are kept (``forecasts/`` has one Parquet file per origin
        and fit). Run again with the same arguments it goes on where it stopped.
    workers : int
        Processes; with 1, two threads of this one.
    client : dask.distributed.Client, optional
        A cluster instead.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Backtest

    Raises
    ------
    ArgumentError
        Bad origins or horizons, or a horizon beyond 1 on a panel without its world.
    ArtifactError
        `out` holds a backtest of another configuration.
    CoverageError
        An origin with no training years before it, or no target year with known outcomes.

    Notes
    -----
    The rows of a target year are those of the panel: both states in the system and of the
    population; a pair whose dispute is under way as the option ``under_way`` of the panel says.
    At longer horizons this is known only afterwards; the forecast is of the outcome, given that
    the row exists. All methods are scored on the same rows, but each learns from those of its own
    rule: a model as its specification says, baselines as the model under test. A pair that is no
    row by what is known at the origin (a state yet to come) has no simulated forecast and is left
    out at that horizon for all methods (``rows_left_out``).

    Numbers depend neither on `workers` nor on interruptions. Within a calendar decade of origins
    each fit begins its search at the first fit of the decade.
    """
    subject = ModelForecaster(load_model(model), method, draws)
    others = {method.name: method for method in (comparison(b, subject) for b in baselines)}
    # by name: a method of the caller's own need not be hashable
    others.setdefault(REFERENCE, comparison(REFERENCE, subject))
    return _run(
        [subject, *others.values()],
        panel,
        origins=_years("origins", origins),
        horizons=_years("horizons", horizons),
        seed=seed,
        level=level,
        resamples=resamples,
        window=_positive("window", window),
        refit=_positive("refit", refit) or 1,
        multi_step=multi_step,
        recalibrate=_positive("recalibrate", recalibrate),
        stack=tuple(stack),
        warm_up=warm_up,
        nuts_at=tuple(sorted({int(o) for o in nuts_at})),
        nuts_draws=nuts_draws,
        out=None if out is None else Path(out),
        workers=workers,
        client=client,
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
    window: int | None = None,
    refit: int = 1,
    multi_step: Literal["simulate", "direct"] = "simulate",
    recalibrate: int | None = None,
    stack: Sequence[str] = (),
    warm_up: int = 0,
    nuts_at: tuple[int, ...] = (),
    nuts_draws: int = 500,
    out: Path | None = None,
    workers: int = 1,
    client: Any = None,
    progress: bool = False,
) -> Backtest:
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ArgumentError(f"Two methods have the same name: {names}.")
    if multi_step not in ("simulate", "direct"):
        raise ArgumentError(f"multi_step={multi_step!r}: expected 'simulate' or 'direct'.")
    for name in stack:
        if name not in names[1:]:
            raise UnknownNameError("method to stack", name, names[1:], "Expected a baseline.")
    if strange := [o for o in nuts_at if o not in origins]:
        raise ArgumentError(f"nuts_at={strange}: expected some of the origins.")
    every = tuple(range(origins[0] - warm_up, origins[0])) + origins
    checks: dict[int, set[int]] = {}
    if nuts_at:
        checks = {len(methods): set(nuts_at)}
        methods = [*methods, nuts_check(methods[0], nuts_draws)]
    setting = make_setting(
        methods, panel, horizons, seed=seed, level=level, window=window, multi_step=multi_step
    )
    steps, without = known_steps(setting, every, horizons)
    jobs = plan(setting, steps, refit=refit, only=checks)
    rows = {
        (o, h): target_rows(target_panel(setting.views[h][0], o + h - 1), o, h) for o, h in steps
    }
    config = {
        "version": version("alliance-forecast"),
        "panel": fingerprint(panel),
        "methods": [identity(m) for m in methods],
        "origins": list(every),
        "horizons": list(horizons),
        "seed": seed,
        "level": level,
        "window": window,
        "refit": refit,
        "multi_step": multi_step,
        "nuts_at": list(nuts_at),
    }
    folder = None if out is None else RunFolder.open(out, config)
    done: dict[str, JobResult] = {}
    for job in jobs if folder is not None else ():
        if (kept := folder.load(job.label)) is not None:  # type: ignore[union-attr]
            done[job.label] = JobResult.from_arrays(kept)
    bar = Progress(progress, len(jobs), len(done))

    def finished(job: Job, result: JobResult) -> None:
        if folder is not None:
            tables = {
                origin: pd.concat(
                    [
                        forecast_rows(rows[p.origin, p.horizon], job.name, p.mean, p.lower, p.upper)
                        for p in result.parts
                        if p.origin == origin
                    ],
                    ignore_index=True,
                ).drop(columns="unit")
                for origin in sorted({p.origin for p in result.parts})
            }
            folder.save(job.label, result.to_arrays(), tables)
        bar.advance(job.label)

    with bar:
        results = run_jobs(
            setting, jobs, done=done, on_result=finished, workers=workers, client=client
        )
    made = assemble(
        Pieces(jobs=jobs, results=results, rows=rows, names=names, check=CHECK),
        reference=REFERENCE,
        first=origins[0],
        recalibrate=recalibrate,
        stack=stack,
        seed=seed,
        level=level,
    )
    return Backtest(
        **made.tables,
        model=names[0],
        level=level,
        settings={
            "origins": list(origins),
            "horizons": list(horizons),
            "seed": seed,
            "resamples": resamples,
            "window": window,
            "refit": refit,
            "multi_step": multi_step,
            "recalibrate": recalibrate,
            "stack": list(stack),
            "warm_up": warm_up,
            "panel": panel.to_dict(),
            "rows_left_out": made.left_out,
            "rows_left_out_by": made.left_out_by,
            "steps_without_outcome": [list(step) for step in without],
        },
    )


def _years(name: str, values: Iterable[int]) -> tuple[int, ...]:
    """Distinct integers in ascending order."""
    found = sorted({int(v) for v in values})
    if not found:
        raise ArgumentError(f"`{name}` is empty.")
    return tuple(found)


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or int(value) != value or value < 1):
        raise ArgumentError(f"{name}={value!r}: expected a number of years, at least 1.")
    return value
