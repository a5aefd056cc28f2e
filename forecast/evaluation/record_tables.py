"""Tables of a calibration record, each made from the rows of one model at one horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArgumentError
from forecast.evaluation import tables
from forecast.evaluation.bootstrap import score_intervals
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.tables import EVERY
from forecast.features.strata import BaseRate

__all__ = [
    "EVERY",
    "FROM_DRAWS",
    "KEYS",
    "band_rows",
    "bands_of",
    "blocks_of",
    "count_rows",
    "recalibration_rows",
    "reference_of",
    "score_rows",
]

#: Columns that name a row beside its year, where there are.
KEYS = ("ccode", "ccode_a", "ccode_b")

_KINDS = ("relevance", "stratum")
_PLUG_IN = "rows independent, at their mean probability (no uncertainty of parameters)"
FROM_DRAWS = "posterior predictive"
"""Kind of a yearly count whose distribution holds the uncertainty of parameters."""


def reference_of(
    forecasts: pd.DataFrame, rows: pd.DataFrame, reference: str, horizon: int
) -> npt.NDArray[np.float64] | None:
    """Forecasts of the reference for the same rows, matched by key."""
    base = forecasts[(forecasts["model"] == reference) & (forecasts["horizon"] == horizon)]
    if base.empty:
        return None
    keys = ["year", *(name for name in KEYS if name in rows)]
    found = rows[keys].merge(base[[*keys, "probability"]], on=keys, how="left", validate="1:1")
    if found["probability"].isna().any():
        gone = int(found["probability"].isna().sum())
        raise ArgumentError(f"{gone} rows have no forecast of the reference {reference!r}.")
    return found["probability"].to_numpy(dtype=np.float64)


def blocks_of(rows: pd.DataFrame) -> dict[str, npt.NDArray[np.generic]]:
    """Labels of the blocks by which rows hang together: the year, and the pair or state."""
    keys = [name for name in KEYS if name in rows]
    unit = rows.groupby(keys, sort=False).ngroup().to_numpy()
    return {"year": rows["year"].to_numpy(), "dyad" if "ccode_b" in rows else "state": unit}


def score_rows(
    rows: pd.DataFrame,
    base: npt.NDArray[np.float64] | None,
    seed: int,
    level: float,
    resamples: int,
) -> pd.DataFrame:
    """Scores by group with bootstrap intervals; skill where there are forecasts to measure by."""
    y, p = rows["outcome"].to_numpy(), rows["probability"].to_numpy()
    blocks = blocks_of(rows)
    table = []
    for kind, label, mask in tables.groups_of(rows, kinds=_KINDS):
        found = score_intervals(
            y[mask],
            p[mask],
            blocks={name: labels[mask] for name, labels in blocks.items()},
            reference=None if base is None else base[mask],
            seed=seed,
            level=level,
            resamples=resamples,
        )
        table += [
            {
                "kind": kind, "group": label, "rows": int(mask.sum()),
                "events": int(y[mask].sum()), "score": name, "value": s.value, "lower": s.lower,
                "upper": s.upper, "block": s.block, "blocks": s.blocks,
            }
            for name, s in found.items()
        ]  # fmt: skip
    return pd.DataFrame(table)


def recalibration_rows(rows: pd.DataFrame, level: float) -> pd.DataFrame:
    """Recalibration line by group; where it has no finite solution, NaN and why."""
    blocks = blocks_of(rows)
    table: list[dict[str, Any]] = []
    for kind, label, mask in tables.groups_of(rows, kinds=_KINDS):
        part = rows[mask]
        entry: dict[str, Any] = {"kind": kind, "group": label}
        try:
            line = recalibrate(
                part["outcome"],
                part["probability"],
                level=level,
                clusters={name: labels[mask] for name, labels in blocks.items()},
            )
        except ArgumentError as error:
            for name in ("intercept", "slope"):
                entry |= {name: np.nan, f"{name}_lower": np.nan, f"{name}_upper": np.nan}
            table.append(entry | {"interval": "", "remark": str(error)})
            continue
        for name, value, ends in (
            ("intercept", line.intercept, line.intercept_interval),
            ("slope", line.slope, line.slope_interval),
        ):
            entry |= {name: value, f"{name}_lower": ends[0], f"{name}_upper": ends[1]}
        table.append(entry | {"interval": line.kind, "remark": ""})
    return pd.DataFrame(table)


def count_rows(
    rows: pd.DataFrame,
    model: str,
    horizon: int,
    counts: pd.DataFrame | None,
    seed: int,
    level: float,
) -> pd.DataFrame:
    """Yearly counts of a backtest, or simulated from mean probabilities when they do not fit."""
    columns = ["year", "observed", "mean", "lower", "upper", "level", "inside", "pit"]
    if counts is not None and set(columns) <= set(counts):
        own = counts
        for name, value in (("model", model), ("horizon", horizon), ("group", EVERY)):
            own = own[own[name] == value] if name in own else own
        if sorted(own["year"]) == sorted(rows["year"].unique()):
            return own[columns].assign(kind=FROM_DRAWS).reset_index(drop=True)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    years, observed, draws = [], [], []
    for year, part in rows.groupby("year", sort=True):
        years.append(int(str(year)))
        observed.append(float(part["outcome"].sum()))
        draws.append(
            tables.simulate_counts(part["probability"].to_numpy()[None, :], None, rng=rng)[EVERY]
        )
    table = tables.count_table(
        np.array(observed),
        np.column_stack(draws),
        pd.DataFrame({"year": years}),
        seed=seed,
        level=level,
    )
    return table[columns].assign(kind=_PLUG_IN)


def _jeffreys(rows: int, events: int, level: float) -> tuple[float, float]:
    if rows == 0:
        return np.nan, np.nan
    lower, upper = BaseRate(rows, events).interval(level)
    return (0.0 if events == 0 else lower), (1.0 if events == rows else upper)


def bands_of(probability: npt.ArrayLike, edges: Sequence[float]) -> npt.NDArray[np.intp]:
    """Place of the band [low, high) that holds each probability; 1 is in the last one."""
    place = np.searchsorted(edges, np.asarray(probability), side="right") - 1
    return np.asarray(np.clip(place, 0, len(edges) - 2))


def band_rows(rows: pd.DataFrame, edges: tuple[float, ...], level: float) -> pd.DataFrame:
    """Forecasts and events by stratum and band of probability, empty bands among them."""
    p, y = rows["probability"].to_numpy(), rows["outcome"].to_numpy()
    place = bands_of(p, edges)
    table = []
    for kind, label, mask in tables.groups_of(rows, kinds=("stratum",)):
        if kind == "peace":
            continue
        for i in range(len(edges) - 1):
            chosen = mask & (place == i)
            n, seen = int(chosen.sum()), int(y[chosen].sum())
            lower, upper = _jeffreys(n, seen, level)
            table.append(
                {
                    "stratum": label, "low": edges[i], "high": edges[i + 1], "rows": n,
                    "expected": float(p[chosen].sum()), "observed": seen,
                    "rate": seen / n if n else np.nan, "lower": lower, "upper": upper,
                }
            )  # fmt: skip
    return pd.DataFrame(table)
