"""Rows, features and dispute tensors of 1816-2000 in one file, so that variants take seconds.

    EXPLORE_DATA=FOLDER python benchmarks/explore/prepare.py

Reads through ``fc.load_panel(data="historical")`` (the cache of the official files is where
``FORECAST_DATA`` says). Every registered feature that has a value on these tables is gathered as
a lagged column, for each way in which two sides make one value. The output is exploration data:
it stays outside of the repository.
"""

import pickle
import sys
import time
from pathlib import Path

import numpy as np
from rows import DEFAULT

import forecast as fc
from forecast.features import FeatureRequest, compute_features
from forecast.features.registry import registered_features

#: Options beyond the defaults that are worth a column.
VARIANTS = {
    "disputes_recent": [{"window": w} for w in (3, 10, 20)],
    "state_disputes_recent": [{"window": w} for w in (2, 10)],
    "system_disputes_recent": [{"window": w} for w in (1, 5)],
    "pact_in_dyad": [
        {"obligation": o}
        for o in ("defense", "offense", "neutrality", "nonaggression", "consultation")
    ],
    "structural_balance": [{"which": w} for w in ("ally_enemy", "enemy_enemy", "ally_ally")],
    "portfolio_similarity": [{"measure": "S"}, {"measure": "kappa"}],
    "new_pact": [{"window": w} for w in (3, 5, 10)],
}
#: Slow ones without a claim to a column in a pooled table.
SKIP = {"autonomy", "modularity"}


def requests() -> list[FeatureRequest]:
    """One request per feature, variant and side."""
    found = []
    for feature in registered_features():
        if feature.name in SKIP:
            continue
        for options in VARIANTS.get(feature.name, [{}]):
            label = "_".join([feature.name, *(str(v) for v in options.values())])
            if feature.level in ("dyad", "system"):
                found.append(FeatureRequest(label, feature.name, options))
            else:
                found += [
                    FeatureRequest(f"{label}_{side}", feature.name, options, side)
                    for side in ("max", "min")
                ]
    return found


def main(out: Path) -> None:
    """Build the panel, its features and the tensors, and write them."""
    began = time.perf_counter()
    panel = fc.load_panel(
        data="historical",
        unit="dyad-year",
        population="politically_relevant",
        outcome="onset",
        years=(1816, 2000),
    )
    data: dict[str, np.ndarray] = {}
    for name in ("year", "ccode_a", "ccode_b", "outcome", "region_a", "region_b"):
        data[name] = panel.data[name].to_numpy()
    for request in requests():
        start = time.perf_counter()
        try:
            column = compute_features(panel, [request]).data[request.name].to_numpy()
        except fc.ForecastError as error:
            sys.stderr.write(f"{request.name}: {error}\n")
            continue
        if np.isnan(column).all():
            continue
        data[request.name] = column.astype(np.float32)
        sys.stderr.write(f"{request.name} {time.perf_counter() - start:.2f}s\n")
    world = panel.world
    keep = slice(0, int(np.searchsorted(world["year"].to_numpy(), 2000)) + 1)
    tensors = {}
    for name, values in world.data_vars.items():
        if values.dims[:1] == ("year",):
            tensors[name] = values.to_numpy()[keep]
        elif values.dims[:1] == ("state",):
            tensors[name] = values.to_numpy()
    tensors["years"] = world["year"].to_numpy()[keep]
    tensors["codes"] = world["state"].to_numpy()
    tensors["obligations"] = world["obligation"].to_numpy()
    tables = {
        name: getattr(panel.tables, name)
        for name in ("conflicts", "states", "rivalries", "disputes")
        if hasattr(panel.tables, name)
    }
    with out.open("wb") as file:
        pickle.dump({"rows": data, "world": tensors, "tables": tables}, file, protocol=5)
    sys.stderr.write(f"{time.perf_counter() - began:.0f}s in all\n")


if __name__ == "__main__":
    main(DEFAULT)
