"""Simulation-based calibration of both methods, and coverage of their intervals.

    uv run python benchmarks/calibration.py [--method laplace|nuts] [--simulations 200]
        [--figure FILE] [--json FILE] [--processes 2]

For each simulation the truth is drawn from the prior (coefficients, scales, effects), outcomes
from the truth on a fixed panel, and the posterior from the outcomes. If prior, likelihood and
sampler agree, the rank of the truth among independent posterior draws is uniform (Talts et al.
2018, arXiv:1804.06788). Ranks of every coefficient, every scale and a few effects are held against
the simultaneous 95% band of a uniform sample's ECDF (Säilynoja, Bürkner & Vehtari 2022, Statistics
and Computing 32:32), and so is the coverage of central 50, 80 and 95% intervals against its
binomial error. The panel is small, with few events, as ours are: the intercept's prior is about
2% a year. A run takes minutes (Laplace) to an hour (NUTS); it is not part of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import xarray as xr

from forecast.modeling.design import Block, Design

DRAWS = 400
RANKS = 99  # draws that the truth is ranked among: every fourth, so 100 equally likely ranks
EFFECTS = 3  # of each block
LEVELS = (0.5, 0.8, 0.95)


def panel(*, states: int = 30, pairs: int = 150, years: int = 30, seed: int = 7) -> Design:
    """Undirected dyad-years with the blocks of `dyad_onset`; outcomes are filled in later."""
    rng = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(states) for b in range(a + 1, states)])
    pair = every[np.sort(rng.choice(len(every), pairs, replace=False))]
    d, t = np.tile(np.arange(pairs), years), np.repeat(np.arange(years), pairs)
    n = d.size
    X = np.ones((n, 4))
    X[:, 1] = (rng.random(pairs) < 0.3)[d] - 0.3
    X[:, 2] = 0.35 * rng.normal(size=pairs)[d] + 0.35 * rng.normal(size=n)
    X[:, 3] = 0.5 * rng.normal(size=n)

    def block(name: str, columns: np.ndarray, weights: np.ndarray, size: int, **kind: Any) -> Block:
        k = columns.reshape(n, -1).shape[1]
        matrix = sp.csr_array(
            (weights.ravel(), columns.ravel(), np.arange(n + 1) * k), shape=(n, size)
        )
        return Block(name=name, levels=np.array([f"{name}{i}" for i in range(size)]),
                     matrix=matrix, **{"structure": "iid", **kind})  # fmt: skip

    era = t * 3 // years
    slopes = np.stack([era, 3 + era, 6 + era], axis=1)
    blocks = (
        block("state", pair[d], np.ones((n, 2)), states, scale_prior=0.5),
        block("dyad", d, np.ones(n), pairs, scale_prior=1.0),
        block("era", t // 5, np.ones(n), int(t.max()) // 5 + 1,
              scale_prior=0.3, structure="random_walk"),
        block("slope", slopes, X[:, 1:], 9, scale_prior=0.25),
    )  # fmt: skip
    return Design(
        y=np.zeros(n), X=X, names=("intercept", "contiguous", "capability", "alliance"),
        prior_mean=np.array([-4.6, 0.0, 0.0, 0.0]), prior_sd=np.array([1.0, 1.0, 1.0, 0.5]),
        blocks=blocks, rows=xr.Dataset(coords={"year": ("row", t), "ccode_a": ("row", pair[d, 0]),
                                               "ccode_b": ("row", pair[d, 1])}),
    )  # fmt: skip


def draw(design: Design, rng: np.random.Generator) -> tuple[Design, dict[str, float]]:
    """Outcomes of a truth from the prior, and that truth by name."""
    beta = rng.normal(design.prior_mean, design.prior_sd)
    truth = {f"beta[{name}]": float(v) for name, v in zip(design.names, beta, strict=True)}
    eta = design.X @ beta
    for block in design.blocks:
        sigma = abs(rng.normal(0, block.scale_prior))
        effect = rng.normal(0, sigma, block.levels.size)
        if block.structure == "random_walk":
            effect = np.cumsum(effect)
        truth[f"sigma_{block.name}"] = float(sigma)
        for level in range(EFFECTS):
            truth[f"effect_{block.name}[{level}]"] = float(effect[level])
        eta = eta + block.matrix @ effect
    y = (rng.random(eta.size) < 1 / (1 + np.exp(-eta))).astype(np.float64)
    return replace(design, y=y), truth


def named(posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Draws of what is ranked, by the names of `draw`."""
    out = {
        f"beta[{term}]": posterior["beta"].sel(term=term).to_numpy().ravel()
        for term in posterior["term"].to_numpy().tolist()
    }
    for name in map(str, posterior.data_vars):
        if name.startswith("sigma_"):
            out[name] = posterior[name].to_numpy().ravel()
        elif name.startswith("effect_"):
            values = posterior[name].to_numpy()
            for level in range(EFFECTS):
                out[f"{name}[{level}]"] = values[..., level].ravel()
    return out


def one(task: tuple[int, str]) -> dict[str, Any]:
    """Ranks and interval hits of one simulation."""
    from forecast.inference.fit import sample_design

    number, method = task
    design, truth = draw(panel(), np.random.default_rng([20261122, number]))
    options = {"chains": 2, "tune": 400} if method == "nuts" else {}
    draws = DRAWS if method == "laplace" else DRAWS * 2
    tree, found = sample_design(design, method=method, seed=number, draws=draws, **options)  # type: ignore[arg-type]
    values = named(tree["posterior"].to_dataset())
    ranks, hits = {}, {}
    for name, true in truth.items():
        thin = np.random.default_rng(number).permutation(values[name])[:RANKS]
        ranks[name] = int((thin < true).sum())
        tails = [(1 - p) / 2 for p in LEVELS] + [(1 + p) / 2 for p in LEVELS]
        low_high = np.quantile(values[name], tails)
        hits[name] = [bool(low_high[i] <= true <= low_high[i + 3]) for i in range(3)]
    return {"ranks": ranks, "hits": hits, "events": int(design.y.sum()), "found": found}


def band(simulations: int, *, probability: float = 0.95, trials: int = 4000) -> float:
    """Half-width γ such that a uniform sample's ECDF stays between pointwise quantiles.

    Returns the pointwise tail probability whose band holds simultaneously with `probability`.
    """
    from scipy.stats import binom

    rng = np.random.default_rng(1)
    grid = np.arange(1, RANKS + 1) / (RANKS + 1)
    ranks = rng.integers(0, RANKS + 1, (trials, simulations))
    counts = (ranks[:, :, None] < np.arange(1, RANKS + 1)).sum(axis=1)
    below = binom.cdf(counts, simulations, grid)
    above = binom.sf(counts - 1, simulations, grid)
    return float(np.quantile(np.minimum(below, above).min(axis=1), 1 - probability))


def judged(results: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a parameter: whether its ECDF leaves the band, and its coverage."""
    from scipy.stats import binom

    n = len(results)
    tail = band(n)
    grid = np.arange(1, RANKS + 1) / (RANKS + 1)
    rows = []
    for name in results[0]["ranks"]:
        ranks = np.array([r["ranks"][name] for r in results])
        counts = (ranks[:, None] < np.arange(1, RANKS + 1)).sum(axis=0)
        p = np.minimum(binom.cdf(counts, n, grid), binom.sf(counts - 1, n, grid)).min()
        cover = np.mean([r["hits"][name] for r in results], axis=0)
        inside = bool(p >= tail)
        shares = {f"{level:.0%}": c for level, c in zip(LEVELS, cover, strict=True)}
        rows.append({"parameter": name, "inside band": inside, "mean rank": ranks.mean()} | shares)
    return pd.DataFrame(rows)


def figure(results: list[dict[str, Any]], method: str, path: Path) -> None:
    """ECDF difference of the ranks of every parameter, with the simultaneous band."""
    import matplotlib.pyplot as plt
    from scipy.stats import binom

    n, names = len(results), list(results[0]["ranks"])
    tail = band(n)
    grid = np.arange(RANKS + 2) / (RANKS + 1)
    low = binom.ppf(tail, n, grid) / n - grid
    high = binom.isf(tail, n, grid) / n - grid
    columns = 5
    fig, axes = plt.subplots(
        -(-len(names) // columns), columns, figsize=(11, 1.7 * -(-len(names) // columns)),
        sharex=True, sharey=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    for ax, name in zip(axes.ravel(), names, strict=False):
        ranks = np.array([r["ranks"][name] for r in results])
        ecdf = (ranks[:, None] < np.arange(RANKS + 2)).mean(axis=0)
        ax.fill_between(grid, low, high, color="0.85", lw=0)
        ax.plot(grid, ecdf - grid, color="#1f4e79", lw=1.2, drawstyle="steps-post")
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=7)
    for ax in axes.ravel()[len(names) :]:
        ax.set_visible(False)
    fig.suptitle(
        f"Simulation-based calibration, method {method!r}: {n} simulations; rank ECDF less uniform,"
        " grey: simultaneous 95% band", fontsize=9,
    )  # fmt: skip
    fig.supxlabel("fractional rank of the truth among posterior draws", fontsize=8)
    fig.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=("laplace", "nuts"), default="laplace")
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    tasks = [(s, arguments.method) for s in range(arguments.simulations)]
    with ProcessPoolExecutor(arguments.processes) as pool:
        results = list(pool.map(one, tasks))
    table = judged(results)
    events = np.median([r["events"] for r in results])
    print(
        f"{arguments.method}: {len(results)} simulations, {events:.0f} events in the median of"
        f" {panel().y.size:,} rows, {time.perf_counter() - begun:.0f} s on {os.cpu_count()} cores"
    )
    print(table.round(2).to_string(index=False))
    outside = int((~table["inside band"]).sum())
    expected = 0.05 * len(table)
    print(f"{outside} of {len(table)} parameters leave their 95% band ({expected:.1f} expected)")
    pooled = table[[f"{level:.0%}" for level in LEVELS]].mean()
    print("coverage over all parameters: " + ", ".join(f"{k}: {v:.3f}" for k, v in pooled.items()))
    if arguments.method == "laplace":
        k = np.array([r["found"]["pareto_k"] for r in results])
        print(f"Pareto k: median {np.median(k):.2f}, {np.mean(k > 0.7):.1%} above 0.7")
    if arguments.figure:
        figure(results, arguments.method, arguments.figure)
    if arguments.json:
        arguments.json.write_text(json.dumps(table.to_dict(orient="records"), indent=1))


if __name__ == "__main__":
    main()
