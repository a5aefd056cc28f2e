"""Identities and edge cases of the features, each with a number worked by hand."""

from math import isnan, log

import numpy as np
import pytest
from support.feature_worlds import (
    CONSULTATION,
    DEFENSE,
    NEUTRALITY,
    NONAGGRESSION,
    OFFENSE,
    Story,
    Treaty,
    value,
)

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import treaty_features

YEARS = (1990, 1999)
E = 1e-4


def pact(name, *codes, start=1980, **options):
    return Treaty(name, dict.fromkeys(codes, DEFENSE), start, **options)


# Dependency -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_n_equal_allies_of_equal_size(n):
    world = Story(YEARS, dict.fromkeys(range(n + 1), 0.05), [pact("p", *range(n + 1))]).world()
    got = lambda name: value(world, name, 1995, 0)  # noqa: E731
    assert got("external_share") == pytest.approx(n / (n + 1))
    assert got("patron_share") == pytest.approx(1 / (n + 1))
    assert got("autonomy") == pytest.approx(1 / (n + 1))
    assert got("ally_concentration") == pytest.approx(1 / n)
    assert got("patron_withdrawal_loss") == pytest.approx(log((n + 1) / n))
    assert got("has_ally") == 1
    assert got("commitment_balance") == pytest.approx(0, abs=1e-6)
    assert got("within_pact_concentration") == pytest.approx(1 / (n + 1))


def test_unequal_allies():
    # E = .3 + .1 = .4, c = .1, top = .3
    world = Story(YEARS, {1: 0.1, 2: 0.3, 3: 0.1}, [pact("a", 1, 2), pact("b", 1, 3)]).world()
    assert value(world, "external_share", 1995, 1) == pytest.approx(0.8)
    assert value(world, "patron_share", 1995, 1) == pytest.approx(0.6)
    assert value(world, "ally_concentration", 1995, 1) == pytest.approx(0.75**2 + 0.25**2)
    assert value(world, "patron_withdrawal_loss", 1995, 1) == pytest.approx(log(0.5 / 0.2))


def test_no_allies():
    world = Story(YEARS, {1: 0.1, 2: 0.3}).world()
    assert value(world, "external_share", 1995, 1) == 0
    assert value(world, "patron_share", 1995, 1) == 0
    assert value(world, "autonomy", 1995, 1) == 1
    assert value(world, "patron_withdrawal_loss", 1995, 1) == 0
    assert value(world, "has_ally", 1995, 1) == 0
    assert value(world, "commitment_balance", 1995, 1) == 0
    assert value(world, "own_expansion", 1995, 1) == 0
    assert value(world, "nonaligned", 1995, 1) == 1
    for name in (
        "ally_concentration",
        "within_pact_concentration",
        "conditionality",
        "multilateral_share",
        "pact_depth",
    ):
        assert isnan(value(world, name, 1995, 1)), name
    assert isnan(value(world, "asymmetry", 1995, 1, 2))
    assert isnan(value(world, "conditionality_in_dyad", 1995, 1, 2))


def test_weights_of_obligations():
    treaties = [
        Treaty("n", {1: NEUTRALITY + NONAGGRESSION, 2: NEUTRALITY + NONAGGRESSION}, 1980),
        Treaty("c", {1: CONSULTATION, 3: CONSULTATION}, 1980),
        Treaty("o", {1: OFFENSE, 4: OFFENSE}, 1980),
    ]
    world = Story(YEARS, {1: 0.1, 2: 0.2, 3: 0.2, 4: 0.05}, treaties).world()
    assert value(world, "external_share", 1995, 1) == 0  # nobody owes it defence
    # The strongest class of each pair counts, classes do not add up.
    total = 0.5 * 0.2 + 0.15 * 0.2 + 1.0 * 0.05
    ordinal = {"weights": "ordinal"}
    assert value(world, "external_share", 1995, 1, **ordinal) == pytest.approx(
        total / (total + 0.1)
    )
    assert value(world, "patron_share", 1995, 1, **ordinal) == pytest.approx(0.1 / (total + 0.1))
    own = {"weights": {"nonaggression": 0.25}}
    assert value(world, "external_share", 1995, 1, **own) == pytest.approx(0.05 / 0.15)
    assert value(world, "external_share", 1995, 1, weights="offense") == pytest.approx(1 / 3)
    with pytest.raises(UnknownNameError, match="Did you mean 'ordinal'"):
        value(world, "external_share", 1995, 1, weights="ordnal")
    with pytest.raises(UnknownNameError, match="Did you mean 'defense'"):
        value(world, "external_share", 1995, 1, weights={"defence": 1.0})
    with pytest.raises(ArgumentError, match=r"must be in \[0, 1\]; found 2"):
        value(world, "external_share", 1995, 1, weights={"defense": 2})


def test_several_treaties_of_one_pair_are_one_tie():
    treaties = [
        pact("a", 1, 2, conditions=4, depth=1),
        pact("b", 1, 2, conditions=1, depth=3),
        Treaty("c", {1: NONAGGRESSION, 2: NONAGGRESSION}, 1980, conditions=0, depth=5),
    ]
    world = Story(YEARS, {1: 0.1, 2: 0.1, 3: 0.2}, treaties).world()
    assert value(world, "external_share", 1995, 1) == pytest.approx(0.5)
    assert value(world, "outside_allies", 1995, 1, 3) == 1
    # The least conditional and the deepest defence pact count; the third is no defence pact.
    assert value(world, "conditionality", 1995, 1) == 1
    assert value(world, "conditionality_in_dyad", 1995, 1, 2) == 1
    assert value(world, "pact_depth", 1995, 1) == 3
    assert value(world, "commitment_balance", 1995, 1) == pytest.approx(0, abs=1e-6)


def test_capability_zero_is_floored_and_missing_is_missing():
    gaps = {(2, 1995): np.nan}
    pacts = [pact("a", 1, 2), pact("b", 3, 4)]
    states = {1: 0.1, 2: 0.1, 3: 0.2, 4: 0.0, 5: 0.3}
    world = Story(YEARS, states, pacts, capability=gaps).world()
    assert value(world, "patron_withdrawal_loss", 1995, 4) == pytest.approx(
        log((0.2 + 1e-6) / 1e-6), rel=1e-5
    )
    assert value(world, "external_share", 1995, 3) == pytest.approx(1e-6 / 0.200001)
    # The gap of state 2 is a gap for its ally in that year, and for nobody else.
    for name in ("external_share", "commitment_balance", "within_pact_concentration"):
        assert isnan(value(world, name, 1995, 1)), name
        assert not isnan(value(world, name, 1996, 1)), name
        assert not isnan(value(world, name, 1995, 3)), name
    assert isnan(value(world, "capability_ratio", 1995, 2, 3))
    assert isnan(value(world, "outside_defense_capability", 1995, 1, 3))
    # In the dyad with 2 itself, 2 is no outsider, and nothing is missing.
    assert value(world, "outside_defense_capability", 1995, 1, 2) == 0
    assert value(world, "has_ally", 1995, 1) == 1
    # No allies: the share is 0 even when the own capability is missing.
    assert (
        value(world.assign(obligations=world["obligations"] & False), "external_share", 1995, 2)
        == 0
    )


# Commitment -------------------------------------------------------------------------------


def test_one_sided_pledge():
    """Belgium and France 1832: France owes Belgium defence, Belgium owes France nothing."""
    treaty = Treaty("guarantee", {211: (), 220: DEFENSE}, 1832)
    world = Story((1835, 1840), {211: 0.02, 220: 0.2}, [treaty]).world()
    assert value(world, "external_share", 1836, 211) == pytest.approx(0.2 / 0.22)
    assert value(world, "external_share", 1836, 220) == 0
    assert value(world, "commitment_balance", 1836, 211) == pytest.approx(log((0.2 + E) / E))
    assert value(world, "commitment_balance", 1836, 220) == pytest.approx(log(E / (0.2 + E)))
    assert value(world, "asymmetry", 1836, 211, 220) == 1
    assert value(world, "asymmetry", 1836, 220, 211) == 1
    assert value(world, "pact_in_dyad", 1836, 211, 220) == 1
    assert value(world, "pact_in_dyad", 1836, 220, 211) == 1
    assert value(world, "pact_in_dyad", 1836, 220, 211, obligation="offense") == 0
    assert value(world, "conditionality_in_dyad", 1836, 220, 211) == 0
    assert isnan(value(world, "conditionality_in_dyad", 1836, 211, 220))
    # Both are in the pact; each is one of its members.
    shares = np.array([0.02, 0.2]) / 0.22
    assert value(world, "within_pact_concentration", 1836, 211) == pytest.approx((shares**2).sum())


def test_asymmetry_between_the_extremes():
    treaty = Treaty("t", {1: DEFENSE, 2: NEUTRALITY}, 1980)
    world = Story(YEARS, {1: 0.1, 2: 0.1}, [treaty]).world()
    ordinal = value(world, "asymmetry", 1995, 1, 2, weights="ordinal")
    assert ordinal == pytest.approx(1 - 2 * 0.5 / 1.5)
    mutual = Story(YEARS, {1: 0.1, 2: 0.1}, [pact("t", 1, 2)]).world()
    assert value(mutual, "asymmetry", 1995, 1, 2) == 0


def test_patron_exports_security():
    # The patron (.3) owes three clients (.01 each) that owe it nothing.
    treaties = [Treaty(f"t{k}", {1: DEFENSE, k: ()}, 1980) for k in (2, 3, 4)]
    world = Story(YEARS, {1: 0.3, 2: 0.01, 3: 0.01, 4: 0.01}, treaties).world()
    assert value(world, "commitment_balance", 1995, 1) == pytest.approx(log(E / (0.9 + E)))
    assert value(world, "commitment_balance", 1995, 2) == pytest.approx(log((0.3 + E) / E))
    assert value(world, "commitment_balance", 1995, 1, e=0.1) == pytest.approx(log(0.1 / 1.0))
    with pytest.raises(ArgumentError, match="e must be greater than 0"):
        value(world, "commitment_balance", 1995, 1, e=0.0)


def test_commitments_owed_risk_counts_the_protege_not_the_patron():
    treaty = Treaty("t", {1: DEFENSE, 2: ()}, 1980)
    disputes = [(2, 3, y, y) for y in (1990, 1994, 1999)] + [(1, 3, 1992, 1992)]
    world = Story(YEARS, {1: 0.1, 2: 0.1, 3: 0.1}, [treaty], disputes=disputes).world()
    assert value(world, "commitments_owed_risk", 1999, 1) == pytest.approx(0.3)
    assert value(world, "commitments_owed_risk", 1999, 2) == 0
    assert value(world, "commitments_owed_risk", 1999, 1, window=5) == pytest.approx(0.2 / 1)
    # Five of ten years are covered in 1994: a rate from those five; in 1993 it is missing.
    assert value(world, "commitments_owed_risk", 1994, 1) == pytest.approx(2 / 5)
    assert isnan(value(world, "commitments_owed_risk", 1993, 1))


def test_overextension():
    # 1 owes 2. Threats to 2: its land neighbour 3; its rival 4 over the sea, though they are
    # allies; not its allied neighbour 5, nor 6 at 12 miles.
    treaties = [
        Treaty("t", {1: DEFENSE, 2: ()}, 1980),
        pact("u", 2, 4),
        pact("v", 2, 5),
    ]
    states = {1: 0.1, 2: 0.01, 3: 0.05, 4: 0.07, 5: 0.2, 6: 0.3}
    story = Story(
        (1980, 1999),
        states,
        treaties,
        borders={(2, 3): 1, (2, 5): 1, (2, 6): 2},
        disputes=[(2, 4, 1985, 1985), (2, 4, 1992, 1993)],
    )
    world = story.world()
    assert value(world, "overextension", 1999, 1) == pytest.approx((0.05 + 0.07) / 0.1)
    assert value(world, "overextension", 1991, 1) == pytest.approx(0.05 / 0.1)  # one dispute yet
    assert value(world, "overextension", 1999, 3) == 0  # owes nobody
    assert isnan(value(world, "overextension", 1988, 1))  # 9 of 20 years covered
    # A state that is itself the rival of its protégé does not threaten itself.
    story.disputes = [(1, 2, 1985, 1985), (1, 2, 1992, 1993)]
    assert value(story.world(), "overextension", 1999, 1) == pytest.approx(0.05 / 0.1)


def test_conditionality_is_the_mean_over_defenders():
    treaties = [pact("a", 1, 2, conditions=3), pact("b", 1, 3, conditions=0)]
    world = Story(YEARS, {1: 0.1, 2: 0.1, 3: 0.1}, treaties).world()
    assert value(world, "conditionality", 1995, 1) == pytest.approx(1.5)
    assert value(world, "conditionality", 1995, 2) == 3


def test_within_pact_concentration_averages_pacts():
    treaties = [
        pact("a", 1, 2),  # .1, .3: (.25² + .75²) = .625
        pact("b", 1, 3),  # equals: .5
        Treaty("n", {1: NONAGGRESSION, 4: NONAGGRESSION}, 1980),  # no defence pact
        Treaty("gone", {1: DEFENSE, 4: (1980, 1985, DEFENSE)}, 1980),  # one member left
    ]
    world = Story(YEARS, {1: 0.1, 2: 0.3, 3: 0.1, 4: 0.2}, treaties).world()
    assert value(world, "within_pact_concentration", 1995, 1) == pytest.approx((0.625 + 0.5) / 2)
    assert value(world, "within_pact_concentration", 1995, 2) == pytest.approx(0.625)


# Deterrence and structure ------------------------------------------------------------------


def test_outside_means_minus_the_other_member():
    treaties = [
        pact("a", 1, 2),
        Treaty("b", {3: OFFENSE, 1: ()}, 1980),
        Treaty("c", {3: NEUTRALITY, 2: ()}, 1980),
    ]
    world = Story(YEARS, {1: 0.1, 2: 0.2, 3: 0.3}, treaties).world()
    assert value(world, "outside_defense", 1995, 1, 2) == 0  # its only defender is the other
    assert value(world, "outside_defense", 1995, 1, 3) == 1
    assert value(world, "outside_defense_capability", 1995, 1, 3) == pytest.approx(0.2)
    assert value(world, "outside_offense", 1995, 1, 2) == 1
    assert value(world, "outside_offense_capability", 1995, 1, 2) == pytest.approx(0.3)
    assert value(world, "outside_offense", 1995, 3, 2) == 0
    assert value(world, "outside_neutrality", 1995, 2, 1) == 1
    assert value(world, "outside_neutrality", 1995, 2, 3) == 0
    # A class that the source covers for less is missing afterwards, alone or with a weight.
    known = {"neutrality": (YEARS[0], 1994)}
    world = Story(YEARS, {1: 0.1, 2: 0.2, 3: 0.3}, treaties, covered=known).world()
    assert value(world, "outside_neutrality", 1994, 2, 1) == 1
    assert np.isnan(value(world, "outside_neutrality", 1995, 2, 1))
    assert np.isnan(value(world, "pact_in_dyad", 1995, 2, 3, obligation="neutrality"))
    assert np.isnan(value(world, "external_share", 1995, 1, weights="ordinal"))
    assert value(world, "pact_in_dyad", 1995, 1, 3, obligation="offense") == 1
    assert value(world, "nonaligned", 1995, 1) == 0
    with pytest.raises(UnknownNameError, match="Did you mean 'defense'"):
        value(world, "pact_in_dyad", 1995, 1, 2, obligation="defence")


def test_shared_and_outside_allies_and_parity():
    # D(1) = {2, 3, 4}, D(2) = {1, 3, 4}, D(5) = {6}
    states = {1: 0.1, 2: 0.05, 3: 0.2, 4: 0.02, 5: 0.05, 6: 0.1, 7: 0.3}
    world = Story(YEARS, states, [pact("a", 1, 2, 3, 4), pact("b", 5, 6)]).world()
    assert value(world, "shared_allies", 1995, 1, 2) == 2
    assert value(world, "outside_allies", 1995, 1, 2) == 0
    assert value(world, "bloc_parity", 1995, 1, 2) == pytest.approx(0.5)  # only their own
    assert value(world, "shared_allies", 1995, 1, 5) == 0
    assert value(world, "outside_allies", 1995, 1, 5) == 3
    assert value(world, "bloc_parity", 1995, 1, 5) == pytest.approx(0.15 / 0.37)
    assert value(world, "bloc_parity", 1995, 5, 1) == pytest.approx(0.15 / 0.37)
    assert value(world, "bloc_parity", 1995, 5, 6) == pytest.approx(0.5)  # allies of each other


def test_ally_in_dispute():
    treaty = Treaty("t", {1: DEFENSE, 2: ()}, 1980)  # one-sided: they are allies both ways
    states = dict.fromkeys((1, 2, 3, 4), 0.1)
    world = Story(YEARS, states, [treaty], disputes=[(2, 3, 1994, 1996)]).world()
    opponent, elsewhere = "ally_in_dispute_with_opponent", "ally_in_dispute_elsewhere"
    for year, active in ((1993, 0), (1994, 1), (1996, 1), (1997, 0)):
        assert value(world, opponent, year, 1, 3) == active
        assert value(world, elsewhere, year, 1, 4) == active
    assert value(world, opponent, 1995, 1, 4) == 0
    assert value(world, elsewhere, 1995, 1, 3) == 0  # its only dispute is with the opponent
    assert value(world, opponent, 1995, 3, 1) == 0  # 3 has no ally
    assert value(world, elsewhere, 1995, 1, 2) == 0  # the ally is the other side itself
    # A dispute of the ally with the state itself is not elsewhere.
    world = Story(YEARS, states, [treaty], disputes=[(1, 2, 1994, 1996)]).world()
    assert value(world, elsewhere, 1995, 1, 3) == 0
    assert value(world, elsewhere, 1995, 2, 3) == 0


def test_multilateral_share_nonaligned_settlement():
    treaties = [
        pact("multi", 1, 2, 3, settlement=True),
        pact("bi", 1, 4),
        Treaty("c", {5: CONSULTATION, 6: CONSULTATION}, 1980, settlement=True),
        Treaty("n", {7: NEUTRALITY, 6: ()}, 1980),
    ]
    world = Story(YEARS, dict.fromkeys(range(1, 8), 0.1), treaties).world()
    assert value(world, "multilateral_share", 1995, 1) == pytest.approx(2 / 3)
    assert value(world, "multilateral_share", 1995, 4) == 0
    assert value(world, "nonaligned", 1995, 5) == 1  # consultation is no tie
    assert value(world, "nonaligned", 1995, 6) == 0
    assert value(world, "nonaligned", 1995, 7) == 0
    assert value(world, "peaceful_settlement", 1995, 2, 3) == 1
    assert value(world, "peaceful_settlement", 1995, 5, 6) == 1
    assert value(world, "peaceful_settlement", 1995, 1, 4) == 0


# Geography, power, history -------------------------------------------------------------------


def test_geography_and_power():
    world = Story(
        YEARS, {1: 0.4, 2: 0.1, 3: 0.0}, borders={(1, 2): 1, (2, 3): 4}, majors=[1]
    ).world()
    assert value(world, "land_contiguity", 1995, 1, 2) == 1
    assert value(world, "land_contiguity", 1995, 2, 3) == 0
    assert value(world, "contiguity_closeness", 1995, 1, 2) == 5
    assert value(world, "contiguity_closeness", 1995, 3, 2) == 2
    assert value(world, "contiguity_closeness", 1995, 1, 3) == 0
    assert value(world, "major_powers", 1995, 1, 2) == 1
    assert value(world, "major_powers", 1995, 2, 3) == 0
    assert value(world, "capability_ratio", 1995, 2, 1) == pytest.approx(log(4))
    assert value(world, "joint_capability", 1995, 2, 1) == pytest.approx(0.5)
    assert value(world, "capability_share", 1995, 3) == pytest.approx(1e-6)
    assert isnan(value(world, "joint_capability", 1995, 1, 1))


def test_capability_growth():
    world = Story(
        (1990, 2000), {1: 0.4, 2: (0.1, 1993, 9999)}, capability={(1, 1995): 0.2, (1, 1998): 0.1}
    ).world()
    grown = "capability_growth"
    assert value(world, grown, 1995, 1, window=5) == pytest.approx(log(0.2 / 0.4))
    assert value(world, grown, 1998, 1, window=3) == pytest.approx(log(0.1 / 0.2))
    assert value(world, grown, 2000, 1, window=5) == pytest.approx(log(0.4 / 0.2))
    assert isnan(value(world, grown, 1995, 1, window=6))  # before the record
    assert isnan(value(world, grown, 1997, 2, window=5))  # not a state then
    assert value(world, grown, 1998, 2, window=5) == 0


def test_capability_growth_goes_on_under_another_code():
    """Germany (255) follows the Federal Republic (260) in 1990, whose past is its own."""
    world = Story(
        (1985, 1995), {260: (0.04, 1955, 1990), 265: (0.01, 1954, 1990), 255: (0.05, 1990, 9999)}
    ).world()
    assert value(world, "capability_growth", 1993, 255, window=5) == pytest.approx(log(0.05 / 0.04))
    assert value(world, "capability_growth", 1995, 255, window=5) == 0


def test_history():
    states = {1: 0.1, 2: 0.1, 3: (0.1, 1992, 9999), 4: 0.1}
    disputes = [(1, 2, 1991, 1993), (1, 2, 1996, 1996), (2, 4, 1996, 1997)]
    world = Story(YEARS, states, disputes=disputes).world()
    for year, peace in (
        (1990, 0),
        (1991, 0),
        (1993, 0),
        (1994, 1),
        (1995, 2),
        (1996, 0),
        (1999, 3),
    ):
        assert value(world, "peace_years", year, 1, 2) == peace
    assert value(world, "peace_years", 1999, 1, 4) == 9  # lower bound: coverage begins in 1990
    assert value(world, "peace_years", 1991, 1, 3) == 0
    assert value(world, "peace_years", 1992, 1, 3) == 0  # entry
    assert value(world, "peace_years", 1995, 3, 1) == 3
    assert value(world, "disputes_total", 1990, 1, 2) == 0
    assert value(world, "disputes_total", 1995, 1, 2) == 1
    assert value(world, "disputes_total", 1999, 1, 2) == 2
    assert value(world, "disputes_recent", 1999, 1, 2) == 2
    assert value(world, "disputes_recent", 1999, 1, 2, window=5) == 1
    assert value(world, "dispute_last_year", 1992, 2, 1) == 1
    assert value(world, "dispute_last_year", 1994, 2, 1) == 0
    assert value(world, "state_disputes_recent", 1999, 2) == 3
    # Six of ten years covered in 1995: one onset counts 10/6; four of ten in 1993: missing.
    assert value(world, "disputes_recent", 1995, 1, 2) == pytest.approx(10 / 6)
    assert isnan(value(world, "disputes_recent", 1993, 1, 2))
    # Two onsets in the five years 1995–1999 of four states each: 100 · 2 / 20.
    assert value(world, "system_disputes_recent", 1999) == pytest.approx(10)


def test_history_starts_where_coverage_does_and_ends_with_it():
    states = {1: 0.1, 2: 0.1}
    world = Story(
        (1980, 1999), states, disputes=[(1, 2, 1993, 1993)], covered={"conflict": (1990, 1996)}
    ).world()
    assert isnan(value(world, "peace_years", 1989, 1, 2))
    assert value(world, "peace_years", 1992, 1, 2) == 2
    assert value(world, "peace_years", 1996, 1, 2) == 3
    assert isnan(value(world, "peace_years", 1997, 1, 2))
    assert isnan(value(world, "disputes_recent", 1997, 1, 2))
    assert value(world, "disputes_recent", 1996, 1, 2) == pytest.approx(10 / 7)


def test_history_of_a_narrower_outcome_is_all_disputes():
    world = Story(YEARS, {1: 0.1, 2: 0.1}, disputes=[(1, 2, 1991, 1993)]).world()
    wars = world.assign(onset=world["onset"] & False).assign_attrs(outcome="war_onset")
    assert value(wars, "disputes_total", 1999, 1, 2) == 1
    assert value(wars, "disputes_recent", 1999, 1, 2) == 1


# Treaties ------------------------------------------------------------------------------------


def test_treaty_features_by_hand():
    treaties = [
        Treaty(
            "old",
            {1: DEFENSE, 2: DEFENSE, 3: (1996, 9999, CONSULTATION)},
            1980,
            depth=3,
            conditions=2,
        ),
        Treaty("new", {1: NONAGGRESSION, 4: NONAGGRESSION, 3: (1998, 9999, NONAGGRESSION)}, 1997),
        Treaty("over", {1: DEFENSE, 4: DEFENSE}, 1980, 1993, settlement=True),
    ]
    world = Story(YEARS, {1: 0.1, 2: 0.3, 3: 0.1, 4: 0.1}, treaties).world()
    found = treaty_features(world)
    at = lambda name, treaty, year: float(found[name].sel(treaty=treaty, year=year))  # noqa: E731
    assert at("size", "old", 1995) == pytest.approx(log(2))
    assert at("size", "old", 1996) == pytest.approx(log(3))
    assert at("concentration", "old", 1995) == pytest.approx(0.625)
    assert at("concentration", "old", 1996) == pytest.approx(0.04 + 0.36 + 0.04)
    assert at("depth", "old", 1996) == 3
    assert at("conditions", "old", 1996) == 2
    assert at("defense", "old", 1996) == 1
    assert at("consultation", "old", 1995) == 0
    assert at("consultation", "old", 1996) == 1
    assert at("settlement", "over", 1992) == 1
    assert isnan(at("depth", "over", 1994))
    assert not found["in_force"].sel(treaty="over", year=1994)
    assert isnan(at("size", "new", 1996))
    # Members since five years ago, or since formation; missing while that is before coverage.
    assert isnan(at("expansion", "old", 1994))
    assert at("expansion", "old", 1995) == 0
    assert at("expansion", "old", 1999) == 1
    assert at("expansion", "new", 1997) == 0
    assert at("expansion", "new", 1999) == 1
    blind = treaty_features(world.assign(obligation_covered=world["year"] < 1999), window=3)
    assert np.isnan(blind["size"].sel(year=1999)).all()
    assert not blind["in_force"].sel(year=1999).any()
