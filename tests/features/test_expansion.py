"""Expansion by hand: who counts as gained or lost, and who is only relabelled."""

from math import isnan

import numpy as np
import pytest
from support.feature_worlds import DEFENSE, Story, Treaty, value

from forecast.errors import ArgumentError
from forecast.features import arrays, get_feature, successions, treaty_features
from forecast.features.needs import known_years
from forecast.features.registry import registered_features

YEARS = (1980, 2000)


def test_gains_and_losses_in_windows():
    treaties = [
        Treaty("old", {1: DEFENSE, 2: DEFENSE, 3: (1992, 9999, DEFENSE)}, 1970),
        Treaty("over", {1: DEFENSE, 4: DEFENSE}, 1970, 1992),
    ]
    world = Story(YEARS, {1: 0.1, 2: 0.2, 3: 0.05, 4: 0.07}, treaties).world()
    for year, gained in ((1991, 0), (1992, 1), (1996, 1), (1997, 0)):
        assert value(world, "own_expansion", year, 1) == gained
        assert value(world, "own_expansion_capability", year, 1) == pytest.approx(0.05 * gained)
    assert value(world, "own_expansion", 1992, 1, window=1) == 1
    assert value(world, "own_expansion", 1993, 1, window=1) == 0
    assert value(world, "own_expansion", 2000, 1, window=10) == 1
    assert value(world, "own_expansion", 1993, 3) == 2  # the newcomer gains both
    # `over` holds in 1992, its last year: the loss shows from 1993.
    for year, lost in ((1992, 0), (1993, 1), (1997, 1), (1998, 0)):
        assert value(world, "own_contraction", year, 1) == lost
        assert value(world, "own_contraction_capability", year, 1) == pytest.approx(0.07 * lost)


def test_window_before_coverage_is_missing():
    world = Story(YEARS, {1: 0.1, 2: 0.2}, [Treaty("t", {1: DEFENSE, 2: DEFENSE}, 1970)]).world()
    assert isnan(value(world, "own_expansion", 1984, 1))
    assert value(world, "own_expansion", 1985, 1) == 0
    assert isnan(value(world, "own_expansion", 1989, 1, window=10))
    assert isnan(value(world, "mutual_expansion", 1984, 1, 2))
    # A treaty's first year is known, also before coverage.
    assert value(world, "new_pact", 1980, 1) == 0
    late = Story(
        YEARS,
        {1: 0.1, 2: 0.2},
        [Treaty("t", {1: DEFENSE, 2: DEFENSE}, 1978)],
        covered={"obligation": (1982, 1995)},
    ).world()
    assert isnan(value(late, "new_pact", 1981, 1))
    assert value(late, "new_pact", 1982, 1) == 1
    assert isnan(value(late, "own_expansion", 1986, 1))
    assert value(late, "own_expansion", 1987, 1) == 0
    assert isnan(value(late, "own_expansion", 1996, 1))


def test_ways_of_expansion():
    treaties = [
        Treaty("old", {1: DEFENSE, 2: (1992, 9999, DEFENSE), 4: (1993, 9999, DEFENSE)}, 1970),
        Treaty("new", {1: DEFENSE, 3: DEFENSE}, 1993),
        # 2 is in a second, new treaty as well: an old treaty binds it, so it is an accession.
        Treaty("second", {1: DEFENSE, 2: DEFENSE}, 1993),
    ]
    states = {1: 0.1, 2: 0.1, 3: 0.1, 4: (0.1, 1991, 9999)}
    world = Story(YEARS, states, treaties).world()
    assert value(world, "own_expansion", 1994, 1) == 3
    assert value(world, "expansion_by_accession", 1994, 1) == 1
    assert value(world, "expansion_by_formation", 1994, 1) == 1
    assert value(world, "expansion_by_succession", 1994, 1) == 1
    # 4 was born in 1991: in a window of one year it is an accession.
    assert value(world, "expansion_by_accession", 1993, 1, window=1) == 1
    assert value(world, "expansion_by_succession", 1993, 1, window=1) == 0
    assert value(world, "new_pact", 1997, 1) == 1
    assert value(world, "new_pact", 1998, 1) == 0
    assert value(world, "new_pact", 1994, 4) == 0


def test_w_years_ago_is_before_the_window():
    """A treaty or state of s − w was there when the window began: neither is new."""
    treaty = Treaty("t", {1: DEFENSE, 2: (1994, 9999, DEFENSE)}, 1989)
    for born, way in ((1989, "accession"), (1990, "succession")):
        world = Story(YEARS, {1: 0.1, 2: (0.1, born, 9999)}, [treaty]).world()
        assert value(world, f"expansion_by_{way}", 1994, 1) == 1
    young = Treaty("t", {1: DEFENSE, 2: (1994, 9999, DEFENSE)}, 1990)
    world = Story(YEARS, {1: 0.1, 2: 0.1}, [young]).world()
    assert value(world, "expansion_by_formation", 1994, 1) == 1


def test_rivals_frontier_mutual():
    treaties = [
        Treaty("west", {1: DEFENSE, 2: DEFENSE, 3: (1995, 9999, DEFENSE)}, 1970),
        Treaty("east", {5: DEFENSE, 6: (1996, 9999, DEFENSE)}, 1970),
        Treaty("own", {5: DEFENSE, 3: (1999, 9999, DEFENSE)}, 1970),
    ]
    states = {1: 0.1, 2: 0.1, 3: 0.04, 5: 0.1, 6: 0.1}
    story = Story(
        YEARS,
        states,
        treaties,
        borders={(3, 5): 1, (2, 5): 3, (6, 1): 2},
        disputes=[(1, 5, 1982, 1982), (1, 5, 1990, 1991)],
    )
    world = story.world()
    # Rivals from the second dispute on: 1 gained 3 in 1995.
    assert value(world, "rival_expansion", 1994, 5) == 0
    assert value(world, "rival_expansion", 1995, 5) == 1
    assert value(world, "rival_expansion_capability", 1995, 5) == pytest.approx(0.04)
    assert value(world, "rival_expansion", 1995, 6) == 0
    assert value(world, "rival_expansion", 1995, 5, rival_onsets=3) == 0
    assert value(world, "rival_expansion", 1995, 5, rival_window=10) == 0  # 1982 is too long ago
    # 3 joined the alliances of 1 and is at the land border of 5, until 3 is 5's ally too.
    assert value(world, "frontier_expansion", 1996, 5, 1) == 1
    assert value(world, "frontier_expansion_capability", 1996, 5, 1) == pytest.approx(0.04)
    assert value(world, "frontier_expansion", 1999, 5, 1) == 0
    assert value(world, "frontier_expansion", 1996, 1, 5) == 0  # 6 is across the water
    assert value(world, "mutual_expansion", 1995, 1, 5) == 0
    assert value(world, "mutual_expansion", 1996, 1, 5) == 1
    assert value(world, "mutual_expansion", 1996, 5, 1) == 1
    # Of twenty years at least ten must be covered: missing before 1989.
    assert isnan(value(world, "rival_expansion", 1988, 5))
    assert value(world, "rival_expansion", 1989, 5) == 0


def germany():
    """NATO's France and United States, and the Federal Republic before and after 1990."""
    nato = Treaty(
        "nato",
        {
            2: DEFENSE,
            220: DEFENSE,
            260: (1955, 1990, DEFENSE),
            255: (1990, 9999, DEFENSE),
        },
        1949,
    )
    states = {
        2: 0.2,
        220: 0.05,
        260: (0.04, 1955, 1990),
        255: (0.05, 1990, 9999),
        265: (0.01, 1954, 1990),
        365: 0.1,
    }
    warsaw = Treaty("warsaw", {365: DEFENSE, 265: (1955, 1990, DEFENSE)}, 1955, 1991)
    return Story(YEARS, states, [nato, warsaw], borders={(255, 220): 1, (260, 220): 1}).world()


def test_german_unification_is_no_expansion():
    world = germany()
    names = (
        "own_expansion",
        "own_contraction",
        "own_contraction_capability",
        "expansion_by_succession",
    )
    for window in (1, 3, 5, 10):
        for name in names:
            found = get_feature(name)(world, window=window).sel(year=slice(1980 + window, None))
            assert (found.sel(state=[2, 220]) == 0).all(), (name, window)
            assert (found.sel(state=255, year=slice(1990, None)) == 0).all(), (name, window)
    # Germany is one ally in 1990, with what the unified state has; not two.
    assert value(world, "external_share", 1989, 220) == pytest.approx(0.24 / 0.29)
    assert value(world, "external_share", 1990, 220) == pytest.approx(0.25 / 0.30)
    assert value(world, "external_share", 1991, 220) == pytest.approx(0.25 / 0.30)
    assert value(world, "outside_allies", 1990, 220, 365) == 2
    assert value(world, "external_share", 1990, 260) == pytest.approx(0.25 / 0.29)
    assert value(world, "external_share", 1990, 255) == pytest.approx(0.25 / 0.30)
    shares = np.array([0.2, 0.05, 0.05]) / 0.3
    assert value(world, "within_pact_concentration", 1990, 2) == pytest.approx((shares**2).sum())
    # The Soviet Union did lose the GDR, which was absorbed and left its alliance.
    assert value(world, "own_contraction", 1991, 365) == 1
    assert value(world, "own_contraction_capability", 1991, 365) == pytest.approx(0.01)
    found = treaty_features(world)
    assert (found["expansion"].sel(treaty="nato", year=slice(1985, 2000)) == 0).all()
    assert float(found["size"].sel(treaty="nato", year=1990)) == pytest.approx(np.log(3))


def test_yemeni_unification_is_no_expansion_and_no_loss():
    league = Treaty(
        "league",
        {
            651: DEFENSE,
            678: (1945, 1990, DEFENSE),
            680: (1967, 1990, DEFENSE),
            679: (1990, 9999, DEFENSE),
        },
        1950,
    )
    states = {
        651: 0.1,
        678: (0.01, 1926, 1990),
        679: (0.02, 1990, 9999),
        680: (0.01, 1967, 1990),
    }
    world = Story(YEARS, states, [league]).world()
    for year in range(1985, 2001):
        assert value(world, "own_expansion", year, 651) == 0
        assert value(world, "own_contraction", year, 651) == 0
    assert value(world, "external_share", 1990, 651) == pytest.approx(0.02 / 0.12)


def test_breakaway_state_is_an_expansion_by_succession():
    pact = Treaty("pact", {1: DEFENSE, 316: DEFENSE, 315: (1980, 1992, DEFENSE)}, 1980)
    states = {1: 0.1, 315: (0.02, 1918, 1992), 316: (0.01, 1993, 9999)}
    world = Story(YEARS, states, [pact]).world()
    assert value(world, "own_expansion", 1993, 1) == 1
    assert value(world, "expansion_by_succession", 1993, 1) == 1
    assert value(world, "own_contraction", 1993, 1) == 1


def test_new_treaty_of_a_relabelled_state_is_a_formation():
    pact = Treaty("pact", {1: DEFENSE, 255: DEFENSE}, 1992)
    states = {1: 0.1, 255: (0.05, 1990, 9999), 260: (0.05, 1955, 1990)}
    world = Story(YEARS, states, [pact]).world()
    assert value(world, "expansion_by_formation", 1993, 1) == 1
    assert value(world, "expansion_by_succession", 1993, 1) == 0


def test_table_of_successions_gives_reasons():
    for change in successions.SUCCESSIONS:
        assert len(change.reason) > 40
        assert change.predecessor != change.successor
    world = germany()
    assert (arrays.defenders(world)[:, range(6), range(6)] == 0).all()


@pytest.mark.parametrize("window", [0, -1, 2.5, True, "5"])
def test_bad_window(window):
    world = germany()
    for feature in registered_features():
        for option in feature.options:
            if "window" in option and known_years(world, feature.needs).any():
                with pytest.raises(ArgumentError, match=rf"window must be .* found {window!r}"):
                    feature(world, **{option: window})


def test_window_longer_than_the_world_is_missing():
    world = germany()
    found = value(world, "own_expansion", 2000, 2, window=50)
    assert isnan(found)
    assert isnan(value(world, "own_contraction_capability", 2000, 2, window=50))
