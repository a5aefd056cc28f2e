"""Tables of a backtest, made from its row-level forecasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import paired_difference
from forecast.evaluation.calibration import expected_to_observed, murphy, pit_counts, recalibrate
from forecast.evaluation.corp import decompose
from forecast.evaluation.scores import (
    brier_rows,
    coverage,
    crps_counts,
    interval_score,
    log_loss_rows,
    score_forecasts,
)
from forecast.features.strata import LONG_PEACE

__all__ = [
    "EVERY",
    "calibration_table",
    "count_table",
    "difference_table",
    "groups_of",
    "murphy_table",
    "ratio_table",
    "records",
    "score_table",
    "simulate_counts",
    "total_table",
]

_KINDS = ("relevance", "stratum", "decade", "region")

EVERY = "all"
"""Kind and name of the group of all rows."""


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values for JSON; NaN becomes None."""
    return [
        {str(k): None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
        for row in table.astype(object).to_dict(orient="records")
    ]


def groups_of(
    rows: pd.DataFrame, kinds: Sequence[str] = _KINDS
) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Kind, label and mask of all rows, of each group of some kinds, and of long peace.

    Kinds that are no column, and groups without rows, are left out.
    """
    yield EVERY, EVERY, np.ones(len(rows), dtype=bool)
    for kind in kinds:
        if kind in rows:
            labels = rows[kind].to_numpy().astype(str)
            for label in np.unique(labels):
                yield kind, str(label), labels == label
    if "peace_years" in rows:
        long = rows["peace_years"].to_numpy() > LONG_PEACE
        if long.any():
            yield "peace", f"> {LONG_PEACE} years", long


def _wide(forecasts: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Per horizon: one row per target, and the probabilities with one column per model."""
    for horizon, part in forecasts.groupby("horizon", sort=True):
        models = [str(name) for name in dict.fromkeys(part["model"])]
        rows = part[part["model"] == models[0]].reset_index(drop=True)
        columns = {
            name: part.loc[part["model"] == name, "probability"].to_numpy() for name in models
        }
        yield int(str(horizon)), rows, pd.DataFrame(columns)


def score_table(forecasts: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """Scores by horizon, model and group of rows.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        Row-level forecasts of a backtest, every model on the same rows in the same order.
    reference : str
        Model whose forecasts are the reference of the skills.

    Returns
    -------
    pandas.DataFrame
        ``horizon``, ``model``, ``kind``, ``group`` and the entries of
        `forecast.evaluation.scores.score_forecasts`.
    """
    table = []
    for horizon, rows, probability in _wide(forecasts):
        for kind, label, mask in groups_of(rows):
            y = rows.loc[mask, "outcome"].to_numpy()
            base = probability.loc[mask, reference].to_numpy()
            for model in map(str, probability):
                scores = score_forecasts(y, probability.loc[mask, model], reference=base)
                key = {"horizon": horizon, "model": model, "kind": kind, "group": label}
                table.append(key | scores)
    return pd.DataFrame(table)


def difference_table(
    forecasts: pd.DataFrame,
    *,
    model: str,
    unit: npt.NDArray[np.int64],
    seed: int,
    level: float,
    resamples: int,
) -> pd.DataFrame:
    """Paired differences of `model` to every other one, by horizon and group of rows.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        Row-level forecasts of a backtest.
    model : str
        Name of the first model; a negative mean says that it is the better one.
    unit : numpy.ndarray, shape (rows of forecasts,)
        Key of the pair or state of each row, the second kind of block.
    seed : int
        Seed of the bootstrap; the same for all pairs, so that they share resamples.
    level : float
        Probability of the intervals.
    resamples : int
        Bootstrap resamples.

    Returns
    -------
    pandas.DataFrame
        One row per horizon, other model (``against``), score and group.
    """
    table = []
    keys = pd.Series(unit, index=forecasts.index)
    for horizon, rows, probability in _wide(forecasts):
        chosen = (forecasts["horizon"] == horizon) & (forecasts["model"] == model)
        block = keys[chosen].to_numpy()
        y = rows["outcome"].to_numpy()
        for score, per_row in (("log_loss", log_loss_rows), ("brier", brier_rows)):
            loss = {name: per_row(y, probability[name]) for name in probability}
            # decades and regions are too short or too few for an interval by block
            for kind, label, keep in groups_of(rows, kinds=("stratum",)):
                year = rows.loc[keep, "year"].to_numpy()
                if np.unique(block[keep]).size < 2:
                    continue
                for other in map(str, probability):
                    if other == model:
                        continue
                    found = paired_difference(
                        loss[model][keep],
                        loss[other][keep],
                        blocks={"year": year, "unit": block[keep]},
                        seed=seed,
                        level=level,
                        resamples=resamples,
                    )
                    table.append(
                        {
                            "horizon": horizon,
                            "model": model,
                            "against": other,
                            "score": score,
                            "kind": kind,
                            "group": label,
                            "rows": found.rows,
                            "mean": found.mean,
                            "lower": found.lower,
                            "upper": found.upper,
                            "block": found.block,
                            "blocks": found.blocks[found.block],
                            "interval": found.kind,
                            "level": found.level,
                        }
                    )
    return pd.DataFrame(table)


def calibration_table(forecasts: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Decompositions and recalibration line by horizon and model.

    Where recalibration has no finite solution its columns are NaN and ``remark`` says why.
    """
    table = []
    for horizon, rows, probability in _wide(forecasts):
        y = rows["outcome"].to_numpy()
        for model in map(str, probability):
            p = probability[model].to_numpy()
            entry: dict[str, object] = {"horizon": horizon, "model": model, "level": level}
            for rule in ("brier", "log_loss"):
                parts = decompose(y, p, rule=rule).to_dict()
                entry |= {f"{rule}_{k}": v for k, v in parts.items() if k != "rule"}
            try:
                line = recalibrate(y, p, level=level)
            except ArgumentError as error:
                entry |= dict.fromkeys(("intercept", "slope", "slope_lower", "slope_upper"), np.nan)
                entry["remark"] = str(error)
            else:
                entry |= {
                    "intercept": line.intercept,
                    "slope": line.slope,
                    "slope_lower": line.slope_interval[0],
                    "slope_upper": line.slope_interval[1],
                    "remark": "",
                }
            table.append(entry)
    return pd.DataFrame(table)


def ratio_table(forecasts: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Expected over observed by horizon, model and group (see `expected_to_observed`)."""
    parts = []
    for horizon, rows, probability in _wide(forecasts):
        y = rows["outcome"].to_numpy()
        for model in map(str, probability):
            for kind in ("all", *(k for k in _KINDS if k in rows)):
                table = expected_to_observed(
                    y,
                    probability[model],
                    group=None if kind == "all" else rows[kind],
                    level=level,
                ).rename(columns={"kind": "interval"})
                if kind != "all":
                    table = table.iloc[1:]
                table.insert(0, "kind", kind)
                table.insert(0, "model", model)
                table.insert(0, "horizon", horizon)
                parts.append(table)
    return pd.concat(parts, ignore_index=True)


def murphy_table(forecasts: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """Murphy diagram by horizon and model, with skill against the reference."""
    parts = []
    for horizon, rows, probability in _wide(forecasts):
        base = probability[reference]
        for model in map(str, probability):
            table = murphy(rows["outcome"].to_numpy(), probability[model], reference=base)
            table.insert(0, "model", model)
            table.insert(0, "horizon", horizon)
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def simulate_counts(
    draws: npt.NDArray[np.floating],
    region: npt.NDArray[np.str_] | None,
    *,
    rng: np.random.Generator,
    size: int = 1000,
) -> dict[str, npt.NDArray[np.int64]]:
    """Predictive draws of the number of events of one year, in total and by region.

    Parameters
    ----------
    draws : numpy.ndarray, shape (m, n)
        Draws of the probability of each row; recycled to `size`, so that rows share the
        uncertainty of parameters within a draw.
    region : numpy.ndarray of str, shape (n,), optional
        Region of each row.
    rng : numpy.random.Generator
        Source of randomness.
    size : int
        Draws of the counts.

    Returns
    -------
    dict of str to numpy.ndarray, shape (size,)
        ``"all"`` and one entry per region.
    """
    labels, index = (
        (np.array([], dtype=str), None)
        if region is None
        else np.unique(region, return_inverse=True)
    )
    counts = np.zeros((size, 1 + labels.size), dtype=np.int64)
    for i in range(size):
        event = rng.random(draws.shape[1], dtype=np.float32) < draws[i % draws.shape[0]]
        counts[i, 0] = event.sum()
        if index is not None:
            counts[i, 1:] = np.bincount(index[event], minlength=labels.size)
    return {"all": counts[:, 0]} | {str(n): counts[:, 1 + j] for j, n in enumerate(labels)}


def count_table(
    observed: npt.NDArray[np.float64],
    draws: npt.NDArray[np.int64],
    keys: pd.DataFrame,
    *,
    seed: int,
    level: float,
) -> pd.DataFrame:
    """Observed and predicted counts with CRPS, interval score and PIT.

    Parameters
    ----------
    observed : numpy.ndarray, shape (n,)
        Events of each year and group.
    draws : numpy.ndarray, shape (m, n)
        Predictive draws.
    keys : pandas.DataFrame, n rows
        What each column is (origin, horizon, year, model, group).
    seed : int
        Seed of the randomised PIT.
    level : float
        Probability of the central interval.

    Returns
    -------
    pandas.DataFrame
    """
    tail = (1.0 - level) / 2.0
    # ends that are possible counts, at least `level` between them
    lower = np.quantile(draws, tail, axis=0, method="inverted_cdf")
    upper = np.quantile(draws, 1.0 - tail, axis=0, method="inverted_cdf")
    table = keys.reset_index(drop=True).copy()
    table["observed"] = observed
    table["mean"] = draws.mean(axis=0)
    table["lower"], table["upper"] = lower, upper
    table["level"] = level
    table["inside"] = (observed >= lower) & (observed <= upper)
    table["crps"] = crps_counts(observed, draws)
    table["interval_score"] = interval_score(observed, lower, upper, level=level)
    table["pit"] = pit_counts(observed, draws, seed=seed)
    table.attrs["coverage"] = coverage(observed, lower, upper)
    return table


def total_table(counts: pd.DataFrame) -> pd.DataFrame:
    """How often the interval of the yearly total held the number of events observed.

    Parameters
    ----------
    counts : pandas.DataFrame
        From `count_table`; only the rows of ``group`` ``"all"`` are used.

    Returns
    -------
    pandas.DataFrame
        By horizon and model: ``years``, ``inside`` (share of years), ``level`` (the share that
        there should be), ``observed`` and ``expected`` events of all years, mean ``crps``.
    """
    whole = counts[counts["group"] == "all"]
    grouped = whole.groupby(["horizon", "model"], sort=False)
    return grouped.agg(
        years=("inside", "size"),
        inside=("inside", "mean"),
        level=("level", "first"),
        observed=("observed", "sum"),
        expected=("mean", "sum"),
        crps=("crps", "mean"),
    ).reset_index()
