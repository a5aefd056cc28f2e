"""Portfolio similarity against hand-worked numbers and other people's implementations."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score
from support.feature_worlds import (
    CONSULTATION,
    DEFENSE,
    NEUTRALITY,
    NONAGGRESSION,
    OFFENSE,
    Story,
    Treaty,
    random_world,
    value,
)

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import get_feature
from forecast.features.similarity import MEASURES, portfolios
from forecast.panel.world import build_world

seeds = st.integers(0, 10**9)
similarity = get_feature("portfolio_similarity")

#: 2 and 200 are allies; 200 has a non-aggression pact with 365, which owes 220 consultation.
FOUR = Story(
    (2000, 2000),
    {2: 0.4, 200: 0.3, 220: 0.2, 365: 0.1, 700: (0.5, 2010, 9999)},
    [
        Treaty("a", {2: DEFENSE, 200: DEFENSE}, 1990),
        Treaty("b", {200: NONAGGRESSION, 365: NONAGGRESSION}, 1990),
        Treaty("c", {220: (), 365: CONSULTATION}, 1990),
    ],
).world()
#: Rows of the portfolios over (2, 200, 220, 365); 700 is not there yet.
RANKS = np.array([[3, 3, 0, 0], [3, 3, 0, 2], [0, 0, 3, 1], [0, 2, 1, 3]])


def scott_pi(x, y):
    """Scott's π from its definition: categories, pooled shares, squared weights."""
    pooled = np.bincount(np.concatenate([x, y]), minlength=4) / (2 * len(x))
    cost = (np.arange(4)[:, None] - np.arange(4)) ** 2
    expected = (cost * pooled[:, None] * pooled).sum()
    return 1 - np.mean((x - y) ** 2) / expected if expected else np.nan


def independent(measure, x, y):
    if measure == "S":
        return 1 - 2 * np.abs(x - y).sum() / (3 * len(x))
    if measure == "pi":
        return scott_pi(x, y)
    constant = len(set(x)) == 1 and len(set(y)) == 1
    if measure == "kappa":
        same = constant and x[0] == y[0]
        return np.nan if same else cohen_kappa_score(x, y, labels=range(4), weights="quadratic")
    if len(set(x)) == 1 or len(set(y)) == 1:
        return np.nan
    return kendalltau(x, y, variant="b").statistic


def test_portfolios_of_four_states():
    found = portfolios(FOUR)[0]
    np.testing.assert_array_equal(found[:4, :4], RANKS)


def test_worked_by_hand():
    # 2 and 200: |differences| 0, 0, 0, 2 of at most 3 each, N = 4.
    assert value(FOUR, "portfolio_similarity", 2000, 2, 200) == pytest.approx(1 - 2 * 2 / 12)
    # 2 and 220: 3, 3, 3, 1.
    assert value(FOUR, "portfolio_similarity", 2000, 2, 220) == pytest.approx(1 - 2 * 10 / 12)
    # Weighted by capability: (0.4·3 + 0.3·3 + 0.2·3 + 0.1·1) / (3·1).
    weighted = value(FOUR, "portfolio_similarity", 2000, 2, 220, weighting="capability")
    assert weighted == pytest.approx(1 - 2 * 2.8 / 3)
    # Means 1.5 and 2, Σ(p−m)² 9 and 6, Σ(p−q)² 4: κ = 1 − 4/(9 + 6 + 4·0.25) = 0.75.
    kappa = value(FOUR, "portfolio_similarity", 2000, 2, 200, measure="kappa")
    assert kappa == pytest.approx(0.75)
    # π: pooled mean 1.75, pooled Σ(v−m)² = 15 + 8·0.0625 = 15.5, so 1 − 4/15.5.
    assert value(FOUR, "portfolio_similarity", 2000, 2, 200, measure="pi") == pytest.approx(
        1 - 4 / 15.5
    )
    # τ_b of (3,3,0,0) and (3,3,0,2): 4 concordant, 0 discordant; 4 and 5 untied pairs.
    assert value(FOUR, "portfolio_similarity", 2000, 2, 200, measure="tau_b") == pytest.approx(
        4 / np.sqrt(4 * 5)
    )


@pytest.mark.parametrize(
    ("terms", "rank"),
    [
        (CONSULTATION, 1),
        (NEUTRALITY, 2),
        (NONAGGRESSION, 2),
        (OFFENSE, 3),
        (DEFENSE + CONSULTATION, 3),
        ((), 0),
    ],
)
def test_rank_of_a_tie_is_that_of_its_strongest_class_either_way(terms, rank):
    world = Story((2000, 2000), {2: 0.5, 200: 0.5}, [Treaty("t", {2: (), 200: terms}, 1990)])
    found = portfolios(world.world())[0]
    assert found[0, 1] == found[1, 0] == rank
    assert found[0, 0] == found[1, 1] == 3


def check_year(world, year, rng=None, most=400):
    t = int(np.flatnonzero(world["year"].to_numpy() == year)[0])
    inside = np.flatnonzero(world["member"].to_numpy()[t])
    vectors = portfolios(world)[t][np.ix_(inside, inside)].astype(int)
    pairs = list(itertools.combinations(range(len(inside)), 2))
    if rng is not None and len(pairs) > most:
        pairs = [pairs[k] for k in rng.choice(len(pairs), most, replace=False)]
    for measure in MEASURES:
        found = similarity(world, measure=measure).to_numpy()[t]
        for a, b in pairs:
            expected = independent(measure, vectors[a], vectors[b])
            got = found[inside[a], inside[b]]
            np.testing.assert_allclose(got, expected, atol=2e-6, err_msg=f"{measure} {a} {b}")


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_random_years_against_scikit_learn_and_scipy(seed):
    world = random_world(seed, gaps=False)
    check_year(world, int(np.random.default_rng(seed).choice(world["year"])))


@pytest.mark.parametrize("year", [1955, 1990, 2015])
def test_real_years_against_scikit_learn_and_scipy(year, tables, rng):
    check_year(build_world(tables, first_year=year, last_year=year), year, rng, most=150)


@given(seed=seeds, measure=st.sampled_from(list(MEASURES)))
@settings(max_examples=15, deadline=None)
def test_bounds_symmetry_and_order_of_states(seed, measure):
    world = random_world(seed)
    found = similarity(world, measure=measure)
    values = found.to_numpy()
    known = ~np.isnan(values)
    assert (np.abs(values[known]) <= 1).all()
    np.testing.assert_array_equal(values, values.transpose(0, 2, 1))
    # The states in another order (codes and all) give the same values.
    order = np.random.default_rng(seed).permutation(world.sizes["state"])
    turned = similarity(world.isel(state=order, other=order), measure=measure)
    np.testing.assert_allclose(turned.to_numpy(), found.isel(state=order, other=order), atol=1e-6)
    # Two states with the same portfolio agree perfectly.
    ranks = portfolios(world)
    same = (ranks[:, :, None, :] == ranks[:, None, :, :]) | ~world["member"].to_numpy()[
        :, None, None, :
    ]
    identical = same.all(axis=3) & known
    np.testing.assert_allclose(values[identical], 1, atol=1e-6)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_weighted_by_equal_capabilities_is_unweighted(seed):
    world = random_world(seed, gaps=False)
    equal = world.assign(capability=world["capability"] * 0 + 0.1)
    # Everybody has a share: nobody's weight is zero.
    equal["capability"] = equal["capability"].where(~world["member"], 0.1)
    np.testing.assert_allclose(
        similarity(equal, weighting="capability"), similarity(world), atol=1e-6
    )


def test_missing_capabilities():
    world = FOUR.copy(deep=True)
    world["capability"][0, 3] = np.nan  # 365 is left out of the sum
    got = value(world, "portfolio_similarity", 2000, 2, 220, weighting="capability")
    assert got == pytest.approx(1 - 2 * (0.4 * 3 + 0.3 * 3 + 0.2 * 3) / (3 * 0.9))
    blind = FOUR.assign(capability_covered=FOUR["capability_covered"] & False)
    assert np.isnan(similarity(blind, weighting="capability")).all()
    assert np.isfinite(similarity(blind)).any()


def test_constant_portfolios_have_no_agreement_beyond_chance():
    everybody = Story((2000, 2000), {2: 0.5, 200: 0.5}, [Treaty("t", {2: DEFENSE, 200: ()}, 1990)])
    world = everybody.world()
    assert value(world, "portfolio_similarity", 2000, 2, 200) == 1
    for measure in ("pi", "kappa", "tau_b"):
        assert np.isnan(value(world, "portfolio_similarity", 2000, 2, 200, measure=measure))


def test_a_year_before_the_first_state_is_missing():
    early = Story((1999, 2000), {2: (0.5, 2000, 9999), 200: (0.5, 2000, 9999)}, []).world()
    for measure in MEASURES:
        found = similarity(early, measure=measure)
        assert np.isnan(found.sel(year=1999)).all()


def test_bad_options():
    with pytest.raises(UnknownNameError, match=r"'kapa'\. Did you mean 'kappa'"):
        similarity(FOUR, measure="kapa")
    with pytest.raises(ArgumentError, match="weighting must be 'none' or 'capability'"):
        similarity(FOUR, weighting="cinc")
    with pytest.raises(ArgumentError, match="is defined for measure='S', not 'pi'"):
        similarity(FOUR, measure="pi", weighting="capability")
