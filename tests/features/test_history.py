"""Fading histories, quiet years, third states' disputes, old and new pacts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import DEFENSE, Story, Treaty, random_world, value

from forecast.errors import ArgumentError
from forecast.features import arrays, get_feature, successions

seeds = st.integers(0, 10**9)
few = settings(max_examples=15, deadline=None)
HALF_LIVES = (0.5, 1.0, 3.0, 8.0, 20.0)
YEARS = (1990, 1999)


def test_an_onset_halves_with_the_half_life():
    world = Story(YEARS, dict.fromkeys((1, 2, 3), 0.1), disputes=[(1, 2, 1992, 1993)]).world()
    for year, expected in ((1991, 0.0), (1992, 1.0), (1994, 0.5), (1998, 0.125)):
        assert value(world, "disputes_decayed", year, 1, 2, half_life=2) == pytest.approx(expected)
        assert value(world, "state_disputes_decayed", year, 2, half_life=2) == pytest.approx(
            expected
        )
        assert value(world, "disputes_decayed", year, 1, 3, half_life=2) == 0
    other = lambda *pair: value(world, "other_disputes_decayed", 1994, *pair, half_life=2)  # noqa: E731
    assert other(1, 2) == pytest.approx(0) and other(1, 3) == pytest.approx(0.5)
    assert other(3, 1) == 0
    # 1994, half-life 1: weights 1, 1/2, 1/4 … of 1994, 1993, 1992 …, three states in each year.
    shares = 0.5 ** np.arange(5)
    assert value(world, "system_disputes_decayed", 1994, half_life=1) == pytest.approx(
        100 * shares[2] / (3 * shares.sum())
    )


def test_years_of_peace_and_age_of_a_state():
    lives = {1: (0.1, 1950, 9999), 2: (0.1, 1993, 9999), 3: (0.1, 1950, 9999)}
    world = Story(YEARS, lives, disputes=[(1, 2, 1995, 1996)]).world()
    peace = [value(world, "state_peace_years", year, 1) for year in range(1990, 2000)]
    assert peace == [0, 1, 2, 3, 4, 0, 0, 1, 2, 3]
    assert [value(world, "state_age", year, 2) for year in (1993, 1999)] == [0, 6]
    assert np.isnan(value(world, "state_age", 1992, 2))
    assert value(world, "state_age", 1999, 1, cap=40) == 40
    assert value(world, "long_peace", 1998, 1, 2, years=2) == 0
    assert value(world, "long_peace", 1999, 1, 2, years=2) == 1


def test_united_germany_is_as_old_as_the_federal_republic():
    lives = {255: (0.1, 1990, 9999), 260: (0.1, 1955, 1990), 2: 0.2}
    world = Story(YEARS, lives).world()
    assert value(world, "state_age", 1992, 255) == 37


def test_disputes_of_neighbours_and_rivals():
    # 1 borders 2 and 3; 2 fights 4, 3 fights 1.
    world = Story(
        YEARS,
        dict.fromkeys((1, 2, 3, 4), 0.1),
        borders={(1, 2): 1, (1, 3): 1, (2, 4): 2},
        disputes=[(2, 4, 1995, 1995), (1, 3, 1995, 1995)],
        rivalries=[(1, 2, 1990, 1999)],
    ).world()
    for name in ("neighbour_disputes", "rival_disputes"):
        got = {k: value(world, name, 1995, 1, k) for k in (2, 3, 4)}
        # 2's fight counts for 1 unless 2 is the opponent; 3's, with 1 itself, never does.
        assert got == {2: 0, 3: 1, 4: 1}, name
        assert value(world, name, 1998, 1, 4) == pytest.approx(0.5), name
    assert value(world, "neighbour_disputes", 1995, 4, 1) == 0  # water is no land border


def test_new_and_established_pacts():
    pacts = [
        Treaty("old", dict.fromkeys((1, 2), DEFENSE), 1980),
        Treaty("new", dict.fromkeys((1, 2, 3), DEFENSE), 1993),
    ]
    world = Story(YEARS, dict.fromkeys((1, 2, 3, 4), 0.1), pacts).world()
    at = lambda name, year, *codes: value(world, name, year, *codes, window=5)  # noqa: E731
    assert (at("established_pact_in_dyad", 1995, 1, 2), at("new_pact_in_dyad", 1995, 1, 2)) == (
        1,
        0,
    )
    assert (at("established_pact_in_dyad", 1995, 1, 3), at("new_pact_in_dyad", 1995, 1, 3)) == (
        0,
        1,
    )
    assert [at("established_pact_in_dyad", year, 1, 3) for year in (1997, 1998)] == [0, 1]
    # Against 2, state 1 has 3 alone outside: new. Against 4 it has both.
    assert (
        at("outside_established_defense", 1995, 1, 2),
        at("outside_new_defense", 1995, 1, 2),
    ) == (0, 1)
    assert (
        at("outside_established_defense", 1995, 1, 4),
        at("outside_new_defense", 1995, 1, 4),
    ) == (1, 1)
    assert (at("established_pact", 1995, 1), at("established_pact", 1995, 3)) == (1, 0)


@given(seed=seeds, half_life=st.sampled_from(HALF_LIVES))
@few
def test_decayed_counts_against_their_definition(seed, half_life):
    world = random_world(seed).assign_attrs(succession="restart")  # that of each code
    years, member = world["year"].to_numpy(), world["member"].to_numpy()
    covered, entry = world["conflict_covered"].to_numpy(), world["entry_year"].to_numpy()
    onset = world["onset"].to_numpy()
    count = world["dispute_onset_count"].to_numpy()
    pair = get_feature("disputes_decayed")(world, half_life=half_life).to_numpy()
    state = get_feature("state_disputes_decayed")(world, half_life=half_life).to_numpy()
    rng = np.random.default_rng(seed)
    for _ in range(40):
        t = int(rng.choice(np.flatnonzero(covered)))
        i, j = rng.choice(len(world["state"]), 2, replace=False)
        weight = [0.5 ** ((years[t] - years[u]) / half_life) for u in range(t + 1)]
        of_i = sum(
            weight[u] * count[u, i]
            for u in range(t + 1)
            if covered[u]
            and member[t, i]
            and member[u : t + 1, i].all()
            and years[u] >= entry[t, i]
        )
        both = member[:, i] & member[:, j]
        since = max(entry[t, i], entry[t, j])
        of_pair = sum(
            weight[u] * onset[u, i, j]
            for u in range(t + 1)
            if covered[u] and both[u : t + 1].all() and years[u] >= since
        )
        assert state[t, i] == pytest.approx(of_i, rel=1e-5, abs=1e-6)
        assert pair[t, i, j] == pytest.approx(of_pair, rel=1e-5, abs=1e-6)


@given(seed=seeds)
@few
def test_long_half_lives_count_and_short_ones_forget(seed):
    world = random_world(seed).assign_attrs(succession="restart")
    total = get_feature("disputes_total")(world).to_numpy()
    forever = get_feature("disputes_decayed")(world, half_life=1e7).to_numpy()
    np.testing.assert_allclose(forever, total, rtol=1e-4)
    now = get_feature("disputes_decayed")(world, half_life=0.01).to_numpy()
    began = world["onset"].to_numpy() & world["member"].to_numpy()[:, :, None]
    np.testing.assert_allclose(now[~np.isnan(now)], began[~np.isnan(now)], atol=1e-6)


@given(seed=seeds)
@few
def test_third_states_against_loops(seed):
    world = random_world(seed, years=8)
    own = get_feature("disputes_decayed")(world, half_life=3.0).to_numpy().astype(float)
    level = get_feature("state_disputes_decayed")(world, half_life=3.0).to_numpy().astype(float)
    found = get_feature("neighbour_disputes")(world, half_life=3.0).to_numpy()
    border = successions.count_once(world["contiguity"].to_numpy() == 1, world)
    n = range(found.shape[1])
    for t, i, j in np.argwhere(~np.isnan(found)):
        expected = sum(max(level[t, k] - own[t, i, k], 0) for k in n if k != j and border[t, i, k])
        assert found[t, i, j] == pytest.approx(expected, rel=1e-4, abs=1e-4)


@given(seed=seeds)
@few
def test_disputes_with_the_allies_of_the_other_against_loops(seed):
    world = random_world(seed, years=8)
    own = get_feature("disputes_decayed")(world, half_life=3.0).to_numpy().astype(float)
    found = get_feature("disputes_with_allies")(world, half_life=3.0).to_numpy()
    ally = successions.count_once(arrays.allied(world), world)
    for t, i, j in np.argwhere(~np.isnan(found)):
        expected = sum(own[t, i, k] for k in range(found.shape[1]) if ally[t, j, k] and k != i)
        assert found[t, i, j] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(seed=seeds, window=st.sampled_from([1, 3, 8]))
@few
def test_old_and_new_ties_are_all_ties(seed, window):
    world = random_world(seed)
    either = get_feature("pact_in_dyad")(world).to_numpy()
    old = get_feature("established_pact_in_dyad")(world, window=window).to_numpy()
    new = get_feature("new_pact_in_dyad")(world, window=window).to_numpy()
    relabelled = np.isin(world["year"].to_numpy(), [1990])  # both codes hold in it: counted once
    known = ~np.isnan(either) & ~relabelled[:, None, None]
    np.testing.assert_array_equal((old + new)[known], either[known])
    outside = get_feature("outside_defense")(world).to_numpy()
    parts = [
        get_feature(f"outside_{kind}_defense")(world, window=window).to_numpy()
        for kind in ("established", "new")
    ]
    some = ~np.isnan(outside)
    np.testing.assert_array_equal(np.maximum(*parts)[some], outside[some])


@pytest.mark.parametrize("half_life", [0, -1.0, float("inf"), True, "8"])
def test_a_half_life_is_a_positive_number(half_life):
    world = random_world(1, years=4)
    with pytest.raises(ArgumentError, match="half_life"):
        get_feature("disputes_decayed")(world, half_life=half_life)


def test_other_options_are_checked():
    world = random_world(1, years=4)
    with pytest.raises(ArgumentError, match="years"):
        get_feature("long_peace")(world, years=-1)
    with pytest.raises(ArgumentError, match="cap"):
        get_feature("state_age")(world, cap=0)
