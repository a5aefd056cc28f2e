"""The table of forecasts of a backtest, and what lies beside it, from the parts of its jobs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.evaluation.recalibration import (
    SUFFIX,
    RollingRecalibration,
    RollingStack,
    rolling_recalibration,
    rolling_stack,
    stack_name,
)
from forecast.evaluation.rolling import Job, JobResult, Part
from forecast.evaluation.score_table import REFERENCE
from forecast.evaluation.scores import log_loss
from forecast.evaluation.yearly_counts import count_table, simulate_counts

__all__ = ["Parts", "forecast_rows", "forecast_tables"]

Step = tuple[int, int]
Lines = dict[tuple[int, str], RollingRecalibration]
Stacks = dict[int, RollingStack]
Count = tuple[dict[str, Any], float, npt.NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Parts:
    """What the jobs of a backtest gave: results by label, rows of each step (origin, horizon).

    `names` are the methods to be scored, the model under test first; `check` is the ending of the
    name of its check by NUTS.
    """

    jobs: Sequence[Job]
    results: Mapping[str, JobResult]
    rows: Mapping[Step, pd.DataFrame]
    names: Sequence[str]
    check: str

    def parts(self, name: str) -> dict[Step, Part]:
        """Parts of one method by step."""
        made = [self.results[job.label].parts for job in self.jobs if job.name == name]
        return {(p.origin, p.horizon): p for parts in made for p in parts}


def forecast_rows(
    rows: pd.DataFrame,
    name: str,
    mean: npt.NDArray[np.float64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
) -> pd.DataFrame:
    """Rows of a target year with the forecasts of one method."""
    return rows.assign(model=name, probability=mean, lower=lower, upper=upper)


def forecast_tables(
    made: Parts,
    *,
    first: int,
    recalibrate: int | None,
    stack: Sequence[str] = (),
    seed: int,
    level: float,
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Forecasts of every method on the rows that all of them forecast, and their yearly counts.

    They are tables by the fields of a `Backtest`; with them, for its settings, come the numbers of
    rows that could not be forecast, in all and by method.

    Only steps from the origin `first` on are scored. `recalibrate` are the years of forecasts from
    which recalibration is learnt (never of climatology), `stack` the methods that are stacked
    with the one under test: both stand beside the raw forecasts.
    """
    parts = {name: made.parts(name) for name in made.names}
    usable = {
        step: np.all([np.isfinite(parts[n][step].mean) for n in made.names], axis=0)
        for step in made.rows
    }
    rows = {step: made.rows[step][keep].reset_index(drop=True) for step, keep in usable.items()}
    kept = {
        name: {step: _kept(part, usable[step]) for step, part in parts[name].items()}
        for name in made.names
    }
    again = () if recalibrate is None else [n for n in made.names if n != REFERENCE]
    members = (made.names[0], *stack) if stack else ()
    lines, stacks = _learnt(rows, kept, again, recalibrate or 0, members)
    forecasts: list[pd.DataFrame] = []
    counts: list[Count] = []
    scored = sorted((step for step in rows if step[0] >= first), key=lambda step: step[::-1])
    for origin, horizon in scored:
        about = rows[origin, horizon]
        here = {name: kept[name][origin, horizon] for name in made.names}
        versions: dict[str, Part] = {}
        for name, part in here.items():
            versions[name] = part
            if name in again:
                line = partial(lines[horizon, name].apply, origin)
                versions[name + SUFFIX] = _moved(part, line)
        if members:
            others = [here[name].mean for name in stack]
            pool = partial(stacks[horizon].apply, origin, others)
            versions[stack_name(members)] = _moved(here[members[0]], pool)
        for label, part in versions.items():
            forecasts.append(forecast_rows(about, label, part.mean, part.lower, part.upper))
            key = zlib.crc32(label.encode())
            child = np.random.SeedSequence(seed, spawn_key=(horizon, origin, key, 1))
            counts += _year_counts(about, label, part.draws, np.random.default_rng(child))
    gone = {n: sum((~np.isfinite(parts[n][s].mean)).sum() for s in scored) for n in made.names}
    tables = {
        "forecasts": pd.concat(forecasts, ignore_index=True).drop(columns="unit"),
        "counts": count_table(
            np.array([observed for _, observed, _ in counts]),
            np.column_stack([draws for _, _, draws in counts]),
            pd.DataFrame([key for key, _, _ in counts]),
            seed=seed,
            level=level,
        ),
        "fits": pd.DataFrame(
            {"origin": job.fitted, "horizon": job.horizons[0], "model": job.name} | record
            for job in made.jobs
            if (record := made.results[job.label].record) is not None
        ),
        "recalibration": _by_origin(
            line.lines.reset_index().assign(horizon=horizon, model=name)
            for (horizon, name), line in lines.items()
        ),
        "stack": _by_origin(
            pool.lines.reset_index().assign(horizon=h) for h, pool in stacks.items()
        ),
        "nuts": _nuts_table(made, parts[made.names[0]]),
    }
    return tables, {
        "rows_left_out": int(sum((~usable[step]).sum() for step in scored)),
        "rows_left_out_by": {name: int(n) for name, n in gone.items() if n},
    }


def _learnt(
    rows: Mapping[Step, pd.DataFrame],
    kept: Mapping[str, Mapping[Step, Part]],
    again: Sequence[str],
    years: int,
    members: Sequence[str],
) -> tuple[Lines, Stacks]:
    """Recalibration lines by horizon and method (of `again`); stacks of the members by horizon."""
    lines: Lines = {}
    stacks: Stacks = {}
    for horizon in sorted({h for _, h in rows}):
        steps = [step for step in sorted(rows) if step[1] == horizon]
        past = pd.concat([rows[step] for step in steps], ignore_index=True)
        about = past["origin"], past["year"], past["outcome"]
        means = {n: np.concatenate([of[step].mean for step in steps]) for n, of in kept.items()}
        for name in again:
            lines[horizon, name] = rolling_recalibration(*about, means[name], years=years)
        if members:
            stacks[horizon] = rolling_stack(*about, {name: means[name] for name in members})
    return lines, stacks


def _by_origin(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(found, ignore_index=True) if (found := list(parts)) else pd.DataFrame()


def _kept(part: Part, keep: npt.NDArray[np.bool_]) -> Part:
    """Forecasts of some of the rows."""
    if keep.all():
        return part
    mean, lower, upper = part.mean[keep], part.lower[keep], part.upper[keep]
    return replace(part, mean=mean, lower=lower, upper=upper, draws=part.draws[:, keep])


def _moved(part: Part, line: Callable[[Any], Any]) -> Part:
    """Forecasts, their intervals and draws, after a monotone change."""
    ends = line(part.lower), line(part.upper)
    return replace(
        part,
        mean=line(part.mean),
        lower=np.fmin(*ends),
        upper=np.fmax(*ends),
        draws=line(part.draws).astype(np.float32),
    )


def _nuts_table(made: Parts, own: Mapping[Step, Part]) -> pd.DataFrame:
    """Forecasts of the check against those of the model, by origin."""
    table = []
    for (origin, horizon), check in sorted(made.parts(made.names[0] + made.check).items()):
        y = made.rows[origin, horizon]["outcome"].to_numpy()
        ours = own[origin, horizon]
        keep = np.isfinite(ours.mean) & np.isfinite(check.mean)
        p, q = ours.mean[keep], check.mean[keep]
        table.append(
            {
                "origin": origin,
                "horizon": horizon,
                "rows": int(keep.sum()),
                "observed": float(y[keep].sum()),
                "expected": float(p.sum()),
                "expected_nuts": float(q.sum()),
                "mean_absolute_difference": float(np.abs(p - q).mean()),
                "largest_difference": float(np.abs(p - q).max()),
                "largest_ratio": float(np.exp(np.abs(np.log(p / q)).max())),
                "log_loss": log_loss(y[keep], p).value,
                "log_loss_nuts": log_loss(y[keep], q).value,
            }
        )
    return pd.DataFrame(table)


def _year_counts(
    rows: pd.DataFrame, name: str, draws: npt.NDArray[np.float32], rng: np.random.Generator
) -> list[Count]:
    """What each count is (all rows, each region), what was observed, and draws of it."""
    region = rows["region"].to_numpy().astype(str) if "region" in rows else None
    outcome = rows["outcome"].to_numpy()
    key = {c: int(rows[c].iloc[0]) for c in ("origin", "horizon", "year")} | {"model": name}
    return [
        (
            key | {"group": group},
            float(outcome.sum() if group == "all" else outcome[region == group].sum()),
            simulated,
        )
        for group, simulated in simulate_counts(draws, region, rng=rng).items()
    ]
