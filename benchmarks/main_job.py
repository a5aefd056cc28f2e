"""Times and memory of the main job and of risk queries on the embedded data.

    uv run python benchmarks/main_job.py [--json] [--skip-run]

The main job runs in a process of its own, so that its peak memory is its own. Nothing else should
run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def timed(command: list[str]) -> tuple[float, float]:
    """Wall seconds of a command, and the largest peak memory (GB) of any child so far."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2


def import_seconds() -> float:
    """Median of `import forecast` in fresh interpreters, less an empty interpreter."""
    runs = {code: [] for code in ("import forecast", "pass")}  # type: dict[str, list[float]]
    for _ in range(7):
        for code, seconds in runs.items():
            seconds.append(timed([sys.executable, "-c", code])[0])
    return statistics.median(runs["import forecast"]) - statistics.median(runs["pass"])


def risk_queries() -> dict[str, Any]:
    """One query, and 2,000 pairs x 5 years x 1,000 draws, on a fit loaded from a store."""
    import forecast as fc
    from forecast.risk.query import forget

    out: dict[str, Any] = {}
    begun = time.perf_counter()
    panel = fc.load_panel()
    out["panel seconds"] = time.perf_counter() - begun
    begun = time.perf_counter()
    fit = fc.fit("dyad_onset", panel, seed=1, draws=1000)
    out["fit seconds (laplace, 1,000 draws)"] = time.perf_counter() - begun
    out["fit rows"] = fit.encoding.rows
    out["fit Pareto k"] = fit.diagnostics.pareto_k
    out["fit importance ESS"] = fit.diagnostics.min_ess_bulk
    with tempfile.TemporaryDirectory() as folder:
        store = fc.open_store(folder)
        loaded = store.load(store.save(fit))
    begun = time.perf_counter()
    fc.risk(loaded, "IND", "PAK", horizon=3)
    out["first risk query seconds (simulates all pairs)"] = time.perf_counter() - begun

    pairs = fc.risk(loaded, horizon=1)[["ccode_a", "ccode_b"]].to_numpy().tolist()
    single = []
    for a, b in pairs[:300]:
        begun = time.perf_counter()
        fc.risk(loaded, a, b, horizon=3)
        single.append(1000 * (time.perf_counter() - begun))
    out["one risk query ms (median of 300 pairs)"] = statistics.median(single)
    out["one risk query ms (95th percentile)"] = statistics.quantiles(single, n=20)[-1]

    many = (pairs + pairs)[:2000]
    a, b = [x for x, _ in many], [y for _, y in many]
    begun = time.perf_counter()
    fc.risk(loaded, a, b, horizon=5)
    out["2,000 pairs x 5 years x 1,000 draws seconds (draws there)"] = time.perf_counter() - begun
    forget()
    begun = time.perf_counter()
    fc.risk(loaded, a, b, horizon=5)
    out["2,000 pairs x 5 years x 1,000 draws seconds (with the simulation)"] = (
        time.perf_counter() - begun
    )
    return out


def main_job() -> dict[str, Any]:
    """The README's command one on the embedded data, twice."""
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "forecast.cli", "run", "--json",
            "--out", str(Path(folder) / "report"), "--store", str(Path(folder) / "store"),
        ]  # fmt: skip
        for name in ("first", "second"):
            begun = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            out[f"main job seconds ({name} run)"] = time.perf_counter() - begun
            report = json.loads(done.stdout)["report"]
            out[f"numbers changed ({name} run)"] = report["changed"]
        out["main job peak memory GB"] = (
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--skip-run", action="store_true", help="leave out the main job")
    arguments = parser.parse_args()
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load average at the start": round(os.getloadavg()[0], 2),
        "import forecast seconds": import_seconds(),
    }
    if not arguments.skip_run:
        found |= main_job()
    found |= risk_queries()
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:68s} {value:.4g}" if isinstance(value, float) else f"{name:68s} {value}")


if __name__ == "__main__":
    main()
