"""From the parts of a backtest to its tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.evaluation import tables
from forecast.evaluation.corp import Reliability, reliability
from forecast.evaluation.recalibration import (
    SUFFIX,
    RollingRecalibration,
    rolling_recalibration,
)
from forecast.evaluation.rolling import Job, JobResult, Part
from forecast.evaluation.scores import log_loss
from forecast.evaluation.stacking import RollingStack, rolling_stack, stack_name

__all__ = ["Assembled", "Pieces", "assemble", "forecast_rows"]

Step = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Pieces:
    """What the jobs of a backtest gave.

    Attributes
    ----------
    jobs : sequence of Job
        All of them.
    results : mapping of str to JobResult
        By label of the job.
    rows : mapping of (int, int) to pandas.DataFrame
        Rows of each step (origin, horizon).
    names : sequence of str
        Methods to be scored, the model under test first.
    check : str
        Ending of the name of the model's check.
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


@dataclass(frozen=True, eq=False)
class Assembled:
    """Tables by the names of the attributes of a `Backtest`, and what could not be scored."""

    tables: dict[str, pd.DataFrame]
    reliability: dict[tuple[int, str], Reliability]
    left_out: int
    left_out_by: dict[str, int]


def forecast_rows(
    rows: pd.DataFrame,
    name: str,
    mean: npt.NDArray[np.float64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
) -> pd.DataFrame:
    """Rows of a target year with the forecasts of one method."""
    return rows.assign(model=name, probability=mean, lower=lower, upper=upper)


def assemble(
    pieces: Pieces,
    *,
    reference: str,
    first: int,
    recalibrate: int | None,
    stack: Sequence[str] = (),
    seed: int,
    level: float,
    resamples: int,
) -> Assembled:
    """All tables of a backtest.

    Parameters
    ----------
    pieces : Pieces
        Parts.
    reference : str
        Method that skills are measured against.
    first : int
        First origin that is scored.
    recalibrate : int or None
        Years of forecasts from which recalibration is learnt.
    stack : sequence of str
        Methods that are stacked with the one under test.
    seed, level, resamples
        See `forecast.evaluation.backtest.backtest`.
    """
    parts = {name: pieces.parts(name) for name in pieces.names}
    usable = {
        step: np.all([np.isfinite(parts[n][step].mean) for n in pieces.names], axis=0)
        for step in pieces.rows
    }
    rows = {step: pieces.rows[step][keep].reset_index(drop=True) for step, keep in usable.items()}
    kept = {
        name: {step: _kept(part, usable[step]) for step, part in parts[name].items()}
        for name in pieces.names
    }
    lines: dict[tuple[int, str], RollingRecalibration] = {}
    stacks: dict[tuple[int], RollingStack] = {}
    members = (pieces.names[0], *stack)
    for horizon in sorted({h for _, h in rows}):
        steps = [step for step in sorted(rows) if step[1] == horizon]
        past = pd.concat([rows[step] for step in steps], ignore_index=True)
        about = past["origin"], past["year"], past["outcome"]
        means = {n: np.concatenate([kept[n][step].mean for step in steps]) for n in pieces.names}
        if recalibrate is not None:
            for name in pieces.names:
                if name != reference:
                    lines[horizon, name] = rolling_recalibration(
                        *about, means[name], years=recalibrate
                    )
        if stack:
            stacks[horizon,] = rolling_stack(*about, {name: means[name] for name in members})
    forecasts: list[pd.DataFrame] = []
    counts: list[tuple[dict[str, Any], float, npt.NDArray[np.int64]]] = []
    scored = sorted((step for step in rows if step[0] >= first), key=lambda step: step[::-1])
    for step in scored:
        origin, horizon = step
        versions: list[tuple[str, Part]] = []
        for name in pieces.names:
            versions.append((name, kept[name][step]))
            if (horizon, name) in lines:
                line = partial(lines[horizon, name].apply, origin)
                versions.append((name + SUFFIX, _moved(kept[name][step], line)))
        if stack:
            others = [kept[name][step].mean for name in stack]
            pool = partial(stacks[horizon,].apply, origin, others)
            versions.append((stack_name(members), _moved(kept[members[0]][step], pool)))
        for label, part in versions:
            forecasts.append(forecast_rows(rows[step], label, part.mean, part.lower, part.upper))
            key = zlib.crc32(label.encode())
            child = np.random.SeedSequence(seed, spawn_key=(horizon, origin, key, 1))
            rng = np.random.default_rng(child)
            counts += _year_counts(rows[step], label, part.draws, rng)
    table = pd.concat(forecasts, ignore_index=True)
    unit = table.pop("unit").to_numpy()
    model = pieces.names[0]
    tested = [model] + ([model + SUFFIX] if lines else [])
    count_table = tables.count_table(
        np.array([observed for _, observed, _ in counts]),
        np.column_stack([draws for _, _, draws in counts]),
        pd.DataFrame([key for key, _, _ in counts]),
        seed=seed,
        level=level,
    )
    by = {
        name: int(sum((~np.isfinite(parts[name][s].mean)).sum() for s in scored))
        for name in pieces.names
    }
    made = {
        "forecasts": table,
        "scores": tables.score_table(table, reference=reference),
        "differences": pd.concat(
            [
                tables.difference_table(
                    table, model=name, unit=unit, seed=seed, level=level, resamples=resamples
                )
                for name in tested
            ],
            ignore_index=True,
        ),
        "calibration": tables.calibration_table(table, level=level),
        "ratios": tables.ratio_table(table, level=level),
        "murphy": tables.murphy_table(table, reference=reference),
        "counts": count_table,
        "fits": _fits(pieces),
        "totals": tables.total_table(count_table),
        "recalibration": _by_origin(lines, ("horizon", "model")),
        "stack": _by_origin(stacks, ("horizon",)),
        "nuts": _nuts_table(pieces, parts[model]),
    }
    curves = {
        (int(str(h)), str(m)): reliability(
            part["outcome"], part["probability"], seed=seed, level=level
        )
        for (h, m), part in table.groupby(["horizon", "model"], sort=False)
    }
    return Assembled(
        tables=made,
        reliability=curves,
        left_out=int(sum((~usable[step]).sum() for step in scored)),
        left_out_by={name: n for name, n in by.items() if n},
    )


def _kept(part: Part, keep: npt.NDArray[np.bool_]) -> Part:
    """Forecasts of some of the rows."""
    if keep.all():
        return part
    return replace(
        part,
        mean=part.mean[keep],
        lower=part.lower[keep],
        upper=part.upper[keep],
        draws=part.draws[:, keep],
    )


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


def _by_origin(
    made: Mapping[Any, RollingRecalibration | RollingStack], names: Sequence[str]
) -> pd.DataFrame:
    """Lines of all horizons (and methods, where the keys hold them) in one table."""
    tables = [
        learnt.lines.reset_index().assign(**dict(zip(names, key, strict=True)))
        for key, learnt in made.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _fits(pieces: Pieces) -> pd.DataFrame:
    found = [
        {"origin": job.fitted, "horizon": job.horizons[0], "model": job.name} | record
        for job in pieces.jobs
        if (record := pieces.results[job.label].record) is not None
    ]
    return pd.DataFrame(found)


def _nuts_table(pieces: Pieces, own: Mapping[Step, Part]) -> pd.DataFrame:
    """Forecasts of the check against those of the model, by origin."""
    table = []
    for (origin, horizon), check in sorted(pieces.parts(pieces.names[0] + pieces.check).items()):
        y = pieces.rows[origin, horizon]["outcome"].to_numpy()
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
) -> list[tuple[dict[str, Any], float, npt.NDArray[np.int64]]]:
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
