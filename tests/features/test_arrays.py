"""The best of several treaties between two states, and the depth features that use it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import CODES, DEFENSE, OFFENSE, Story, Treaty, random_world, value

from forecast.features import arrays, get_feature

seeds = st.integers(0, 10**9)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_best_tie_against_loops(seed):
    world = random_world(seed, treaties=6)
    rng = np.random.default_rng(seed)
    score = np.where(rng.random(6) < 0.2, np.nan, rng.integers(-2, 3, 6))
    found = arrays.best_tie(world, score)
    member = world["treaty_member"].to_numpy()
    pledge = world["treaty_pledge"].sel(obligation="defense").to_numpy()
    owes = world["obligations"].sel(obligation="defense").to_numpy()
    n = range(len(CODES))
    for s in range(len(member)):
        for i in n:
            for k in n:
                scores = [
                    score[p]
                    for p in range(6)
                    if member[s, p, i] and pledge[s, p, k] and owes[s, k, i]
                    if not np.isnan(score[p])
                ]
                expected = max(scores, default=np.nan)
                np.testing.assert_equal(float(found[s, i, k]), float(expected))


def test_mean_over_defenders():
    world = Story((2000, 2000), dict.fromkeys((2, 3, 5), 0.1)).world()
    values = np.full((1, 3, 3), np.nan)
    values[0, 0, 1], values[0, 0, 2], values[0, 1, 0] = -2.0, 1.0, 0.0
    np.testing.assert_allclose(arrays.mean_over_defenders(world, values), [[-0.5, 0, np.nan]])


DEEP = Story(
    (1985, 1995),
    dict.fromkeys((2, 200, 255, 260, 365, 700), 0.1)
    | {255: (0.1, 1990, 9999), 260: (0.1, 1900, 1990)},
    [
        Treaty("nato", dict.fromkeys((2, 200, 255, 260), DEFENSE), 1955, latent=2.5),
        Treaty("old", {2: DEFENSE, 200: DEFENSE}, 1950, latent=-0.5),
        Treaty("guarantee", {2: DEFENSE, 365: ()}, 1980, latent=0.5),
        Treaty("attack", {200: OFFENSE, 700: OFFENSE}, 1980, latent=3.0),
        Treaty("secret", {365: DEFENSE, 700: ()}, 1980, latent=np.nan),
    ],
)


def test_treaty_depth():
    world = DEEP.world()
    assert value(world, "treaty_depth", 1986, 2) == 2.5  # the deeper of two with 200
    assert value(world, "treaty_depth", 1986, 365) == 0.5
    assert np.isnan(value(world, "treaty_depth", 1986, 700))  # not coded; offence is no defence
    assert value(world, "treaty_depth_in_dyad", 1986, 2, 200) == 2.5
    # One-sided: a tie of the dyad all the same.
    assert value(world, "treaty_depth_in_dyad", 1986, 2, 365) == 0.5
    assert value(world, "treaty_depth_in_dyad", 1986, 365, 2) == 0.5
    assert np.isnan(value(world, "treaty_depth_in_dyad", 1986, 200, 365))
    # In the year of the relabelling Germany is one ally.
    for year in (1989, 1990, 1991):
        assert value(world, "treaty_depth", year, 200) == 2.5


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_depth_follows_the_scale_of_the_factor(seed):
    world = random_world(seed)
    turned = world.assign(treaty_latent_depth=3 * world["treaty_latent_depth"] - 1)
    for name in ("treaty_depth", "treaty_depth_in_dyad"):
        one = get_feature(name)(world).to_numpy()
        np.testing.assert_allclose(get_feature(name)(turned), 3 * one - 1, atol=1e-4)


def test_depth_of_real_alliances(tables):
    from forecast.panel.world import build_world

    world = build_world(tables, first_year=1985, last_year=1990)
    deepest = value(world, "treaty_depth_in_dyad", 1986, 2, 200)
    nato = float(world["treaty_latent_depth"].sel(treaty="nato"))
    assert deepest == pytest.approx(nato) and nato > 2
    assert np.isnan(value(world, "treaty_depth_in_dyad", 1986, 2, 365))
