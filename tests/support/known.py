"""A fit whose posterior is written down, not sampled: what the mechanics of forecasts need."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from forecast.files import SCHEMA_VERSION
from forecast.inference.diagnostics import Diagnostics
from forecast.inference.fit import Fit
from forecast.inference.identity import fit_id, rows_fingerprint
from forecast.modeling.design import encode
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

#: Log-odds of the terms that have an effect; all others are near zero.
EFFECTS = {
    "dispute_last_year": 1.0,
    "disputes_recent": 0.8,
    "contiguity_closeness": 0.7,
    "ally_in_dispute_max": 0.5,
    "defense_pact": -0.4,
    "shared_allies": 0.3,
}


def make_known_fit(
    panel: Panel, *, draws: int = 200, seed: int = 11, model: ModelSpec | None = None
) -> Fit:
    """Fit of ``dyad_onset`` of the panel's pairs, or another dyad model, around `EFFECTS`."""
    spec = model or load_model("dyad_onset").with_population(panel.population)
    design, encoding = encode(spec, panel)
    rng = np.random.default_rng(seed)
    names = list(encoding.names)
    beta = 0.05 * rng.standard_normal((1, draws, len(names)))
    beta[..., 0] -= 5.0
    for name, value in EFFECTS.items():
        if name not in names:
            continue
        beta[..., names.index(name)] += value
    variables: dict[str, Any] = {"beta": (("chain", "draw", "term"), beta)}
    coords: dict[str, Any] = {"chain": [0], "draw": np.arange(draws), "term": names}
    for block in design.blocks:
        dim = f"level_{block.name}"
        coords[dim] = block.levels.tolist()
        effect = 0.2 * rng.standard_normal((1, draws, len(block.levels)))
        variables[f"effect_{block.name}"] = (("chain", "draw", dim), effect)
        variables[f"sigma_{block.name}"] = (("chain", "draw"), np.full((1, draws), 0.2))
    posterior = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(variables, coords),
            "sample_stats": xr.Dataset(),
            "observed_data": xr.Dataset({"outcome": ("row", design.y)}, design.rows.coords),
        }
    )
    posterior.attrs |= {"tune": 1000, "warm_start": ""}
    return Fit(
        id=fit_id(spec, rows_fingerprint(panel), "laplace", seed, draws, SCHEMA_VERSION),
        spec=spec,
        encoding=encoding,
        panel=panel,
        posterior=posterior,
        diagnostics=Diagnostics(
            max_rhat=None,
            min_ess_bulk=900.0,
            min_ess_tail=900.0,
            worst=None,
            divergences=None,
            min_ebfmi=None,
            max_tree_depth=None,
            pareto_k=0.3,
            wall_seconds=1.0,
            peak_memory_mb=1.0,
        ),
        method="laplace",
        seed=seed,
        versions={"alliance-forecast": "0"},
    )
