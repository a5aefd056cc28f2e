"""Events of each year: what forecasts said of their number, and how many there were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.evaluation.inputs import FloatArray, as_counts
from forecast.evaluation.scores import crps_counts, interval_score

__all__ = [
    "FROM_DRAWS",
    "count_table",
    "counts_of_record",
    "pit_counts",
    "simulate_counts",
    "total_table",
]

FROM_DRAWS = "posterior predictive"
"""Kind of a yearly count whose distribution holds the uncertainty of parameters."""

_PLUG_IN = "rows independent, at their mean probability (no uncertainty of parameters)"


def simulate_counts(
    draws: npt.NDArray[np.floating],
    region: npt.NDArray[np.str_] | None,
    *,
    rng: np.random.Generator,
    size: int = 1000,
) -> dict[str, npt.NDArray[np.int64]]:
    """Predictive draws of the number of events of one year: ``"all"``, and one entry per region.

    `draws` of the probability of each row, shape (m, n), are recycled to `size`, so that rows share
    the uncertainty of parameters within a draw.
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
    """Observed and predicted counts with CRPS, interval score and randomised PIT.

    `draws` has shape (m, n), `keys` says what each of the n columns is (year, model, group …), and
    `level` is the probability of the central interval, whose ends are possible counts.
    """
    tail = (1.0 - level) / 2.0
    # at least `level` between them
    lower = np.quantile(draws, tail, axis=0, method="inverted_cdf")
    upper = np.quantile(draws, 1.0 - tail, axis=0, method="inverted_cdf")
    return keys.reset_index(drop=True).assign(
        observed=observed,
        mean=draws.mean(axis=0),
        lower=lower,
        upper=upper,
        level=level,
        inside=(observed >= lower) & (observed <= upper),
        crps=crps_counts(observed, draws),
        interval_score=interval_score(observed, lower, upper, level=level),
        pit=pit_counts(observed, draws, seed=seed),
    )


def pit_counts(observed: npt.ArrayLike, draws: npt.ArrayLike, *, seed: int) -> FloatArray:
    r"""Randomised probability integral transform of counts, uniform when calibrated.

    :math:`u = F(y-1) + v\,(F(y) - F(y-1))` with v uniform and F the distribution of the draws
    (Czado, Gneiting and Held 2009), for `draws` of shape (m, n). Row-level PIT of a rare binary
    outcome says nothing; use yearly or regional counts.
    """
    y, x = as_counts(observed, draws)
    below = (x < y).mean(axis=0)
    at = (x == y).mean(axis=0)
    v = np.random.default_rng(np.random.SeedSequence(seed)).uniform(size=y.size)
    pit: FloatArray = below + v * at
    return pit


def total_table(counts: pd.DataFrame) -> pd.DataFrame:
    """How often the interval of the yearly total held the number of events observed.

    By horizon and model: ``years``, ``inside`` (share of years), ``level`` (the share that there
    should be), ``observed`` and ``expected`` events of all years, mean ``crps``.
    """
    grouped = counts[counts["group"] == "all"].groupby(["horizon", "model"], sort=False)
    return grouped.agg(
        years=("inside", "size"),
        inside=("inside", "mean"),
        level=("level", "first"),
        observed=("observed", "sum"),
        expected=("mean", "sum"),
        crps=("crps", "mean"),
    ).reset_index()


def counts_of_record(
    rows: pd.DataFrame, counts: pd.DataFrame | None, *, seed: int, level: float
) -> pd.DataFrame:
    """Yearly counts of one model at one horizon, for a calibration record.

    Those of its backtest, or simulated from mean probabilities where they are not of these years.
    """
    columns = ["year", "observed", "mean", "lower", "upper", "level", "inside", "pit"]
    if counts is not None and set(columns) <= set(counts):
        of = {"model": rows["model"].iloc[0], "horizon": rows["horizon"].iloc[0], "group": "all"}
        own = counts
        for name, value in of.items():
            own = own[own[name] == value] if name in own else own
        if sorted(own["year"]) == sorted(rows["year"].unique()):
            return own[columns].assign(kind=FROM_DRAWS).reset_index(drop=True)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    years = rows.groupby("year", sort=True)
    draws = [
        simulate_counts(p.to_numpy()[None, :], None, rng=rng)["all"]
        for _, p in years["probability"]
    ]
    observed = years["outcome"].sum()
    table = count_table(
        observed.to_numpy(dtype=np.float64),
        np.column_stack(draws),
        observed.index.to_frame(index=False),
        seed=seed,
        level=level,
    )
    return table[columns].assign(kind=_PLUG_IN)
