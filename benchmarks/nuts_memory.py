"""Largest memory of a NUTS fit with 4 x 1,000 stored draws on 112,462 rows.

    uv run python benchmarks/nuts_memory.py [--data DATA] [--store DIR] [--max-depth N]

Processes of their own, each measured by its largest resident set: one that makes the design (panel,
features, rows repeated up to 112,462), one that only loads its arrays, one that samples from them
(compilation, draws, diagnostics). What is stored does not depend on how long trajectories are, so
``--max-depth`` shortens them: the draws of such a run are good for nothing else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pickle
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from inference import LARGE, SEED, padded

LIMIT_GB = 2.0


def peak_gb() -> float:
    """Largest resident set of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0**3 if sys.platform == "darwin" else 1024.0**2)


def make_design(data: str, rows: int, path: str) -> dict[str, Any]:
    """Encode the panel and keep the arrays."""
    import forecast as fc
    from forecast.modeling.design import encode
    from forecast.modeling.encoding import complete
    from forecast.modeling.spec import load_model

    spec = load_model("dyad_onset_historical" if data == "historical" else "dyad_onset")
    panel = fc.load_panel(
        data=data, unit=spec.unit, population=spec.population, outcome=spec.outcome
    )
    design, _ = encode(spec, complete(panel, spec.entries))
    design = padded(design, rows)
    Path(path).write_bytes(pickle.dumps(design, protocol=5))
    return {
        "rows": design.y.size,
        "columns": len(design.names),
        "effects": {block.name: len(block.levels) for block in design.blocks},
        "GB to make the design": round(peak_gb(), 2),
    }


def load_only(path: str) -> dict[str, Any]:
    """What the imports and the arrays take."""
    import nutpie
    import pymc

    from forecast.inference.nuts import sample_nuts

    assert nutpie and pymc and sample_nuts
    pickle.loads(Path(path).read_bytes())
    return {"GB of imports and arrays": round(peak_gb(), 2)}


def sample(
    path: str, draws: int, chains: int, tune: int, depth: int, store: str | None
) -> dict[str, Any]:
    """NUTS from the arrays to diagnostics."""
    from forecast.inference.nuts import sample_nuts

    with Path(path).open("rb") as file:
        design = pickle.load(file)
    begun = time.perf_counter()
    stages: dict[str, float] = {}

    def report(what: str, share: float) -> None:
        stages[what] = round(peak_gb(), 2)

    posterior, _, found = sample_nuts(
        design, seed=np.random.SeedSequence(SEED), draws=draws, chains=chains, tune=tune,
        max_depth=depth, store=store, report=report,
    )  # fmt: skip
    stored = sum(variable.nbytes for variable in posterior.data_vars.values()) / 1024**3
    return {
        "chains x draws": f"{posterior.sizes['chain']} x {posterior.sizes['draw']}",
        "seconds": round(time.perf_counter() - begun),
        "GB of the posterior": round(stored, 3),
        "largest GB after each stage": stages,
        "deepest tree": found["max_tree_depth"],
        "largest GB": round(peak_gb(), 2),
    }


def apart(function: Any, *arguments: Any) -> dict[str, Any]:
    """In a process of its own, so that its largest resident set is nobody else's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="historical", help="'embedded', 'historical' or a folder")
    parser.add_argument("--rows", type=int, default=LARGE)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--tune", type=int, default=1000)
    parser.add_argument("--max-depth", type=int, default=10)
    parser.add_argument("--store", help="a folder that does not exist: draws go there")
    parser.add_argument("--json", type=Path)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "design.pickle"))
        result = apart(make_design, a.data, a.rows, path)
        result |= apart(load_only, path)
        print(json.dumps(result, indent=1), flush=True)
        result |= apart(sample, path, a.draws, a.chains, a.tune, a.max_depth, a.store)
    result["limit GB"] = LIMIT_GB
    print(json.dumps(result, indent=1))
    if a.json:
        a.json.write_text(json.dumps(result, indent=1))
    if result["largest GB"] > LIMIT_GB:
        raise SystemExit(f"{result['largest GB']} GB, expected at most {LIMIT_GB}")


if __name__ == "__main__":
    main()
