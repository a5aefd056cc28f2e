from __future__ import annotations

import numpy as np
import pytest

from forecast.errors import ArgumentError
from forecast.inference.fit import Fit
from forecast.simulation.paired import status_quo
from forecast.simulation.scenario import Scenario
from forecast.simulation.simulate import largest_changes, save_result, simulate


def test_arguments_out_of_range_are_refused(known_fit: Fit) -> None:
    with pytest.raises(ArgumentError, match="horizon"):
        simulate(known_fit, horizon=0)
    with pytest.raises(ArgumentError, match="level"):
        simulate(known_fit, level=90)
    with pytest.raises(ArgumentError, match="draws"):
        simulate(known_fit, draws=10_000)


def test_without_edits_the_difference_is_exactly_zero(known_fit: Fit) -> None:
    result = simulate(known_fit, Scenario("nothing"), horizon=2, draws=50)
    assert float(abs(result["cumulative_risk"].sel(world="difference")).max()) == 0.0
    assert not result["changed"].to_numpy().any()


def test_a_new_pact_changes_its_pair_and_spills_over(known_fit: Fit) -> None:
    pact = Scenario("pact").form("Test", ["CHN", "RUS"], 2026)
    result = simulate(known_fit, pact, horizon=3, draws=100, level=0.8)
    pair = (result["ccode_a"] == 365) & (result["ccode_b"] == 710)
    difference = result["cumulative_risk"].sel(world="difference", estimate="mean")
    # Features are lagged: a pact of 2026 does nothing to 2026; then the model's sign shows.
    assert float(difference.isel(year=0, dyad=pair.to_numpy()).item()) == 0.0
    assert float(difference.isel(year=1, dyad=pair.to_numpy()).item()) < 0.0
    assert bool(result["changed"].to_numpy()[pair.to_numpy()].all())
    assert "80% equal-tailed" in result["cumulative_risk"].attrs["interval"]
    assert result.attrs["edits"][0].startswith("CHN, RUS form Test")
    top = largest_changes(result, top=5)
    assert len(top) == 5
    assert (top["difference"].abs().diff().dropna() <= 0).all()


def test_same_seed_same_numbers_other_seed_others(known_fit: Fit) -> None:
    one, two, three = (simulate(known_fit, horizon=2, draws=50, seed=s) for s in (1, 1, 2))
    assert one.identical(two)
    assert not np.array_equal(one["cumulative_risk"], three["cumulative_risk"])


def test_risks_are_probabilities_that_grow_with_the_horizon(known_fit: Fit) -> None:
    result = simulate(known_fit, horizon=4, draws=100)
    for name in ("annual_risk", "cumulative_risk", "state_risk"):
        values = result[name]
        assert float(values.min()) >= 0.0
        assert float(values.max()) <= 1.0
        assert bool((values.sel(estimate="lower") <= values.sel(estimate="mean")).all())
    assert bool((result["cumulative_risk"].diff("year") >= 0).all())
    assert bool((result["state_risk"].diff("year") >= 0).all())
    first = result["cumulative_risk"].isel(year=0)
    np.testing.assert_allclose(first, result["annual_risk"].isel(year=0), rtol=1e-5, atol=1e-7)


def test_cumulative_risk_agrees_with_counting_simulated_onsets(known_fit: Fit) -> None:
    """Two ways to one number: products of hazards, and the share of paths with an onset."""
    paths = status_quo(known_fit, horizon=3, draws=200, seed=9).paths
    counted = paths.onsets.any(axis=0).mean(axis=1)
    exact = paths.cumulative()[-1].mean(axis=1)
    # Sum over all dyads: the noise of counting is that of a sum of independent indicators.
    error = np.sqrt((counted * (1 - counted)).sum() / paths.onsets.shape[2])
    assert counted.sum() == pytest.approx(exact.sum(), abs=4 * error)
    assert np.corrcoef(counted, exact)[0, 1] > 0.8


def test_feedback_is_not_a_product_of_one_year(known_fit: Fit) -> None:
    """After a quiet year the clock runs on: the second year's hazard is not the first's."""
    now = status_quo(known_fit, horizon=2, draws=200, seed=9)
    paths, record = now.paths, now.record
    fresh = record.active
    assert (paths.hazard[1, fresh].mean() - paths.hazard[0, fresh].mean()) != 0.0
    quiet = record.peace > 40
    # Nothing of its own record changes for a long-quiet pair: nearly the same hazard.
    ratio = paths.hazard[1, quiet].mean() / paths.hazard[0, quiet].mean()
    assert 0.7 < ratio < 1.4


def test_a_result_is_saved_whole(known_fit: Fit, tmp_path) -> None:
    import xarray as xr

    result = simulate(known_fit, horizon=1, draws=20)
    save_result(result, tmp_path / "r.nc")
    with xr.open_dataset(tmp_path / "r.nc", engine="h5netcdf") as opened:
        np.testing.assert_array_equal(opened["annual_risk"], result["annual_risk"])
    assert [p.name for p in tmp_path.iterdir()] == ["r.nc"]
