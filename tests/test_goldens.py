"""Numbers that a change of the code must not change; ``python tests/test_goldens.py`` writes them.

One small fit for each method with its id, risks of fifty pairs, a scenario, scores of a backtest.
A number may move only where it is meant to: the change that moves it writes this file anew and
says so in the CHANGELOG.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forecast as fc
from forecast.simulation.scenario import Scenario

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")

FILE = Path(__file__).parent / "goldens.json"
SCENARIO = Path(__file__).parent.parent / "data" / "scenarios" / "ukraine-joins-nato.toml"


def posterior_of(fit: Any) -> dict[str, Any]:
    """Mean and standard deviation of every parameter, group effects summed up."""
    found: dict[str, Any] = {"id": fit.id}
    for name, values in fit.posterior["posterior"].to_dataset().data_vars.items():
        draws = values.stack(s=("chain", "draw")).transpose("s", ...).to_numpy()
        mean, spread = draws.mean(axis=0).ravel(), draws.std(axis=0).ravel()
        if mean.size > 100:  # effects of pairs: their squares say whether one moved
            mean, spread = (np.array([v.sum(), (v**2).sum()]) for v in (mean, spread))
        found[str(name)] = {"mean": mean.tolist(), "sd": spread.tolist()}
    return found


def computed() -> dict[str, Any]:
    """The numbers as the code makes them now."""
    panel = fc.load_panel(population="politically_relevant", years=(1990, 2025))
    spec = fc.load_model("dyad_onset").with_population("politically_relevant")
    fit = fc.fit(spec, panel, seed=7, draws=100)
    short = fc.load_panel(population="politically_relevant", years=(2016, 2025))
    nuts = fc.fit(spec, short, seed=7, method="nuts", draws=100, tune=50, chains=2)
    table = fc.risk(fit, horizon=2)
    chosen = table.iloc[np.linspace(0, len(table) - 1, 100).astype(int)]
    result = fc.simulate(fit, Scenario.from_toml(SCENARIO), horizon=2, draws=50)
    final = result["cumulative_risk"].isel(year=-1).sel(estimate="mean")
    baselines = ("climatology", "without_alliances")
    tested = fc.backtest(
        fc.BacktestPlan(model=spec, origins=(2018,), baselines=baselines, seed=7, draws=100), panel
    )
    scores = tested.forecasts.groupby(["model", "origin"])["probability"].agg(["size", "sum"])
    return {
        "laplace": posterior_of(fit),
        "nuts": posterior_of(nuts),
        "risks": {
            name: chosen[name].tolist() for name in ("probability", "lower", "upper", "base_rate")
        },
        "scenario": {
            world: [float(values.sum()), float((values**2).sum())]
            for world, values in ((w, final.sel(world=w)) for w in final["world"].to_numpy())
        },
        "backtest": {"/".join(map(str, key)): row.tolist() for key, row in scores.T.items()},
    }


def same(now: Any, then: Any, where: str) -> None:
    """Compare nested structures, numbers to six digits; a chain of NUTS enlarges the last ones."""
    if isinstance(then, dict):
        assert set(now) == set(then), where
        for name in then:
            same(now[name], then[name], f"{where}/{name}")
    elif isinstance(then, str):
        assert now == then, where
    else:
        close = (1e-3, 1e-3) if where.startswith("/nuts") else (1e-6, 1e-9)
        np.testing.assert_allclose(now, then, rtol=close[0], atol=close[1], err_msg=where)


def test_numbers_are_those_that_were_frozen():
    same(json.loads(json.dumps(computed())), json.loads(FILE.read_text()), "")


if __name__ == "__main__":
    FILE.write_text(json.dumps(computed(), indent=1) + "\n")
