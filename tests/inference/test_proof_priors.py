"""Priors other than normal and half-normal: densities, posteriors and draws of both methods."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats as st
from support.design_density import design_logp
from support.simulated_designs import block, dyads, indicator, plain
from test_proof_density import RELATIVE, Oracle, drawn, every_kind, numeric

from forecast.errors import ArgumentError
from forecast.inference.conditional import conditional, scale_jacobian
from forecast.inference.latent import Latent
from forecast.inference.predict import prior_draws
from forecast.inference.row_likelihood import log_prior
from forecast.inference.sampling import sample_design
from forecast.inference.warm_start import Outline, WarmStart
from forecast.modeling.build import build_from_design
from forecast.modeling.design import Design
from forecast.modeling.priors import ScalePrior, Tail

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")

TAILS = {1: Tail("student_t", 3.0), 2: Tail("laplace"), 4: Tail("student_t", 7.0)}
SCALES = {
    "half_t": (ScalePrior(0.4, "half_t", 3.0), st.t(3.0, scale=0.4)),
    "exponential": (ScalePrior(0.4, "exponential"), st.expon(scale=0.4)),
    "half_normal": (ScalePrior(0.4), st.halfnorm(scale=0.4)),
}


def mixed(design: Design) -> Design:
    """With a Student-t, a Laplace and a normal prior, and each prior of a scale."""
    priors = [ScalePrior(0.5, "half_t", 3.0), ScalePrior(0.3, "exponential"), ScalePrior(0.4)]
    blocks = [dataclasses.replace(b, scale_prior=priors[i % 3])
              for i, b in enumerate(design.blocks)]  # fmt: skip
    return dataclasses.replace(design, blocks=tuple(blocks), tails=TAILS)


# ------------------------------------------------------------------------------------ densities


@pytest.mark.parametrize("name", SCALES)
def test_density_of_a_log_scale_and_its_derivatives(name):
    prior, reference = SCALES[name]
    folded = np.log(2.0) if name == "half_t" else 0.0
    for theta in (-4.0, -0.7, 1.3):
        expected = reference.logpdf(np.exp(theta)) + folded + theta
        assert prior.log_density(np.asarray(theta)) == pytest.approx(expected, rel=1e-12)
    upper = reference.sf(0.7) * (2.0 if name == "half_t" else 1.0)
    assert prior.upper(np.array([0.7])) == pytest.approx(upper, rel=1e-12)


@pytest.mark.parametrize("form", ["half_normal", "half_t", "exponential", "rayleigh",
                                  "root_inverse_gamma", "horseshoe"])  # fmt: skip
def test_derivatives_are_those_of_the_density(form):
    prior = ScalePrior(0.4, form, 3.0)
    for theta in (-2.0, -0.5, 0.8):
        pull, bend = prior.pull(theta)
        at = np.array([theta])
        slope = numeric(lambda t: float(prior.log_density(t[0])), at, 1e-3)[0]
        assert 1.0 - pull == pytest.approx(slope, rel=1e-7, abs=1e-9)
        change = numeric(lambda t: prior.pull(float(t[0]))[0], at, 1e-3)[0]
        assert bend == pytest.approx(change, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("tail", [Tail("student_t", 3.0), Tail("student_t", 30.0), Tail("laplace")])
def test_a_scale_of_its_own_integrates_to_the_prior_of_the_coefficient(tail):
    """∫ Normal(x; 0, v) p(v) dv is the density of scipy, far out too."""
    theta = np.linspace(-14, 12, 20001)
    mixing = tail.mixing(0.6).log_density(theta)
    exact = (st.laplace if tail.form == "laplace" else st.t(tail.df)).logpdf
    for x in (0.05, 0.4, 2.0, 9.0):
        log_p = mixing + st.norm.logpdf(x, scale=np.exp(theta))
        found = np.log(np.trapezoid(np.exp(log_p), theta))
        assert found == pytest.approx(exact(x / 0.6) - np.log(0.6), rel=1e-6)


def test_joint_density_is_that_of_pymc_and_of_scipy():
    """PyMC's graph against an independent density, at random points."""
    design = mixed(every_kind(states=6, pairs=8, years=6, seed=3))
    oracle, rng = Oracle(design), np.random.default_rng(1)
    for spread in (0.3, 1.0, 4.0):
        beta, theta, effects = drawn(design, rng, spread)
        sigma = {one.name: np.exp(theta[b]) for b, one in enumerate(design.blocks)}
        found = design_logp(design, beta, sigma, effects) + theta.sum()
        assert found == pytest.approx(oracle.logp(beta, theta, effects), rel=RELATIVE)


def test_density_that_laplace_samples_is_that_of_pymc():
    """With the scales of coefficients integrated out of it on a grid, one by one."""
    design = mixed(every_kind(states=6, pairs=8, years=6, seed=3))
    oracle, latent, rng = Oracle(design), Latent(design), np.random.default_rng(2)
    beta, theta, effects = drawn(design, rng)
    w = np.concatenate([beta, *(effects[design.blocks[b].name] for b in latent.kept)])
    own = np.full(len(TAILS), -0.4)
    value = latent.moments(w, float(np.exp(latent.group_scale(theta))), np.zeros(latent.levels))
    found = value.value + float(latent.log_prior(w, np.concatenate([theta, own])))
    grid = np.linspace(-14, 12, 20001)
    for i, (j, tail) in enumerate(design.tails.items()):
        mixing, scale = tail.mixing(float(design.prior_sd[j])), np.exp(grid)
        log_p = mixing.log_density(grid) + st.norm.logpdf(beta[j], design.prior_mean[j], scale)
        found += np.log(np.trapezoid(np.exp(log_p), grid))
        found -= float(mixing.log_density(own[i]))
        found -= st.norm.logpdf(beta[j], design.prior_mean[j], np.exp(own[i]))
    expected = oracle.marginal(beta, theta, effects, latent.group)
    assert found == pytest.approx(expected, rel=1e-7)


def test_jacobian_by_the_scales_of_coefficients_is_that_of_the_gradient():
    design, _ = dyads(states=12, pairs=60, years=15, columns=5, rate=0.1, seed=3)
    design = mixed(design)
    latent = Latent(design)
    theta = np.full(len(latent.scales), -0.8)
    at = conditional(latent, theta, latent.prior_mean.copy(), np.zeros(latent.levels))
    found = scale_jacobian(latent, at)
    for b in range(len(design.blocks), theta.size):
        step = 0.05 * np.eye(theta.size)[b]
        ends = [conditional(latent, theta + s * step, at.mode, np.zeros(latent.levels), at).gradient
                for s in (-1, 1)]  # fmt: skip
        expected = (ends[1][b] - ends[0][b]) / 0.1
        assert found[b, b] == pytest.approx(expected, abs=0.1 * abs(expected) + 0.05)


# ----------------------------------------------------------------------------------- posteriors


def exact(design: Design, log_prior: Any, width: float = 30.0) -> tuple[Any, Any]:
    """Mean and s.d. of the second coefficient, the first pinned at zero, on a fine grid."""
    grid = np.linspace(-width, width, 60_001)
    log_p = log_prior(grid)
    for x, y in zip(design.X[:, 1], design.y, strict=True):
        log_p = log_p + y * x * grid - np.logaddexp(0.0, x * grid)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ grid
    return mean, np.sqrt(p @ (grid - mean) ** 2)


_ONE = np.linspace(-1.0, 1.0, 24)
DATA = {
    "much data": (np.tile([1.0, 1, 1, 0], 60), np.tile([1.0, 1, -0.2, 1], 60)),
    "separation": ((_ONE > 0.1).astype(float), _ONE),
    "conflict with the prior": (np.ones(60), np.ones(60)),
    "no data": (np.tile([1.0, 0.0], 10), np.zeros(20)),
}


CASES = [(name, tail) for name in DATA for tail in (Tail("student_t", 5.0), Tail("laplace"))]
# Where the outcomes do not bound the coefficient its posterior has the tail of a Student t, which
# the weights tell of (Pareto k above .7) and the gate does not let pass.
DOUBTFUL = ("separation", Tail("student_t", 5.0))


@pytest.mark.parametrize(("name", "tail"), CASES, ids=[f"{n}, {t.form}" for n, t in CASES])
def test_posterior_of_one_coefficient_is_the_exact_one(name, tail):
    y, x = DATA[name]
    design = plain(y.tolist(), np.column_stack([np.ones(y.size), x]))
    design = dataclasses.replace(
        design,
        prior_sd=np.array([1e-6, 0.7]),
        prior_mean=np.array([0.0, 0.3]),
        tails={1: tail},
    )
    reference = st.laplace if tail.form == "laplace" else st.t(tail.df)
    mean, sd = exact(design, lambda b: reference.logpdf((b - 0.3) / 0.7))
    tree, found = sample_design(design, seed=3, draws=4000)
    beta = tree["posterior"]["beta"].to_numpy()[0, :, 1]
    if (name, tail) == DOUBTFUL:
        assert found["pareto_k"] > 0.7
        return
    assert found["pareto_k"] < 0.7
    assert beta.mean() == pytest.approx(mean, abs=0.1 * sd)
    assert beta.std() == pytest.approx(sd, rel=0.12)


def test_a_warm_start_knows_the_scales_of_coefficients():
    """The posterior is the same, and its outline serves a later fit of the same model."""
    design = mixed(dyads(states=12, pairs=60, years=15, columns=5, rate=0.15, seed=3)[0])
    cold, _ = sample_design(design, seed=1, draws=2000)
    posterior = cold["posterior"].to_dataset()
    mean = posterior.mean(("chain", "draw"))
    left = WarmStart(
        id="x",
        means={str(name): value.to_numpy() for name, value in mean.data_vars.items()},
        names={str(v.dims[0]): v[v.dims[0]].to_numpy() for v in mean.data_vars.values() if v.dims},
        outline=Outline.from_dataset(cold["outline"].to_dataset()),
    )
    start = left.begin(design)
    assert start.theta.size == len(design.blocks) + len(TAILS)
    assert start.outline is not None
    assert start.outline.blocks[-1] == f"beta[{design.names[4]}]"
    warm, found = sample_design(design, seed=2, draws=2000, start=start)
    assert found["pareto_k"] < 0.7
    a, b = (tree["posterior"]["beta"].to_numpy()[0] for tree in (cold, warm))
    np.testing.assert_allclose(a.mean(0), b.mean(0), atol=0.12 * a.std(0).max())
    np.testing.assert_allclose(a.std(0), b.std(0), rtol=0.12)


@pytest.mark.parametrize("form", ["half_t", "exponential"])
@pytest.mark.parametrize("integrated", [True, False], ids=["integrated out", "kept"])
def test_posterior_of_a_scale_is_the_exact_one(form, integrated, monkeypatch):
    if not integrated:
        monkeypatch.setattr(Latent, "group_of", staticmethod(lambda _: None))
    prior = ScalePrior(0.8, form, 4.0)
    levels = np.repeat(np.arange(5), 6)
    y = np.array([1.0] * 6 + [1, 1, 1, 0, 1, 1] + [0] * 6 + [0, 0, 1, 0, 1, 0] + [1, 0, 0, 0, 0, 0])
    one = dataclasses.replace(block("state", indicator(levels, 5), 1.0), scale_prior=prior)
    design = dataclasses.replace(plain(y.tolist(), None, (one,)), prior_sd=np.array([1e-6]))
    z, scales = np.linspace(-9, 9, 901), np.linspace(1e-3, 16.0, 1500)
    log_p = np.empty(scales.size)
    for i, s in enumerate(scales):
        each = np.tile(-0.5 * z**2, (5, 1))
        np.add.at(each, levels, y[:, None] * s * z - np.logaddexp(0.0, s * z))
        log_p[i] = np.log(np.exp(each).sum(axis=1)).sum() + prior.log_density(np.log(s)) - np.log(s)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ scales
    sd = np.sqrt(p @ (scales - mean) ** 2)
    tree, found = sample_design(design, seed=5, draws=4000)
    sigma = tree["posterior"]["sigma_state"].to_numpy()[0]
    assert found["pareto_k"] < 0.7
    assert sigma.mean() == pytest.approx(mean, abs=0.1 * sd)
    assert sigma.std() == pytest.approx(sd, rel=0.15)


def test_draws_of_the_prior_are_those_of_the_distributions():
    """Ours, and those that PyMC draws from its own graph."""
    import pymc as pm

    design = mixed(dyads(states=6, pairs=8, years=4, columns=5, rate=0.3, seed=1)[0])
    ours = prior_draws(design, draws=4000, seed=1)
    with build_from_design(design):
        theirs = pm.draw(pm.modelcontext(None)["beta"], 4000, random_seed=2)
    for j, tail in design.tails.items():
        law = st.laplace if tail.form == "laplace" else st.t(tail.df)
        for drawn_ in (ours.beta[:, j], theirs[:, j]):
            z = (drawn_ - design.prior_mean[j]) / design.prior_sd[j]
            assert st.kstest(z, law.cdf).pvalue > 1e-3
            assert st.kstest(tail.normal_score(z), st.norm.cdf).pvalue > 1e-3
    for one in design.blocks:
        above = one.scale_prior.upper(ours.sigma[one.name])
        assert st.kstest(above, "uniform").pvalue > 1e-3


def test_prior_whose_power_is_scaled_is_that_of_the_model():
    design = mixed(dyads(states=6, pairs=8, years=4, columns=5, rate=0.3, seed=1)[0])
    prior = prior_draws(design, draws=3, seed=1)
    parts = log_prior(design, prior).values()
    found = np.sum([part.reshape(3, -1).sum(axis=1) for part in parts], axis=0)
    bare = dataclasses.replace(
        design, y=design.y[:0], X=design.X[:0],
        blocks=tuple(dataclasses.replace(b, matrix=b.matrix[:0]) for b in design.blocks),
        rows=design.rows.isel(row=slice(0)),
    )  # fmt: skip
    expected = []
    for s in range(3):
        sigma = {name: float(values[s]) for name, values in prior.sigma.items()}
        effects = {name: np.zeros(values.shape[1]) for name, values in prior.effects.items()}
        below = sum(-len(e) * (np.log(sigma[n]) + 0.5 * np.log(2 * np.pi))
                    for n, e in effects.items())  # fmt: skip
        expected.append(design_logp(bare, prior.beta[s], sigma, effects) - below)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9)


# ------------------------------------------------------------------------------------ horseshoe


def shrunk() -> Design:
    """Eight groups, one of which differs."""
    levels = np.repeat(np.arange(8), 40)
    y = np.where(levels == 3, np.arange(320) % 8 > 0, np.arange(320) % 2 == 0).astype(float)
    prior = ScalePrior(0.1, "horseshoe", 4.0, 2.0)
    one = dataclasses.replace(block("group", indicator(levels, 8), 1.0), scale_prior=prior)
    return plain(y.tolist(), None, (one,))


def test_laplace_refuses_a_horseshoe_with_the_reason():
    with pytest.raises(ArgumentError, match=r"horseshoe \(group 'group'\).*many-moded"):
        sample_design(shrunk(), seed=1)


def test_horseshoe_has_the_density_of_its_definition():
    """PyMC's joint density against Piironen and Vehtari's formula in numpy."""
    design = shrunk()
    model = build_from_design(design)
    rng = np.random.default_rng(1)
    tau, slab, local = 0.3, 1.7, np.abs(rng.standard_cauchy(8))
    effect, beta = rng.normal(size=8), np.array([0.2])
    spread = np.sqrt(slab * tau**2 * local**2 / (slab + tau**2 * local**2))
    point = {
        "beta": beta, "sigma_group_log__": np.log(tau), "slab_group_log__": np.log(slab),
        "local_group_log__": np.log(local), "effect_group_z__": effect / spread,
    }  # fmt: skip
    eta = beta[0] + effect[design.blocks[0].matrix.indices]
    expected = (
        design.y @ eta - np.logaddexp(0.0, eta).sum()
        + st.norm.logpdf(beta).sum()
        + st.halfcauchy.logpdf(tau, scale=0.1) + np.log(tau)
        + st.invgamma.logpdf(slab, 2.0, scale=2.0 * 2.0**2) + np.log(slab)
        + (st.halfcauchy.logpdf(local) + np.log(local)).sum()
        + st.norm.logpdf(effect / spread).sum()
    )  # fmt: skip
    assert float(model.compile_logp()(point)) == pytest.approx(float(expected), rel=1e-8)


@pytest.mark.long
def test_nuts_and_laplace_agree_on_every_prior():
    design = mixed(dyads(states=12, pairs=60, years=15, columns=5, rate=0.15, seed=3)[0])
    laplace, found = sample_design(design, seed=1, draws=4000)
    nuts, check = sample_design(design, method="nuts", seed=1, draws=1500, tune=1000)
    assert found["pareto_k"] < 0.7
    assert check["max_rhat"] < 1.02
    for name in ("beta", *(f"sigma_{one.name}" for one in design.blocks)):
        a, b = (tree["posterior"][name].to_numpy() for tree in (laplace, nuts))
        a, b = (v.reshape(v.shape[0] * v.shape[1], -1) for v in (a, b))
        np.testing.assert_allclose(a.mean(0), b.mean(0), atol=0.12 * b.std(0).max())
        np.testing.assert_allclose(a.std(0), b.std(0), rtol=0.15)


@pytest.mark.long
def test_a_horseshoe_shrinks_what_is_alike_and_not_what_differs():
    design = shrunk()
    one = dataclasses.replace(design.blocks[0], scale_prior=ScalePrior(0.5))
    tree, found = sample_design(design, method="nuts", seed=1, draws=1000, tune=1500)
    plain_, _ = sample_design(dataclasses.replace(design, blocks=(one,)), seed=1, draws=1000)
    posterior = tree["posterior"]
    assert found["max_rhat"] < 1.05
    assert posterior["local_group"].dims == ("chain", "draw", "level_group")
    assert posterior["slab_group"].dims == ("chain", "draw")
    effect, usual = (
        np.abs(t["posterior"]["effect_group"].mean(("chain", "draw")).to_numpy())
        for t in (tree, plain_)
    )
    others = np.arange(8) != 3
    assert effect[3] > 1.0
    assert (effect[others] < usual[others]).all()
