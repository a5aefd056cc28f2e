"""Nested Laplace with importance resampling: exactness, recovery, degenerate input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.simulated_designs import block, dyads, indicator, plain

from forecast.errors import DataError
from forecast.inference.laplace import Draws, sample_laplace
from forecast.inference.latent import Latent
from forecast.inference.sampling import sample_design
from forecast.inference.warm_start import Start
from forecast.modeling.priors import ScalePrior


def sample(design, *, seed: int = 1, draws: int = 400) -> Draws:
    return sample_laplace(design, seed=np.random.SeedSequence(seed), draws=draws)


def test_plain_logit_matches_the_exact_posterior():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(60), rng.normal(size=60)])
    y = (rng.random(60) < 1 / (1 + np.exp(1 - X[:, 1]))).astype(float)
    found = sample(plain(y.tolist(), X), draws=2000)
    a, b = np.meshgrid(np.linspace(-5, 3, 401), np.linspace(-3, 5, 401), indexing="ij")
    eta = a[..., None] + b[..., None] * X[:, 1]
    log_p = (y * eta - np.logaddexp(0, eta)).sum(-1) - 0.5 * a**2 - 0.5 * b**2
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    for column, grid in enumerate((a, b)):
        mean = (p * grid).sum()
        sd = np.sqrt((p * (grid - mean) ** 2).sum())
        assert found.beta[:, column].mean() == pytest.approx(mean, abs=0.1 * sd)
        assert found.beta[:, column].std() == pytest.approx(sd, rel=0.08)
    assert found.pareto_k < 0.7
    assert found.scales == {}


def test_scale_of_one_group_matches_the_exact_posterior():
    """Two levels and no coefficient worth the name: everything on a three-dimensional grid."""
    y = [1, 1, 1, 0, 0, 0, 0, 0]
    design = plain(y, None, (block("state", indicator(np.array([0] * 4 + [1] * 4), 2), 1.0),))
    design = dataclasses.replace(design, prior_sd=np.array([0.5]))
    found = sample(design, draws=4000)
    t, w = np.polynomial.hermite_e.hermegauss(60)
    log_sigma = np.linspace(-7, 2.2, 200)
    mass = np.zeros(log_sigma.size)
    for i, s in enumerate(np.exp(log_sigma)):
        total = 0.0
        for b, wb in zip(0.5 * t, w, strict=True):
            f = s * t
            one = np.exp(3 * (b + f) - 4 * np.logaddexp(0, b + f)) @ w
            two = np.exp(-4 * np.logaddexp(0, b + f)) @ w
            total += wb * one * two
        mass[i] = total * np.exp(-0.5 * s**2) * s
    mass /= mass.sum()
    mean = mass @ log_sigma
    sd = np.sqrt(mass @ (log_sigma - mean) ** 2)
    drawn = np.log(found.scales["state"])
    assert drawn.mean() == pytest.approx(mean, abs=0.1 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.1)


@pytest.fixture(scope="module")
def panel():
    """2% events, 60 states, 300 dyads, 8,100 rows."""
    return dyads(states=60, pairs=300, years=27, columns=6, rate=0.02, seed=7)


@pytest.fixture(scope="module")
def posterior(panel) -> Draws:
    return sample(panel[0], draws=600)


def test_known_truth_is_recovered(panel, posterior):
    _, truth = panel
    z = (posterior.beta.mean(0) - truth["beta"]) / posterior.beta.std(0)
    assert np.abs(z).max() < 3.5
    # Slopes are 0.35-scaled columns: the posterior must have learned them, not kept the prior.
    assert posterior.beta[:, 1:].std(0).max() < 0.7
    for name in ("state", "dyad", "era", "slope"):
        drawn, effect = posterior.effects[name], truth[name]
        z = (drawn.mean(0) - effect) / drawn.std(0)
        assert np.abs(z).max() < 4.0, name
        if effect.size > 20:
            low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
            assert ((low <= effect) & (effect <= high)).mean() > 0.8, name
    known = np.corrcoef(posterior.effects["dyad"].mean(0), truth["dyad"])[0, 1]
    assert known > 0.3


def test_weights_can_be_trusted(posterior):
    assert posterior.pareto_k < 0.7
    assert posterior.importance_ess >= 400


def test_weights_can_be_trusted_where_the_scale_of_the_group_may_be_zero():
    # 40 events say little about 200 dyads: the posterior of the log scale has an exponential tail.
    design, _ = dyads(states=25, pairs=200, years=20, columns=3, rate=0.01, seed=4)
    blocks = [
        dataclasses.replace(b, scale_prior=ScalePrior(0.2)) if b.name == "dyad" else b
        for b in design.blocks
    ]
    drawn = sample(dataclasses.replace(design, blocks=tuple(blocks)), draws=1000)
    assert drawn.pareto_k < 0.5
    assert drawn.proposals < 3000
    small = (drawn.scales["dyad"] < 0.02).mean()
    # The prior alone has 8% there; the likelihood is flat so near to zero.
    assert 0.02 < small < 0.16


def test_same_seed_same_numbers_other_seed_others(panel):
    design, _ = dyads(states=10, pairs=25, years=12, columns=3, rate=0.1, seed=2)
    one, two, other = (sample(design, seed=s, draws=200) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.beta, two.beta)
    for name in one.effects:
        np.testing.assert_array_equal(one.effects[name], two.effects[name])
    assert not np.array_equal(one.beta, other.beta)


def test_warm_start_leads_to_the_same_posterior():
    design, truth = dyads(states=10, pairs=25, years=12, columns=3, rate=0.1, seed=2)
    cold = sample(design, draws=1000)
    w = np.concatenate([truth["beta"], truth["state"], truth["era"], truth["slope"]])
    theta = np.log([0.3, 0.5, 0.2, 0.2])
    found = cold.outline
    wrong = dataclasses.replace(found, covariance=4 * found.covariance, thirds=-5 * found.thirds)
    elsewhere = dataclasses.replace(found, scales=found.scales + 20.0)
    for outline in (None, found, wrong, elsewhere):
        start = Start(theta, w, outline)
        warm = sample_laplace(design, seed=np.random.SeedSequence(9), draws=1000, start=start)
        assert warm.pareto_k < 0.7
        sd = cold.beta.std(0)
        np.testing.assert_allclose(warm.beta.mean(0), cold.beta.mean(0), atol=0.2 * sd.max())
        for name, scale in cold.scales.items():
            drawn = np.log(warm.scales[name])
            assert abs(drawn.mean() - np.log(scale).mean()) < 0.25 * np.log(scale).std(), name


def test_integrating_a_group_out_or_not_is_the_same_posterior(monkeypatch):
    design, _ = dyads(states=12, pairs=40, years=20, columns=4, rate=0.1, seed=5)
    out = sample(design, draws=4000)
    monkeypatch.setattr(Latent, "group_of", staticmethod(lambda _: None))
    kept = sample(design, draws=4000)
    assert kept.proposals >= out.proposals
    pairs = [(out.beta, kept.beta)]
    pairs += [(out.effects[name], kept.effects[name]) for name in out.effects]
    pairs += [(out.scales[name][:, None], kept.scales[name][:, None]) for name in out.scales]
    for a, b in pairs:
        np.testing.assert_allclose(a.mean(0), b.mean(0), atol=0.15 * b.std(0).max())
        np.testing.assert_allclose(a.std(0), b.std(0), rtol=0.15)


def small(y=None, columns=None):
    design, _ = dyads(states=6, pairs=10, years=10, columns=3, rate=0.2, seed=4)
    if y is not None:
        design = dataclasses.replace(design, y=y(design))
    if columns is not None:
        design = dataclasses.replace(design, X=np.ascontiguousarray(columns(design)))
    return design


DEGENERATE = {
    "no event at all": small(y=lambda d: np.zeros(d.y.size)),
    "nothing but events": small(y=lambda d: np.ones(d.y.size)),
    "an era without events": small(y=lambda d: np.where(d.blocks[2].matrix.indices == 1, 0.0, d.y)),
    "complete separation": small(y=lambda d: (d.X[:, 1] > 0).astype(float)),
    "a constant column": small(columns=lambda d: np.c_[d.X[:, :2], np.full(d.y.size, 0.7)]),
    "two collinear columns": small(columns=lambda d: np.c_[d.X[:, :2], d.X[:, 1]]),
    "a column of zeros": small(columns=lambda d: np.c_[d.X[:, :2], np.zeros(d.y.size)]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_data_have_a_proper_posterior(name):
    found = sample(DEGENERATE[name], draws=300)
    assert np.isfinite(found.beta).all()
    for effect in found.effects.values():
        assert np.isfinite(effect).all()
    # The priors are proper and weak: nothing may run away.
    assert np.abs(found.beta).max() < 12
    assert found.pareto_k < 1.0
    if name == "two collinear columns":
        # Only the sum is informed; the difference keeps its prior of variance 1 + 1.
        difference = found.beta[:, 1] - found.beta[:, 2]
        assert difference.std() == pytest.approx(np.sqrt(2), rel=0.25)
    if name == "a column of zeros":
        assert found.beta[:, 2].std() == pytest.approx(1.0, rel=0.2)


def test_a_state_with_one_row_and_a_level_without_rows():
    y = [0, 1, 0, 0, 1, 0, 0]
    levels = np.array([0, 0, 0, 1, 1, 1, 3])  # 2 has no row, 3 has one
    found = sample(plain(y, None, (block("state", indicator(levels, 4), 1.0),)), draws=2000)
    effect, scale = found.effects["state"], found.scales["state"]
    assert effect[:, 2].mean() == pytest.approx(0.0, abs=0.12)
    standard = effect[:, 2] / scale
    assert standard.std() == pytest.approx(1.0, rel=0.1)
    assert effect[:, 3].mean() < 0  # one row without an event


def test_several_levels_a_row_and_none():
    rng = np.random.default_rng(3)
    n, m = 400, 12
    weights = (rng.random((n, m)) < 0.2) * rng.random((n, m))
    weights[:5] = 0.0
    import scipy.sparse as sp

    y = (rng.random(n) < 0.3).astype(float).tolist()
    design = plain(y, None, (block("alliance", sp.csr_array(weights), 0.5),))
    found = sample(design, draws=300)
    assert found.effects["alliance"].shape == (300, m)
    assert found.pareto_k < 0.7


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_unusable_arrays_are_refused(method):
    bad = dataclasses.replace(plain([0, 1, 1]), prior_sd=np.array([0.0]))
    with pytest.raises(DataError, match="Prior of 'intercept'"):
        sample_design(bad, seed=1, draws=100, method=method)
    empty = dataclasses.replace(plain([0, 1, 1]), y=np.zeros(0), X=np.ones((0, 1)))
    with pytest.raises(DataError, match="no rows"):
        sample_design(empty, seed=1, draws=100, method=method)


@pytest.mark.long
def test_coverage_over_many_simulated_panels():
    """Central 50/80/95% intervals of coefficients and scales over 40 panels."""
    levels = (0.5, 0.8, 0.95)
    hits = {level: [] for level in levels}
    for seed in range(40):
        design, truth = dyads(states=30, pairs=120, years=20, columns=5, rate=0.05, seed=100 + seed)
        found = sample(design, seed=seed, draws=500)
        for level in levels:
            low, high = np.quantile(found.beta[:, 1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
            hits[level] += ((low <= truth["beta"][1:]) & (truth["beta"][1:] <= high)).tolist()
    for level in levels:
        share = np.mean(hits[level])
        error = np.sqrt(level * (1 - level) / len(hits[level]))
        assert abs(share - level) < 3.5 * error, (level, share)
