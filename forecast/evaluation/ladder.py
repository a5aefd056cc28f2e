"""The ladder of severity in a backtest: forecasts of every level, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecast.evaluation.origins import known_before
from forecast.simulation.levels import LEVELS
from forecast.simulation.severity import Severity, levels_reached
from forecast.sources.tables import Tables

__all__ = ["ladder_forecasts", "ladder_table"]

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
