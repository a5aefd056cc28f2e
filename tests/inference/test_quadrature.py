"""The likelihood with one block integrated out, against brute force and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest
from support.design_density import design_logp
from support.simulated_designs import block, dyads, indicator, plain

from forecast.inference.latent import Latent


def brute_force(a: np.ndarray, y: np.ndarray, sigma: float) -> float:
    """log of the integral over one effect, by adaptive quadrature around its mode."""

    def h(d: float) -> float:
        eta = a + d
        return float(y @ eta - np.logaddexp(0, eta).sum() - d * d / (2 * sigma**2))

    grid = np.linspace(-12 * sigma, 12 * sigma, 4001)
    values = np.array([h(d) for d in grid])
    top, at = values.max(), grid[values.argmax()]
    near = grid[values > top - 60]
    total, _ = quad(
        lambda d: np.exp(h(d) - top), near[0], near[-1], points=[at], limit=500, epsabs=0,
        epsrel=1e-11,
    )  # fmt: skip
    return top + float(np.log(total)) - 0.5 * float(np.log(2 * np.pi * sigma**2))


@pytest.mark.parametrize(
    ("center", "events", "rows"),
    [(-4.0, 0, 40), (-4.0, 3, 40), (-2.0, 40, 40), (0.0, 1, 1), (-35.0, 1, 5), (35.0, 2, 5)],
)
# With a wide prior and no event the integrand is a Gaussian cut off on one side: more nodes.
@pytest.mark.parametrize(
    ("sigma", "error"), [(0.05, 1e-10), (0.8, 1e-9), (1.3, 1e-9), (2.0, 1e-8), (3.0, 1e-6)]
)
def test_integral_over_a_group_is_exact(center, events, rows, sigma, error):
    a = center + np.linspace(-1, 1, rows)
    y = np.r_[np.ones(events), np.zeros(rows - events)]
    design = plain(y.tolist(), a[:, None], (block("dyad", indicator(np.zeros(rows, int), 1), 1.0),))
    latent = Latent(design)
    found = latent.moments(np.ones(1), sigma, np.zeros(1)).value
    expected = brute_force(a, y, sigma)
    assert found == pytest.approx(expected, rel=1e-8, abs=error)
    many = latent.log_likelihoods(np.ones((3, 1)), np.full(3, sigma), np.zeros(1))
    np.testing.assert_allclose(many, expected, rtol=1e-6, atol=max(error, 2e-6))


def test_extreme_predictors_stay_finite_and_right():
    a = np.array([-800.0, -60.0, 60.0, 800.0])
    design = plain([0, 0, 1, 1], a[:, None], (block("dyad", indicator(np.arange(4), 4), 1.0),))
    latent = Latent(design)
    found = latent.moments(np.ones(1), 1.0, np.zeros(4)).value
    assert found == pytest.approx(0.0, abs=1e-9)
    wrong = Latent(plain([1, 0], [[-300.0], [300.0]], design.blocks[:0]))
    assert wrong.moments(np.ones(1), 1.0, np.zeros(0)).value == pytest.approx(-600)
    assert wrong.log_likelihoods(np.ones((1, 1)), np.ones(1), np.zeros(0))[0] == pytest.approx(-600)


def test_a_scale_far_too_wide_is_no_reason_to_overflow():
    y = np.ones(10)
    design = plain(y.tolist(), None, (block("dyad", indicator(np.zeros(10, int), 1), 1.0),))
    for sigma in (50.0, 500.0):
        found = Latent(design).moments(np.ones(1), sigma, np.zeros(1)).value
        # All events are as likely as an effect that is not far below zero: a half.
        assert found == pytest.approx(np.log(0.5), abs=0.25)


@pytest.fixture(scope="module")
def latent() -> Latent:
    return Latent(dyads(states=12, pairs=30, years=15, columns=3, rate=0.15, seed=1)[0])


def test_largest_block_with_one_level_a_row_is_integrated_out(latent):
    assert latent.design.blocks[latent.group].name == "dyad"
    assert latent.size == 3 + 12 + 3 + 3


@pytest.mark.parametrize("shift", [0.0, 32.0])
def test_gradient_and_information_against_finite_differences(latent, shift):
    rng = np.random.default_rng(2)
    w = rng.normal(0, 0.3, latent.size)
    w[0] += shift
    modes = np.zeros(latent.levels)
    moments = latent.moments(w, 0.9, modes)

    def value(v: np.ndarray) -> float:
        return latent.moments(v, 0.9, modes).value

    assert moments.value == pytest.approx(value(w), rel=1e-12)
    gradient = latent.rows.transpose(moments.residual)
    step = 1e-4
    numeric = [
        (value(w + step * e) - value(w - step * e)) / (2 * step) for e in np.eye(latent.size)
    ]
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, numeric, atol=2e-5 * scale, rtol=1e-5)
    if shift == 0.0:
        information, _ = latent.information(moments)
        numeric = np.array(
            [
                latent.rows.transpose(latent.moments(w - step * e, 0.9, modes.copy()).residual)
                - latent.rows.transpose(latent.moments(w + step * e, 0.9, modes.copy()).residual)
                for e in np.eye(latent.size)
            ]
        ) / (2 * step)
        np.testing.assert_allclose(information, numeric, atol=5e-3 * np.abs(numeric).max())


def test_joint_density_is_that_of_the_modeling_layer():
    design, truth = dyads(states=8, pairs=12, years=10, columns=3, rate=0.2, seed=3)
    kept = [b for b in design.blocks if b.name != "dyad"]
    design = type(design)(**{**design.__dict__, "blocks": tuple(kept)})
    latent = Latent(design)
    assert latent.group is None
    sigma = {"state": 0.4, "era": 0.2, "slope": 0.3}
    theta = np.log([sigma[b.name] for b in design.blocks])
    effects = {b.name: truth[b.name] for b in design.blocks}
    w = np.concatenate([truth["beta"], *(effects[b.name] for b in design.blocks)])
    found = latent.moments(w, 1.0, np.zeros(0)).value + latent.log_prior(w, theta)
    # The density of log sigma has the Jacobian sigma.
    expected = design_logp(design, truth["beta"], sigma, effects) + theta.sum()
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("events", [0, 2, 6])
def test_effects_are_drawn_from_their_exact_conditional(events):
    check_draws(events, -0.5)


@pytest.mark.parametrize("predictor", [-4.5, -2.6])
def test_effects_of_quiet_groups_are_drawn_from_their_exact_conditional(predictor):
    # Few events are expected and none came: the prior, thinned.
    assert 6 * np.exp(predictor) < np.exp(-0.5 * 1.2**2)
    check_draws(0, predictor)


def check_draws(events: int, predictor: float) -> None:
    rows, sigma, draws = 6, 1.2, 4000
    y = np.r_[np.ones(events), np.zeros(rows - events)]
    design = plain(y.tolist(), None, (block("dyad", indicator(np.zeros(rows, int), 1), 1.0),))
    latent = Latent(design)
    w = np.full((draws, 1), predictor)
    seeds = np.arange(draws, dtype=np.uint32) * 7919
    drawn = latent.draw_group(w, np.full(draws, sigma), np.zeros(1), seeds)[:, 0]
    grid = np.linspace(-9, 9, 20001)
    h = y.sum() * grid - rows * np.logaddexp(0, grid + predictor) - grid**2 / (2 * sigma**2)
    cdf = np.cumsum(np.exp(h - h.max()))
    cdf /= cdf[-1]
    assert kstest(drawn, lambda d: np.interp(d, grid, cdf)).pvalue > 0.001
