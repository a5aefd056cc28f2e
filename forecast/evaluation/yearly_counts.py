"""Numbers of events by year and by severity: what forecasts said, and how many there were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.evaluation.scores import FloatArray, as_counts, crps_counts, interval_score
from forecast.simulation.levels import LEVELS

if TYPE_CHECKING:
    from forecast.simulation.severity import Severity
    from forecast.sources.tables import Tables

__all__ = [
    "FROM_DRAWS", "count_table", "counts_of_record", "ladder_forecasts", "ladder_table",
    "pit_counts", "simulate_counts", "total_table",
]  # fmt: skip

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


_KEYS = ["year", "ccode_a", "ccode_b"]
_ABOVE = tuple(LEVELS)[1:]


def ladder_forecasts(
    forecasts: pd.DataFrame,
    tables: Tables,
    *,
    model: str,
    refits: Sequence[int],
    seed: int,
    draws: int = 200,
) -> pd.DataFrame:
    """Forecasts of one model one year ahead, at every level of severity.

    The probability of a level is that of an onset times that of the level given one, from the
    disputes known before the origin; the two posteriors are independent. Severity is fitted anew
    at the origins `refits` (ascending); rows between use the last fit.

    Columns: ``year``, ``ccode_a``, ``ccode_b``, ``relevance`` where known, the probabilities
    ``onset``, ``fatal``, ``deaths_25``, ``deaths_1000``, and what happened: ``is_onset`` …, 1 or 0,
    or NaN where an onset came to a number of deaths that is not known.
    """
    from forecast.evaluation.origins import known_before
    from forecast.simulation.severity import Severity, levels_reached

    mine = forecasts[(forecasts["model"] == model) & (forecasts["horizon"] == 1)]
    about = [name for name in (*_KEYS, "relevance", "stratum") if name in mine]
    rows = mine[about].reset_index(drop=True)
    given = np.empty((len(rows), 3))
    fits: dict[int, Severity] = {}
    years = rows["year"].to_numpy()
    for year in np.unique(years).tolist():
        at = np.flatnonzero(years == year)
        origin = max((o for o in refits if o <= year), default=year)
        if origin not in fits:
            before = known_before(tables, origin)
            fits[origin] = Severity(before, origin=origin - 1, draws=draws, seed=seed)
        known = known_before(tables, year)
        pairs = rows[["ccode_a", "ccode_b"]].iloc[at].to_numpy(dtype=np.int64)
        columns = fits[origin].columns(pairs, tables=known, year=year)
        given[at] = fits[origin].given_onset(columns, year).mean(axis=2).T
    p, y = mine["probability"].to_numpy(), mine["outcome"].to_numpy(dtype=np.float64)
    came = levels_reached(tables, last=tables.coverage["conflicts"].last)
    reached = came.reindex(pd.MultiIndex.from_frame(rows[_KEYS])).to_numpy()
    reached = np.where(y[:, None] == 1, reached, 0.0)
    return rows.assign(
        onset=p,
        **{name: p * given[:, i] for i, name in enumerate(_ABOVE)},
        is_onset=y,
        **{f"is_{name}": reached[:, i] for i, name in enumerate(_ABOVE)},
    )


def ladder_table(rows: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Expected and observed at every level, over all rows and inside and outside of relevance.

    From `ladder_forecasts`: ``scope``, ``severity``, ``rows``, ``expected``, ``observed``,
    ``unknown`` (onsets of which it is not known whether they came so far; expected counts them),
    ``lower`` and ``upper``: exact Poisson interval of the number observed, the unknown ones counted
    at its upper end. Above 999 deaths there are too few for parts: all rows only.
    """
    from scipy.stats import gamma

    tail = (1.0 - level) / 2.0
    scopes = {"all": np.ones(len(rows), dtype=bool)}
    if "relevance" in rows:
        scopes |= {
            str(name): (rows["relevance"] == name).to_numpy()
            for name in sorted(rows["relevance"].astype(str).unique())
        }
    found = []
    for scope, inside in scopes.items():
        for name in LEVELS:
            if name == "deaths_1000" and scope != "all":
                continue
            came = rows.loc[inside, f"is_{name}"].to_numpy()
            seen, unknown = int(np.nansum(came)), int(np.isnan(came).sum())
            found.append(
                {
                    "scope": scope,
                    "severity": name,
                    "rows": int(inside.sum()),
                    "expected": float(rows.loc[inside, name].sum()),
                    "observed": seen,
                    "unknown": unknown,
                    "lower": float(gamma.ppf(tail, seen)) if seen else 0.0,
                    "upper": float(gamma.ppf(1.0 - tail, seen + unknown + 1)),
                }
            )
    return pd.DataFrame(found)
