"""The log marginal likelihood has every constant: held against exact integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from support.simulated_designs import block, indicator, plain

from forecast.inference.diagnostics import Diagnostics
from forecast.inference.laplace import Draws, evidence, sample_laplace
from forecast.inference.predict import design_predictor, prior_draws
from forecast.inference.sampling import sample_design
from forecast.modeling.design import Design


def sample(design: Design, draws: int = 2000) -> Draws:
    return sample_laplace(design, seed=np.random.SeedSequence(3), draws=draws)


def by_prior_draws(design: Design, draws: int) -> tuple[float, float]:
    """Log of the mean likelihood over draws from the prior, with its error."""
    found = prior_draws(design, draws=draws, seed=5)
    eta = design_predictor(design, found.beta, found.effects)
    log_p = (design.y * eta - np.logaddexp(0, eta)).sum(-1)
    mean = float(logsumexp(log_p) - np.log(draws))
    return mean, float(np.std(np.exp(log_p - mean)) / np.sqrt(draws))


def test_plain_logit_on_a_grid():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(60), rng.normal(size=60)])
    y = (rng.random(60) < 1 / (1 + np.exp(1 - X[:, 1]))).astype(float)
    found = sample(plain(y.tolist(), X))
    grid = np.linspace(-7, 7, 701)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    eta = a[..., None] + b[..., None] * X[:, 1]
    log_p = (y * eta - np.logaddexp(0, eta)).sum(-1) - 0.5 * a**2 - 0.5 * b**2 - np.log(2 * np.pi)
    exact = logsumexp(log_p) + 2 * np.log(grid[1] - grid[0])
    assert found.log_evidence == pytest.approx(exact, abs=4 * found.log_evidence_error + 1e-3)
    assert found.log_evidence_error < 0.02


def test_every_kind_of_block_by_draws_from_the_prior():
    """A group that is integrated out, effects of two states each, and a walk; their scales too."""
    pair = np.array([[0, 1], [0, 2], [1, 2], [0, 3]])
    dyad, year = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)
    blocks = (
        block("state", indicator(pair[dyad], 4), 0.5),
        block("dyad", indicator(dyad, 4), 1.0),
        block("era", indicator(year, 4), 0.7, "random_walk"),
    )
    x = np.column_stack([np.ones(16), np.linspace(-1, 1, 16)])
    design = plain([1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0], x, blocks)
    exact, error = by_prior_draws(design, 400_000)
    found = sample(design)
    assert error < 0.01
    off = 4 * float(np.hypot(error, found.log_evidence_error))
    assert found.log_evidence == pytest.approx(exact, abs=off)
    # Constants that a shape of posterior does not need would be missed by far more than that.
    assert off < 0.15


def test_two_models_of_the_same_outcomes_compare_as_they_do_exactly():
    """A prior with another mean and width: the ratio is a Bayes factor."""
    from dataclasses import replace

    x = np.column_stack([np.ones(30), np.tile([0.0, 1.0], 15)])
    y = [float(i % 2 == 1 and i % 3 == 0) for i in range(30)]
    wide = plain(y, x)
    wrong = replace(wide, prior_mean=np.array([0.0, -2.0]), prior_sd=np.array([1.0, 0.2]))
    one, two = sample(wide), sample(wrong)
    exact = by_prior_draws(wide, 400_000)[0] - by_prior_draws(wrong, 400_000)[0]
    assert one.log_evidence - two.log_evidence == pytest.approx(exact, abs=0.1)
    assert exact > 1.0


def test_evidence_of_weights():
    value, error = evidence(np.log(np.array([1.0, 3.0])))
    assert value == pytest.approx(np.log(2.0))
    assert error == pytest.approx(np.sqrt(10 / 16 - 1 / 2))
    assert evidence(np.array([-1000.0, -np.inf, np.nan]))[0] == pytest.approx(-1000 - np.log(3))


def test_it_is_among_the_diagnostics():
    posterior, found = sample_design(plain([1, 0, 0, 1]), seed=1, draws=200)
    assert found["log_evidence"] == posterior["sample_stats"].attrs["log_evidence"] < 0.0
    assert found["log_evidence_error"] >= 0.0


def test_diagnostics_of_a_fit_saved_before_have_none():
    kept = {"max_rhat": None, "min_ess_bulk": 500.0, "min_ess_tail": 500.0, "divergences": None,
            "min_ebfmi": None, "max_tree_depth": None, "pareto_k": 0.2, "wall_seconds": 1.0,
            "peak_memory_mb": 1.0, "worst": None, "proposals": 600}  # fmt: skip
    found = Diagnostics.from_dict(kept)
    assert found.log_evidence is None
    assert found.to_dict() == kept | {"log_evidence": None, "log_evidence_error": None}
