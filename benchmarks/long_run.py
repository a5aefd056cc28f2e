"""A process that answers queries for long: its memory, and how fast it answers, as it goes.

    uv run python benchmarks/long_run.py [QUERIES]

100,000 queries by default, to ten fits in turn: 989 of a thousand about a pair of states, ten about
a set of pairs, one a scenario. After every tenth of them: the memory of the process (Linux), what
the allocator of Python holds, and the 50th and 99th percentile of the seconds of each kind. What
leaks shows as a column that grows.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import numpy as np

import forecast as fc
from forecast.inference.fit import Fit
from forecast.panel.build import load_panel
from forecast.simulation.scenario import stock_scenarios

FITS, DRAWS, SEED = 10, 200, 20261130
LEVELS = ("onset", "fatal", "deaths_25", "deaths_1000")
KINDS = ("pair", "set", "scenario")


def memory() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def fits() -> list[Fit]:
    """Fits of one model to the same rows with other draws, each with a data set of its own."""
    spec = fc.load_model("dyad_onset").with_population("politically_relevant")
    options = {"population": "politically_relevant", "years": (2000, 2025)}
    return [
        fc.fit(spec, load_panel(**options), seed=seed, draws=DRAWS)  # type: ignore[arg-type]
        for seed in range(FITS)
    ]


def ask(fit: Fit, kind: str, rng: np.random.Generator, pairs: np.ndarray) -> None:
    """One question, at random."""
    horizon, level = int(rng.integers(1, 6)), LEVELS[rng.integers(4)]
    a, b = (int(code) for code in pairs[rng.integers(len(pairs))])
    if kind == "pair":
        fc.risk(fit, a, b, horizon=horizon, severity=level)
    elif kind == "set":
        fc.risk(fit, a, how="any", horizon=horizon, severity=level)
    else:
        scenarios = stock_scenarios()
        fc.simulate(fit, scenarios[rng.integers(len(scenarios))], horizon=5, draws=50)


def main(queries: int = 100_000) -> None:
    """Print the table, a line for each tenth of the queries."""
    asked, rng = fits(), np.random.default_rng(SEED)
    pairs = fc.risk(asked[0], horizon=1)[["ccode_a", "ccode_b"]].to_numpy()
    print(f"{os.cpu_count()} cores; {FITS} fits of {DRAWS} draws, {len(pairs)} pairs")
    heads = " ".join(f"{f'{kind} p50':>12s} {f'{kind} p99':>12s}" for kind in KINDS)
    print(f"{'queries':>8s} {'seconds':>8s} {'MB':>6s} {'blocks':>8s} {heads}   (milliseconds)")
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    begun = time.perf_counter()
    for number in range(queries):
        kind = KINDS[2 if number % 1000 == 500 else 1 if number % 100 == 0 else 0]
        fit = asked[rng.integers(FITS)] if kind != "pair" else asked[number % FITS]
        start = time.perf_counter()
        ask(fit, kind, rng, pairs)
        spent[kind].append(1e3 * (time.perf_counter() - start))
        if (number + 1) % max(queries // 10, 1) == 0:
            gc.collect()
            times = (f"{t:12.2f}" for k in KINDS for t in np.percentile(spent[k] or [0], [50, 99]))
            print(
                f"{number + 1:8d} {time.perf_counter() - begun:8.0f} {memory():6.0f}"
                f" {sys.getallocatedblocks():8d} {' '.join(times)}",
                flush=True,
            )
            spent = {kind: [] for kind in KINDS}
            begun = time.perf_counter()


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
