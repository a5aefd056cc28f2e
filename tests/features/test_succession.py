"""One rule of succession for every feature: history goes with the state, not with its number."""

import numpy as np
import pytest
from support.feature_worlds import DEFENSE, Story, Treaty

from forecast.errors import ArgumentError
from forecast.features import compute_features, get_feature
from forecast.features.gather import FeatureRequest
from forecast.features.successions import SUCCESSIONS, continued
from forecast.panel.build import load_panel
from forecast.panel.world import build_world
from forecast.simulation.dynamics import Record

OF_PAIRS = (
    "peace_years",
    "disputes_total",
    "disputes_recent",
    "disputes_decayed",
    "under_way",
    "dispute_last_year",
    "long_peace",
    "rivalry",
)


@pytest.fixture(scope="module")
def world(tables):
    return build_world(tables)


def rows(panel, names, a, years, *, old, new):
    """Values of a pair in the years to 1990 under the old number, and after it under the new."""
    requests = [FeatureRequest(n, n, side="min" if n == "state_age" else "none") for n in names]
    data = compute_features(panel, requests).data
    first, second = data["ccode_a"].to_numpy(), data["ccode_b"].to_numpy()
    found = {}
    for year in years:
        code = old if year <= 1990 else new
        at = (first == min(a, code)) & (second == max(a, code)) & (data["year"].to_numpy() == year)
        (row,) = np.flatnonzero(at)
        found[year] = {name: float(data[name][row]) for name in names}
    return found


def test_germany_goes_on(tables):
    panel = load_panel(data=tables, years=(1989, 1993))
    germany = rows(panel, ("peace_years", "state_age"), 2, (1990, 1991, 1992), old=260, new=255)
    assert [germany[y]["peace_years"] for y in (1990, 1991, 1992)] == [34, 35, 36]
    assert [germany[y]["state_age"] for y in (1990, 1991, 1992)] == [34, 35, 36]
    again = load_panel(data=tables, years=(1989, 1993), succession="restart")
    assert again.fingerprint != panel.fingerprint
    germany = rows(again, ("peace_years", "state_age"), 2, (1990, 1991, 1992), old=260, new=255)
    assert [germany[y]["peace_years"] for y in (1990, 1991, 1992)] == [34, 0, 1]
    assert [germany[y]["state_age"] for y in (1990, 1991, 1992)] == [34, 35, 36]


def test_yemen_has_the_past_of_both(tables):
    panel = load_panel(data=tables, years=(1989, 1992))
    names = ("peace_years", "disputes_total")
    north, south, both = (
        rows(panel, names, other, (year,), old=old, new=679)[year]
        for other, old, year in ((670, 678, 1990), (670, 680, 1990), (670, 679, 1991))
    )
    assert min(north["disputes_total"], south["disputes_total"]) > 0
    assert both["disputes_total"] == north["disputes_total"] + south["disputes_total"]
    assert both["peace_years"] == min(north["peace_years"], south["peace_years"]) + 1


def test_no_family_restarts_where_another_goes_on(world):
    """In the year of a succession every feature of a pair tells both codes the same past."""
    year, state = world["year"].to_numpy(), world["state"].to_numpy()
    (change,) = (s for s in SUCCESSIONS if s.successor == 255)
    old, new = (int(np.flatnonzero(state == c)[0]) for c in (change.predecessor, 255))
    before = int(np.flatnonzero(year == change.year - 1)[0])
    third = world["member"].to_numpy()[before].copy()
    third[[old, new, int(np.flatnonzero(state == 265)[0])]] = False
    for name in OF_PAIRS:
        values = get_feature(name)(world).to_numpy()
        # Of states that are no members a feature of ties is missing: told in the year of both.
        t = before + (name == "rivalry")
        np.testing.assert_array_equal(values[t, old, third], values[t, new, third], err_msg=name)
        np.testing.assert_array_equal(values[t, third, old], values[t, third, new], err_msg=name)
    for name in ("state_disputes_recent", "state_disputes_decayed", "state_peace_years"):
        values = get_feature(name)(world).to_numpy()
        assert values[before, old] == values[before, new], name


def test_third_states_count_a_state_of_two_codes_once(world):
    restart = world.assign_attrs(succession="restart")
    year = world["year"].to_numpy()
    member = world["member"].to_numpy()
    for name in ("rival_count", "rival_expansion", "commitments_owed_risk", "rival_disputes"):
        new, old = (get_feature(name)(w).to_numpy() for w in (world, restart))
        early = (year < 1990) & (year >= 1956)
        inside = (
            member[early] if new.ndim == 2 else member[early][:, :, None] & member[early][:, None]
        )
        np.testing.assert_array_equal(new[early][inside], old[early][inside], err_msg=name)


def test_continued_is_told_once(world):
    once = continued(world)
    assert continued(once) is once
    assert once["onset_count"].sum() > world["onset_count"].sum()
    later = once.sel(year=slice(1991, None))
    for name in ("onset_count", "dispute", "open", "member", "dispute_onset_count"):
        assert (later[name] == world[name].sel(year=later["year"])).all(), name


def test_two_onsets_of_a_year_are_two(tables):
    table = tables.conflicts.assign(year=tables.conflicts["start"].dt.year)
    twice = table.groupby(["ccode_a", "ccode_b", "year"]).size()
    (a, b, year), number = next(iter(twice[twice > 1].items()))
    panel = load_panel(data=tables, years=(year, year + 1))
    totals = {}
    for y in (year, year + 1):
        data = compute_features(panel, [FeatureRequest("disputes_total", "disputes_total")]).data
        at = (data["ccode_a"] == a) & (data["ccode_b"] == b) & (data["year"] == y)
        totals[y] = float(data["disputes_total"][at.to_numpy()][0])
    assert totals[year + 1] - totals[year] == number > 1


def test_the_option_is_checked(tables):
    with pytest.raises(ArgumentError, match=r"succession='restrt'.*Did you mean 'restart'"):
        load_panel(data=tables, succession="restrt")


def test_a_simulation_from_the_year_of_a_succession_has_the_features(tables, world):
    """What the record of 1990 says of Germany and Yemen is what the features say of 1991."""
    origin = int(world["year"].to_numpy()[0]) + 44
    assert origin == {s.year for s in SUCCESSIONS}.pop()
    rows = load_panel(data=tables, years=(origin + 1, origin + 1)).data
    codes = np.union1d(rows["ccode_a"], rows["ccode_b"])
    record = Record.of(world, rows, origin, states=codes, tables=tables)
    at = dict(zip(codes.tolist(), range(codes.size), strict=True))
    past = world.sel(year=slice(None, origin))

    def of(name, **options):
        return get_feature(name)(past, **options).sel(year=origin, state=codes).to_numpy()

    def of_pairs(name, **options):
        values = get_feature(name)(past, **options).sel(year=origin, state=codes, other=codes)
        return values.to_numpy()[record.a, record.b]

    np.testing.assert_array_equal(record.peace, of_pairs("peace_years"))
    np.testing.assert_array_equal(record.total, of_pairs("disputes_total"))
    np.testing.assert_array_equal(record.active, of_pairs("dispute_last_year"))
    np.testing.assert_array_equal(record.under_way, of_pairs("under_way"))
    np.testing.assert_array_equal(record.onset[-10:].sum(axis=0), of_pairs("disputes_recent"))
    np.testing.assert_array_equal(
        record.state_onsets[-10:].sum(axis=0), of("state_disputes_recent")
    )
    germany = (record.a == at[2]) & (record.b == at[255])
    assert record.peace[germany] == [35]
    assert record.state_onsets[:, at[679]].sum() > 0


def test_an_ally_is_in_dispute_with_a_state_of_two_codes():
    """State 1 is allied with 3, which fought 260 in the year in which 260 went on as 255."""
    story = Story(
        (1985, 1995),
        {1: 0.1, 2: 0.1, 3: 0.1, 255: (0.1, 1990, 1995), 260: (0.1, 1955, 1990)},
        [Treaty("pact", {1: DEFENSE, 3: DEFENSE}, start=1985)],
        disputes=[(3, 260, 1990, 1990)],
    )
    world = story.world()

    def told(name, world, other):
        values = get_feature(name)(world).sel(year=1990, state=1, other=other)
        return float(values.to_numpy())

    restart = world.assign_attrs(succession="restart")
    assert told("ally_in_dispute_with_opponent", world, 255) == 1
    assert told("ally_in_dispute_with_opponent", restart, 255) == 0
    # With nobody else: the two codes are one opponent.
    assert told("ally_in_dispute_elsewhere", world, 255) == 0
    assert told("ally_in_dispute_elsewhere", restart, 255) == 1
    assert told("ally_in_dispute_elsewhere", world, 2) == 1
