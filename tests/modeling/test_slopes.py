"""Slopes that walk over steps of years or differ between strata; years that are not fitted."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import scipy.stats as st
from support.design_density import design_logp
from support.modeling_panels import hand_panel, panel, random_panel, spec, term, varying

from forecast.errors import ArgumentError, SpecificationError
from forecast.inference.latent import Latent
from forecast.inference.predict import design_predictor, memberships, new_level, prior_draws
from forecast.modeling.build import build_from_design
from forecast.modeling.design import Design, encode
from forecast.modeling.encoding import Encoding
from forecast.modeling.spec import ModelSpec

WALK = varying("slope", 0.2, terms=["border", "ratio", "pact"], structure="random_walk", step=5)
BY = varying("slope", 0.3, terms=["ratio"], by=["border", "pact"])
ERA = varying("slope", 0.25, families=["deterrence"])


def model(*groups: dict[str, Any], **keys: Any) -> ModelSpec:
    return spec(varying=[varying("dyad", 1.0), *groups], **keys)


# ------------------------------------------------------------------------------ specification


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([WALK, WALK], "appears 2 times with the same way of varying"),
        ([WALK | {"step": None}], "step (years) is needed"),
        ([ERA | {"step": 5}], "step (years) is needed for a random walk and for nothing else"),
        ([WALK | {"by": ["border"]}], "by (binary terms)"),
        ([varying("state", 0.5, by=["border"])], "by (binary terms)"),
        ([varying("state", 0.5, structure="random_walk", step=5)], "of nothing else"),
        ([BY | {"by": ["bordr"]}], "unknown term 'bordr'; did you mean 'border'?"),
        ([WALK | {"terms": []}], "terms or families are needed"),
    ],
)
def test_mistakes_are_named(groups: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(SpecificationError) as error:
        model(*groups)
    assert expected in str(error.value)


def test_several_ways_of_varying_go_together_and_apart() -> None:
    full = model(WALK, BY, ERA)
    assert [group.block for group in full.varying] == [
        "dyad", "slope_walk", "slope_by_border_pact", "slope",
    ]  # fmt: skip
    assert full.slope_terms() == ("pact",)
    assert full.slope_terms("slope_walk") == ("border", "ratio", "pact")
    less = full.without("deterrence")
    assert [(group.block, group.terms) for group in less.varying] == [
        ("dyad", ()), ("slope_walk", ("border", "ratio")), ("slope_by_border", ("ratio",)),
    ]  # fmt: skip
    assert ModelSpec.from_dict(full.to_dict()) == full
    assert spec().sha256 == ModelSpec.from_dict(spec().to_dict()).sha256


def test_a_stratum_is_told_by_binary_terms() -> None:
    with pytest.raises(SpecificationError, match="by = 'ratio' must be binary"):
        encode(model(BY | {"by": ["ratio"]}), hand_panel())


# ------------------------------------------------------------------------------------ weights


def test_every_walking_slope_has_its_own_walk() -> None:
    design, encoding = encode(model(WALK), hand_panel())
    block = design.blocks[1]
    assert block.levels.tolist() == [
        f"{name}|{step}" for name in ("border", "ratio", "pact") for step in (1990, 1995, 2000)
    ]
    assert (block.chains, block.structure) == (3, "random_walk")
    rng = np.random.default_rng(0)
    f = rng.normal(size=9).reshape(3, 3)
    step = np.array([0, 0, 0, 0, 2, 2, 2, 2])
    expected = np.sum(design.X[:, 1:4] * f[:, step].T, axis=1)
    np.testing.assert_allclose(block.matrix @ f.ravel(), expected)
    np.testing.assert_allclose(block.effects(block.increments(f.ravel())), f.ravel())
    steps = block.increments(f.ravel()).reshape(3, 3)
    np.testing.assert_allclose(steps[:, 0], f[:, 0])
    np.testing.assert_allclose(steps[:, 1:], np.diff(f, axis=1))
    stored = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    assert stored == encoding


def test_walks_go_on_after_the_fit_each_from_its_own_end() -> None:
    _, encoding = encode(model(WALK), hand_panel())
    data = hand_panel().data
    late = data.assign_coords(year=("row", data["year"].to_numpy() + 10))
    rows = encoding.apply(late)
    block = rows.blocks[1]
    assert block.unknown_levels == tuple(
        f"{name}|{step}" for name in ("border", "ratio", "pact") for step in (2005, 2010)
    )
    draws, m = 4, 9
    rng = np.random.default_rng(1)
    known, sigma = rng.normal(size=(draws, m)), rng.gamma(2.0, size=draws)
    (_, found), (weights, fresh) = memberships(
        block,
        {
            "effect_slope_walk": known,
            "sigma_slope_walk": sigma,
            "slab_slope_walk": np.full(draws, np.inf),  # no horseshoe
        }.__getitem__,
        7,
    )
    np.testing.assert_array_equal(found, known)
    step = lambda label: new_level(7, "slope_walk", label, draws) * sigma  # noqa: E731
    last = known[:, 5]  # of "ratio"
    np.testing.assert_allclose(fresh[:, 2], last + step("ratio|2005"))
    np.testing.assert_allclose(fresh[:, 3], last + step("ratio|2005") + step("ratio|2010"))
    # Row 0 lies in 2001 now: known. Row 4 lies in 2011: all three of its slopes are new.
    assert block.unknown_weight[0] == 0
    eta = block.matrix @ known.T + weights @ fresh.T
    np.testing.assert_allclose(eta[4], rows.X[4, 1:4] @ fresh[:, 1::2].T)
    with pytest.raises(ArgumentError, match="not continued backwards"):
        encoding.apply(data.assign_coords(year=("row", data["year"].to_numpy() - 10)))


def test_strata_are_the_combinations_of_binary_terms() -> None:
    design, encoding = encode(model(BY), hand_panel())
    block = design.blocks[1]
    # border, pact: 11 10 10 00 11 10 11 00; number = border + 2 pact
    assert block.levels.tolist() == [
        "ratio|border=0,pact=0", "ratio|border=1,pact=0", "ratio|border=1,pact=1",
    ]  # fmt: skip
    place = np.array([2, 1, 1, 0, 2, 1, 2, 0])
    f = np.array([0.3, -0.2, 0.7])
    np.testing.assert_allclose(block.matrix @ f, design.X[:, 2] * f[place])
    data = hand_panel().data.isel(row=[3]).assign(pact=("row", [1.0]))
    assert encoding.apply(data).blocks[1].unknown_levels == ("ratio|border=0,pact=1",)
    assert Encoding.from_dict(json.loads(json.dumps(encoding.to_dict()))) == encoding


# ------------------------------------------------------------------------------------ density


def design_of_all(rng: np.random.Generator) -> Design:
    return encode(model(WALK, BY, ERA), random_panel(rng))[0]


def draw(design: Design, rng: np.random.Generator) -> tuple[Any, dict[str, float], dict[str, Any]]:
    sigma = {block.name: float(rng.gamma(2.0, 0.3)) for block in design.blocks}
    effects = {b.name: rng.normal(size=len(b.levels)) for b in design.blocks}
    return 0.3 * rng.normal(size=len(design.names)), sigma, effects


def test_log_density_against_scipy() -> None:
    rng = np.random.default_rng(2)
    design = design_of_all(rng)
    beta, sigma, effects = draw(design, rng)
    expected = st.norm.logpdf(beta, design.prior_mean, design.prior_sd).sum()
    for block in design.blocks:
        f, s = effects[block.name], sigma[block.name]
        expected += st.halfnorm.logpdf(s, scale=block.scale_prior.scale)
        if block.name == "slope_walk":
            for walk in np.split(f, 3):
                expected += sum(
                    st.norm.logpdf(v, u, s) for u, v in zip([0.0, *walk], walk, strict=False)
                )
        else:
            expected += st.norm.logpdf(f, 0.0, s).sum()
    p = 1.0 / (1.0 + np.exp(-design_predictor(design, beta, effects)))
    expected += st.bernoulli.logpmf(design.y.astype(int), p).sum()
    np.testing.assert_allclose(design_logp(design, beta, sigma, effects), expected, rtol=1e-12)


def test_the_laplace_path_has_the_same_prior() -> None:
    rng = np.random.default_rng(3)
    design = design_of_all(rng)
    latent = Latent(design)
    values = [draw(design, rng) for _ in range(2)]
    ours, theirs = [], []
    for beta, sigma, effects in values:
        total = design_logp(design, beta, sigma, effects)
        eta = design_predictor(design, beta, effects)
        total -= float(design.y @ eta - np.logaddexp(0.0, eta).sum())
        group = design.blocks[latent.group]  # its prior is inside the quadrature
        total -= st.norm.logpdf(effects[group.name], 0.0, sigma[group.name]).sum()
        w = np.concatenate([beta, *(effects[design.blocks[b].name] for b in latent.kept)])
        theta = np.log([sigma[block.name] for block in design.blocks])
        ours.append(total + theta.sum())  # the Jacobian of the log scales
        theirs.append(float(latent.log_prior(w, theta)))
    np.testing.assert_allclose(theirs, ours, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")
def test_pymc_agrees() -> None:
    rng = np.random.default_rng(4)
    design = design_of_all(rng)
    logp = build_from_design(design).compile_logp(jacobian=False, mode="FAST_COMPILE")
    for _ in range(2):
        beta, sigma, z = draw(design, rng)
        effects = {b.name: sigma[b.name] * b.effects(z[b.name]) for b in design.blocks}
        point = {"beta": beta}
        for name in sigma:
            point |= {f"effect_{name}_z__": z[name], f"sigma_{name}_log__": np.log(sigma[name])}
        ours = design_logp(design, beta, sigma, effects)
        np.testing.assert_allclose(float(logp(point)), ours, rtol=0, atol=1e-8)


def test_prior_draws_walk() -> None:
    design = design_of_all(np.random.default_rng(5))
    block = next(b for b in design.blocks if b.name == "slope_walk")
    found = prior_draws(design, draws=4000, seed=1)
    steps = block.increments(found.effects["slope_walk"]) / found.sigma["slope_walk"][:, None]
    np.testing.assert_allclose(steps.std(axis=0), 1.0, atol=0.06)
    with pytest.raises(ArgumentError, match="are not 4 walks"):
        dataclasses.replace(block, chains=4)


# --------------------------------------------------------------------------- years left out


def test_excluded_years_are_not_fitted_but_can_be_forecast() -> None:
    war = [{"first": 1993, "last": 2001, "reason": "test"}]
    terms = [term("border"), term("pact")]
    short = spec(term=terms, smooth=[], varying=[], exclude=war)
    design, encoding = encode(short, hand_panel())
    assert design.rows["year"].to_numpy().tolist() == [1991, 1992, 2002, 2003, 2004]
    assert dict(encoding.dropped) == {"excluded years": 3}
    assert encoding.apply(hand_panel()).X.shape[0] == 8
    assert short.sha256 != spec(term=terms, smooth=[], varying=[]).sha256
    with pytest.raises(SpecificationError, match=r"ends \(1913\) before it begins \(1914\)"):
        spec(exclude=[{"first": 1914, "last": 1913, "reason": "test"}])


def test_a_walk_passes_through_excluded_years() -> None:
    war = [{"first": 1994, "last": 2000, "reason": "test"}]
    base = random_panel(np.random.default_rng(6))
    groups = [varying("era", 0.3, structure="random_walk", step=2), WALK | {"step": 2}]
    design, _ = encode(spec(varying=groups, exclude=war), panel(base.data))
    assert design.blocks[0].levels.tolist() == [str(y) for y in range(1990, 2014, 2)]
    assert np.diff(design.blocks[0].matrix.tocsc().indptr)[2:5].tolist() == [0, 0, 0]
