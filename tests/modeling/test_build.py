from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats as st
from support.design_density import design_logp
from support.modeling_panels import hand_panel, random_panel, spec

from forecast.errors import ArgumentError
from forecast.inference.predict import design_predictor
from forecast.modeling.build import build, build_from_design, index_pairs
from forecast.modeling.design import Block, Design, encode
from forecast.modeling.priors import ScalePrior

# PyMC 6.3 imports two names that PyTensor 3.3 has moved.
pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")


#: Interpreted: compiling with numba takes most of a minute.
MODE = "FAST_COMPILE"


def with_ragged_block(design: Design, rng: np.random.Generator) -> Design:
    """The design and a block whose rows use 0 to 7 levels, like states in treaties."""
    n = design.y.size
    matrix = sp.random_array((n, 7), density=0.3, rng=rng, format="csr")
    block = Block("alliance", "iid", np.array([f"t{i}" for i in range(7)]), matrix, ScalePrior(0.5))
    return dataclasses.replace(design, blocks=(*design.blocks, block))


def values(
    design: Design, rng: np.random.Generator
) -> tuple[Any, dict[str, float], dict[str, Any]]:
    beta = rng.normal(size=len(design.names))
    sigma = {block.name: float(rng.gamma(2.0, 0.3)) for block in design.blocks}
    effects = {b.name: rng.normal(size=len(b.levels)) for b in design.blocks}
    return beta, sigma, effects


# ------------------------------------------------------------------------------------ errors


def test_designs_that_do_not_fit_together() -> None:
    design, _ = encode(spec(), hand_panel())
    with pytest.raises(ArgumentError, match="X has 6 columns, but names has length 5"):
        dataclasses.replace(design, names=design.names[:5])
    with pytest.raises(ArgumentError, match="y must hold 0 or 1 for each of the 8 rows"):
        dataclasses.replace(design, y=design.y + 0.5)
    hole = design.X.copy()
    hole[3, 2] = np.nan
    with pytest.raises(ArgumentError, match="not finite in row 3, 'ratio'"):
        dataclasses.replace(design, X=hole)
    short = dataclasses.replace(design.blocks[0], matrix=design.blocks[0].matrix[:5])
    with pytest.raises(ArgumentError, match="8 rows, but block 'state' has 5"):
        dataclasses.replace(design, blocks=(short,))
    with pytest.raises(ArgumentError, match="3 levels, but the matrix has 2 columns"):
        dataclasses.replace(design.blocks[0], matrix=design.blocks[0].matrix[:, :2])
    with pytest.raises(ArgumentError, match="scale of scale_prior must be positive"):
        dataclasses.replace(design.blocks[0], scale_prior=ScalePrior(0.0))


# ------------------------------------------------------------------------------- log density


def test_log_density_against_scipy() -> None:
    rng = np.random.default_rng(3)
    design, _ = encode(spec(), hand_panel())
    beta, sigma, effects = values(design, rng)
    eta = design.X @ beta
    expected = st.norm.logpdf(beta, design.prior_mean, design.prior_sd).sum()
    for block in design.blocks:
        f, s = effects[block.name], sigma[block.name]
        eta = eta + block.matrix.toarray() @ f
        expected += st.halfnorm.logpdf(s, scale=block.scale_prior.scale)
        if block.name == "era":
            expected += sum(st.norm.logpdf(v, u, s) for u, v in zip([0.0, *f], f, strict=False))
        else:
            expected += st.norm.logpdf(f, 0.0, s).sum()
    p = 1.0 / (1.0 + np.exp(-eta))
    expected += st.bernoulli.logpmf(design.y.astype(int), p).sum()
    np.testing.assert_allclose(design_logp(design, beta, sigma, effects), expected, rtol=1e-12)


def test_log_density_far_out_is_finite() -> None:
    design, _ = encode(spec(), hand_panel())
    beta, sigma, effects = values(design, np.random.default_rng(4))
    assert np.isfinite(design_logp(design, beta + 800.0, sigma, effects))
    assert np.isfinite(design_logp(design, beta - 800.0, sigma, effects))


def test_linear_predictor_of_many_draws() -> None:
    rng = np.random.default_rng(5)
    design = with_ragged_block(encode(spec(), hand_panel())[0], rng)
    draws = [values(design, rng) for _ in range(4)]
    beta = np.stack([d[0] for d in draws])
    effects = {b.name: np.stack([d[2][b.name] for d in draws]) for b in design.blocks}
    many = design_predictor(design, beta, effects)
    assert many.shape == (4, 8)
    for i, (b, _, e) in enumerate(draws):
        np.testing.assert_allclose(many[i], design_predictor(design, b, e), atol=1e-12)


# -------------------------------------------------------------------------------- PyMC model


def test_dims_and_names() -> None:
    model = build(spec(), hand_panel())
    assert model.named_vars_to_dims["beta"] == ("term",)
    assert model.coords["term"][:3] == ("intercept", "border", "ratio")
    assert model.coords["level_dyad"] == ("2-20", "2-70", "20-70")
    assert model.coords["level_era"] == ("1990", "1995", "2000")
    for name in ("state", "dyad", "era", "slope"):
        assert model.named_vars_to_dims[f"effect_{name}"] == (f"level_{name}",)
        assert f"sigma_{name}" in model.named_vars
    assert model.named_vars_to_dims["outcome"] == ("row",)
    assert {v.name for v in model.observed_RVs} == {"outcome"}


@pytest.fixture(scope="module")
def compiled() -> tuple[Design, Any, Any]:
    """A design with regular and ragged blocks, its compiled log density and gradient."""
    rng = np.random.default_rng(6)
    design = with_ragged_block(encode(spec(), random_panel(rng))[0], rng)
    model = build_from_design(design)
    return design, model, model.compile_logp(jacobian=False, mode=MODE)


def test_pymc_agrees_with_the_numpy_log_density(compiled: tuple[Design, Any, Any]) -> None:
    """The same density of the effects; a sampler moves z, and has the Jacobian beside it."""
    design, _, logp = compiled
    rng = np.random.default_rng(7)
    for _ in range(5):
        beta, sigma, z = values(design, rng)
        beta *= 0.3  # FAST_COMPILE leaves out the rewrites that keep log(1 - p) finite
        effects = {}
        for block in design.blocks:
            steps = np.cumsum(z[block.name]) if block.name == "era" else z[block.name]
            effects[block.name] = sigma[block.name] * steps
        point = {"beta": beta}
        for name in sigma:
            point |= {f"effect_{name}_z__": z[name], f"sigma_{name}_log__": np.log(sigma[name])}
        ours = design_logp(design, beta, sigma, effects)
        np.testing.assert_allclose(float(logp(point)), ours, rtol=0, atol=1e-8)


def test_gradient_goes_through_gathers_and_scatters(
    compiled: tuple[Design, Any, Any],
) -> None:
    _, model, logp = compiled
    rng = np.random.default_rng(8)
    point = model.initial_point()
    point = {name: value + rng.normal(size=np.shape(value)) * 0.3 for name, value in point.items()}
    gradient = np.asarray(model.compile_dlogp(jacobian=False, mode=MODE)(point))
    start = 0
    for variable in model.value_vars:  # one random direction in each variable
        value = point[variable.name]
        along = rng.normal(size=np.shape(value))
        ends = [logp(point | {variable.name: value + h * along}) for h in (1e-5, -1e-5)]
        found = gradient[start : start + np.size(value)] @ np.ravel(along)
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-4)
        start += np.size(value)


def test_index_pairs() -> None:
    regular = sp.csr_array(np.array([[1.0, 0, 2], [0, 3, 4]]))
    indices, weights = index_pairs(regular) or pytest.fail("rows are regular")
    assert indices.tolist() == [[0, 2], [1, 2]]
    assert weights.tolist() == [[1, 2], [3, 4]]
    assert index_pairs(sp.csr_array(np.array([[1.0, 0], [1, 1]]))) is None
    assert index_pairs(sp.csr_array((3, 2))) is None
