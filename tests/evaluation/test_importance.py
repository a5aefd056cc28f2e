"""Smoothed weights: ArviZ is the oracle, one row at a time."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from forecast.errors import ArgumentError
from forecast.evaluation.importance import loo_from_log_likelihood, smooth_log_weights


def test_errors():
    with pytest.raises(ArgumentError, match="at least 25 draws"):
        smooth_log_weights(np.zeros((10, 2)))
    with pytest.raises(ArgumentError, match="not finite"):
        smooth_log_weights(np.full((30, 2), np.nan))


@pytest.mark.parametrize("draws", [100, 1000])
def test_agrees_with_arviz(draws):
    rng = np.random.default_rng(2)
    scale = np.array([0.01, 0.1, 0.5, 1.0, 2.0, 4.0])
    ratios = rng.standard_t(4, size=(draws, 6)) * scale
    weights, khat = smooth_log_weights(ratios)
    for j in range(6):
        expected, k = array_stats.psislw(-ratios[:, j], axis=-1)
        np.testing.assert_allclose(weights[:, j], expected, atol=1e-8)
        assert khat[j] == pytest.approx(k, abs=1e-8)


def test_equal_ratios_have_no_tail():
    weights, khat = smooth_log_weights(np.zeros((100, 1)))
    np.testing.assert_allclose(np.exp(weights), 0.01)
    assert np.isinf(khat).all()


def test_loo_agrees_with_arviz_and_skips_only_even_rows():
    rng = np.random.default_rng(3)
    ll = np.column_stack([-0.01 - rng.gamma(2, 0.002, 1000), -3 + rng.normal(0, 0.8, 1000)])
    elpd, khat = loo_from_log_likelihood(ll)
    assert np.isneginf(khat[0])
    for j in range(2):
        expected, k, _ = array_stats.loo(ll[None, :, j], r_eff=1.0)
        assert elpd[j] == pytest.approx(float(expected), abs=1e-5)
        assert j == 0 or khat[j] == pytest.approx(float(k))
    everywhere = loo_from_log_likelihood(ll, even=1.0)
    assert np.isfinite(everywhere[1]).all()


def test_loo_of_a_normal_mean_is_the_analytic_one():
    """y_i ~ N(mu, 1), flat prior: leaving i out, y_i ~ N(mean of the others, 1 + 1/(n-1))."""
    rng = np.random.default_rng(4)
    n = 40
    y = rng.normal(0, 1, n)
    mu = rng.normal(y.mean(), 1 / np.sqrt(n), 4000)
    ll = -0.5 * (y[None, :] - mu[:, None]) ** 2 - 0.5 * np.log(2 * np.pi)
    elpd, _ = loo_from_log_likelihood(ll, even=1.0)
    others = (y.sum() - y) / (n - 1)
    var = 1 + 1 / (n - 1)
    exact = -0.5 * (y - others) ** 2 / var - 0.5 * np.log(2 * np.pi * var)
    np.testing.assert_allclose(elpd, exact, atol=0.01)
