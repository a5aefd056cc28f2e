"""Simulation-based calibration of both methods, coverage of their intervals, rates of the checks.

    uv run python benchmarks/calibration.py [--method laplace|nuts] [--panel tiny|small|large]
        [--simulations 200] [--figure FILE] [--json FILE] [--workers 2]
        [--first N --save PIECE.nc] [--join PIECE.nc ...]
    uv run python benchmarks/calibration.py --checks fitted|dependent|prior [--simulations 200]
        [--only CHECK ...] [--first N] [--workers 2]

For each simulation the truth is drawn from the prior (coefficients, scales, effects), outcomes
from the truth on a fixed panel, and the posterior from the outcomes. If prior, likelihood and
sampler agree, the rank of the truth among independent posterior draws is uniform (Talts et al.
2018, arXiv:1804.06788). Ranks of every coefficient, every scale and a few effects of each block are
held against the simultaneous 95% band of a uniform sample's ECDF (Säilynoja, Bürkner & Vehtari
2022, Statistics and Computing 32:32), and the coverage of central 50, 80 and 95% intervals of all
parameters against its binomial error.

tiny
    800 dyad-years of 12 states and 40 dyads, about 60 events: what NUTS does in half an hour.
small
    4,500 dyad-years of 30 states and 150 dyads, about 90 events in the median: where
    approximations are worst. Minutes with Laplace, an hour and more with NUTS.
large
    Looks like ours: 200 states, 1,700 dyads, 34,000 dyad-years, twelve columns of which a third
    are binary, about 2% events.

With --checks: how often each check fails a model that is true. The truth is a posterior draw of
`dyad_onset` fitted to embedded rows (pairs with a state of Asia, 1980–2004), from which
outcomes are simulated year by year, each onset entering the pair's own history; the same
specification is fitted to them, and every check is run, reliability on a backtest of the last five
years.

fitted
    That truth.
dependent
    The same with 2 added to the coefficient of a dispute in the year before.
prior
    The truth is drawn from the prior instead, on the observed rows (without the backtest).

A run is not part of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import xarray as xr
from simulated_calibration import (
    SimulatedCalibration,
    rank_band,
    simulate_outcomes,
    simulated_calibration,
)
from simulated_history import simulated_history

import forecast
from forecast.evaluation.calibration_record import record_of
from forecast.evaluation.check_tables import RATE
from forecast.evaluation.checks import CHECKS
from forecast.inference.diagnostics import khat_limit
from forecast.inference.fit import Fit
from forecast.inference.row_likelihood import posterior_draws
from forecast.modeling.design import Block, Design, encode
from forecast.modeling.encoding import complete
from forecast.modeling.priors import ScalePrior
from forecast.modeling.spec import load_model
from forecast.parallel import run_tasks

SEED = 20261122


def block(name: str, columns: np.ndarray, weights: np.ndarray, size: int, **kind: Any) -> Block:
    n = len(columns)
    k = columns.reshape(n, -1).shape[1]
    matrix = sp.csr_array((weights.ravel(), columns.ravel(), np.arange(n + 1) * k), shape=(n, size))
    return Block(name=name, levels=np.array([f"{name}{i}" for i in range(size)]),
                 matrix=matrix, **{"structure": "iid", **kind})  # fmt: skip


def panel(
    *,
    states: int,
    pairs: int,
    years: int,
    columns: int,
    slopes: int,
    intercept: float,
    mean: float = -4.6,
    seed: int = 7,
) -> Design:
    """Undirected dyad-years with the blocks and priors of `dyad_onset`; outcomes come later.

    Columns: a third binary and centred, a third varying by dyad and a third by dyad-year as well;
    the last `slopes` of them have slopes by era, and the narrower priors of alliance terms.
    """
    rng = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(states) for b in range(a + 1, states)])
    pair = every[np.sort(rng.choice(len(every), pairs, replace=False))]
    d, t = np.tile(np.arange(pairs), years), np.repeat(np.arange(years), pairs)
    n = d.size
    X = np.ones((n, columns))
    for j in range(1, columns):
        if j % 3 == 1:
            share = 0.3 if j == 1 else 0.1
            X[:, j] = (rng.random(pairs) < share)[d] - share
        elif j % 3 == 2:
            X[:, j] = 0.35 * rng.normal(size=pairs)[d] + 0.35 * rng.normal(size=n)
        else:
            X[:, j] = 0.5 * rng.normal(size=n)
    era = t * 3 // years
    at = np.stack([3 * s + era for s in range(slopes)], axis=1)
    blocks = (
        block("state", pair[d], np.ones((n, 2)), states, scale_prior=ScalePrior(0.5)),
        block("dyad", d, np.ones(n), pairs, scale_prior=ScalePrior(1.0)),
        block("era", t // 5, np.ones(n), int(t.max()) // 5 + 1,
              scale_prior=ScalePrior(0.3), structure="random_walk"),
        block("slope", at, X[:, columns - slopes :], 3 * slopes, scale_prior=ScalePrior(0.25)),
    )  # fmt: skip
    sd = np.r_[intercept, np.ones(columns - 1)]
    sd[columns - max(1, slopes // 3) :] = 0.5
    return Design(
        y=np.zeros(n), X=X, names=("intercept", *(f"x{j}" for j in range(1, columns))),
        prior_mean=np.r_[mean, np.zeros(columns - 1)], prior_sd=sd, blocks=blocks,
        rows=xr.Dataset(coords={"year": ("row", t), "ccode_a": ("row", pair[d, 0]),
                                "ccode_b": ("row", pair[d, 1])}),
    )  # fmt: skip


PANELS: dict[str, dict[str, Any]] = {
    "tiny": {
        "states": 12, "pairs": 40, "years": 20, "columns": 4, "slopes": 3, "intercept": 1.0,
        "mean": -3.0,
    },
    "small": {
        "states": 30, "pairs": 150, "years": 30, "columns": 4, "slopes": 3, "intercept": 1.0,
    },
    # The narrow intercept keeps the share of events near 2%; the rest of the prior is ours.
    "large": {
        "states": 200, "pairs": 1700, "years": 20, "columns": 12, "slopes": 4, "intercept": 0.3,
    },
}  # fmt: skip


def figure(found: SimulatedCalibration, path: Path) -> None:
    """ECDF difference of the ranks of the parameters looked at, with the simultaneous band."""
    import matplotlib.pyplot as plt
    from scipy.stats import binom

    n, ranks = found.data.sizes["simulation"], int(found.data.attrs["ranks"])
    names = found.looked_at()
    tail = rank_band(n, ranks)
    grid = np.arange(ranks + 2) / (ranks + 1)
    low = binom.ppf(tail, n, grid) / n - grid
    high = binom.isf(tail, n, grid) / n - grid
    columns = 5
    fig, axes = plt.subplots(
        -(-len(names) // columns), columns, figsize=(11, 1.7 * -(-len(names) // columns)),
        sharex=True, sharey=True, layout="constrained", squeeze=False,
    )  # fmt: skip
    for ax, name in zip(axes.ravel(), names, strict=False):
        values = found.data["rank"].sel(parameter=name).to_numpy()
        ecdf = (values[:, None] < np.arange(ranks + 2)).mean(axis=0)
        ax.fill_between(grid, low, high, color="0.85", lw=0)
        ax.plot(grid, ecdf - grid, color="#1f4e79", lw=1.2, drawstyle="steps-post")
        ax.set_title(name, fontsize=8)
        ax.tick_params(labelsize=7)
    for ax in axes.ravel()[len(names) :]:
        ax.set_visible(False)
    fig.suptitle(
        f"Simulation-based calibration, method {found.data.attrs['method']!r}: {n} simulations;"
        " rank ECDF less uniform, grey: simultaneous 95% band", fontsize=9,
    )  # fmt: skip
    fig.supxlabel("fractional rank of the truth among posterior draws", fontsize=8)
    fig.savefig(path, dpi=130)


def trusted(found: SimulatedCalibration) -> np.ndarray:
    """Simulations whose fit the gate's thresholds on k̂, R-hat and divergences let pass."""
    data = found.data
    if data.attrs["method"] == "laplace":
        limit = [khat_limit(int(n)) for n in data["proposals"].to_numpy()]
        return data["pareto_k"].to_numpy() <= np.array(limit)
    # R-hat of two short chains scatters around 1.01 even when they agree.
    return ((data["max_rhat"] <= 1.05) & (data["divergences"] == 0)).to_numpy()


@dataclass(frozen=True, eq=False)
class World:
    """What all simulations of the checks share: a fit to real rows, and what becomes of it."""

    fit: Fit
    truth: str
    last: int
    only: tuple[str, ...]


def world(truth: str, only: tuple[str, ...]) -> World:
    spec = load_model("dyad_onset")
    panel = complete(forecast.load_panel(), spec.entries).select_years(1980, 2004)
    near = (panel.data["region_a"] == "Asia") | (panel.data["region_b"] == "Asia")
    panel = panel.with_data(panel.data.isel(row=np.flatnonzero(near.to_numpy())))
    return World(forecast.fit(spec, panel, seed=SEED, draws=1000), truth, 2004, only)


def checked(shared: World, number: int) -> list[dict[str, Any]]:
    """One simulated panel, the fit to it, and its checks."""
    fit, seed = shared.fit, SEED + number
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(number,)))
    design, _ = encode(fit.spec, fit.panel)
    kept = fit.encoding.apply(fit.panel).kept
    panel = fit.panel.with_data(fit.panel.data.isel(row=kept))
    if shared.truth == "prior":
        simulated, _ = simulate_outcomes(design, rng)
        data = panel.data.assign(outcome=("row", simulated.y))
    else:
        draws = posterior_draws(fit, design, draws=10**6)
        at = int(rng.integers(draws.draws))
        beta = draws.beta[at].copy()
        if shared.truth == "dependent":
            beta[design.names.index("dispute_last_year")] += 2.0
        effects = {name: values[at] for name, values in draws.effects.items()}
        data = simulated_history(design, fit.encoding, panel.data, beta, effects, rng)
    panel = replace(
        panel.with_data(data), world=None, tables=None, fingerprint=f"{shared.truth} {number}"
    )
    fitted = forecast.fit(fit.spec, panel, seed=seed, draws=500)
    if shared.truth != "prior" and "reliability" in shared.only:
        years = range(shared.last - 4, shared.last + 1)
        scored = forecast.backtest(
            forecast.BacktestPlan(
                model=fit.spec, origins=years, draws=200, seed=seed, baselines=()
            ),
            panel,
        )
        fitted = replace(fitted, record=record_of(scored, specification=fit.spec.sha256))
    return [
        {"simulation": number, "events": int(data["outcome"].sum()), "check": r.name,
         "passed": r.passed, "text": r.text}
        for r in forecast.check(fitted, seed=seed, checks=shared.only)
    ]  # fmt: skip


def rates(arguments: argparse.Namespace) -> None:
    """Run the checks on simulated panels and print how often each one fails."""
    begun = time.perf_counter()
    found: list[dict[str, Any]] = []

    def progress(_number: int, result: list[dict[str, Any]]) -> None:
        for row in result:
            if row["passed"] is False:
                print(f"… {row['simulation']} {row['check']}: {row['text']}", flush=True)

    first = arguments.first
    for rows in run_tasks(
        checked, [(i,) for i in range(first, first + arguments.simulations)],
        shared=world(arguments.checks, tuple(arguments.only)), workers=arguments.workers,
        on_result=progress,
    ):  # fmt: skip
        found += rows
    table = pd.DataFrame(found)
    judged = table[table["passed"].notna()]
    failed = ~judged["passed"].astype(bool)
    out = failed.groupby(judged["check"], sort=False).agg(["sum", "count"])
    out["rate"] = out["sum"] / out["count"]
    events = table.groupby("simulation")["events"].first()
    print(
        f"--checks {arguments.checks}: {len(events)} simulated panels, {events.median():.0f} onsets"
        f" in the median ({events.min()} to {events.max()}), {time.perf_counter() - begun:.0f} s;"
        f" asked: at most {RATE:.0%} for each check that is a test"
    )
    print(out.round(3).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=("laplace", "nuts"), default="laplace")
    parser.add_argument("--panel", choices=tuple(PANELS), default="small")
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--first", type=int, default=0, help="number of the first simulation")
    parser.add_argument("--save", type=Path, help="NetCDF with every rank")
    parser.add_argument("--join", type=Path, nargs="+", help="pieces that were saved; none is run")
    parser.add_argument("--checks", choices=("fitted", "dependent", "prior"))
    parser.add_argument("--only", nargs="+", choices=tuple(CHECKS), default=list(CHECKS))
    arguments = parser.parse_args()
    if arguments.checks:
        import calibration  # by its name, under which worker processes find its functions

        calibration.rates(arguments)
        return
    design = panel(**PANELS[arguments.panel])
    begun, done = time.perf_counter(), 0

    def progress(_number: int, _result: Any) -> None:
        nonlocal done
        done += 1
        if done % 20 == 0:
            print(f"… {done}, {time.perf_counter() - begun:.0f} s", flush=True)

    if arguments.join:
        pieces = [
            SimulatedCalibration(xr.load_dataset(p, engine="h5netcdf")) for p in arguments.join
        ]
        found = SimulatedCalibration.joined(pieces)
        if (found.data.attrs["method"], found.data.attrs["rows"]) != (
            arguments.method,
            design.y.size,
        ):
            raise SystemExit("The pieces are of another method or panel.")
    else:
        found = simulated_calibration(
            design, method=arguments.method, simulations=arguments.simulations, seed=SEED,
            first=arguments.first, draws=500 if arguments.method == "nuts" else 400,
            workers=arguments.workers, on_result=progress,
        )  # fmt: skip
    data, seconds = found.data, time.perf_counter() - begun
    events = data["events"].to_numpy()
    low, middle, high = np.quantile(events, [0.1, 0.5, 0.9])
    print(
        f"{arguments.method}, {arguments.panel} panel: {events.size} simulations of"
        f" {design.y.size:,} rows, {middle:.0f} events in the median ({low:.0f} to {high:.0f} in"
        f" the central 80%), {seconds:.0f} s with {arguments.workers} workers"
    )
    table = found.uniformity()
    print(table.round(2).to_string(index=False))
    outside = int((~table["inside band"]).sum())
    print(f"{outside} of {len(table)} leave their 95% band ({0.05 * len(table):.1f} expected)")
    coverage = found.coverage()
    print("\ncoverage of central intervals, all parameters of a kind")
    print(coverage.round(4).to_string(index=False))
    passed = trusted(found)
    content: dict[str, Any] = {
        "method": arguments.method, "panel": arguments.panel, "simulations": int(events.size),
        "rows": design.y.size, "events": [low, middle, high], "seconds": seconds,
        "trusted": float(passed.mean()), "ranks": table.to_dict(orient="records"),
        "coverage": coverage.to_dict(orient="records"),
    }  # fmt: skip
    for key in ("pareto_k", "min_ess_bulk", "max_rhat", "divergences"):
        values = data[key].to_numpy()
        if not np.isnan(values).all():
            q = np.quantile(values, [0.1, 0.5, 0.9, 1.0])
            print(f"{key}: 10% {q[0]:.3g}, median {q[1]:.3g}, 90% {q[2]:.3g}, largest {q[3]:.3g}")
            content[key] = q.tolist()
    print(f"fits to be trusted: {passed.mean():.1%}")
    if 1 < passed.sum() < passed.size:
        alone = found.where(passed).coverage()
        print("coverage where the fit is to be trusted")
        print(alone.round(4).to_string(index=False))
        content["coverage where trusted"] = alone.to_dict(orient="records")
    if arguments.figure:
        figure(found, arguments.figure)
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=1, default=float))
    if arguments.save:
        data.to_netcdf(arguments.save, engine="h5netcdf")


if __name__ == "__main__":
    main()
