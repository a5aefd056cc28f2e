"""Data that break maximum likelihood: a proper posterior, or an error in words.

Small designs are held against the exact posterior on a grid; whole fits against the prior where
the data say nothing. NUTS on all of them is a long test.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr
from support.simulated_designs import block, dyads, indicator, plain

from forecast.errors import DataError, SpecificationError
from forecast.inference.fit import Fit, fit
from forecast.inference.latent import Latent
from forecast.inference.sampling import sample_design
from forecast.modeling.design import Design
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

pytestmark = pytest.mark.filterwarnings("ignore:Importing .* from 'pytensor:DeprecationWarning")

# ------------------------------------------------------------------------------- exact posteriors


def exact(design: Design, columns: tuple[int, int]) -> tuple[Any, Any]:
    """Mean and s.d. of two coefficients, all others of which there are none, on a fine grid."""
    assert design.X.shape[1] == 2 and not design.blocks
    axes = [
        np.linspace(m - 7 * s, m + 7 * s, 601)
        for m, s in zip(design.prior_mean, design.prior_sd, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    log_p = sum(
        -0.5 * ((g - m) / s) ** 2
        for g, m, s in zip(grid, design.prior_mean, design.prior_sd, strict=True)
    )
    for x, y in zip(design.X, design.y, strict=True):
        eta = x[0] * grid[0] + x[1] * grid[1]
        log_p = log_p + y * eta - np.logaddexp(0.0, eta)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = np.array([(p * grid[c]).sum() for c in columns])
    sd = np.sqrt([(p * (grid[c] - m) ** 2).sum() for c, m in zip(columns, mean, strict=True)])
    return mean, sd


_ONE = np.linspace(-1.0, 1.0, 24)
_Y = (np.arange(24) % 5 == 0).astype(float)

GRID = {
    "perfect separation": ((_ONE > 0.1).astype(float), _ONE),
    "quasi-complete separation": (
        ((_ONE > 0.0) & (np.arange(24) % 2 == 0)).astype(float),
        _ONE > 0,
    ),
    "a constant feature": (_Y, np.full(24, 0.7)),
    "a feature of zeros": (_Y, np.zeros(24)),
    "a feature collinear with the intercept": (_Y, np.ones(24)),
    "no events at all": (np.zeros(24), _ONE),
    "nothing but events": (np.ones(24), _ONE),
    "one row": (np.ones(1), np.array([0.4])),
}


@pytest.mark.parametrize("name", GRID)
def test_posterior_is_the_exact_one(name):
    y, x = GRID[name]
    design = plain(y.tolist(), np.column_stack([np.ones(y.size), x]))
    design = dataclasses.replace(design, prior_sd=np.array([1.0, 2.0]))
    mean, sd = exact(design, (0, 1))
    tree, found = sample_design(design, seed=3, draws=4000)
    beta = tree["posterior"]["beta"].to_numpy()[0]
    assert found["pareto_k"] < 0.7
    np.testing.assert_allclose(beta.mean(0), mean, atol=0.1 * sd.max())
    np.testing.assert_allclose(beta.std(0), sd, rtol=0.1)
    if name == "a feature of zeros":
        assert sd[1] == pytest.approx(2.0, rel=1e-6)  # the prior, untouched


def test_two_collinear_features_share_what_the_data_say():
    """Only their sum is informed: it is the posterior of one feature with the joint prior."""
    y, x = _Y, np.sin(np.arange(24.0))
    two = plain(y.tolist(), np.column_stack([np.ones(24), x, x]))
    tree, _ = sample_design(two, seed=3, draws=4000)
    beta = tree["posterior"]["beta"].to_numpy()[0]
    one = plain(y.tolist(), np.column_stack([np.ones(24), x]))
    one = dataclasses.replace(one, prior_sd=np.array([1.0, np.sqrt(2.0)]))
    mean, sd = exact(one, (0, 1))
    total, apart = beta[:, 1] + beta[:, 2], beta[:, 1] - beta[:, 2]
    assert total.mean() == pytest.approx(mean[1], abs=0.1 * sd[1])
    assert total.std() == pytest.approx(sd[1], rel=0.1)
    assert apart.mean() == pytest.approx(0.0, abs=0.1 * np.sqrt(2))
    assert apart.std() == pytest.approx(np.sqrt(2.0), rel=0.1)


def scale_posterior(y: Any, levels: Any, size: int, prior: float) -> tuple[Any, Any, Any]:
    """E[sigma], and E and s.d. of every effect, of levels around a logit of zero, by quadrature."""
    z = np.linspace(-8, 8, 801)
    scales = np.linspace(1e-3, 6 * prior, 600)
    mass, first, second = np.zeros(600), np.zeros((600, size)), np.zeros((600, size))
    for i, s in enumerate(scales):
        f = s * z
        log_p = np.tile(-0.5 * z**2, (size, 1))
        np.add.at(log_p, levels, y[:, None] * f - np.logaddexp(0.0, f))
        top = log_p.max(axis=1, keepdims=True)
        p = np.exp(log_p - top)
        each = p.sum(axis=1)
        mass[i] = np.sum(np.log(each) + top[:, 0]) - 0.5 * (s / prior) ** 2
        first[i], second[i] = (p @ f) / each, (p @ f**2) / each
    weight = np.exp(mass - mass.max())
    weight /= weight.sum()
    mean = weight @ first
    return weight @ scales, mean, np.sqrt(weight @ second - mean**2)


@pytest.mark.parametrize("integrated", [True, False], ids=["integrated out", "kept"])
def test_states_with_one_row_or_none_have_the_exact_posterior(integrated, monkeypatch):
    if not integrated:
        monkeypatch.setattr(Latent, "group_of", staticmethod(lambda _: None))
    levels = np.array([0] * 6 + [1] * 5 + [3])  # 2 has no row, 3 has one
    y = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0.0])
    design = plain(y.tolist(), None, (block("state", indicator(levels, 4), 1.0),))
    design = dataclasses.replace(design, prior_sd=np.array([1e-6]))
    scale, mean, sd = scale_posterior(y, levels, 4, 1.0)
    tree, found = sample_design(design, seed=5, draws=8000)
    posterior = tree["posterior"].to_dataset()
    # Kept in w, the effects of a scale near zero have no Gaussian shape: the weights work for it.
    assert found["pareto_k"] < (0.7 if integrated else 1.0)
    effect = posterior["effect_state"].to_numpy()[0]
    assert float(posterior["sigma_state"].mean()) == pytest.approx(scale, rel=0.05)
    np.testing.assert_allclose(effect.mean(0), mean, atol=0.06 * sd.max())
    np.testing.assert_allclose(effect.std(0), sd, rtol=0.1)


# ------------------------------------------------------------------- all kinds of effects together


def designs() -> dict[str, Design]:
    base, _ = dyads(states=8, pairs=14, years=12, columns=3, rate=0.15, seed=4)
    n, era = base.y.size, base.blocks[2].matrix.indices

    def y(values: Any) -> Design:
        return dataclasses.replace(base, y=np.asarray(values, dtype=np.float64))

    def x(values: Any) -> Design:
        X = np.c_[base.X[:, :2], values]
        return dataclasses.replace(base, X=np.ascontiguousarray(X))

    alone = np.where(np.arange(n) == 17, 8, base.blocks[0].matrix.indices.reshape(n, 2)[:, 0])
    states = np.stack([alone, base.blocks[0].matrix.indices.reshape(n, 2)[:, 1]], axis=1)
    one_row = block("state", indicator(states, 9), 0.5)
    return {
        "no events at all": y(np.zeros(n)),
        "nothing but events": y(np.ones(n)),
        "an era without events": y(np.where(era == 1, 0.0, base.y)),
        "perfect separation": y(base.X[:, 1] > 0),
        "a constant feature": x(np.full(n, 0.7)),
        "a feature of zeros": x(np.zeros(n)),
        "two collinear features": x(base.X[:, 1]),
        "a state with one row": dataclasses.replace(base, blocks=(one_row, *base.blocks[1:])),
    }


DESIGNS = designs()


def spread(design: Design, draws: int = 4000) -> dict[str, Any]:
    tree, found = sample_design(design, seed=2, draws=draws)
    posterior = tree["posterior"].to_dataset()
    out = {str(k): v.to_numpy()[0] for k, v in posterior.data_vars.items()}
    assert all(np.isfinite(v).all() for v in out.values())
    return out | {"pareto_k": found["pareto_k"]}


@pytest.mark.parametrize("name", DESIGNS)
def test_proper_posterior_with_all_kinds_of_effects(name):
    design = DESIGNS[name]
    found = spread(design, 1000)
    beta = found["beta"]
    assert found["pareto_k"] < 0.9
    # The prior keeps everything within reach; a log-concave likelihood widens no posterior.
    z = (beta - design.prior_mean) / design.prior_sd
    assert np.abs(z.mean(0)).max() < (7.0 if name == "perfect separation" else 4.5)
    assert z.std(0).max() < 1.15
    if name == "no events at all":
        assert beta[:, 0].mean() < design.prior_mean[0]
    if name == "nothing but events":
        assert beta[:, 0].mean() > design.prior_mean[0]
    if name == "perfect separation":
        assert z[:, 1].mean() > 1.0
    if name == "a feature of zeros":
        assert z[:, 2].mean() == pytest.approx(0.0, abs=0.15)
        assert z[:, 2].std() == pytest.approx(1.0, rel=0.1)
    if name == "two collinear features":
        apart = beta[:, 1] - beta[:, 2]
        assert apart.mean() == pytest.approx(0.0, abs=0.2)
        assert apart.std() == pytest.approx(np.sqrt(2.0), rel=0.12)
    if name == "an era without events":
        walk = found["effect_era"].mean(0)
        assert walk[1] < walk[0]
    if name == "a state with one row":
        # One row without an event hardly moves the effect from its population.
        effect = found["effect_state"][:, 8] / found["sigma_state"]
        assert effect.mean() == pytest.approx(0.0, abs=0.25)
        assert effect.std() == pytest.approx(1.0, rel=0.15)


@pytest.mark.long
@pytest.mark.parametrize("name", DESIGNS)
def test_laplace_agrees_with_nuts_on_degenerate_data(name):
    design = DESIGNS[name]
    tree, found = sample_design(design, method="nuts", seed=1, draws=4000, chains=4, tune=1000)
    assert found["max_rhat"] < 1.02
    ours = spread(design, 8000)
    for variable, values in tree["posterior"].to_dataset().data_vars.items():
        theirs = values.stack(s=("chain", "draw")).transpose("s", ...).to_numpy()
        mine, sd = ours[str(variable)], theirs.std(0)
        np.testing.assert_array_less(np.abs(mine.mean(0) - theirs.mean(0)) / sd, 0.1 + 0.05)
        np.testing.assert_array_less(np.abs(mine.std(0) / sd - 1.0), 0.1 + 0.05)


# ---------------------------------------------------------------------------------- whole fits


def term(name: str, **keys: Any) -> dict[str, Any]:
    return {
        "name": name, "family": "power", "pre_treatment": True, "prior": {"sd": 1.0},
        "reason": "test",
    } | keys  # fmt: skip


def spec(*terms: dict[str, Any]) -> ModelSpec:
    def varying(name: str, sd: float, **keys: object) -> dict[str, Any]:
        return {"name": name, "scale": {"sd": sd}, "reason": "test"} | keys

    return ModelSpec.from_dict(
        {
            "name": "edges",
            "description": "A small model of a simulated panel.",
            "unit": "dyad-year",
            "population": "politically_relevant",
            "intercept": {"reason": "test"},
            "term": list(terms),
            "varying": [
                varying("state", 0.5),
                varying("dyad", 1.0),
                varying("era", 0.3, structure="random_walk", step=5),
            ],
        }
    )


def panel(change: Any = None, *, n: int = 500) -> Panel:
    rng = np.random.default_rng(3)
    a = rng.integers(1, 10, size=n)
    x, z = rng.normal(size=n), rng.normal(size=n)
    p = 1 / (1 + np.exp(2.5 - x))
    data = xr.Dataset(
        {
            "outcome": ("row", (rng.random(n) < p).astype(float)),
            "x": ("row", x),
            "z": ("row", z),
        },
        coords={
            "year": ("row", np.sort(rng.integers(1980, 2000, size=n))),
            "ccode_a": ("row", a),
            "ccode_b": ("row", a + rng.integers(1, 4, size=n)),
        },
    )
    if change is not None:
        data = change(data)
    return Panel(data, None, None, "dyad-year", "politically_relevant", "onset", 1, "hand")


def fitted(model: ModelSpec, rows: Panel) -> Fit:
    found = fit(model, rows, seed=4, draws=500)
    for values in found.posterior["posterior"].data_vars.values():
        assert np.isfinite(values).all()
    return found


def beta_of(found: Fit, name: str) -> Any:
    return found.posterior["posterior"]["beta"].sel(term=name).to_numpy().ravel()


@pytest.mark.parametrize(("value", "message"), [(0.0, "0 with an onset"), (1.0, "with an onset")])
def test_fit_refuses_an_outcome_that_never_varies(value, message):
    rows = panel(lambda d: d.assign(outcome=d["outcome"] * 0 + value))
    with pytest.raises(DataError, match=message):
        fit(spec(term("x")), rows, seed=1)


def test_fit_with_perfect_separation():
    found = fitted(spec(term("x")), panel(lambda d: d.assign(outcome=(d["x"] > 0.5) * 1.0)))
    # Only rows near the boundary still inform a slope b: minus log likelihood ≈ n f(0) π² / (6 b)
    # with f(0) the density of x there (a s.d. of a half, cut at half a s.d.: 0.70). With the prior
    # b² / 2 the mode is at the cube root of n f(0) π² / 6.
    expected = np.cbrt(500 * 0.70 * np.pi**2 / 6)
    assert beta_of(found, "x").mean() == pytest.approx(expected, rel=0.15)
    assert beta_of(found, "x").std() < 1.0


def test_fit_with_a_constant_feature_says_so_or_leaves_it_out():
    rows = panel(lambda d: d.assign(z=d["z"] * 0 + 3.0))
    with pytest.raises(SpecificationError, match=r"'z' is constant \(3\) in all 500 rows"):
        fit(spec(term("x"), term("z")), rows, seed=1)
    found = fitted(spec(term("x"), term("z", if_constant="drop")), rows)
    assert "z" not in found.posterior["posterior"]["term"].to_numpy().tolist()
    without, x = fitted(spec(term("x")), rows), beta_of(found, "x")
    assert x.mean() == pytest.approx(beta_of(without, "x").mean(), abs=0.3 * x.std())


def test_fit_with_two_collinear_features_names_them():
    rows = panel(lambda d: d.assign(z=2.0 * d["x"] + 1.0))
    with pytest.raises(SpecificationError, match="columns 'x', 'z' are linearly dependent"):
        fit(spec(term("x"), term("z")), rows, seed=1)


def test_fit_with_two_nearly_collinear_features():
    """Told apart by the prior: the sum is what one feature would have, the difference is not."""
    noise = np.random.default_rng(9).normal(0, 1e-3, 500)
    found = fitted(spec(term("x"), term("z")), panel(lambda d: d.assign(z=d["x"] + noise)))
    single = fitted(spec(term("x", prior={"sd": float(np.sqrt(2.0))})), panel())
    total, apart = (beta_of(found, "x") + s * beta_of(found, "z") for s in (1, -1))
    assert total.mean() == pytest.approx(beta_of(single, "x").mean(), abs=0.3 * total.std())
    assert apart.std() == pytest.approx(np.sqrt(2.0), rel=0.15)
    assert abs(apart.mean()) < 0.3


def test_fit_with_a_state_of_one_row():
    def alone(d: xr.Dataset) -> xr.Dataset:
        codes = d["ccode_b"].to_numpy().copy()
        codes[7] = 99
        return d.assign_coords(ccode_b=("row", codes))

    found = fitted(spec(term("x")), panel(alone)).posterior["posterior"]
    effect = found["effect_state"].sel(level_state="99").to_numpy().ravel()
    standard = effect / found["sigma_state"].to_numpy().ravel()
    assert abs(standard.mean()) < 0.3
    assert standard.std() == pytest.approx(1.0, rel=0.15)


def test_fit_with_an_era_without_events():
    def quiet(d: xr.Dataset) -> xr.Dataset:
        era = (d["year"] >= 1985) & (d["year"] < 1990)
        return d.assign(outcome=d["outcome"].where(~era, 0.0))

    usual, found = (fitted(spec(term("x")), panel(change)) for change in (None, quiet))
    walks = [f.posterior["posterior"]["effect_era"].mean(("chain", "draw")) for f in (usual, found)]
    assert float(walks[1].sel(level_era="1985")) < float(walks[0].sel(level_era="1985")) - 0.2
    assert float(walks[1].sel(level_era="1985")) > -5.0
