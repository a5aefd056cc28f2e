"""The hazard of ending against constant shares, out of sample.

    uv run python benchmarks/endings.py [DATA FIRST LAST]

For each origin every candidate learns from the years before it and says of each dispute that is
open on 31 December when it ends. Scores, by log loss: whether it ends in the next year; when it
ends within five years, or not (one number a dispute and origin); and whether a dispute ends in the
year in which it begins. Differences are to the shares by age, with 90% intervals from a bootstrap
of origins. Deaths are those that disputes came to (sources code them once), so that what they add
is an upper bound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import xarray as xr

from forecast.inference.fit import fit
from forecast.inference.predict import predict
from forecast.modeling.spec import ModelSpec, load_model
from forecast.simulation.ending import ending_panel
from forecast.sources.datasets import read_tables

YEARS = 5
ENDING = load_model("ending")
DYAD = {"name": "dyad", "scale": {"sd": 0.25}, "reason": "candidate"}
ERA = DYAD | {"name": "era", "structure": "random_walk", "step": 10, "scale": {"sd": 0.3}}
MODELS = {
    "model ending": ENDING,
    "without deaths": ENDING.without_terms(["deaths_25"], suffix="deaths"),
    "and pairs": ModelSpec.from_dict(ENDING.to_dict() | {"varying": [DYAD]}),
    "and decades": ModelSpec.from_dict(ENDING.to_dict() | {"varying": [ERA]}),
}


def shares(ages: np.ndarray, ended: np.ndarray) -> dict[str, np.ndarray]:
    """Constant probabilities of ending at ages 0, 1 and 2 and more (Jeffreys means)."""

    def share(at: np.ndarray) -> float:
        return float((ended[at].sum() + 0.5) / (at.sum() + 1.0))

    first, older = share(ages == 0), share(ages >= 1)
    return {
        # Those of before: disputes of the year go on, after the first one and after others.
        "shares by year of dispute": np.array([first, first, older]),
        "shares by age": np.array([first, share(ages == 1), share(ages >= 2)]),
    }


def main(data: str = "embedded", first: int = 1990, last: int = 2025) -> None:
    tables = read_tables(data)
    last = min(last, tables.coverage["conflicts"].last)
    rows = ending_panel(tables, last=tables.coverage["conflicts"].last).data
    rows = rows.isel(row=np.isfinite(rows["outcome"].to_numpy()))
    year, age, ended = (rows[n].to_numpy() for n in ("year", "age", "outcome"))
    keys = [rows[n].to_numpy().astype(str) for n in ("conflict_id", "ccode_a", "ccode_b")]
    unit = np.array(["|".join(k) for k in zip(*keys, strict=True)])
    parts = []
    for origin in range(first, last + 1):
        ahead = (year >= origin) & (year < origin + YEARS)
        at = np.flatnonzero((ahead & (year - age < origin)) | ((age == 0) & (year == origin)))
        past = year < origin
        known = ending_panel(tables, last=origin - 1)
        hazards: dict[str, np.ndarray] = {
            name: p[np.minimum(age[at], 2).astype(int)][None]
            for name, p in shares(age[past], ended[past]).items()
        }
        target: xr.Dataset = rows.isel(row=at).drop_vars("outcome")
        for name, spec in MODELS.items():
            hazards[name] = predict(fit(spec, known, seed=1, draws=400), target).to_numpy()
        about = {"unit": unit[at], "year": year[at], "ended": ended[at], "new": age[at] == 0}
        for name, draws in hazards.items():
            table = pd.DataFrame(about | {"model": name, "origin": origin, "p": draws.mean(axis=0)})
            parts.append(table.assign(within=_open_at_end(table, draws)))
    found = pd.concat(parts)
    loss = -np.log(np.where(found["ended"] == 1, found["p"], 1 - found["p"]))
    found = found.assign(loss=loss)
    old = found[~found["new"]]
    _print("ends in the next year", old[old["year"] == old["origin"]])
    _print(f"when it ends within {YEARS} years", _whole(old))
    _print("ends in its first year", found[found["new"]])


def _open_at_end(table: pd.DataFrame, draws: np.ndarray) -> np.ndarray:
    """Probability that a dispute is open at the end of each of its years since the origin."""
    out = np.empty(len(table))
    for places in table.groupby("unit").indices.values():
        order = places[np.argsort(table["year"].to_numpy()[places])]
        out[order] = np.cumprod(1 - draws[:, order], axis=1).mean(axis=0)
    return out


def _whole(old: pd.DataFrame) -> pd.DataFrame:
    """One row a dispute, origin and model: the log loss of the year of its end, or of none."""

    def loss(one: pd.DataFrame) -> float:
        still = [1.0, *one.sort_values("year")["within"]]
        return -np.log(still[-2] - still[-1] if one["ended"].any() else still[-1])

    grouped = old.groupby(["model", "origin", "unit"])
    return grouped[["year", "ended", "within"]].apply(loss).rename("loss").reset_index()


def _print(what: str, rows: pd.DataFrame) -> None:
    wide = rows.pivot_table(index=["origin", "unit"], columns="model", values="loss")
    print(f"\n{what}: {len(wide)} disputes")
    rng = np.random.default_rng(1)
    for name in [*shares(np.zeros(1), np.zeros(1)), *MODELS]:
        low, high = _interval(wide[name] - wide["shares by age"], rng)
        line = f"  {name:26} {wide[name].mean():.4f}  ({low:+.4f}, {high:+.4f})"
        if "p" in rows:
            mine = rows[rows["model"] == name]
            line += f"  expected {mine['p'].sum():.0f}, observed {mine['ended'].sum():.0f}"
        print(line)


def _interval(difference: pd.Series, rng: np.random.Generator) -> Iterable[float]:
    by = difference.groupby(level="origin").agg(["sum", "count"]).to_numpy()
    chosen = by[rng.integers(0, len(by), (2000, len(by)))].sum(axis=1)
    return np.quantile(chosen[:, 0] / chosen[:, 1], [0.05, 0.95])


if __name__ == "__main__":
    given: list[Callable[[str], str | int]] = [str, int, int]
    main(*(kind(v) for kind, v in zip(given, sys.argv[1:], strict=False)))
