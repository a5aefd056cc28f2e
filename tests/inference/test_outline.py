"""Skewness of a posterior: how it is measured, and proposals that have it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import t
from support.simulated_designs import dyads, plain

from forecast.inference.conditional import Measure, scale_mode, skewed
from forecast.inference.laplace import sample_laplace, smooth_weights
from forecast.inference.latent import Latent
from forecast.inference.proposal import Proposal, propose


@pytest.mark.parametrize("nu", [5.0, 80.0, np.inf])
def test_skewed_variables(nu):
    thirds = np.array([-1.0, -0.2, 0.0, 0.05, 0.4])
    # Quantiles of x at equal steps of probability: means over them are expectations.
    p = (np.arange(100_000) + 0.5) / 100_000
    x = np.repeat(t.ppf(p, nu)[:, None], thirds.size, axis=1)
    z, stretch = skewed(x, thirds, nu)
    np.testing.assert_allclose(z[:, 2], x[:, 2], atol=1e-12)
    np.testing.assert_allclose(z.mean(0), 0.0, atol=1e-3)
    np.testing.assert_allclose(z.var(0), x.var(0), rtol=0.01)
    middle = slice(500, -500)
    slope = np.gradient(z[middle, :], axis=0) / np.gradient(x[middle, :], axis=0)
    np.testing.assert_allclose(slope[1:-1], np.exp(stretch[middle][1:-1]), rtol=1e-4)
    if np.isinf(nu):
        np.testing.assert_allclose((z**3).mean(0), thirds, atol=0.01)


def test_third_derivatives_and_force_of_a_plain_logit():
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    y = rng.random(300) < 1 / (1 + np.exp(3.0 - X[:, 1]))
    latent = Latent(plain(y, X, ()))
    at = scale_mode(latent, np.empty(0), np.zeros(3), np.empty(0))
    found = Measure(latent, at, np.empty(0), np.random.default_rng(1))
    U = np.linalg.cholesky(at.information + latent.prior_precision(at.theta)).T
    inverse, h = np.linalg.inv(U), 0.3
    for j in range(3):
        value = [
            latent.moments(at.mode + step * h * inverse[:, j], 1.0, np.empty(0)).value
            for step in (-2, -1, 1, 2)
        ]
        third = (value[3] - 2 * value[2] + 2 * value[1] - value[0]) / (2 * h**3)
        assert found.thirds[j] == pytest.approx(third, rel=0.1, abs=0.01)
    assert np.abs(found.thirds).max() > 0.1
    # Mean gradient over the Gaussian, by quadrature over its three axes.
    nodes, weight = np.polynomial.hermite_e.hermegauss(9)
    grid = np.stack(np.meshgrid(*[nodes] * 3), axis=-1).reshape(-1, 3)
    share = np.stack(np.meshgrid(*[weight / weight.sum()] * 3), axis=-1).reshape(-1, 3).prod(1)
    p = 1 / (1 + np.exp(-(at.mode + grid @ inverse.T) @ X.T))
    force = X.T @ (y - share @ p) - X.T @ (y - 1 / (1 + np.exp(-X @ at.mode)))
    off = found.force(at) - force
    assert np.sqrt(force @ at.covariance @ force) > 0.2  # posterior standard deviations
    assert np.sqrt(off @ at.covariance @ off) < 0.05


@pytest.fixture(scope="module")
def latent() -> Latent:
    return Latent(dyads(states=60, pairs=300, years=27, columns=6, rate=0.02, seed=7)[0])


@pytest.fixture(scope="module")
def proposal(latent) -> Proposal:
    theta = np.log([block.scale_prior.start for block in latent.design.blocks])
    modes = np.zeros(latent.levels)
    at = scale_mode(latent, theta, latent.prior_mean.copy(), modes)
    return propose(latent, at, modes, np.random.default_rng(1))


def share(latent: Latent, proposal: Proposal) -> float:
    """Of proposals that are worth something."""
    rng, draws = np.random.default_rng(5), 2000
    theta, density = proposal.scales(rng, draws)
    W, given = proposal.latents(theta, rng)
    value = latent.log_likelihoods(W, np.exp(theta[:, latent.group]), np.zeros(latent.levels))
    weight, k = smooth_weights(value + latent.log_prior(W, theta) - density - given)
    assert k < 0.6
    return 1.0 / float(np.sum(weight**2)) / draws


def test_proposals_are_like_the_posterior(latent, proposal):
    known = share(latent, proposal)
    assert known > 0.6
    without = dataclasses.replace(proposal.outline, thirds=np.zeros(latent.size))
    assert share(latent, dataclasses.replace(proposal, outline=without)) < known - 0.02


def test_marginal_density_of_the_scales_is_that_of_the_weights(latent, proposal):
    """`evidence` against many proposals, at three scales of the group block."""
    modes, group = np.zeros(latent.levels), latent.group
    theta = np.repeat(proposal.center[None], 3, axis=0)
    theta[:, group] += [-0.6, 0.0, 0.3]
    found = proposal.evidence(theta, modes, np.random.default_rng(2))
    many = np.empty(3)
    for i, here in enumerate(theta):
        rng = np.random.default_rng(7)
        W, given = proposal.latents(np.repeat(here[None], 1500, axis=0), rng)
        value = latent.log_likelihoods(W, np.full(1500, np.exp(here[group])), modes)
        many[i] = logsumexp(value + latent.log_prior(W, here) - given)
    np.testing.assert_allclose(found - found[1], many - many[1], atol=0.25)


def test_outline_of_a_fit_serves_a_fit_of_the_same_posterior(latent):
    cold = sample_laplace(latent.design, seed=np.random.SeedSequence(1), draws=400)
    modes = np.zeros(latent.levels)
    theta = np.log([cold.scales[block.name].mean() for block in latent.design.blocks])
    at = scale_mode(
        latent, theta, latent.prior_mean.copy(), modes, covariance=cold.outline.covariance
    )
    warm = propose(latent, at, modes, np.random.default_rng(1), outline=cold.outline)
    assert warm.outline is cold.outline
    assert share(latent, warm) > 0.55
