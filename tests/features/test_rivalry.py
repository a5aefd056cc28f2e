"""Rivals, and friends and enemies of a pair, by hand and against plain sets."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import DEFENSE, Story, Treaty, random_world, value

from forecast.errors import UnknownNameError
from forecast.features import get_feature

seeds = st.integers(0, 10**9)

#: 2 and 365 have two disputes in 1990–1995 and are on the list until 1994; 200 and 220 are on it.
TWO_KINDS = Story(
    (1980, 2005),
    dict.fromkeys((2, 200, 220, 365), 0.1),
    disputes=[(2, 365, 1990, 1990), (2, 365, 1995, 1996)],
    rivalries=[(2, 365, 1985, 1994), (200, 220, 1980, 1999)],
    covered={"rivalry": (1980, 1999)},
)


def series(story, name, *codes, **options):
    found = get_feature(name)(story.world(), **options)
    return found.sel(dict(zip(found.dims[1:], codes, strict=True))).to_series()


def test_strategic_rivals():
    found = series(TWO_KINDS, "rivalry", 2, 365, rivals="strategic")
    assert (found.loc[1985:1994] == 1).all() and (found.loc[1995:1999] == 0).all()
    assert found.loc[2000:].isna().all()  # past the list: missing, not peace


def test_rivals_by_disputes():
    found = series(TWO_KINDS, "rivalry", 2, 365, rivals="disputes")
    assert found.loc[:1988].isna().all()  # less than half of twenty years
    assert (found.loc[1989:1994] == 0).all() and (found.loc[1995:] == 1).all()
    shorter = series(TWO_KINDS, "rivalry", 2, 365, rivals="disputes", rival_window=5)
    assert (shorter.loc[1984:] == 0).all()
    one = series(TWO_KINDS, "rivalry", 2, 365, rivals="disputes", rival_onsets=1, rival_window=5)
    assert one[one == 1].index.tolist() == [*range(1990, 2000)]


def test_the_list_where_it_reaches_and_disputes_after_it():
    found = series(TWO_KINDS, "rivalry", 2, 365)
    assert found[found == 1].index.tolist() == [*range(1985, 1995), *range(2000, 2006)]
    assert found.notna().all()
    other = series(TWO_KINDS, "rivalry", 200, 220)
    assert other[other == 1].index.tolist() == [*range(1980, 2000)]
    assert value(TWO_KINDS.world(), "rival_count", 1990, 2) == 1
    assert value(TWO_KINDS.world(), "rival_count", 1996, 2) == 0


def test_without_a_list():
    bare = Story(TWO_KINDS.years, TWO_KINDS.states, disputes=TWO_KINDS.disputes)
    auto, by_disputes = (
        series(bare, "rivalry", 2, 365, rivals=rivals) for rivals in ("auto", "disputes")
    )
    assert auto.equals(by_disputes)
    assert series(bare, "rivalry", 2, 365, rivals="strategic").isna().all()
    balance = get_feature("structural_balance")
    assert np.isnan(balance(bare.world(), rivals="strategic")).all()
    xr.testing.assert_equal(balance(bare.world()), balance(bare.world(), rivals="disputes"))


def test_features_of_rivals_follow_the_option():
    story = Story(
        (2000, 2010),
        {2: 0.4, 200: 0.3, 220: 0.2, 365: 0.1},
        [
            Treaty("a", {2: DEFENSE, 200: DEFENSE}, 1990),
            Treaty("n", {220: DEFENSE, 365: DEFENSE}, 2008),
        ],
        rivalries=[(200, 365, 2000, 2010)],
    )
    world = story.world()
    # 2 must defend 200, whose rival 365 has a quarter of 2's capability.
    assert value(world, "overextension", 2010, 2) == pytest.approx(0.25)
    assert value(world, "overextension", 2010, 2, rivals="disputes") == 0
    assert value(world, "rival_expansion", 2010, 200) == 1
    assert value(world, "rival_expansion", 2010, 200, rivals="disputes") == 0
    assert value(world, "rival_expansion_capability", 2010, 200) == pytest.approx(0.2)


#: 2–200 allies, 2–220 allies, 200 and 365 disputed in 2000, 220 and 365 are listed rivals.
TRIANGLES = Story(
    (1998, 2010),
    dict.fromkeys((2, 200, 220, 365, 700), 0.1),
    [Treaty("a", {2: DEFENSE, 200: DEFENSE}, 1990), Treaty("b", {2: DEFENSE, 220: ()}, 1990)],
    disputes=[(200, 365, 2000, 2000)],
    rivalries=[(220, 365, 1998, 2003)],
)


def test_third_states_by_hand():
    world = TRIANGLES.world()

    def number(year, a, b, which, **options):
        return value(world, "structural_balance", year, a, b, which=which, **options)

    # 2's allies 200 and 220 are enemies of 365.
    assert number(2003, 2, 365, "ally_enemy") == 2
    assert number(2003, 365, 2, "ally_enemy") == 2
    assert number(2003, 2, 365, "ally_enemy", rivals="disputes") == 1
    assert number(2003, 2, 365, "ally_enemy", rivals="strategic") == 1
    # The dispute of 2000 is remembered for five years, the rivalry of 2003 until 2007.
    assert number(2004, 2, 365, "ally_enemy") == 2
    assert number(2005, 2, 365, "ally_enemy") == 1
    assert number(2005, 2, 365, "ally_enemy", window=6) == 2
    assert number(2008, 2, 365, "ally_enemy") == 0
    # 365 is an enemy of both, 2 an ally of both.
    assert number(2003, 200, 220, "enemy_enemy") == 1
    assert number(2003, 200, 220, "ally_ally") == 1
    assert number(2003, 200, 220, "ally_enemy") == 0
    assert number(2003, 2, 700, "ally_enemy") == 0


def test_an_ally_that_is_an_enemy_is_no_friend():
    story = Story(
        (1990, 2010),
        dict.fromkeys((2, 350, 640), 0.1),
        [Treaty("nato", dict.fromkeys((2, 350, 640), DEFENSE), 1952)],
        disputes=[(350, 640, 2000, 2000)],
    )
    world = story.world()
    assert value(world, "structural_balance", 1999, 2, 350, which="ally_ally") == 1
    assert value(world, "structural_balance", 2001, 2, 350, which="ally_ally") == 0
    assert value(world, "structural_balance", 2001, 2, 350) == 1
    assert value(world, "structural_balance", 2001, 350, 640, which="ally_ally") == 1


@given(seed=seeds, window=st.sampled_from([1, 3, 5]))
@settings(max_examples=10, deadline=None)
def test_against_sets(seed, window):
    world = random_world(seed, first=1991, gaps=False)  # no year of relabelling
    owes = world["obligations"].sel(obligation="defense").to_numpy()
    dispute, listed = world["dispute"].to_numpy(), world["rivalry"].to_numpy()
    covered = world["rivalry_covered"].to_numpy()
    member = world["member"].to_numpy()
    found = {
        which: get_feature("structural_balance")(world, which=which, window=window).to_numpy()
        for which in ("ally_enemy", "enemy_enemy", "ally_ally")
    }
    y = int(np.random.default_rng(seed).integers(window, world.sizes["year"]))
    n = range(world.sizes["state"])
    assert covered.all()

    def hostile(i, j):
        low = max(0, y - window + 1)
        while low <= y and not (member[low : y + 1, i] & member[low : y + 1, j]).all():
            low += 1
        return bool((dispute | listed)[low : y + 1, i, j].any())

    enemies = {i: {j for j in n if j != i and hostile(i, j)} for i in n}
    friends = {i: {j for j in n if owes[y, i, j] or owes[y, j, i]} - enemies[i] for i in n}
    for i in n:
        for j in n:
            if i == j or not (member[y, i] and member[y, j]):
                continue
            mixed = (friends[i] & enemies[j]) | (enemies[i] & friends[j])
            assert found["ally_enemy"][y, i, j] == len(mixed)
            assert found["enemy_enemy"][y, i, j] == len(enemies[i] & enemies[j])
            assert found["ally_ally"][y, i, j] == len(friends[i] & friends[j])


def test_bad_options():
    world = TRIANGLES.world()
    with pytest.raises(UnknownNameError, match="'strategik'"):
        get_feature("rivalry")(world, rivals="strategik")
    with pytest.raises(UnknownNameError, match="'strategik'"):
        get_feature("structural_balance")(world, rivals="strategik")
    with pytest.raises(UnknownNameError, match="'allies'"):
        get_feature("structural_balance")(world, which="allies")
