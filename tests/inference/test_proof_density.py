"""The density that Laplace samples against the one that PyMC compiles, and gradients of both.

PyMC's own elementwise log density is the oracle. The block that we integrate out is integrated
out of it by the trapezoidal rule on a fine grid, level by level, which for analytic integrands
that vanish at both ends is exact to rounding; nothing of our quadrature is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp
from support.design_density import design_logp
from support.simulated_designs import block, dyads, indicator, plain

from forecast.inference.conditional import conditional, scale_jacobian
from forecast.inference.latent import Latent
from forecast.modeling.build import build_from_design
from forecast.modeling.design import Design

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")

RELATIVE = 1e-8


def every_kind(*, states: int, pairs: int, years: int, seed: int) -> Design:
    """Two states a row, dyads, a walk, three slopes a row by era, and rows with 0 to 7 levels."""
    design, _ = dyads(states=states, pairs=pairs, years=years, columns=5, rate=0.1, seed=seed)
    rng = np.random.default_rng(seed)
    n = design.y.size
    era = (design.rows["year"].to_numpy() - 1950) * 3 // years
    columns = np.stack([era, 3 + era, 6 + era], axis=1).ravel()
    slopes = sp.csr_array((design.X[:, 1:4].ravel(), columns, np.arange(n + 1) * 3), shape=(n, 9))
    ragged = sp.random_array((n, 7), density=0.3, rng=rng, format="csr")
    blocks = (*design.blocks[:3], block("slope", slopes, 0.25), block("alliance", ragged, 0.5))
    return dataclasses.replace(design, blocks=blocks)


class Oracle:
    """PyMC's log density in our coordinates: coefficients, effects and log scales."""

    def __init__(self, design: Design) -> None:
        import pymc as pm
        from pytensor.compile.mode import Mode
        from pytensor.graph.rewriting.db import RewriteDatabaseQuery

        self.design = design
        model: Any = build_from_design(design)
        # All rewrites that keep log(1 - p) finite, interpreted: compiling takes a minute.
        rewrites = RewriteDatabaseQuery(
            include=["fast_run"], exclude=["fusion", "inplace", "BlasOpt"]
        )
        mode = Mode(linker="vm", optimizer=rewrites)
        variables = [*model.free_RVs, *model.observed_RVs]
        terms = model.logp(vars=variables, jacobian=True, sum=False)
        self.names = [v.name for v in model.value_vars]
        self.parts = dict(zip([v.name for v in variables], range(len(variables)), strict=True))
        self._inputs, self._mode = list(model.value_vars), mode
        self._total = sum(term.sum() for term in terms)
        self._terms = pm.pytensorf.compile(self._inputs, terms, mode=mode)

    def point(self, beta: Any, theta: Any, effects: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {"beta": beta}
        for b, one in enumerate(self.design.blocks):
            f = effects[one.name]
            out[f"effect_{one.name}_z__"] = one.increments(f) * np.exp(-theta[b])
            out[f"sigma_{one.name}_log__"] = np.asarray(theta[b])
        return out

    def terms(self, point: dict[str, Any]) -> dict[str, Any]:
        found = self._terms(*(point[name] for name in self.names))
        return {name: np.asarray(found[i]) for name, i in self.parts.items()}

    def gradient(self, point: dict[str, Any]) -> dict[str, Any]:
        """Of PyMC's log density by each of its variables."""
        import pytensor

        slopes = pytensor.grad(self._total, self._inputs)
        found = pytensor.function(self._inputs, slopes, mode=self._mode)
        return dict(zip(self.names, found(*(point[n] for n in self.names)), strict=True))

    def logp(self, beta: Any, theta: Any, effects: dict[str, Any], without: str = "") -> float:
        """Log density of our coordinates: PyMC's is of z = f / sigma, another Jacobian."""
        terms = self.terms(self.point(beta, theta, effects))
        total = sum(float(value.sum()) for name, value in terms.items() if name != without)
        return total - sum(
            theta[b] * len(one.levels)
            for b, one in enumerate(self.design.blocks)
            if f"effect_{one.name}" != without
        )

    def marginal(self, beta: Any, theta: Any, effects: dict[str, Any], group: int) -> float:
        """`logp` with the effects of one block integrated out on a grid of ±20 prior s.d.."""
        one = self.design.blocks[group]
        levels, z = one.matrix.indices, np.linspace(-20, 20, 321)
        joint = np.empty((z.size, len(one.levels)))
        for k, value in enumerate(z):
            effect = np.full(len(one.levels), value * np.exp(theta[group]))
            terms = self.terms(self.point(beta, theta, effects | {one.name: effect}))
            joint[k] = terms[f"effect_{one.name}"]
            joint[k] += np.bincount(levels, terms["outcome"], len(one.levels))
        integral = logsumexp(joint, axis=0) + np.log(z[1] - z[0])
        flat = {one.name: np.zeros(len(one.levels))}
        terms = self.terms(self.point(beta, theta, effects | flat))
        rest = sum(
            float(v.sum()) for n, v in terms.items() if n not in ("outcome", f"effect_{one.name}")
        )
        rest -= sum(
            theta[b] * len(other.levels) for b, other in enumerate(self.design.blocks) if b != group
        )
        return rest + float(integral.sum())


def drawn(
    design: Design, rng: np.random.Generator, spread: float = 1.0
) -> tuple[Any, Any, dict[str, Any]]:
    beta = rng.normal(design.prior_mean, 0.5 * spread)
    theta = np.log([rng.uniform(0.2, 1.2) for _ in design.blocks])
    effects = {}
    for b, one in enumerate(design.blocks):
        steps = np.exp(theta[b]) * spread * rng.normal(size=len(one.levels))
        effects[one.name] = one.effects(steps)
    return beta, theta, effects


def flat(latent: Latent, beta: Any, effects: dict[str, Any]) -> Any:
    blocks = latent.design.blocks
    return np.concatenate([beta, *(effects[blocks[b].name] for b in latent.kept)])


@pytest.fixture(scope="module")
def small() -> tuple[Design, Oracle]:
    design = every_kind(states=8, pairs=14, years=12, seed=3)
    return design, Oracle(design)


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_joint_density_is_that_of_pymc(small, spread):
    design, oracle = small
    rng = np.random.default_rng(1)
    for _ in range(5):
        beta, theta, effects = drawn(design, rng, spread)
        sigma = {one.name: np.exp(theta[b]) for b, one in enumerate(design.blocks)}
        expected = oracle.logp(beta, theta, effects)
        # PyMC's scales are log-transformed: the Jacobian of sigma = exp(theta) is theta.
        found = design_logp(design, beta, sigma, effects) + theta.sum()
        assert found == pytest.approx(expected, rel=RELATIVE)


def scale_of(latent: Latent, theta: Any) -> float:
    return float(np.exp(latent.group_scale(theta)))


def value_at(latent: Latent, w: Any, sigma: float) -> float:
    """Log likelihood in double precision."""
    return latent.moments(w, sigma, np.zeros(latent.levels)).value


def ours(latent: Latent, beta: Any, theta: Any, effects: dict[str, Any]) -> float:
    w = flat(latent, beta, effects)
    return value_at(latent, w, scale_of(latent, theta)) + float(latent.log_prior(w, theta))


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_density_with_the_dyads_integrated_out_is_that_of_pymc(small, spread):
    design, oracle = small
    latent = Latent(design)
    assert design.blocks[latent.group].name == "dyad"
    rng = np.random.default_rng(2)
    for _ in range(3):
        beta, theta, effects = drawn(design, rng, spread)
        expected = oracle.marginal(beta, theta, effects, latent.group)
        assert ours(latent, beta, theta, effects) == pytest.approx(expected, rel=RELATIVE)


def test_density_of_a_middle_sized_panel_is_that_of_pymc():
    """2% events, 60 states, 300 dyads, 8,100 rows; integrated out or not."""
    design, truth = dyads(states=60, pairs=300, years=27, columns=6, rate=0.02, seed=7)
    oracle, latent = Oracle(design), Latent(design)
    theta = np.log([0.5, 0.8, 0.3, 0.3])
    effects = {one.name: truth[one.name] for one in design.blocks}
    expected = oracle.marginal(truth["beta"], theta, effects, latent.group)
    assert ours(latent, truth["beta"], theta, effects) == pytest.approx(expected, rel=RELATIVE)
    sigma = {one.name: np.exp(theta[b]) for b, one in enumerate(design.blocks)}
    assert design_logp(design, truth["beta"], sigma, effects) + theta.sum() == pytest.approx(
        oracle.logp(truth["beta"], theta, effects), rel=RELATIVE
    )


def test_likelihoods_behind_the_importance_weights(small):
    """Single precision: each within .002 of PyMC's, which moves a weight by .2% at most."""
    design, oracle = small
    latent, rng = Latent(design), np.random.default_rng(8)
    draws = [drawn(design, rng, 0.5) for _ in range(10)]
    W = np.array([flat(latent, beta, effects) for beta, _, effects in draws])
    sigmas = np.array([scale_of(latent, theta) for _, theta, _ in draws])
    found = latent.log_likelihoods(W, sigmas, np.zeros(latent.levels))
    for value, w, (beta, theta, effects) in zip(found, W, draws, strict=True):
        expected = oracle.marginal(beta, theta, effects, latent.group)
        assert value + latent.log_prior(w, theta) == pytest.approx(expected, abs=2e-3)


# ------------------------------------------------------------------------------------ gradients


def numeric(value: Callable[[Any], float], w: Any, step: float) -> Any:
    """Central differences with one Richardson step: error of the order of step⁴."""

    def central(h: float) -> Any:
        return np.array([(value(w + h * e) - value(w - h * e)) / (2 * h) for e in np.eye(w.size)])

    return (4 * central(step) - central(2 * step)) / 3


def test_gradient_by_the_latent_vector_is_that_of_pymc(small):
    """Exact on both sides where no block is integrated out."""
    design, _ = small
    blocks = tuple(one for one in design.blocks if one.name != "dyad")
    design = dataclasses.replace(design, blocks=blocks)
    oracle, latent = Oracle(design), Latent(design)
    assert latent.group is None
    beta, theta, effects = drawn(design, np.random.default_rng(4))
    w = flat(latent, beta, effects)
    moments = latent.moments(w, 1.0, np.zeros(0))
    found = latent.rows.transpose(moments.residual)
    found -= latent.prior_precision(theta) @ (w - latent.prior_mean)
    parts = oracle.gradient(oracle.point(beta, theta, effects))
    np.testing.assert_allclose(found[: latent.p], parts["beta"], rtol=RELATIVE, atol=1e-10)
    for b in latent.kept:
        one = design.blocks[b]
        mine = found[latent.slices[b]]
        if one.structure == "random_walk":  # dz: f = sigma cumsum(z)
            mine = np.cumsum(mine[::-1])[::-1]
        np.testing.assert_allclose(
            mine * np.exp(theta[b]), parts[f"effect_{one.name}_z__"], rtol=RELATIVE, atol=1e-10
        )


def test_gradient_with_the_dyads_integrated_out_is_the_slope_of_pymcs_density(small):
    """Along random directions, against differences of PyMC's density, not of ours."""
    design, oracle = small
    latent = Latent(design)
    rng = np.random.default_rng(5)
    beta, theta, effects = drawn(design, rng)
    w = flat(latent, beta, effects)
    moments = latent.moments(w, scale_of(latent, theta), np.zeros(latent.levels))
    gradient = latent.rows.transpose(moments.residual)
    gradient -= latent.prior_precision(theta) @ (w - latent.prior_mean)

    def density(v: Any) -> float:
        parts = dict(effects)
        for b, where in latent.slices.items():
            parts[design.blocks[b].name] = v[where]
        return oracle.marginal(v[: latent.p], theta, parts, latent.group)

    for _ in range(3):
        along = rng.normal(size=w.size)
        h = 1e-3
        ends = [density(w + s * h * along) for s in (-2, -1, 1, 2)]
        slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h)
        assert gradient @ along == pytest.approx(slope, rel=1e-6, abs=1e-6)


#: Predictors far out, on either side.
FAR = (31.0, 40.0, 120.0, 250.0, 500.0, 700.0)
FAR_ROWS = [(sign * eta, y) for eta in FAR for sign in (1.0, -1.0) for y in (0.0, 1.0)]


def far(group: bool) -> Design:
    """A row for every |eta| of `FAR`, either sign and outcome, with an effect of its own."""
    eta = np.array([eta for eta, _ in FAR_ROWS])
    X = np.column_stack([np.ones(eta.size), eta])
    state = block("state", indicator(np.arange(eta.size) % 5, 5), 0.5)
    dyad = block("dyad", indicator(np.arange(eta.size), eta.size), 1.0)
    return plain([y for _, y in FAR_ROWS], X, (state, dyad) if group else ())


@pytest.mark.parametrize("group", [False, True], ids=["plain", "integrated out"])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_far_predictors_have_the_density_and_gradient_of_a_logit(group, scale):
    design = far(group)
    latent = Latent(design)
    w = np.zeros(latent.size)
    w[:2] = 0.05, 1.0
    if group:
        w[2:] = np.linspace(-0.5, 0.5, 5)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        moments = latent.moments(w, scale, np.zeros(latent.levels))
        quick = latent.log_likelihoods(w[None], np.array([scale]), np.zeros(latent.levels))[0]
    assert quick == pytest.approx(moments.value, rel=1e-6)
    a = latent.rows.predictor(w)
    # The mean over the effect, by a rule that is none of ours; -log(1 + e^x) as logaddexp.
    z = np.linspace(-13, 13, 4001) if group else np.zeros(1)
    weight = -0.5 * z**2 if group else np.zeros(1)
    eta = a[:, None] + scale * z
    log_p = latent.y[:, None] * eta - np.logaddexp(0.0, eta) + (weight - logsumexp(weight))
    exact = logsumexp(log_p, axis=1)
    assert moments.value == pytest.approx(float(exact.sum()), rel=RELATIVE)
    share = np.exp(log_p - exact[:, None])
    one = np.where(latent.y[:, None] > 0.5, 1.0, -1.0)
    # y - p as ±(1 - |p - (1 - y)|): no difference of nearly equal numbers.
    residual = np.sum(share * one * np.exp(-np.logaddexp(0.0, one * eta)), axis=1)
    np.testing.assert_allclose(moments.residual, residual, rtol=RELATIVE, atol=1e-15)
    for array in (moments.residual, moments.weight, moments.slope, moments.bend):
        assert np.isfinite(array).all()
    assert (moments.weight >= 0).all()
    gradient = latent.rows.transpose(moments.residual)

    found = numeric(lambda v: value_at(latent, v, scale), w, 1e-3)
    np.testing.assert_allclose(found, gradient, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())


def test_a_whole_panel_far_out_stays_finite():
    """Shifted by ±40, ±300 and ±700: density as PyMC's, gradients and information finite."""
    design = every_kind(states=6, pairs=8, years=6, seed=9)
    oracle, latent = Oracle(design), Latent(design)
    rng = np.random.default_rng(6)
    for shift in (-700.0, -300.0, -40.0, 40.0, 300.0, 700.0):
        beta, theta, effects = drawn(design, rng)
        beta[0] += shift
        expected = oracle.marginal(beta, theta, effects, latent.group)
        assert np.isfinite(expected)
        assert ours(latent, beta, theta, effects) == pytest.approx(expected, rel=RELATIVE)
        w = flat(latent, beta, effects)
        moments = latent.moments(w, scale_of(latent, theta), np.zeros(latent.levels))
        information, sums = latent.information(moments)
        for array in (moments.residual, moments.weight, information, sums):
            assert np.isfinite(array).all(), shift


# --------------------------------------------------------------------------- gradient by the scales


def test_gradient_by_the_scale_of_the_dyads_where_nothing_else_is_unknown():
    """Coefficients pinned by their prior: what is left of the marginal density is theta alone."""
    design, truth = dyads(states=12, pairs=40, years=20, columns=3, rate=0.15, seed=2)
    design = dataclasses.replace(
        design,
        prior_mean=truth["beta"],
        prior_sd=np.full(3, 1e-7),
        blocks=tuple(one for one in design.blocks if one.name == "dyad"),
    )
    latent = Latent(design)
    for log_sigma in (-1.5, -0.3, 0.4):
        theta = np.array([log_sigma])
        at = conditional(latent, theta, latent.prior_mean.copy(), np.zeros(latent.levels))

        def marginal(t: Any) -> float:
            likelihood = value_at(latent, latent.prior_mean, float(np.exp(t[0])))
            return likelihood + float(latent.log_scale_prior(t))

        slope = numeric(marginal, theta, 2e-3)
        # The search for the mode is in single precision, see `Latent.moments`.
        np.testing.assert_allclose(at.gradient, slope, rtol=1e-3, atol=2e-3)


def test_gradient_by_the_scale_of_levels_without_rows_is_that_of_the_prior():
    """No data: the effects are Gaussian whatever the scale, and Fisher's identity is exact."""
    empty = sp.csr_array((12, 5))
    design = plain(
        [0, 1] * 6, None,
        (block("state", empty, 0.7), block("era", empty, 0.4, "random_walk")),
    )  # fmt: skip
    latent = Latent(design)
    for theta in (np.array([-1.0, 0.5]), np.array([0.3, -2.0])):
        at = conditional(latent, theta, latent.prior_mean.copy(), np.zeros(latent.levels))
        expected = 1.0 - np.exp(2 * theta) / np.array([0.7, 0.4]) ** 2
        np.testing.assert_allclose(at.gradient, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            expected, numeric(lambda t: float(latent.log_scale_prior(t)), theta, 1e-3), rtol=1e-7
        )


def test_jacobian_by_the_scales_is_that_of_the_gradient():
    """Analytic among the kept blocks; rows and columns of the dyads are left to a secant."""
    design, _ = dyads(states=20, pairs=120, years=25, columns=4, rate=0.1, seed=3)
    latent = Latent(design)
    kept = list(latent.kept)
    for theta in (np.full(len(design.blocks), -1.0), np.array([-0.3, -0.8, -1.6, -0.6])):
        at = conditional(latent, theta, latent.prior_mean.copy(), np.zeros(latent.levels))

        def gradient(t: Any, at: Any = at) -> Any:
            return conditional(latent, t, at.mode, np.zeros(latent.levels), at).gradient

        step = 0.05
        ends = [[gradient(theta + s * step * e) for s in (-1, 1)] for e in np.eye(theta.size)]
        expected = np.array([(high - low) / (2 * step) for low, high in ends]).T
        found = scale_jacobian(latent, at)
        # The likelihood is not quadratic: a few percent of the curvature.
        allowed = 0.1 * np.sqrt(np.abs(np.outer(np.diag(expected), np.diag(expected)))) + 0.05
        assert (np.abs(found - expected)[np.ix_(kept, kept)] < allowed[np.ix_(kept, kept)]).all()
