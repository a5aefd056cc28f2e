"""Latent depth of treaties: the model, its mode, and what is not coded."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from support.tiny import make_coverage

from forecast.panel.treaties import DESIGN_ITEMS, latent_depth
from forecast.panel.world import build_world
from forecast.sources.checking import validate


def simulated(seed, treaties=300, items=6):
    """Treaties of known depth and the provisions that they have."""
    rng = np.random.default_rng(seed)
    depth = rng.standard_normal(treaties)
    slope, level = rng.uniform(1, 2.5, items), rng.uniform(-2.5, 0, items)
    chance = 1 / (1 + np.exp(-(slope * depth[:, None] + level)))
    return (rng.random(chance.shape) < chance).astype(float), depth


def test_recovers_the_order_of_known_depths():
    items, depth = simulated(1)
    found = latent_depth(items)
    assert np.corrcoef(found, depth)[0, 1] > 0.7
    assert found.mean() == pytest.approx(0, abs=1e-9) and found.std() == pytest.approx(1)


def test_is_the_posterior_mean_at_the_mode_of_the_penalised_likelihood():
    """Against scipy: a general optimiser, and adaptive quadrature for θ."""
    items, _ = simulated(2, treaties=120, items=4)
    items[:15, 1] = np.nan
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()

    def log_joint(theta, a, b):
        linear = a * theta[:, None, None] + b
        logs = np.where(items == 1, -np.logaddexp(0, -linear), -np.logaddexp(0, linear))
        return np.where(np.isnan(items), 0, logs).sum(axis=2)  # (node, treaty)

    def loss(x):
        a, b = x[:4], x[4:]
        marginal = (np.exp(log_joint(nodes, a, b)) * weights[:, None]).sum(axis=0)
        return -np.log(marginal).sum() + ((a - 1) ** 2).sum() / 2 + (b**2).sum() / 18

    best = minimize(loss, np.r_[np.ones(4), np.zeros(4)], method="BFGS", options={"gtol": 1e-6})
    a, b = best.x[:4], best.x[4:]

    def mean(row):
        def density(theta):
            linear = a * theta + b
            p = np.where(row == 1, 1 / (1 + np.exp(-linear)), 1 / (1 + np.exp(linear)))
            return np.where(np.isnan(row), 1, p).prod() * np.exp(-(theta**2) / 2)

        return quad(lambda t: t * density(t), -8, 8)[0] / quad(density, -8, 8)[0]

    theta = np.array([mean(row) for row in items])
    expected = (theta - theta.mean()) / theta.std()
    np.testing.assert_allclose(latent_depth(items, tolerance=1e-9), expected, atol=2e-4)


@given(seed=st.integers(0, 10**9))
@settings(max_examples=10, deadline=None)
def test_more_provisions_are_deeper_and_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    items, _ = simulated(seed, treaties=60)
    found = latent_depth(items)
    one = items.copy()
    at = rng.integers(len(items))
    # Two treaties that differ in one provision: the one that has it is deeper.
    row = items[at]
    bare = np.flatnonzero((items <= row).all(axis=1) & (items < row).any(axis=1))
    assert (found[bare] < found[at]).all()
    same = (items == row).all(axis=1)
    np.testing.assert_allclose(found[same], found[at])
    order, columns = rng.permutation(len(items)), rng.permutation(items.shape[1])
    turned = latent_depth(one[order][:, columns])
    np.testing.assert_allclose(turned, found[order], atol=1e-4)
    assert np.isfinite(found).all()


def test_what_is_not_coded_says_nothing():
    items, _ = simulated(3, treaties=80)
    found = latent_depth(items)
    # A column that is never coded, or the same for all, changes nothing.
    for column in (np.nan, 0.0, 1.0):
        wider = np.column_stack([items, np.full(len(items), column)])
        np.testing.assert_allclose(latent_depth(wider), found, atol=1e-6)
    # A treaty without any coded provision has no depth, and does not change the others.
    longer = np.vstack([items, np.full(items.shape[1], np.nan)])
    again = latent_depth(longer)
    assert np.isnan(again[-1])
    np.testing.assert_allclose(again[:-1], found, atol=1e-6)


def test_a_provision_that_separates_perfectly_has_a_finite_depth():
    items = np.repeat([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], 20, axis=0)
    found = latent_depth(items)
    np.testing.assert_allclose(found[:20], 1)
    np.testing.assert_allclose(found[20:], -1)


def test_two_provisions_do_not_identify_a_factor():
    items, _ = simulated(4, items=2)
    assert np.isnan(latent_depth(items)).all()
    assert latent_depth(np.empty((0, 5))).shape == (0,)


def test_world_of_the_tiny_data(tiny_tables, tiny_world):
    design = tiny_world["treaty_design"]
    assert design["item"].to_numpy().tolist() == list(DESIGN_ITEMS)
    assert design.sel(treaty="north-pact").to_numpy()[:5].tolist() == [1, 1, 1, 1, 1]
    assert design.sel(treaty="eron-dara").to_numpy()[:5].tolist() == [0, 0, 1, 0, 0]
    assert np.isnan(design.isel(item=slice(5, None))).all()
    depth = tiny_world["treaty_latent_depth"]
    assert depth.sel(treaty="north-pact") > depth.sel(treaty="eron-dara")
    assert depth.sel(treaty="eron-dara") > depth.sel(treaty="bela-fyra")
    # With the table of treaty design: only one treaty is coded.
    table = pd.DataFrame(
        {
            "alliance_id": ["eron-dara"],
            "subordination": [1],
            "contribution": [pd.NA],
            "companion_agreements": [0],
        }
    ).astype(dict.fromkeys(("subordination", "contribution", "companion_agreements"), "Int64"))
    covered = replace(
        tiny_tables,
        extra={"treaty_design": validate("treaty_design", table)},
        coverage={**tiny_tables.coverage, "treaty_design": make_coverage()["alliances"]},
    )
    more = build_world(covered)["treaty_design"]
    np.testing.assert_array_equal(more.sel(treaty="eron-dara").to_numpy()[5:], [1, np.nan, 0])
    assert np.isnan(more.sel(treaty="north-pact").to_numpy()[5:]).all()


def test_embedded_treaties(tables):
    """Against a count of the provisions, and what everybody knows."""
    world = build_world(tables, first_year=2000, last_year=2001)
    depth = world["treaty_latent_depth"].to_series()
    count = world["treaty_depth"].to_series()
    assert depth.corr(count, method="spearman") > 0.95
    assert depth["nato"] > 2 and depth["nato"] >= depth["warsaw-pact"] > 1
    assert depth[count == 0].max() < depth[count > 0].min()
    # It does not depend on the years that are looked at.
    later = build_world(tables, first_year=2020, last_year=2021)["treaty_latent_depth"]
    assert later.to_series().equals(depth)
