"""Ten features onto a million directed rows of somebody else's frame, beside pandas merges.

    uv run python benchmarks/attach.py [--json] [--rows 1000000]

Rows are drawn from all ordered pairs and years of the embedded data, in random order, with an index
that repeats itself. Ours computes the features and puts them on. The merges put the same columns
on from tables of directed dyad-years that are there already (one merge a feature, as columns are
piped onto a frame in R's peacesciencer), which takes nothing but the merging. Both in one process
after the imports; the columns must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import numpy as np
import pandas as pd

#: Of the families that are asked for most: alliances, history, geography, power, similarity.
FEATURES = (
    "pact_in_dyad", "shared_allies", "portfolio_similarity", "peace_years", "disputes_total",
    "land_contiguity", "distance", "capability_ratio", "joint_democracy", "politically_relevant",
)  # fmt: skip
KEYS = ["ccode1", "ccode2", "year"]


def run(rows: int) -> dict[str, Any]:
    """Seconds of both, and whether they agree."""
    import forecast as fc
    from forecast.features import FeatureRequest, compute_features

    whole = fc.load_panel(unit="directed-dyad-year", population="all")
    every = whole.to_dataframe()[["ccode_a", "ccode_b", "year"]].set_axis(KEYS, axis=1)
    rng = np.random.default_rng(1)
    frame = every.iloc[rng.integers(0, len(every), rows)].reset_index(drop=True)
    frame.index = pd.Index(rng.integers(0, rows // 2, rows))
    fc.attach(frame[:10], ["peace_years"])  # what is imported where it is used

    before, cpu = time.perf_counter(), time.process_time()
    ours = fc.attach(frame, FEATURES)
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu

    data = compute_features(whole, [FeatureRequest(n, n) for n in FEATURES]).data
    tables = {n: every.assign(**{n: data[n].to_numpy()}) for n in FEATURES}
    before = time.perf_counter()
    merged = frame
    for table in tables.values():
        merged = merged.merge(table, on=KEYS, how="left")
    merges = time.perf_counter() - before
    same = all(np.array_equal(ours[n], merged[n], equal_nan=True) for n in FEATURES)
    return {
        "cores": os.cpu_count(),
        "load average": round(os.getloadavg()[0], 2),
        "rows": rows,
        "columns": len(FEATURES),
        "seconds": seconds,
        "cpu": cpu,
        "target": 5,
        "pandas merges seconds": merges,
        "ratio to merges": seconds / merges,
        "same columns": same and ours.index.equals(frame.index),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    found = run(options.rows)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for key, value in found.items():
            print(f"{key:24s} {value:.2f}" if isinstance(value, float) else f"{key:24s} {value}")
