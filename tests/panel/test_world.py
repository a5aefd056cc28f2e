"""The dense world: the tiny one checked by eye, and hand cases of the real one."""

from typing import get_args

import numpy as np
import pytest

from forecast.errors import ArgumentError
from forecast.features import get_feature
from forecast.panel.events import Outcome
from forecast.panel.statuses import EXTRA_MASKS
from forecast.panel.world import build_world
from forecast.sources.embedded import tables_from_frames
from forecast.sources.tables import OBLIGATIONS

LAST = 2025


def owes(world, state, other, year, what="defense"):
    return bool(world["obligations"].sel(year=year, state=state, other=other, obligation=what))


def years_true(array):
    """Years in which a (year,) bool array is True."""
    return array["year"].to_numpy()[array.to_numpy()].tolist()


def test_axes(tiny_world):
    assert tiny_world["state"].to_numpy().tolist() == [10, 20, 30, 40, 50, 60]
    assert tiny_world["other"].to_numpy().tolist() == [10, 20, 30, 40, 50, 60]
    assert tiny_world["obligation"].to_numpy().tolist() == list(OBLIGATIONS)
    assert tiny_world["year"].to_numpy().tolist() == list(range(1990, 2011))
    assert tiny_world["treaty"].to_numpy().tolist() == ["bela-fyra", "eron-dara", "north-pact"]


def test_no_object_arrays(tiny_world):
    assert {v.dtype.kind for v in tiny_world.variables.values()} <= set("biufU")


def test_members_hold_on_any_day_of_the_year(tiny_world):
    member = tiny_world["member"]
    assert years_true(member.sel(state=30)) == list(range(1995, 2011))
    assert years_true(member.sel(state=40)) == list(range(1990, 2004))
    assert years_true(member.sel(state=60)) == [*range(1990, 1999), *range(2001, 2011)]


def test_entry_year_is_that_of_the_running_spell(tiny_world):
    entry = tiny_world["entry_year"].sel(state=60)
    assert entry.sel(year=1998) == 1950
    assert entry.sel(year=1999) == 0
    assert entry.sel(year=2001) == 2001
    assert tiny_world["birth_year"].sel(state=60) == 1950


def test_exit_and_return_within_one_year(tiny_frames, tiny_coverage):
    states = tiny_frames["states"]
    states.loc[6, "start"] = np.datetime64("1999-02-01", "s")
    states.loc[5, "end"] = np.datetime64("1999-01-02", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    entry = build_world(tables)["entry_year"].sel(state=60)
    assert entry.sel(year=[1998, 1999, 2000]).to_numpy().tolist() == [1950, 1999, 1999]


def test_contiguity_takes_the_closer_class_and_ends_with_the_state(tiny_world):
    pair = tiny_world["contiguity"].sel(state=30, other=40)
    assert pair.sel(year=[1994, 1995, 1999, 2000, 2003, 2004]).to_numpy().tolist() == [
        0, 4, 4, 2, 2, 0,
    ]  # fmt: skip
    both = tiny_world["contiguity"].to_numpy()
    assert (both == both.transpose(0, 2, 1)).all()


def test_contiguity_that_outlives_a_state_is_cut(tiny_frames, tiny_coverage):
    tiny_frames["contiguity"].loc[5, "end"] = np.datetime64("NaT", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    pair = build_world(tables)["contiguity"].sel(state=40, other=60)
    assert years_true(pair > 0) == [*range(1990, 1999), *range(2001, 2004)]


def test_change_of_class_within_a_year(tiny_frames, tiny_coverage):
    table = tiny_frames["contiguity"]
    table.loc[2, "end"] = np.datetime64("2000-06-30", "s")
    table.loc[3, "start"] = np.datetime64("2000-07-01", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    assert build_world(tables)["contiguity"].sel(state=40, other=30, year=2000) == 2


def test_obligations_can_be_one_sided(tiny_world):
    assert owes(tiny_world, 50, 40, 2000)
    assert not owes(tiny_world, 40, 50, 2000)
    assert owes(tiny_world, 40, 50, 2000, "consultation")
    assert not owes(tiny_world, 50, 40, 1991)
    assert owes(tiny_world, 50, 40, 1992)
    assert owes(tiny_world, 50, 40, 2003)
    assert not owes(tiny_world, 50, 40, 2004)


def test_accession_and_withdrawal(tiny_world):
    owed = tiny_world["obligations"].sel(obligation="defense")
    assert years_true(owed.sel(state=30, other=10)) == list(range(2000, 2011))
    assert years_true(owed.sel(state=10, other=20)) == list(range(1990, 2007))
    assert not owed.sel(state=10, other=10).any()


def test_obligations_pause_while_a_state_is_absent(tiny_world):
    owed = tiny_world["obligations"].sel(obligation="nonaggression", state=20, other=60)
    assert years_true(owed) == [1996, 1997, 1998, *range(2001, 2011)]


def test_what_cow_does_not_code_of_a_treaty_is_missing_not_zero(tiny_frames, tiny_coverage):
    for table in ("alliances", "members"):
        ids = tiny_frames[table]["alliance_id"]
        tiny_frames[table]["alliance_id"] = ids.replace("north-pact", "cow-227")
    world = build_world(tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x"))
    for name in ("treaty_depth", "treaty_conditions", "treaty_settlement"):
        assert np.isnan(world[name].sel(treaty="cow-227")), name
        assert not np.isnan(world[name].sel(treaty="eron-dara")), name
    for name in ("pact_depth", "conditionality"):  # 20 has allies by that treaty only
        assert np.isnan(get_feature(name)(world).sel(year=2005, state=20)), name
    settled = get_feature("peaceful_settlement")(world).sel(year=2005)
    assert np.isnan(settled.sel(state=10, other=20))
    assert settled.sel(state=10, other=60) == 0  # no treaty between them


def test_two_states_that_share_a_year_but_no_day_owe_nothing(tiny_frames, tiny_coverage):
    members = tiny_frames["members"]
    # Bela leaves the North Pact on the last of February, Cora joins on the first of March.
    members.loc[6, "end"] = np.datetime64("2000-02-29", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    world = build_world(tables)
    assert not owes(world, 20, 30, 2000)
    assert owes(world, 20, 10, 2000)
    assert owes(world, 30, 10, 2000)


def test_treaties(tiny_world):
    north = tiny_world.sel(treaty="north-pact")
    assert north["treaty_depth"] == 5
    assert north["treaty_conditions"] == 1
    assert north["treaty_multilateral"]
    assert (int(north["treaty_start"]), int(north["treaty_end"])) == (1985, 9999)
    assert int(tiny_world["treaty_end"].sel(treaty="eron-dara")) == 2003
    assert str(north["treaty_short_name"].to_numpy()) == "North Pact"
    assert tiny_world["treaty_settlement"].to_numpy().tolist() == [True, False, False]
    members = north["treaty_member"].sel(year=2005)
    assert members["state"].to_numpy()[members.to_numpy()].tolist() == [10, 20, 30, 50]
    pledge = tiny_world["treaty_pledge"].sel(treaty="eron-dara", year=2000, obligation="defense")
    assert pledge["state"].to_numpy()[pledge.to_numpy()].tolist() == [50]


def test_obligations_are_those_of_the_treaties(tiny_world, tables):
    """What a state owes to anyone is what it pledges in a treaty with another member."""
    for world in (tiny_world, build_world(tables)):
        member = world["treaty_member"].to_numpy()
        pledge = world["treaty_pledge"].to_numpy()
        company = member.sum(axis=2, keepdims=True) > 1
        owed = world["obligations"].to_numpy()
        pledged = (pledge & company[..., None]).any(axis=1)
        # A pledge without an obligation is possible (members that share no day); not the reverse.
        assert not (owed.any(axis=2) & ~pledged).any()
        assert (owed.any(axis=2) & pledged).sum() / pledged.sum() > 0.99


def test_onsets_and_disputes(tiny_world):
    onset = tiny_world["onset"].sel(state=10, other=20)
    assert years_true(onset) == [1990, 1994]
    assert years_true(tiny_world["dispute"].sel(state=20, other=10)) == [1990, 1994, 1995, 1996]
    assert years_true(tiny_world["onset"].sel(state=20, other=30)) == [1997, 2005, 2006]
    assert years_true(tiny_world["dispute"].sel(state=20, other=30)) == [1997, 2005, 2006, 2007]
    for name in ("onset", "dispute", "open", "at_risk", "initiator_unknown"):
        values = tiny_world[name].to_numpy()
        assert (values == values.transpose(0, 2, 1)).all(), name
        assert not values[:, range(6), range(6)].any(), name


def test_at_risk_is_not_a_year_in_which_a_dispute_merely_continues(tiny_world):
    risk = tiny_world["at_risk"].sel(state=20, other=30)
    # 2006 has a new onset while an older dispute goes on; 2007 does not.
    assert [y for y in range(1995, 2011) if y not in years_true(risk)] == [2007]
    assert years_true(risk)[0] == 1995


def test_open_is_a_dispute_that_ends_in_a_later_year_or_not_on_record(
    tiny_world, tiny_frames, tiny_coverage
):
    is_open = tiny_world["open"]
    assert years_true(is_open.sel(state=20, other=10)) == [1994, 1995]
    # c10 goes on to 2007; c11 begins and ends inside it.
    assert years_true(is_open.sel(state=20, other=30)) == [2005, 2006]
    assert years_true(is_open.sel(state=30, other=50)) == [1999]
    assert not is_open.sel(state=10, other=50).any()  # both of 2001 were over by its end
    assert years_true(is_open.sel(state=50, other=20)) == [2010]  # no end on record
    assert not (is_open & ~tiny_world["dispute"]).any()
    # The last day of the year is still in it: a dispute that ends then is not under way after it.
    tiny_frames["conflicts"].loc[1, "end"] = np.datetime64("1995-12-31", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    assert years_true(build_world(tables)["open"].sel(state=20, other=10)) == [1994]


def test_initiators(tiny_world):
    began = tiny_world["initiated"]
    assert years_true(began.sel(state=10, other=20)) == [1990]
    assert years_true(began.sel(state=20, other=10)) == [1994]
    assert began.sel(state=40, other=60, year=1998)
    assert began.sel(state=60, other=40, year=1998)
    assert not began.sel(state=30, other=50).any()
    assert years_true(tiny_world["initiator_unknown"].sel(state=50, other=30)) == [1999]


def test_one_war_of_many_dyads_counts_once_per_state(tiny_world):
    count = tiny_world["dispute_onset_count"]
    assert count.sel(state=30, year=1999) == 1
    assert count.sel(state=10, year=2001) == 2
    assert int(tiny_world["episodes"].sum()) == 13


def test_a_war_that_reaches_a_further_enemy_later_is_still_one_conflict(tiny_frames, tiny_coverage):
    tiny_frames["conflicts"].loc[4, "start"] = np.datetime64("2000-09-01", "s")  # 50 joins c04
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    world = build_world(tables)
    count = world["dispute_onset_count"]
    assert count.sel(state=30, year=[1999, 2000]).to_numpy().tolist() == [1, 0]
    assert count.sel(state=50, year=[1999, 2000]).to_numpy().tolist() == [0, 1]
    assert world["onset"].sel(state=30, other=50, year=2000)  # a pair's record is its own


def test_outcomes(tiny_tables):
    worlds = {name: build_world(tiny_tables, outcome=name) for name in get_args(Outcome)}
    assert not worlds["originator_onset"]["onset"].sel(state=30, other=50).any()
    assert years_true(worlds["war_onset"]["onset"].sel(state=10, other=20)) == [1994]
    assert years_true(worlds["fatal_onset"]["onset"].sel(state=10, other=50)) == [2001]
    # Deaths of c08 are not known: neither an onset nor none.
    assert not worlds["fatal_onset"]["onset"].sel(state=10, other=60).any()
    for name in ("fatal_onset", "deaths_25_onset"):
        assert years_true(worlds[name]["onset_unknown"].sel(state=10, other=60)) == [2002]
    deadly, fatal = (worlds[name]["onset"] for name in ("deaths_25_onset", "fatal_onset"))
    assert not (deadly & ~fatal).any() and 0 < deadly.sum() < fatal.sum()
    for world in worlds.values():
        for name in ("dispute", "open", "at_risk", "dispute_onset_count"):
            assert (world[name] == worlds["onset"][name]).all()


def test_coverage_and_what_is_past_it(tiny_tables):
    world = build_world(tiny_tables, last_year=2013)
    masks = [n for n in world if str(n).endswith("_covered") and n not in EXTRA_MASKS]
    assert len(masks) == 10  # five kinds of fact, five obligation classes
    for name in masks:
        assert years_true(world[name]) == list(range(1990, 2011))
    past = world.sel(year=slice(2011, None))
    assert not past["member"].any()
    assert not past["obligations"].any()
    assert past["capability"].isnull().all()


def test_carrying_forward_repeats_the_last_day_not_the_last_year(tiny_frames, tiny_coverage):
    # Eron leaves the pact in the middle of the last covered year.
    tiny_frames["members"].loc[8, "end"] = np.datetime64("2010-06-30", "s")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    world = build_world(tables, last_year=2012, carry_forward=True)
    assert owes(world, 50, 10, 2010)
    assert not owes(world, 50, 10, 2011)
    assert owes(world, 10, 30, 2012)
    assert years_true(world["carried_forward"]) == [2011, 2012]
    assert years_true(world["conflict_covered"])[-1] == 2010
    for name in ("member", "obligation", "capability", "contiguity"):
        assert years_true(world[f"{name}_covered"])[-1] == 2012
    assert (world["capability"].sel(year=2012, state=10)
            == world["capability"].sel(year=2010, state=10))  # fmt: skip
    # An ongoing dispute is not known to go on past the data.
    assert years_true(world["dispute"].sel(state=20, other=50)) == [2010]
    assert years_true(world["open"].sel(state=20, other=50)) == [2010]
    assert years_true(world["major"].sel(state=50))[-1] == 2012


def test_a_window_is_a_slice_of_the_whole(tiny_world, tiny_tables):
    part = build_world(tiny_tables, first_year=1997, last_year=2002)
    whole = tiny_world.sel(year=slice(1997, 2002))
    for name in part:
        if "year" in part[name].dims:
            assert part[name].equals(whole[name]), name


def test_states_outside_the_window_are_left_out(tiny_tables):
    assert 40 not in build_world(tiny_tables, first_year=2005)["state"]


def test_a_pair_counts_in_a_year_if_it_shares_a_day(world):
    together = world["together"].sel(year=1990)
    for gone in (678, 680):
        assert not together.sel(state=gone, other=679)
        # Liechtenstein entered in September, after both Yemens were gone.
        assert not together.sel(state=223, other=gone)
    assert not together.sel(state=255, other=260)
    assert together.sel(state=255, other=679)
    assert not together.sel(state=2, other=2)
    here = world["member"].sel(year=1990).to_numpy()
    assert (together.sel(state=2).to_numpy()[1:] == here[1:]).all()


def test_bad_arguments(tiny_tables):
    with pytest.raises(ArgumentError, match="outcome='onsets': expected one of onset, origin"):
        build_world(tiny_tables, outcome="onsets")
    with pytest.raises(ArgumentError, match="first_year=2005 is after last_year=2004"):
        build_world(tiny_tables, first_year=2005, last_year=2004)


def test_tables_that_were_changed_unchecked_are_refused(tiny_tables):
    """An onset of a state that is not there is never lost silently."""
    conflicts = tiny_tables.conflicts.copy()
    conflicts.loc[0, "ccode_b"] = 30  # Cora, five years before it entered
    with pytest.raises(Exception, match="An onset fell outside the spells"):
        build_world(tiny_tables.with_tables(fingerprint="x", conflicts=conflicts))


# The real world.


@pytest.fixture(scope="module")
def world(tables):
    return build_world(tables)


def test_germany(world):
    member = world["member"]
    assert years_true(member.sel(state=260)) == list(range(1955, 1991))
    assert years_true(member.sel(state=265)) == list(range(1954, 1991))
    assert years_true(member.sel(state=255)) == list(range(1990, LAST + 1))
    assert not owes(world, 255, 260, 1990)
    assert not owes(world, 2, 260, 1954)
    assert owes(world, 2, 260, 1955)
    assert owes(world, 2, 255, 1991)
    assert owes(world, 365, 265, 1955)
    assert not owes(world, 365, 265, 1991)


def test_yemen_and_vietnam(world):
    member = world["member"]
    assert years_true(member.sel(state=678)) == list(range(1946, 1991))
    assert years_true(member.sel(state=680)) == list(range(1967, 1991))
    assert years_true(member.sel(state=679)) == list(range(1990, LAST + 1))
    assert years_true(member.sel(state=816)) == list(range(1954, LAST + 1))
    assert years_true(member.sel(state=817)) == list(range(1954, 1976))


def test_nato(world):
    nato = world["treaty_member"].sel(treaty="nato")
    founders = nato.sel(year=1949)
    assert founders["state"].to_numpy()[founders.to_numpy()].tolist() == [
        2, 20, 200, 210, 211, 212, 220, 235, 325, 385, 390, 395,
    ]  # fmt: skip
    assert years_true(nato.sel(state=350))[0] == 1952
    assert years_true(nato.sel(state=640))[0] == 1952
    assert years_true(nato.sel(state=220)) == list(range(1949, LAST + 1))
    assert years_true(nato.sel(state=375)) == [2023, 2024, 2025]
    assert years_true(nato.sel(state=380)) == [2024, 2025]
    assert owes(world, 2, 375, 2023)


def test_warsaw_pact(world):
    pact = world["treaty_member"].sel(treaty="warsaw-pact")
    assert years_true(pact.sel(state=365)) == list(range(1955, 1992))
    assert years_true(pact.sel(state=265))[-1] == 1990
    assert years_true(pact.sel(state=339))[-1] == 1968


def test_united_states_owes_japan_not_the_reverse(world):
    assert owes(world, 2, 740, 1975)
    assert not owes(world, 740, 2, 1975)


def test_majors(world):
    major = world["major"].sel(year=1970)
    assert major["state"].to_numpy()[major.to_numpy()].tolist() == [2, 200, 220, 365, 710]


def test_world_of_the_embedded_data_is_modest(world):
    assert world.nbytes < 150e6
    assert {v.dtype.kind for v in world.variables.values()} <= set("biufU")
