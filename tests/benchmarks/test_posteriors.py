"""Simulation-based calibration and agreement of posteriors: they pass what is right, not else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import simulated_calibration as module
import xarray as xr
from posterior_agreement import posterior_agreement
from scipy.special import expit
from simulated_calibration import (
    SimulatedCalibration,
    parameters,
    rank_band,
    simulate_outcomes,
    simulated_calibration,
)
from support.simulated_designs import dyads, plain

from forecast.errors import ArgumentError
from forecast.inference.predict import design_predictor
from forecast.inference.sampling import sample_design
from forecast.modeling.design import Design

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")


def logit(n: int = 40) -> Design:
    rng = np.random.default_rng(1)
    return plain([0.0] * n, np.column_stack([np.ones(n), rng.normal(size=n)]))


def with_effects() -> Design:
    return dyads(states=6, pairs=10, years=10, columns=3, rate=0.2, seed=4)[0]


# ----------------------------------------------------------------------------------------- truth


def test_names_and_kinds_of_all_parameters():
    design = with_effects()
    table = parameters(design)
    assert table["name"].tolist()[:5] == [
        "beta[intercept]", "beta[x1]", "beta[x2]", "sigma_state", "sigma_dyad",
    ]  # fmt: skip
    assert table["name"].tolist()[-1] == "effect_slope[slope2]"
    assert table["kind"].value_counts().to_dict() == {
        "coefficient": 3, "scale": 4, "effect_state": 6, "effect_dyad": 10, "effect_era": 2,
        "effect_slope": 3,
    }  # fmt: skip


def test_truth_is_from_the_prior_and_outcomes_from_the_truth():
    design = with_effects()
    table = parameters(design)
    simulated, truths = zip(
        *(simulate_outcomes(design, np.random.default_rng(s)) for s in range(800)), strict=True
    )
    truth = dict(zip(table["name"], np.array(truths).T, strict=True))
    beta = np.array([truth[f"beta[{name}]"] for name in design.names])
    error = 4 / np.sqrt(800)
    np.testing.assert_allclose((beta.mean(1) - design.prior_mean) / design.prior_sd, 0, atol=error)
    np.testing.assert_allclose(beta.std(1) / design.prior_sd, 1, atol=error)
    for block in design.blocks:
        sigma = truth[f"sigma_{block.name}"]
        assert (sigma > 0).all()
        assert np.mean(sigma**2) == pytest.approx(block.scale_prior.mean_square, rel=0.25)
        effects = np.array([truth[f"effect_{block.name}[{level}]"] for level in block.levels])
        steps = np.diff(effects, axis=0, prepend=0.0) if block.name == "era" else effects
        assert (steps / sigma).std() == pytest.approx(1.0, abs=0.1)
    # The mean outcome of each simulation is what its own predictor says.
    residual = []
    for s in range(100):
        parts = {name: values[s] for name, values in truth.items()}
        effects = {
            b.name: np.array([parts[f"effect_{b.name}[{level}]"] for level in b.levels])
            for b in design.blocks
        }
        p = expit(design_predictor(design, beta[:, s], effects))
        residual.append((simulated[s].y - p).sum() / np.sqrt((p * (1 - p)).sum()))
    assert np.std(residual) == pytest.approx(1.0, abs=0.3)
    assert np.mean(residual) == pytest.approx(0.0, abs=0.4)


# ----------------------------------------------------------------------------------- calibration


@pytest.fixture(scope="module")
def calibrated() -> SimulatedCalibration:
    return simulated_calibration(logit(), simulations=40, seed=5, draws=200)


def test_the_sampler_of_a_logit_is_calibrated(calibrated):
    table = calibrated.uniformity(probability=0.999)
    assert table["parameter"].tolist() == ["beta[intercept]", "beta[x1]"]
    assert table["inside band"].all()
    coverage = calibrated.coverage()
    assert coverage["level"].tolist() == [0.5, 0.8, 0.95]
    off = (coverage["coverage"] - coverage["level"]).abs()
    assert (off < 4 / 1.96 * coverage["band"]).all()
    assert (calibrated.data["pareto_k"] < 0.9).all()


def wrong(shift: float, stretch: float) -> Any:
    """A sampler whose posterior is moved by some of its s.d., or too narrow."""

    def sample(design: Design, **options: Any) -> tuple[xr.DataTree, dict[str, Any]]:
        tree, found = sample_design(design, **options)
        beta = tree["posterior"]["beta"]
        mean, sd = beta.mean("draw"), beta.std("draw")
        assert beta.sizes["draw"] == options["draws"]
        changed = mean + stretch * (beta - mean) + shift * sd
        return xr.DataTree.from_dict({"posterior": xr.Dataset({"beta": changed})}), found

    return sample


@pytest.mark.parametrize(("shift", "stretch"), [(1.4, 1.0), (0.0, 0.3)], ids=["biased", "narrow"])
def test_a_wrong_sampler_is_found_out(shift, stretch, monkeypatch):
    monkeypatch.setattr(module, "sample_design", wrong(shift, stretch))
    found = simulated_calibration(logit(), simulations=40, seed=5, draws=200)
    assert not found.uniformity(probability=0.999)["inside band"].any()
    coverage = found.coverage()
    assert (coverage["coverage"] < coverage["level"] - coverage["band"]).all()


@pytest.mark.long
def test_pieces_and_two_processes_give_the_same_numbers():
    design = with_effects()
    whole = simulated_calibration(design, simulations=4, seed=9, draws=100)
    done: list[int] = []
    two = simulated_calibration(
        design, simulations=4, seed=9, draws=100, workers=2,
        on_result=lambda i, _: done.append(i),
    )  # fmt: skip
    pieces = [
        simulated_calibration(design, simulations=2, first=first, seed=9, draws=100)
        for first in (2, 0)
    ]
    joined = SimulatedCalibration.joined(pieces)
    assert sorted(done) == [0, 1, 2, 3]
    for other in (two, joined):
        for name in ("rank", "inside", "events", "pareto_k"):
            xr.testing.assert_equal(whole.data[name], other.data[name])
    assert whole.data.sizes == {"simulation": 4, "parameter": 28, "level": 3}
    assert whole.looked_at(effects=1)[7:] == [
        "effect_state[state0]", "effect_dyad[dyad0]", "effect_era[era0]", "effect_slope[slope0]",
    ]  # fmt: skip
    some = whole.where(np.array([True, False, True, False]))
    assert some.data["simulation"].to_numpy().tolist() == [0, 2]
    with pytest.raises(ArgumentError, match="two of the pieces"):
        SimulatedCalibration.joined([pieces[0], pieces[0]])
    other = simulated_calibration(logit(), simulations=1, seed=9, draws=100)
    with pytest.raises(ArgumentError, match="different runs"):
        SimulatedCalibration.joined([pieces[0], other])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": 500}, "ranks=500, expected 1 to 400"),
        ({"simulations": 0}, "simulations=0"),
        ({"first": -1}, "first=-1"),
        ({"levels": (0.5, 1.0)}, "levels"),
    ],
)
def test_unusable_options(options, message):
    with pytest.raises(ArgumentError, match=message):
        simulated_calibration(logit(), **({"seed": 1} | options))


def test_band_holds_uniform_samples_as_often_as_it_says():
    from scipy.stats import binom

    n, ranks = 80, 19
    tail = rank_band(n, ranks)
    grid = np.arange(1, ranks + 1) / (ranks + 1)
    rng, inside = np.random.default_rng(77), 0
    for _ in range(2000):
        values = rng.integers(0, ranks + 1, n)
        counts = (values[:, None] < np.arange(1, ranks + 1)).sum(axis=0)
        p = np.minimum(binom.cdf(counts, n, grid), binom.sf(counts - 1, n, grid)).min()
        inside += p >= tail
    assert inside / 2000 == pytest.approx(0.95, abs=0.02)


# ------------------------------------------------------------------------------------- agreement


def chains(rng: np.random.Generator, shift: float = 0.0, stretch: float = 1.0) -> xr.Dataset:
    values = rng.normal(size=(4, 1000, 5))
    values[..., 2] = shift + stretch * values[..., 2]
    labels = [f"t{i}" for i in range(5)]
    return xr.Dataset(
        {
            "beta": (("chain", "draw", "term"), values),
            "sigma": (("chain", "draw"), rng.gamma(4, 1, (4, 1000))),
        },
        coords={"term": labels},
    )


def test_draws_of_one_distribution_agree_and_others_do_not():
    rng = np.random.default_rng(3)
    reference = chains(rng)
    same = chains(rng).isel(term=[4, 2, 0, 1, 3])  # the order of the labels does not matter
    found = posterior_agreement(same, reference)
    assert found.table["parameter"].tolist() == ["t0", "t1", "t2", "t3", "t4", "sigma"]
    table = found.within().set_index("variable")
    assert table.loc["all", "parameters"] == 6
    assert table.loc["all", "mean within"] == table.loc["all", "sd within"] == 1.0
    for shift, stretch, what in ((0.3, 1.0, "mean"), (0.0, 1.4, "sd")):
        table = posterior_agreement(chains(rng, shift, stretch), reference).within()
        table = table.set_index("variable")
        assert table.loc["beta", f"{what} outside beyond error"] == 1
        assert table.loc["sigma", f"{what} outside beyond error"] == 0
        assert table.loc["beta", f"{what} within"] == 0.8


def test_errors_of_the_differences_are_their_scatter():
    rng = np.random.default_rng(4)
    tables = [posterior_agreement(chains(rng), chains(rng)).table for _ in range(60)]
    for what in ("mean", "sd"):
        scatter = np.std([t[what] for t in tables])
        assert scatter == pytest.approx(np.mean([t[f"{what}_error"] for t in tables]), rel=0.15)
    with pytest.raises(ArgumentError, match="other labels"):
        posterior_agreement(chains(rng).assign_coords(term=list("abcde")), chains(rng))
    with pytest.raises(ArgumentError, match="No variable in common"):
        posterior_agreement(chains(rng)[["beta"]], chains(rng)[["sigma"]])


@pytest.mark.long
def test_laplace_agrees_with_nuts_in_every_parameter_of_two_panels_with_one_compilation():
    """Coefficients, scales and all effects; the outcomes are data of the compiled model."""
    base = dyads(states=8, pairs=16, years=15, columns=3, rate=0.2, seed=5)[0]
    plan = module._Plan(base, "nuts", 99, (0.5,), 1500, 4, 600)
    compiled = module._compiled(plan)
    rng = np.random.default_rng(6)
    for design in (base, dataclasses.replace(base, y=rng.permutation(base.y))):
        nuts, found = module._nuts(plan, design, seed=1)
        assert module._compiled(plan) is compiled
        assert found["max_rhat"] < 1.03
        tree, weights = sample_design(design, seed=1, draws=6000)
        table = posterior_agreement(
            tree["posterior"].to_dataset(), nuts, ess=weights["min_ess_bulk"]
        ).within()
        total = table.set_index("variable").loc["all"]
        assert total["parameters"] == 3 + 4 + 8 + 16 + 3 + 3
        assert total["mean outside beyond error"] == 0
        assert total["sd outside beyond error"] == 0
        assert total["mean r.m.s. less error"] < 0.06
        assert total["sd r.m.s. less error"] < 0.06


@pytest.mark.long
def test_nuts_calibration_records_its_diagnostics():
    base = dyads(states=8, pairs=16, years=15, columns=3, rate=0.2, seed=5)[0]
    found = module._simulate(module._Plan(base, "nuts", 19, (0.5,), 100, 2, 100), 3, 0)
    assert found["rank"].shape == (len(parameters(base)),)
    assert found["rank"].min() >= 0 and found["rank"].max() <= 19
    assert np.isfinite([found["max_rhat"], found["min_ess_bulk"]]).all()
    assert np.isnan(found["pareto_k"])
