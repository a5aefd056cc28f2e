"""NUTS, and the agreement of Laplace with it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from simulated_designs import dyads

from forecast.inference.diagnostics import Diagnostics, gate
from forecast.inference.fit import sample_design

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")


def compare(one: xr.Dataset, two: xr.Dataset, *, mean: float, spread: float) -> None:
    """Means within `mean` posterior s.d. and s.d. within `spread`, for every main parameter."""
    for name in [v for v in one.data_vars if v == "beta" or str(v).startswith("sigma")]:
        a, b = (
            d[name].stack(s=("chain", "draw")).transpose("s", ...).to_numpy() for d in (one, two)
        )
        np.testing.assert_array_less(np.abs(a.mean(0) - b.mean(0)) / b.std(0), mean, err_msg=name)
        np.testing.assert_array_less(np.abs(a.std(0) / b.std(0) - 1), spread, err_msg=name)


def test_laplace_agrees_with_nuts_and_a_short_run_is_refused():
    design, _ = dyads(states=12, pairs=40, years=20, columns=4, rate=0.1, seed=5)
    short, found = sample_design(design, method="nuts", seed=1, draws=100, chains=2, tune=50)
    result = gate(Diagnostics(wall_seconds=1.0, peak_memory_mb=1.0, **found))
    assert not result.passed
    assert any("Effective sample size" in failure for failure in result.failures)
    nuts, found = sample_design(design, method="nuts", seed=1, draws=1500, chains=4, tune=600)
    assert found["max_rhat"] < 1.02
    laplace, _ = sample_design(design, seed=1, draws=4000)
    assert set(short["posterior"].data_vars) == set(laplace["posterior"].data_vars)
    # The tolerance of the design document (0.1 s.d., 10%) and the Monte Carlo error of both.
    a, b = (tree["posterior"].to_dataset() for tree in (laplace, nuts))
    compare(a, b, mean=0.1 + 0.1, spread=0.1 + 0.06)


@pytest.mark.long
def test_laplace_agrees_with_long_nuts_on_a_middle_sized_panel():
    design, _ = dyads(states=60, pairs=300, years=27, columns=8, rate=0.03, seed=8)
    nuts, found = sample_design(design, method="nuts", seed=1, draws=4000, chains=4, tune=1000)
    assert found["min_ess_bulk"] > 1000
    laplace, _ = sample_design(design, seed=1, draws=8000)
    a, b = (tree["posterior"].to_dataset() for tree in (laplace, nuts))
    compare(a, b, mean=0.1 + 0.05, spread=0.1 + 0.04)
