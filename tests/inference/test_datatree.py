"""A fit as ArviZ wants it: the numbers of each group, and every function that is documented."""

from dataclasses import replace

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy.stats import halfnorm, norm
from support.evaluation_panels import simulate_panel

import forecast as fc
from forecast import memory
from forecast.errors import ArgumentError, UnknownNameError
from forecast.inference.datatree import GROUPS, LARGE, FitRows
from forecast.inference.predict import predict

DRAWS = 300


@pytest.fixture(scope="module")
def fit():
    model = fc.model(
        "onset ~ land_contiguity + ally + (1|dyad)",
        columns={"ally": "commitment"},
        name="small",
        population="all",
    )
    panel = simulate_panel(states=8, first=1970, last=1989, intercept=-2.5)
    return fc.fit(model, panel, seed=2, draws=DRAWS)


@pytest.fixture(scope="module")
def chains(fit):
    """The same draws as if they were of four chains, as NUTS has them."""
    posterior = fit.posterior["posterior"].to_dataset()
    parts = [
        posterior.isel(draw=slice(i * 75, (i + 1) * 75)).assign_coords(draw=range(75), chain=[i])
        for i in range(4)
    ]
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 75), dtype=bool))})
    groups = {"posterior": xr.concat(parts, dim="chain"), "sample_stats": stats}
    groups["observed_data"] = fit.posterior["observed_data"].to_dataset()
    return replace(fit, posterior=xr.DataTree.from_dict(groups), method="nuts")


@pytest.fixture(scope="module")
def trees(fit, chains):
    """By method and by what counts as one."""
    return {
        (name, by): one.to_datatree("all", by=by)
        for name, one in (("laplace", fit), ("nuts", chains))
        for by in ("row", "pair", "year")
    }


def test_log_likelihood_is_that_of_the_predicted_probabilities(fit, trees):
    p = predict(fit, fit.panel).to_numpy().astype(float)
    y = fit.panel.data["outcome"].to_numpy()
    expected = np.log(np.where(y == 1.0, p, 1.0 - p))
    found = trees["laplace", "row"]["log_likelihood"]["outcome"]
    assert found.dtype == np.float32
    assert found.dims == ("chain", "draw", "row")
    np.testing.assert_allclose(found[0], expected, rtol=2e-4, atol=1e-6)
    # four chains are the same draws in the same order
    four = trees["nuts", "row"]["log_likelihood"]["outcome"].to_numpy()
    np.testing.assert_allclose(four.reshape(DRAWS, -1), found[0], rtol=1e-6)
    by_year = trees["laplace", "year"]["log_likelihood"]["outcome"]
    sums = found.groupby("year").sum()
    np.testing.assert_allclose(by_year, sums, rtol=1e-4)


def test_any_labels_take_rows_together(fit, trees):
    year = fit.panel.data["year"].to_numpy()
    by_label = fit.to_datatree("log_likelihood", by=year)
    by_name = trees["laplace", "year"]
    np.testing.assert_array_equal(
        by_label["log_likelihood"]["outcome"], by_name["log_likelihood"]["outcome"]
    )
    assert by_label["log_likelihood"].attrs["left_out"] == "block"
    decades = fit.to_datatree(by="decade")["observed_data"]["outcome"]
    assert decades["decade"].to_numpy().tolist() == [1970, 1980]
    assert int(decades.sum()) == int(fit.panel.data["outcome"].sum())


def test_a_pair_that_is_left_out_was_never_seen(fit, trees):
    """Its effect is integrated out; Monte Carlo over new effects gives the same."""
    tree = trees["laplace", "pair"]
    about = tree["log_likelihood"].attrs
    assert about["integrated"] == "dyad"
    assert "never seen" in about["meaning"]
    rows = FitRows(fit, "pair")
    pair = int(np.argmax(tree["observed_data"]["outcome"].to_numpy()))
    mine = rows.blocks.index == pair
    posterior = fit.posterior["posterior"]
    X, y = rows.design.X[mine], rows.design.y[mine]
    rng = np.random.default_rng(1)
    for s in (0, 100):
        fixed = X @ posterior["beta"][0, s].to_numpy()
        eta = fixed[None] + rng.normal(0.0, float(posterior["sigma_dyad"][0, s]), (200_000, 1))
        likelihood = np.exp(-np.logaddexp(0.0, np.where(y == 1.0, -eta, eta)).sum(axis=1))
        error = 4.0 * likelihood.std() / likelihood.mean() / 200_000**0.5
        found = float(tree["log_likelihood"]["outcome"][0, s, pair])
        assert found == pytest.approx(np.log(likelihood.mean()), abs=error + 1e-4)
    summed = trees["laplace", "year"]["log_likelihood"].attrs
    assert summed["integrated"] == ""
    assert "Pareto k" in summed["meaning"]


def test_outcomes_drawn_anew_have_the_predicted_probabilities(fit, trees):
    p = predict(fit, fit.panel).mean("draw").to_numpy()
    rows = trees["laplace", "row"]["posterior_predictive"]["outcome"]
    assert rows.dtype == np.int8
    drawn = rows.mean(("chain", "draw")).to_numpy()
    assert np.abs(drawn - p).max() < 5.0 * np.sqrt(0.25 / DRAWS)
    years = trees["laplace", "year"]["posterior_predictive"]["outcome"]
    expected = np.bincount(fit.panel.data["year"].to_numpy() - 1970, weights=p)
    np.testing.assert_allclose(years.mean(("chain", "draw")), expected, atol=0.6)
    again = fit.to_datatree("posterior_predictive")["posterior_predictive"]
    xr.testing.assert_identical(again.to_dataset(), trees["laplace", "row"][
        "posterior_predictive"].to_dataset())  # fmt: skip
    other = fit.to_datatree("posterior_predictive", seed=9)["posterior_predictive"]["outcome"]
    assert (other != rows).any()


def test_prior_groups(fit, trees):
    tree = trees["nuts", "row"]
    assert tree["prior"].sizes == tree["posterior"].sizes
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    assert tree["prior_predictive"]["outcome"].dims == ("chain", "draw", "row")
    design = FitRows(fit).design
    density, posterior = trees["laplace", "row"]["log_prior"], fit.posterior["posterior"]
    beta = norm.logpdf(posterior["beta"][0], design.prior_mean, design.prior_sd)
    np.testing.assert_allclose(density["beta"][0], beta)
    scale = design.blocks[0].scale_prior.scale
    sigma = halfnorm.logpdf(posterior["sigma_dyad"][0], scale=scale)
    np.testing.assert_allclose(density["sigma_dyad"][0], sigma)


def test_rows_are_called_by_pair_year_and_name(trees):
    rows = trees["laplace", "row"]["observed_data"]["outcome"]
    assert "United States–3 1975" in rows["row"].to_numpy()  # 3 is no state that we know
    one = rows.sel(row="United States–3 1975")
    assert (int(one["ccode_a"]), int(one["ccode_b"]), int(one["year"])) == (2, 3, 1975)
    pairs = trees["laplace", "pair"]["observed_data"]["outcome"]
    assert str(pairs["pair"][0].item()) == "United States–3"
    assert int(trees["laplace", "pair"]["constant_data"]["rows"].sum()) == rows.size
    assert set(trees["laplace", "row"]["constant_data"].data_vars) == {"land_contiguity", "ally"}


def test_draws_are_thinned_in_each_chain(chains):
    tree = chains.to_datatree(["log_likelihood", "log_prior"], draws=41)
    assert tree["posterior"].sizes["chain"] == 4
    assert tree["posterior"]["draw"].to_numpy()[[0, -1]].tolist() == [0, 74]
    for name in ("posterior", "log_likelihood", "log_prior", "sample_stats"):
        assert tree[name].sizes["draw"] == 10, name


def test_large_groups_only_when_asked(fit):
    assert set(fit.to_datatree().children) == set(GROUPS) - set(LARGE)
    few = fit.to_datatree("log_likelihood").children
    assert set(few) == {"posterior", "sample_stats", "observed_data", "log_likelihood"}


def test_what_cannot_be_is_refused(fit, chains, monkeypatch):
    with pytest.raises(UnknownNameError, match="'log_likelihood'"):
        fit.to_datatree("loglikelihood")
    with pytest.raises(UnknownNameError, match="'year'"):
        fit.to_datatree(by="years")
    with pytest.raises(ArgumentError, match="one label for each of the 560 rows"):
        fit.to_datatree(by=[1, 2, 3])
    with pytest.raises(ArgumentError, match="draws=3: expected a whole number, 4 to 300"):
        chains.to_datatree(draws=3)
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000)
    monkeypatch.setattr(memory, "_SMALL", 0)
    with pytest.raises(ArgumentError, match=r"log_likelihood of 560 rows .* by='pair'"):
        fit.to_datatree("log_likelihood")


def test_a_tree_is_kept_on_disk(chains, tmp_path):
    tree = chains.to_datatree("log_likelihood", by="pair")
    tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    again = xr.open_datatree(tmp_path / "tree.nc", engine="h5netcdf")
    np.testing.assert_array_equal(
        again["log_likelihood"]["outcome"], tree["log_likelihood"]["outcome"]
    )


@pytest.fixture(params=["laplace", "nuts"])
def of(request, trees):
    """The trees of one method."""
    yield {by: trees[request.param, by] for by in ("row", "pair", "year")}
    plt.close("all")


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
@pytest.mark.parametrize("by", ["row", "pair", "year"])
def test_loo_and_khat(of, by):
    found = az.loo(of[by], pointwise=True)
    assert found.n_data_points == of[by]["observed_data"].sizes[by]
    assert -1000.0 < found.elpd < 0.0
    assert az.plot_khat(found, threshold=0.5) is not None


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_compare(of):
    other = of["pair"].copy()
    other["log_likelihood"] = of["pair"]["log_likelihood"].to_dataset() - 0.01
    table = az.compare({"a": of["pair"], "b": other})
    assert table.index[0] == "a"


def test_predictive_checks(of):
    assert az.plot_ppc_dist(of["year"], kind="ecdf", num_samples=20) is not None
    assert az.plot_ppc_dist(of["year"], group="prior_predictive", kind="ecdf") is not None
    assert az.plot_ppc_pava(of["row"]) is not None


def test_posterior_plots_and_sensitivity(of):
    assert az.plot_forest(of["row"], var_names=["beta", "sigma_dyad"]) is not None
    table = az.psense_summary(of["row"], var_names=["beta", "sigma_dyad"])
    assert list(table.index) == [
        "beta[intercept]", "beta[land_contiguity]", "beta[ally]", "sigma_dyad",
    ]  # fmt: skip
    assert (table[["prior", "likelihood"]] >= 0.0).all(axis=None)
