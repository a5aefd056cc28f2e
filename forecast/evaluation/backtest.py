"""Rolling-origin backtest: at each origin everything is learnt again from the years before it.

An origin o knows the years before o. A forecast at horizon h is of year o + h - 1 and rests on
what was known before o: at horizon 1 on features of year o - 1. Beyond, a model is simulated
forward from the origin with feedback (`forecast.evaluation.multistep`), and every other method
(a model too, on request) is fitted to features that are lagged h - 1 years more (direct
forecasts). Nothing that happened in o or later can enter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.errors import ArgumentError, DataError, MissingFileError
from forecast.evaluation.assembly import Pieces, assemble, forecast_rows
from forecast.evaluation.corp import Reliability
from forecast.evaluation.origins import known_steps, target_panel, target_rows
from forecast.evaluation.plan import CHECK, REFERENCE, BacktestPlan
from forecast.evaluation.rolling import Job, JobResult, Shared, jobs_of, run_jobs
from forecast.evaluation.run_folder import Progress, RunFolder
from forecast.evaluation.tables import records
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = ["Backtest", "BacktestPlan", "backtest", "complete_rows", "read_forecasts"]


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
        ``region``, and ``continues`` (a dispute that was under way goes on and no new one
        begins: no row by the field's convention).
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
    totals : pandas.DataFrame
        By horizon and model: share of years whose number of events lies inside its interval,
        with the events expected and observed over all years.
    recalibration : pandas.DataFrame
        Recalibration line of each origin, by horizon and model, and the years it was learnt
        from; empty unless asked for.
    stack : pandas.DataFrame
        Weights of the stack at each origin, and the years they were learnt from; empty unless
        asked for.
    nuts : pandas.DataFrame
        By origin, how far the forecasts of NUTS are from those of the backtest's own method;
        empty unless asked for.
    model : str
        Name of the model under test.
    level : float
        Probability of every interval.
    settings : dict
        Origins, horizons, method, seed, the whole plan, panel, rows that could not be forecast.
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
    totals: pd.DataFrame = field(default_factory=pd.DataFrame)
    recalibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    stack: pd.DataFrame = field(default_factory=pd.DataFrame)
    nuts: pd.DataFrame = field(default_factory=pd.DataFrame)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the row-level forecasts as plain values for JSON; NaN becomes None."""
        return {
            "model": self.model,
            "level": self.level,
            "settings": self.settings,
            **{name: records(getattr(self, name)) for name in _TABLES},
            "reliability": [
                {"horizon": horizon, "model": model, **curve.to_dict()}
                for (horizon, model), curve in self.reliability.items()
            ],
        }

    def severity(self, tables: Tables, *, level: float = 0.9) -> pd.DataFrame:
        """Expected and observed at every level of severity, one year ahead.

        Parameters
        ----------
        tables : Tables
            The data set behind the panel.
        level : float
            Probability of the intervals.

        Returns
        -------
        pandas.DataFrame
            As `forecast.evaluation.ladder.ladder_table` has it; empty for anything but onsets of
            pairs and years.
        """
        from forecast.evaluation.ladder import ladder_forecasts, ladder_table

        about = self.settings.get("panel", {})
        if (about.get("unit"), about.get("outcome")) != ("dyad-year", "onset"):
            return pd.DataFrame()
        first = self.settings["origins"][0] - self.settings["warm_up"]
        refits = range(first, max(self.settings["origins"]) + 1, self.settings["refit"])
        rows = ladder_forecasts(
            self.forecasts, tables, model=self.model, refits=refits, seed=self.settings["seed"]
        )
        return ladder_table(rows, level=level)

    def save(self, folder: str | Path) -> None:
        """Write every table into a folder: Parquet and CSV, and ``backtest.json``.

        Parameters
        ----------
        folder : str or Path
            New, empty, or that of an earlier call, which is replaced as a whole.

        Raises
        ------
        ArgumentError
            The folder holds something that this library did not write.
        """
        import json

        from forecast.files import replace_folder

        named = {name: getattr(self, name) for name in ("forecasts", *_TABLES)}
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        with replace_folder(Path(folder)) as staging:
            for name, table in named.items():
                if len(table.columns):
                    table.to_parquet(staging / f"{name}.parquet", index=False)
                    table.to_csv(staging / f"{name}.csv", index=False, lineterminator="\n")
            (staging / "backtest.json").write_text(text, encoding="utf-8")


_TABLES = (
    "scores", "differences", "calibration", "ratios", "murphy", "counts", "fits", "totals",
    "recalibration", "stack", "nuts",
)  # fmt: skip


def backtest(
    plan: BacktestPlan | ModelSpec | str | Path,
    panel: Panel | None = None,
    *,
    years: tuple[int, int] | None = None,
    horizon: int | Iterable[int] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    client: Any = None,
    progress: bool = False,
) -> Backtest:
    """Refit at the origins on the years before, forecast, and score against the baselines.

    Parameters
    ----------
    plan : BacktestPlan, ModelSpec, str or Path
        What is forecast, how, and what it is compared with; or only the model under test, with
        `years` and `seed`, and the default of everything else (`forecast.BacktestPlan`).
    panel : Panel, optional
        Rows of any unit; for a horizon beyond 1 it must carry its world and its tables. By
        default the embedded data with the rows that the model asks for.
    years : (int, int), optional
        First and last origin; an origin is the first year that is not known.
    horizon : int or iterable of int, optional
        Years ahead, each scored on its own; 1 by default, the origin's own year.
    seed : int, optional
        Every random number descends from it.
    out : str or Path, optional
        Folder in which finished parts are kept (``forecasts/`` has one Parquet file per origin
        and fit). Run again with the same plan it goes on where it stopped.
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
        A plan with arguments that it decides, a model without `years` or `seed`, or a horizon
        beyond 1 on a panel without its world.
    SpecificationError
        A value that no plan can have.
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
    plan = _plan(plan, years, horizon, seed)
    panel = plan.panel() if panel is None else panel
    origins, shared = plan.years(panel), Shared.of(plan, panel)
    every = (*range(origins[0] - plan.warm_up, origins[0]), *origins)
    scored = {h: shared.views[h][0] for h in plan.horizons}
    steps, without = known_steps(scored, every, window=plan.window)
    jobs = jobs_of(shared, steps)
    rows = {(o, h): target_rows(target_panel(scored[h], o + h - 1), o, h) for o, h in steps}
    folder = None if out is None else RunFolder.open(out, plan.identity(panel))
    results = _results(shared, jobs, rows, folder, workers=workers, client=client, show=progress)
    names = [m.name for m in shared.methods[: len(shared.methods) - bool(plan.nuts_at)]]
    about = {"panel": panel.to_dict(), "steps_without_outcome": [list(step) for step in without]}
    return _scored(plan, Pieces(jobs, results, rows, names, CHECK), origins, about)


def _scored(
    plan: BacktestPlan, pieces: Pieces, origins: tuple[int, ...], about: dict[str, Any]
) -> Backtest:
    """The forecasts of a plan with their tables."""
    made = assemble(
        pieces,
        reference=REFERENCE,
        first=origins[0],
        recalibrate=plan.recalibrate,
        stack=plan.stack,
        seed=plan.seed,
        level=plan.level,
        resamples=plan.resamples,
    )
    kept = ("seed", "resamples", "window", "refit", "multi_step", "recalibrate", "warm_up")
    return Backtest(
        **made.tables,
        reliability=made.reliability,
        model=pieces.names[0],
        level=plan.level,
        settings={
            "origins": list(origins),
            "horizons": list(plan.horizons),
            **{name: getattr(plan, name) for name in kept},
            "stack": list(plan.stack),
            "plan": plan.to_dict() | {"sha256": plan.sha256},
            "rows_left_out": made.left_out,
            "rows_left_out_by": made.left_out_by,
            **about,
        },
    )


def _plan(
    plan: BacktestPlan | ModelSpec | str | Path,
    years: tuple[int, int] | None,
    horizon: int | Iterable[int] | None,
    seed: int | None,
) -> BacktestPlan:
    """The plan as it is, or that of a model and the usual arguments."""
    about = {"years": years, "horizon": horizon, "seed": seed}
    if isinstance(plan, BacktestPlan):
        if given := [name for name, value in about.items() if value is not None]:
            raise ArgumentError(f"The plan decides {', '.join(given)}; leave out one of the two.")
        return plan
    if missing := [name for name in ("years", "seed") if about[name] is None]:
        raise ArgumentError(f"A model without {' and '.join(missing)}: give both, or a plan.")
    try:
        first, last = years  # type: ignore[misc]
        origins = range(first, last + 1)
    except (TypeError, ValueError):
        raise ArgumentError(f"years={years!r}: expected first and last origin.") from None
    ahead = (1,) if horizon is None else (horizon,) if isinstance(horizon, int) else horizon
    return BacktestPlan(model=plan, origins=origins, horizons=tuple(ahead), seed=seed)


def _results(
    shared: Shared,
    jobs: list[Job],
    rows: dict[tuple[int, int], pd.DataFrame],
    folder: RunFolder | None,
    *,
    workers: int,
    client: Any,
    show: bool,
) -> dict[str, JobResult]:
    """Results of all jobs by label; those in the folder are read, the others kept there."""
    done: dict[str, JobResult] = {}
    for job in jobs if folder is not None else ():
        if (kept := folder.load(job.label)) is not None:  # type: ignore[union-attr]
            done[job.label] = JobResult.from_arrays(kept)

    def finished(job: Job, result: JobResult) -> None:
        if folder is not None:
            tables: dict[int, list[pd.DataFrame]] = {}
            for p in sorted(result.parts, key=lambda p: p.origin):
                about = rows[p.origin, p.horizon].drop(columns="unit")
                made = forecast_rows(about, job.name, p.mean, p.lower, p.upper)
                tables.setdefault(p.origin, []).append(made)
            every = {o: pd.concat(parts, ignore_index=True) for o, parts in tables.items()}
            folder.save(job.label, result.to_arrays(), every)
        bar.advance(job.label)

    with (bar := Progress(show, len(jobs), len(done))):
        return run_jobs(shared, jobs, done=done, on_result=finished, workers=workers, client=client)


_KEYS = ("horizon", "year", "ccode", "ccode_a", "ccode_b")
_NEEDED = ("horizon", "year", "outcome", "model", "probability")


def read_forecasts(folder: str | Path) -> pd.DataFrame:
    """Forecasts of every method on identical rows.

    Parameters
    ----------
    folder : str or Path
        Folder of ``forecast backtest --out`` or of ``backtest(out=…)``, while it runs or after;
        or one Parquet file of such rows.

    Returns
    -------
    pandas.DataFrame
        As `forecast.evaluation.backtest.Backtest.forecasts`. Rows that one of the methods could
        not forecast are left out for all, and counted in ``attrs["rows_left_out"]``.

    Raises
    ------
    MissingFileError
        There are no forecasts in the folder.
    DataError
        A file has not the columns of forecasts.
    """
    path = Path(folder)
    whole = [path] if path.is_file() else [path / "tables" / "forecasts.parquet"]
    files = [file for file in whole if file.is_file()]
    if not files:
        found = {d: sorted(d.glob("*.parquet")) for d in (path / "run" / "forecasts",
                                                          path / "forecasts")}  # fmt: skip
        files = next((names for names in found.values() if names), [])
    if not files:
        raise MissingFileError(
            f"{path} has no forecasts; expected the folder that `forecast backtest --out` wrote."
        )
    parts = []
    for file in files:
        part = pd.read_parquet(file)
        missing = [name for name in _NEEDED if name not in part]
        if missing:
            raise DataError(
                f"{file} lacks {', '.join(missing)}; found {', '.join(map(str, part))}."
            )
        parts.append(part)
    return complete_rows(pd.concat(parts, ignore_index=True))


def complete_rows(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Rows that every method of their horizon has forecast, in the same order for each."""
    keys = [name for name in _KEYS if name in forecasts]
    usable = np.isfinite(forecasts["probability"]) & np.isfinite(forecasts["outcome"])
    known = forecasts[usable]
    wanted = forecasts.groupby("horizon")["model"].nunique()
    counts = known.groupby(keys)["model"].transform("nunique")
    kept = known[counts.to_numpy() == known["horizon"].map(wanted).to_numpy()]
    left_out = len(forecasts[keys].drop_duplicates()) - len(kept[keys].drop_duplicates())
    order = list(dict.fromkeys(forecasts["model"]))
    place = kept["model"].map({name: i for i, name in enumerate(order)})
    ordered = kept.assign(_place=place).sort_values(["_place", *keys], kind="stable")
    result: pd.DataFrame = ordered.drop(columns="_place").reset_index(drop=True)
    result.attrs["rows_left_out"] = left_out
    return result
