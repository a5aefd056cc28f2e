"""How much of a complete list the embedded record holds, and the prior for the years after it.

    FORECAST_DATA=<cache with GML 2.2.1> uv run python benchmarks/recall.py [SOURCE]

Prints the tables of `data/README.md` (recall by deaths, region and period: of the list's disputes
between originators with a use of force those with an onset of the pair within a year), and the
values of `recall` in `data/datapackage.json`: shares of the last period, and the drift of the
log-odds between decades from a hierarchical model of all cells (binomial; terms for deaths and
region, a random walk over decades in common and one for each region), by NUTS.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from forecast.sources.codes import BETWEEN, region_of
from forecast.sources.datasets import read_tables
from forecast.sources.spells import span_years

FIRST, LAST = 1946, 2000
EDGES = (1960, 1980)
DECADES = (1956, 1966, 1976, 1986, 1996)


def measure_recall(
    record: pd.DataFrame, listed: pd.DataFrame, *, years: tuple[int, int], edges: Sequence[int] = ()
) -> pd.DataFrame:
    """Which disputes of a list have an onset of the same pair on the record, within a year.

    Both are tables of conflicts (columns as in ``data/README.md``). Of `listed` those are taken
    that begin in `years`, both included, in which both sides were there from the first day and one
    at least used force; `edges` are the first years of the periods after the first.

    Returns
    -------
    pandas.DataFrame
        One row for each listed dispute of a pair: ``year``, ``period``, ``region`` (of both
        states, or ``"Between regions"``), ``deaths`` (``"none"``, ``"1–25"``, ``"more than 25"``,
        ``"unknown"``), ``found``.
    """
    both = (listed["role_a"] == "originator") & (listed["role_b"] == "originator")
    force = listed["level"].isin(("use_of_force", "clash", "war"))
    rows = listed[both & force]
    start, _ = span_years(rows)
    inside = (start >= years[0]) & (start <= years[1])
    rows, start = rows[inside], start[inside]
    began = record.groupby(["ccode_a", "ccode_b"])["start"].agg(lambda s: s.dt.year.to_numpy())
    known = began.to_dict()
    pairs = list(zip(rows["ccode_a"], rows["ccode_b"], strict=True))
    found = [
        bool((np.abs(known[pair] - year) <= 1).any()) if pair in known else False
        for pair, year in zip(pairs, start, strict=True)
    ]
    deaths = rows["deaths_class"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    names = ("none", "1–25", "more than 25")
    firsts = [years[0], *edges]
    lasts = [*(edge - 1 for edge in edges), years[1]]
    labels = np.array([f"{a}–{b}" for a, b in zip(firsts, lasts, strict=True)])
    regions = [(region_of(a), region_of(b)) for a, b in pairs]
    return pd.DataFrame(
        {
            "year": start,
            "period": labels[np.searchsorted(firsts, start, side="right") - 1],
            "region": [a if a == b else BETWEEN for a, b in regions],
            "deaths": [
                "unknown" if np.isnan(value) else names[min(int(value), 2)] for value in deaths
            ],
            "found": found,
        }
    )


def table(rows: pd.DataFrame, by: str) -> str:
    """Recall and number of listed disputes, a line for each group and a column for each period."""
    every = pd.concat([rows, rows.assign(period="all")])
    cell = every.pivot_table(
        index=by, columns="period", values="found", sort=False,
        aggfunc=lambda f: f"{f.mean():.2f} ({len(f)})",
    ).sort_index()  # fmt: skip
    cell = cell[[*sorted(set(rows["period"])), "all"]]
    lines = [f"| {by} | " + " | ".join(cell.columns) + " |", "|---" * (len(cell.columns) + 1) + "|"]
    lines += [f"| {i} | " + " | ".join(r.fillna("–")) + " |" for i, r in cell.iterrows()]
    return "\n".join(lines)


def drift(rows: pd.DataFrame, seed: int = 1) -> dict[str, float]:
    """Posterior means of the two standard deviations over ten years, and the s.d. in 2000."""
    import pymc as pm

    rows = rows[rows["deaths"] != "unknown"]
    time = np.searchsorted(DECADES, rows["year"], side="right")
    (death, deaths), (place, places) = (
        pd.factorize(rows[c], sort=True) for c in ("deaths", "region")
    )
    cells = pd.DataFrame({"d": death, "r": place, "t": time, "y": rows["found"].to_numpy()})
    cells = cells.groupby(["d", "r", "t"])["y"].agg(["sum", "size"]).reset_index()
    steps = len(DECADES)
    with pm.Model():
        base = pm.Normal("base", 0.0, 1.5, shape=len(deaths))
        spread, common, own = (pm.HalfNormal(n, 0.5) for n in ("spread", "drift", "regional"))

        def scaled(name: str, sd: Any, shape: tuple[int, ...]) -> Any:
            raw = pm.Normal(f"{name}_raw", 0.0, 1.0, shape=shape)
            return pm.Deterministic(name, sd * raw)

        region = scaled("region", spread, (len(places),))
        walk = scaled("walk", common, (steps,))
        walks = scaled("walks", own, (len(places), steps))
        d, r, t = (cells[c].to_numpy() for c in ("d", "r", "t"))
        past = (np.arange(steps) < t[:, None]).astype(float)
        log_odds = base[d] + region[r] + (past * walk).sum(1) + (past * walks[r]).sum(1)
        pm.Binomial("found", n=cells["size"], logit_p=log_odds, observed=cells["sum"])
        posterior = pm.sample(
            1000, tune=1000, chains=2, cores=2, random_seed=seed, target_accept=0.95,
            progressbar=False,
        ).posterior.to_dataset()  # fmt: skip
    draws = posterior.stack(s=("chain", "draw"))  # noqa: PD013
    # (deaths, regions, draws): every random walk has come to its end.
    end = draws["base"].to_numpy()[:, None] + draws["region"].to_numpy()
    end = end + draws["walk"].to_numpy().sum(0) + draws["walks"].to_numpy().sum(1)
    # The share of a list in the mix of its last period, as recorded at its end.
    weight = np.zeros((len(deaths), len(places)))
    late = rows["year"].to_numpy() >= EDGES[-1]
    np.add.at(weight, (death[late], place[late]), 1.0)
    share = np.einsum("dr,drs->s", weight / weight.sum(), expit(end))
    return {
        "drift": float(posterior["drift"].mean()),
        "regional_drift": float(posterior["regional"].mean()),
        "log_odds_sd": float(logit(share).std()),
        "share_at_the_end": float(share.mean()),
    }


def main(source: str = "gml_2_2_1") -> None:
    listed = read_tables("historical", sources={"conflicts": source}).conflicts
    record = read_tables("embedded").conflicts
    rows = measure_recall(record, listed, years=(FIRST, LAST), edges=EDGES)
    for by in ("deaths", "region"):
        print(table(rows, by), end="\n\n")
    print(table(rows.assign(every="all"), "every"), end="\n\n")
    late = rows[rows["year"] >= EDGES[-1]]
    chosen = {
        "any": late,
        "fatal": late[late["deaths"].isin(["1–25", "more than 25"])],
        "deaths_25": late[late["deaths"] == "more than 25"],
    }
    print("share", {name: round(float(part["found"].mean()), 2) for name, part in chosen.items()})
    print({name: round(value, 2) for name, value in drift(rows).items()})
    decade = record["start"].dt.year // 5 * 5
    share = (record["deaths_class"] >= 1).groupby(decade).agg(["sum", "size"])
    print(share.assign(other_per_fatal=share["size"] / share["sum"] - 1).round(2).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
