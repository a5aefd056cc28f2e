"""A fit as an ArviZ tree with its log likelihood, beside PyMC's and plain numpy of the same.

    uv run python benchmarks/to_datatree.py [--json] [--rows 97309] [--draws 500]

The rows are of `dyad_onset` for politically relevant pairs of the embedded data, the draws those of
its prior: what they are does not change how long it takes. Every measurement is a process of its
own, which makes the fit, then takes the time; its peak is the largest resident set while it does so
(what the fit itself holds is told beside it). Numpy: the predictor of all rows and draws at once,
in double precision, as one would write it. All must give the same numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

TARGET = {"seconds": 5.0, "GB": 1.0}


def made_fit(rows: int, draws: int) -> Any:
    """A fit of so many rows, whose draws are of the prior."""
    import forecast as fc
    from forecast.files import SCHEMA_VERSION
    from forecast.inference.diagnostics import Diagnostics
    from forecast.inference.fit import Fit
    from forecast.inference.identity import fit_id, rows_fingerprint
    from forecast.inference.predict import prior_draws
    from forecast.modeling.design import encode, fitted_rows

    spec = fc.load_model("dyad_onset").with_population("politically_relevant")
    panel = fitted_rows(spec, fc.load_panel(population="politically_relevant"))[0]
    panel = panel.with_data(panel.data.isel(row=slice(-rows, None)))
    design, encoding = encode(spec, panel)
    prior = prior_draws(design, draws=draws, seed=1)
    sizes: dict[str, Any] = {"beta": (("chain", "draw", "term"), prior.beta[None])}
    coords: dict[str, Any] = {"chain": [0], "draw": np.arange(draws), "term": list(design.names)}
    for block in design.blocks:
        coords[f"level_{block.name}"] = block.levels.tolist()
        sizes[f"sigma_{block.name}"] = (("chain", "draw"), prior.sigma[block.name][None])
        dims = ("chain", "draw", f"level_{block.name}")
        sizes[f"effect_{block.name}"] = (dims, prior.effects[block.name][None])
    groups = {"posterior": xr.Dataset(sizes, coords), "sample_stats": xr.Dataset()}
    found = Diagnostics(None, 400.0, 400.0, None, None, None, 0.1, 1.0, 1.0)
    key = fit_id(spec, rows_fingerprint(panel), "laplace", 1, draws, SCHEMA_VERSION)
    tree = xr.DataTree.from_dict(groups)
    return Fit(key, spec, encoding, panel, tree, found, "laplace", 1, {})


def ours(fit: Any) -> Any:
    """`Fit.to_datatree` with the log likelihood."""
    return fit.to_datatree(["log_likelihood"])["log_likelihood"]["outcome"].to_numpy()[0]


def by_pair(fit: Any) -> Any:
    """The same by pair, with the effects of pairs integrated out."""
    return fit.to_datatree(["log_likelihood"], by="pair")["log_likelihood"]["outcome"].to_numpy()[0]


def by_numpy(fit: Any) -> Any:
    """All rows and draws at once."""
    from forecast.modeling.design import encode

    design, _ = encode(fit.spec, fit.panel)
    kept = fit.posterior["posterior"]
    eta = kept["beta"].to_numpy()[0] @ design.X.T
    for block in design.blocks:
        eta += (block.matrix @ kept[f"effect_{block.name}"].to_numpy()[0].T).T
    return np.where(design.y == 1.0, -np.logaddexp(0.0, -eta), -np.logaddexp(0.0, eta))


def by_pymc(fit: Any) -> Any:
    """`pymc.compute_log_likelihood` on the same model."""
    import pymc as pm

    import forecast as fc

    model = fc.build(fit.spec, fit.panel)
    tree = xr.DataTree.from_dict({"posterior": fit.posterior["posterior"].to_dataset()})
    found = pm.compute_log_likelihood(
        tree, model=model, extend_inferencedata=False, progressbar=False
    )
    return found["outcome"].to_numpy()[0]


def resident() -> float:
    """Resident set of this process, GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def measured(what: str, rows: int, draws: int) -> dict[str, Any]:
    """Seconds and memory of one way, in this process."""
    ways: dict[str, Callable[[Any], Any]] = {
        "ours": ours, "ours by pair": by_pair, "numpy": by_numpy, "pymc": by_pymc,
    }  # fmt: skip
    fit = made_fit(rows, draws)
    if what == "ours by pair":
        by_pair(made_fit(1_000, 100))  # what is compiled at the first call
    before, peak, done = resident(), [resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, cpu = time.perf_counter(), time.process_time()
    values = ways[what](fit)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    done.set()
    watcher.join()
    # a few rows are enough to see whether ways agree
    few = values[:, :: max(1, values.shape[1] // 500)][:, :100].tolist()
    return {"way": what, "rows": values.shape[1], "draws": len(values), "seconds": seconds,
            "cpu": cpu, "peak GB": peak[0], "of which the fit": before,
            "GB more": peak[0] - before, "few": few}  # fmt: skip


def run(rows: int, draws: int) -> dict[str, Any]:
    """Every way in a process of its own."""
    table = []
    for what in ("ours", "pymc", "numpy", "ours by pair"):
        with get_context("spawn").Pool(1) as pool:
            table.append(pool.apply(measured, (what, rows, draws)))
    few = [np.array(line.pop("few")) for line in table]
    apart = {table[i]["way"]: float(np.abs(few[0] - few[i]).max()) for i in (1, 2)}
    return {"cores": os.cpu_count(), "load average": round(os.getloadavg()[0], 2),
            "target": TARGET, "ways": table, "largest difference": apart}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=97_309)
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    found = run(options.rows, options.draws)
    if options.json:
        json.dump(found, sys.stdout, indent=1)
    else:
        print(f"{found['cores']} cores, load average {found['load average']}")
        for line in found["ways"]:
            print(
                f"{line['way']:14s} {line['rows']:7,} x {line['draws']:4}"
                f" {line['seconds']:7.2f} s {line['cpu']:7.2f} s cpu {line['peak GB']:6.2f} GB peak"
                f" ({line['of which the fit']:.2f} before, {line['GB more']:.2f} more)"
            )
        print(f"largest difference of a log likelihood: {found['largest difference']}")
        print(f"target for ours: {TARGET['seconds']:g} s, {TARGET['GB']:g} GB")
