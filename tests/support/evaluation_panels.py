"""A small simulated panel with its feature columns in it, as one read from a file would be."""

import numpy as np
import xarray as xr
from scipy.special import expit

from forecast.evaluation.backtest import Backtest, BacktestPlan, backtest
from forecast.evaluation.baselines import ALLIANCES
from forecast.panel.types import Panel


def simulate_panel(
    *, seed=0, states=25, first=1950, last=1999, intercept=-4.0, slope=1.0, again=0.0, late=0.0
):
    """Dyad-years whose risk falls with peace years, differs by pair and rises with an alliance.

    `again` is added in the year after an onset, `late` in the last five years.
    """
    rng = np.random.default_rng(seed)
    a, b = np.triu_indices(states, 1)
    land = rng.uniform(size=a.size) < 0.3
    major = ((a < 2).astype(int) + (b < 2)).astype(float)
    ratio = np.abs(rng.normal(0, 1.5, a.size))
    taste = rng.normal(0, 0.8, a.size)
    peace = rng.integers(0, 30, a.size).astype(float)
    total = np.zeros(a.size)
    recent = np.zeros((10, a.size))
    ally = rng.uniform(size=a.size) < 0.2
    parts = []
    for year in range(first, last + 1):
        ally = np.where(rng.uniform(size=a.size) < 0.05, ~ally, ally)
        columns = {
            "land_contiguity": land.astype(float),
            "contiguity_closeness": 5.0 * land,
            "major_powers": major,
            "capability_ratio": ratio,
            "joint_capability": np.exp(-3 - ratio / 4),
            "peace_years": peace.copy(),
            "dispute_last_year": (peace == 0).astype(float),
            "disputes_total": total.copy(),
            "disputes_recent": recent.sum(axis=0),
            "state_disputes_max": np.zeros(a.size),
            "state_disputes_min": np.zeros(a.size),
            "system_disputes": np.full(a.size, recent.sum() / 100),
            "ally": ally.astype(float),
        }
        # of the ten alliance columns of the baselines only the first varies
        columns |= {r.name: np.zeros(a.size) for r in ALLIANCES}
        columns[ALLIANCES[0].name] = ally.astype(float)
        eta = intercept + 1.2 * land + 0.6 * major + taste - 0.06 * peace + 0.5 * slope * ally
        eta = eta + again * (peace == 0) + late * (year > last - 5)
        y = (rng.uniform(size=a.size) < expit(eta)).astype(float)
        parts.append((np.full(a.size, year), a + 2, b + 2, y, columns))
        peace = np.where(y > 0, 0.0, peace + 1)
        total = total + y
        recent = np.vstack([recent[1:], y])
    coords = {
        name: ("row", np.concatenate([p[i] for p in parts]))
        for i, name in enumerate(("year", "ccode_a", "ccode_b"))
    }
    data = {"outcome": ("row", np.concatenate([p[3] for p in parts]))} | {
        name: ("row", np.concatenate([p[4][name] for p in parts])) for name in parts[0][4]
    }
    return Panel(
        data=xr.Dataset(data, coords=coords),
        world=None,
        tables=None,
        unit="dyad-year",
        population="all",
        outcome="onset",
        lag=1,
        fingerprint=f"simulated-{seed}-{again}-{late}",
    )


def backtest_of(methods, panel, *, out=None, workers=1, client=None, **options) -> Backtest:
    """Backtest of any methods, the first against the others."""
    plan = BacktestPlan(model=methods[0], baselines=methods[1:], **options)
    return backtest(plan, panel, out=out, workers=workers, client=client)
