"""Rolling-origin backtest: at each origin everything is learnt again from the years before it.

An origin o knows the years before o. A forecast at horizon h is of year o + h - 1 and rests on
what was known before o: at horizon 1 on features of year o - 1. Beyond, a model is simulated
forward from the origin with feedback (`forecast.evaluation.origins`), and every other method
(a model too, on request) is fitted to features that are lagged h - 1 years more (direct
forecasts). Nothing that happened in o or later can enter.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.disk import is_passing, write_atomically
from forecast.errors import ArtifactError, DataError, MissingFileError, shown
from forecast.evaluation.backtest_result import Backtest
from forecast.evaluation.forecast_table import Parts, forecast_rows, forecast_tables
from forecast.evaluation.origins import known_steps, target_panel, target_rows
from forecast.evaluation.plan import CHECK, BacktestPlan
from forecast.evaluation.rolling import Job, JobResult, Shared, jobs_of, run_jobs
from forecast.evaluation.usual import plan_of
from forecast.exchange import held
from forecast.files import MANIFEST, MARKER, check_file, facts_of, unseal, write_manifest
from forecast.folders import check_target
from forecast.modeling.spec import ModelSpec
from forecast.panel.from_frame import as_panel
from forecast.panel.types import Panel

__all__ = [
    "Backtest", "BacktestPlan", "RunFolder", "backtest", "complete_rows", "read_forecasts",
]  # fmt: skip


def backtest(
    plan: BacktestPlan | ModelSpec | str | Path,
    panel: Panel | pd.DataFrame | None = None,
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
    panel : Panel or pandas.DataFrame, optional
        Rows of any unit; for a horizon beyond 1 it must carry its world and its tables. One without
        (`forecast.panel_from_frame`) is compared with the usual baselines that it has columns for.
        By default the embedded data with the rows that the model asks for.
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
    panel = None if panel is None else as_panel(panel, "backtest(plan, panel)")
    plan = plan_of(plan, years, horizon, seed, panel)
    if out is not None:
        check_target(Path(out), ())
    panel = plan.panel() if panel is None else panel
    origins, shared = plan.years(panel), Shared.of(plan, panel)
    every = (*range(origins[0] - plan.warm_up, origins[0]), *origins)
    scored = {h: shared.views[h][0] for h in plan.horizons}
    steps, without = known_steps(scored, every, window=plan.window)
    jobs = jobs_of(shared, steps)
    rows = {(o, h): target_rows(target_panel(scored[h], o + h - 1), o, h) for o, h in steps}
    kept = nullcontext() if out is None else RunFolder.opened(out, plan.identity(panel))
    with kept as folder:
        results = _results(
            shared, jobs, rows, folder, workers=workers, client=client, show=progress
        )
    names = [m.name for m in shared.methods[: len(shared.methods) - bool(plan.nuts_at)]]
    about = {"panel": panel.to_dict(), "steps_without_outcome": [list(step) for step in without]}
    return _scored(plan, Parts(jobs, results, rows, names, CHECK), origins, about)


def _scored(
    plan: BacktestPlan, parts: Parts, origins: tuple[int, ...], about: dict[str, Any]
) -> Backtest:
    """The forecasts of a plan with their tables."""
    tables, left_out = forecast_tables(
        parts,
        first=origins[0],
        recalibrate=plan.recalibrate,
        stack=plan.stack,
        seed=plan.seed,
        level=plan.level,
    )
    kept = ("seed", "resamples", "window", "refit", "multi_step", "recalibrate", "warm_up")
    return Backtest(
        **tables,
        model=parts.names[0],
        level=plan.level,
        settings={
            "origins": list(origins),
            "horizons": list(plan.horizons),
            **{name: getattr(plan, name) for name in kept},
            "stack": list(plan.stack),
            "plan": plan.to_dict() | {"sha256": plan.sha256},
            **left_out,
            **about,
        },
    )


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
        tell(job.label)

    with _progress(show, len(jobs), len(done)) as tell:
        return run_jobs(shared, jobs, done=done, on_result=finished, workers=workers, client=client)


_KEYS = ("horizon", "year", "ccode", "ccode_a", "ccode_b")
_NEEDED = ("horizon", "year", "outcome", "model", "probability")


def read_forecasts(folder: str | Path) -> pd.DataFrame:
    """Forecasts of every method on identical rows, as `Backtest.forecasts` has them.

    Parameters
    ----------
    folder : str or Path
        Folder of ``forecast backtest --out`` or of ``backtest(out=…)``, while it runs or after;
        or one Parquet file of such rows. What we wrote must be as we wrote it. Rows that one of
        the methods could not forecast are left out for all, and counted in
        ``attrs["rows_left_out"]``.

    Raises
    ------
    MissingFileError
        There are no forecasts in the folder.
    DataError
        A file has not the columns of forecasts.
    ArtifactError
        A file was changed or damaged.
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
    for file in _whole(files):
        part = pd.read_parquet(file)
        missing = [name for name in _NEEDED if name not in part]
        if missing:
            raise DataError(
                f"{file} lacks {', '.join(missing)}; found {', '.join(map(str, part))}."
            )
        parts.append(part)
    return complete_rows(pd.concat(parts, ignore_index=True))


def _whole(files: list[Path]) -> list[Path]:
    """Files that are as we wrote them; those of a job that was killed are left out."""
    own = files[0].parent
    run = own.name == "forecasts"
    folder, manifest = (own.parent, MANIFEST) if run else (own, MARKER)
    if not (folder / manifest).is_file():
        return files
    known = unseal(folder, manifest, only=())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    kept = [name for name in names if not run or name in known["files"]]
    for name in kept:
        check_file(folder, name, known)
    return [names[name] for name in kept]


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


#: Version of the layout below.
_LAYOUT = 4


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to one configuration.

    Layout::

        MANIFEST.json           the configuration, and the SHA-256 of each file of a finished job
        state/<job>.nc          everything that a finished job gave (NetCDF)
        forecasts/origin=1960.<job>.parquet   its forecasts, row by row, for a reader

    A file that the manifest does not name is that of a job that was killed: the job is run anew.
    """

    path: Path
    manifest: dict[str, Any]

    @classmethod
    @contextmanager
    def opened(cls, path: str | Path, config: Mapping[str, Any]) -> Iterator[RunFolder]:
        """Folder of a configuration, while no other process writes it.

        It is made, or found with the same configuration; else it is an `ArtifactError`.
        """
        folder = Path(path)
        with held(folder):
            yield cls._found(folder, config)

    @classmethod
    def _found(cls, folder: Path, config: Mapping[str, Any]) -> RunFolder:
        about = folder / MANIFEST
        content = json.loads(json.dumps({"layout": _LAYOUT, **config}))
        if not about.is_file():
            if not all(is_passing(path.name) for path in folder.iterdir()):
                old = " An earlier version may have begun one there: it cannot be gone on with."
                raise ArtifactError(
                    f"{folder} holds files but no backtest (there is no {MANIFEST} in it); "
                    "expected a new or an empty folder, or that of the same backtest."
                    + (old if (folder / "run.json").is_file() else "")
                )
            write_manifest(folder, content | {"files": {}})
        manifest = unseal(folder, only=())
        found = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
        differing = [key for key in {**content, **found} if found.get(key) != content.get(key)]
        if differing:
            told = "; ".join(
                f"{key} is {shown(found.get(key), 120)}, asked for {shown(content.get(key), 120)}"
                for key in differing
            )
            raise ArtifactError(
                f"{folder} holds the backtest of another configuration: {told}. Use another "
                "folder, or delete this one."
            )
        return cls(folder, manifest)

    def load(self, job: str) -> dict[str, npt.NDArray[Any]] | None:
        """Arrays of a finished job, None if it is not; an `ArtifactError` if damaged."""
        name = _state(job)
        if name not in self.manifest["files"] or not (self.path / name).is_file():
            return None
        check_file(self.path, name, self.manifest, remedy="Delete it to run it anew.")
        with xr.open_dataset(self.path / name, engine="h5netcdf") as opened:
            return {str(key): values.to_numpy() for key, values in opened.load().items()}

    def save(
        self, job: str, arrays: Mapping[str, npt.NDArray[Any]], rows: Mapping[int, pd.DataFrame]
    ) -> None:
        """Keep a finished job: its forecasts by origin, and last its state."""
        made: dict[str, bytes] = {}
        for origin, table in rows.items():
            made[f"forecasts/origin={origin}.{_file_name(job)}.parquet"] = table.to_parquet(
                index=False
            )
        # A dimension of its own for each axis: the arrays have nothing in common.
        dataset = xr.Dataset(
            {name: ([f"{name}.{k}" for k in range(a.ndim)], a) for name, a in arrays.items()}
        )
        made[_state(job)] = bytes(dataset.to_netcdf(engine="h5netcdf"))
        for name, content in made.items():
            write_atomically(self.path / name, content)
            self.manifest["files"][name] = facts_of(content)
        write_manifest(self.path, self.manifest)


def _state(job: str) -> str:
    return f"state/{_file_name(job)}.nc"


def _file_name(job: str) -> str:
    """The job's name in letters that every file system takes, unique through its checksum."""
    plain = "".join(c if c.isalnum() or c in "-_=" else "_" for c in job)
    return f"{plain}-{zlib.crc32(job.encode()):08x}"


@contextmanager
def _progress(show: bool, total: int, done: int) -> Iterator[Callable[[str], None]]:
    """What is told of every finished job: a bar on the terminal, if asked for."""
    if not show:
        yield lambda _job: None
        return
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("backtest", total=total, completed=done)
        yield lambda job: bar.update(task, advance=1, description=job)
