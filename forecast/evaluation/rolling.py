"""The rolling origin: which fits and forecasts there are, and one job of them at a time.

A job is one fit of one method with all forecasts made from it. Jobs do not depend on each other,
save that within a block of ten calendar years of origins the searches of all fits begin at the
first fit of the block. So the numbers do not depend on how many workers share the jobs, nor on
which of them were done before a run was killed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.draws import thinned
from forecast.errors import ArgumentError, ForecastError
from forecast.evaluation.forecasters import FittedModel, Forecaster, ModelForecaster
from forecast.evaluation.origins import panel_at_horizon, target_panel, training_panel, views_of
from forecast.inference.warm_start import WarmStart
from forecast.panel.rows import rows_by
from forecast.panel.types import Panel
from forecast.parallel import run_tasks
from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.evaluation.plan import BacktestPlan

__all__ = ["BLOCK", "Job", "JobResult", "Part", "Shared", "jobs_of", "run_job", "run_jobs"]

BLOCK = 10
"""Years of origins whose fits share a warm start."""

_KEPT_DRAWS = 250
"""Draws of each probability that are kept, for counts by year."""


@dataclass(frozen=True)
class Job:
    """One fit of a method and the forecasts made from it, by origin and horizon.

    Several `horizons` only where they are simulated from one fit, which has seen the years before
    the origin `fitted`.
    """

    method: int
    name: str
    horizons: tuple[int, ...]
    fitted: int
    steps: tuple[tuple[int, int], ...]

    @property
    def label(self) -> str:
        """Unique within a backtest."""
        return f"{self.name} horizon={'-'.join(map(str, self.horizons))} fit={self.fitted}"

    @property
    def group(self) -> tuple[int, tuple[int, ...], int]:
        """Jobs of one group share a warm start."""
        return self.method, self.horizons, self.fitted // BLOCK


@dataclass(frozen=True, eq=False)
class Shared:
    """What all jobs read: the methods, that under test first, and by horizon a panel for each.

    A horizon is the lag of the features of its panels; simulations begin from the `tables`.
    """

    plan: BacktestPlan
    methods: tuple[Forecaster, ...]
    views: Mapping[int, Sequence[Panel]]
    tables: Tables | None

    @classmethod
    def of(cls, plan: BacktestPlan, panel: Panel) -> Shared:
        """Features of all years, computed once, and what else the jobs read."""
        methods = plan.methods()
        models = [i for i, m in enumerate(methods) if isinstance(m, ModelForecaster)]
        longest = max(plan.horizons)
        simulated = plan.multi_step == "simulate" and bool(models) and longest > 1
        if simulated and panel.tables is None:
            raise ArgumentError(
                f"Horizon {longest} needs the world of the panel, and this panel was read with "
                "its features already gathered; only horizon 1 can be scored."
            )
        own = [t for m in methods if isinstance(m, ModelForecaster) for t in m.spec.own_terms]
        if longest > 1 and own:
            raise ArgumentError(
                f"Horizon {longest}: {own[0]!r} is a column of your own, of which nothing is known "
                "after an origin; only horizon 1 can be scored with it."
            )
        wanted = [method.columns() for method in methods]
        views = {}
        for h in sorted({1, *plan.horizons} if simulated else plan.horizons):
            # a simulation reads no features of a later year
            read = [() if simulated and h > 1 and i in models else w for i, w in enumerate(wanted)]
            views[h] = views_of(panel_at_horizon(panel, h), methods, read)
        return cls(plan, tuple(methods), views, panel.tables if simulated else None)

    def learnt(self, method: int, panel: Panel, origin: int) -> Panel:
        """Rows that a method learns from at an origin.

        What is under way on 1 January in them is as a model says; as the model under test says
        for methods without a rule of their own.
        """
        how = [m for m in (self.methods[method], self.methods[0]) if isinstance(m, ModelForecaster)]
        rule = how[0].spec.under_way if how else None
        return rows_by(training_panel(panel, origin, window=self.plan.window), rule)

    def simulates(self, method: int) -> bool:
        """Whether the method's longer horizons are simulated from its fit at horizon 1."""
        how = self.methods[method]
        return self.plan.multi_step == "simulate" and isinstance(how, ModelForecaster)


@dataclass(frozen=True, eq=False)
class Part:
    """Forecasts of the rows of one target year, each shape (n,).

    The interval is NaN where the method has none; ``draws`` are some of those behind, shape (m,
    n): one, for a method without.
    """

    origin: int
    horizon: int
    mean: npt.NDArray[np.float64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    draws: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class JobResult:
    """Forecasts of a job, diagnostics of its fit, and where others may begin."""

    parts: tuple[Part, ...]
    record: dict[str, Any] | None
    start: WarmStart | None

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays that `from_arrays` reads back."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "steps": np.array([[p.origin, p.horizon] for p in self.parts], dtype=np.int64),
            "record": np.array(json.dumps(self.record)),
        }
        for i, part in enumerate(self.parts):
            for name in ("mean", "lower", "upper", "draws"):
                arrays[f"{i}:{name}"] = getattr(part, name)
        if self.start is not None:
            arrays |= {f"start:{k}": v for k, v in self.start.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> JobResult:
        """Inverse of `to_arrays`."""
        parts = tuple(
            Part(int(o), int(h), *(arrays[f"{i}:{n}"] for n in ("mean", "lower", "upper", "draws")))
            for i, (o, h) in enumerate(arrays["steps"])
        )
        start = {n.removeprefix("start:"): v for n, v in arrays.items() if n.startswith("start:")}
        return cls(
            parts=parts,
            record=json.loads(str(arrays["record"])),
            start=WarmStart.from_arrays(start) if start else None,
        )


def jobs_of(shared: Shared, steps: Iterable[tuple[int, int]]) -> list[Job]:
    """Every job of a backtest.

    Fits are made at the first origin and every `refit` years after it; an origin between uses the
    fit before it. The check by NUTS forecasts at its own origins only, each on all that was known
    then.
    """
    at = set(shared.plan.nuts_at)
    only = {len(shared.methods) - 1: at} if at else {}
    steps = sorted(steps)
    first, refit = steps[0][0], shared.plan.refit
    jobs: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for i, _ in enumerate(shared.methods):
        for origin, horizon in steps:
            if origin not in only.get(i, {origin}):
                continue
            fitted = origin if i in only else first + (origin - first) // refit * refit
            own = 0 if shared.simulates(i) else horizon
            jobs.setdefault((i, own, fitted), []).append((origin, horizon))
    return [
        Job(
            method=i,
            name=shared.methods[i].name,
            horizons=tuple(sorted({h for _, h in made})),
            fitted=fitted,
            steps=tuple(made),
        )
        for (i, _, fitted), made in jobs.items()
    ]


def seeds(seed: int, horizon: int, origin: int, name: str) -> tuple[int, int]:
    """Seeds of fit and prediction; independent of what else is run."""
    child = np.random.SeedSequence(seed, spawn_key=(horizon, origin, zlib.crc32(name.encode())))
    first, second = child.generate_state(2)
    return int(first), int(second)


def run_job(shared: Shared, job: Job, start: WarmStart | None) -> JobResult:
    """Fit on what was known at the origin of the fit, and forecast every step."""
    method = shared.methods[job.method]
    fitted_at = 1 if shared.simulates(job.method) else job.horizons[0]
    panel = shared.views[fitted_at][job.method]
    try:
        fitted = method.fit(
            shared.learnt(job.method, panel, job.fitted),
            seed=seeds(shared.plan.seed, fitted_at, job.fitted, job.name)[0],
            previous=start,  # type: ignore[arg-type]
        )
        parts = []
        for origin in sorted({origin for origin, _ in job.steps}):
            wanted = [h for o, h in job.steps if o == origin]
            for horizon in wanted:
                if horizon == fitted_at:
                    rows = target_panel(panel, origin + horizon - 1)
                    seed = seeds(shared.plan.seed, horizon, origin, job.name)[1]
                    draws = fitted.predict(rows, seed=seed)
                    mean = draws.mean(axis=0, dtype=np.float64)
                    parts.append(_part(origin, horizon, mean, draws, shared.plan.level))
            if shared.simulates(job.method) and max(wanted) > 1:
                parts += _simulated(shared, job, fitted, origin, wanted)  # type: ignore[arg-type]
    except ForecastError as error:
        error.add_note(f"While fitting {job.name!r} at origin {job.fitted}.")
        raise
    record = fitted.record() if hasattr(fitted, "record") else None
    begin = fitted.warm_start() if hasattr(fitted, "warm_start") else None
    return JobResult(tuple(parts), record, begin)


def _simulated(
    shared: Shared, job: Job, fitted: FittedModel, origin: int, wanted: list[int]
) -> list[Part]:
    from forecast.evaluation.origins import at_risk_draws, simulated_forecasts

    assert shared.tables is not None
    ahead = [h for h in wanted if h > 1]
    views = shared.views[1][job.method]
    seed = seeds(shared.plan.seed, 1, origin, job.name)[1]
    found = simulated_forecasts(
        fitted.posterior,
        shared.tables,
        {h: target_panel(views, origin + h - 1) for h in ahead},
        origin=origin,
        seed=seed,
    )
    parts = []
    for h in ahead:
        draws, at_risk = found[h]
        total = at_risk.sum(axis=0, dtype=np.float64)
        mean = (draws * at_risk).sum(axis=0, dtype=np.float64) / np.where(total > 0, total, np.nan)
        rng = np.random.default_rng([seed, h])
        parts.append(_part(origin, h, mean, at_risk_draws(draws, at_risk, rng), shared.plan.level))
    return parts


def _part(
    origin: int,
    horizon: int,
    mean: npt.NDArray[np.float64],
    draws: npt.NDArray[np.floating[Any]],
    level: float,
) -> Part:
    """Forecasts with their equal-tailed interval and some of their draws."""
    tail = (1.0 - level) / 2.0
    if draws.shape[0] > 1:
        lower, upper = np.quantile(draws, [tail, 1.0 - tail], axis=0).astype(np.float64)
    else:
        lower = upper = np.full(mean.shape, np.nan)
    few = np.ascontiguousarray(draws[thinned(len(draws), _KEPT_DRAWS)], dtype=np.float32)
    return Part(origin, horizon, mean, lower, upper, few)


def run_jobs(
    shared: Shared,
    jobs: Sequence[Job],
    *,
    done: Mapping[str, JobResult],
    on_result: Callable[[Job, JobResult], None],
    workers: int = 1,
    client: Any = None,
) -> dict[str, JobResult]:
    """Results of all jobs by label, those that are `done` taken as they are.

    The first job of each group is run before the others of it, which begin where it ended.
    """
    results = dict(done)
    heads: dict[tuple[int, tuple[int, ...], int], Job] = {}
    for job in jobs:
        if job.fitted < heads.get(job.group, job).fitted:
            heads[job.group] = job
        heads.setdefault(job.group, job)
    leading = {job.label for job in heads.values()}
    for phase in (True, False):
        wanted = [j for j in jobs if (j.label in leading) == phase and j.label not in results]
        # models first, and the latest first: what takes longest must not be left to the end
        wanted.sort(key=lambda j: (not isinstance(shared.methods[j.method], ModelForecaster),
                                   -j.fitted))  # fmt: skip
        starts = [None if phase else results[heads[j.group].label].start for j in wanted]
        tasks = list(zip(wanted, starts, strict=True))

        def finished(i: int, result: JobResult, wanted: list[Job] = wanted) -> None:
            results[wanted[i].label] = result
            on_result(wanted[i], result)

        # Two at a time in this process: they leave Python's lock most of the time.
        run_tasks(
            run_job, tasks, shared=shared, workers=workers, client=client, threads=2,
            on_result=finished,
        )  # fmt: skip
    return results
