"""From features to rows: lag, sides, columns that are there, errors."""

import numpy as np
import pytest
import xarray as xr
from support.feature_worlds import DEFENSE, OFFENSE, Story, Treaty, random_world

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.features import FeatureRequest, compute_features, feature_arrays, get_feature
from forecast.panel.types import Panel

TREATIES = [
    Treaty("a", {2: DEFENSE, 3: (1995, 9999, DEFENSE)}, 1980),
    Treaty("o", {2: OFFENSE, 5: ()}, 1980),
]
WORLD = Story(
    (1990, 1999),
    {2: 0.1, 3: 0.3, 5: (0.2, 1996, 9999)},
    TREATIES,
    disputes=[(2, 3, 1993, 1994)],
).world()


def panel(rows, *, unit="dyad-year", lag=1, world=WORLD, **columns):
    names = ("ccode",) if unit == "state-year" else ("ccode_a", "ccode_b")
    year, *codes = (np.array(c) for c in zip(*rows, strict=True))
    coords = {"year": ("row", year)}
    coords |= {name: ("row", c) for name, c in zip(names, codes, strict=True)}
    data = xr.Dataset(
        {"outcome": ("row", np.zeros(len(year)))} | {k: ("row", v) for k, v in columns.items()},
        coords=coords,
    )
    return Panel(data, world, None, unit, "all", "onset", lag, "")


def column(rows, feature, side="none", *, options=None, unit="dyad-year", lag=1):
    request = FeatureRequest("x", feature, options or {}, side)
    return compute_features(panel(rows, unit=unit, lag=lag), [request]).data["x"].to_numpy()


def test_lag_is_applied_once():
    rows = [(1994, 2, 3), (1995, 2, 3), (1996, 2, 3), (1990, 2, 3), (2000, 2, 3)]
    expected = [0, 0, 1, np.nan, 1]  # the pact begins in 1995; 1989 is outside the world
    got = column(rows, "pact_in_dyad")
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(column(rows, "pact_in_dyad", lag=3), [0, 0, 0, np.nan, 1])
    np.testing.assert_array_equal(column(rows[:3], "dispute_last_year"), [1, 1, 0])


def test_sides_of_a_state_feature():
    rows = [(1994, 2, 3)]
    for side, expected in {
        "a": 0.1,
        "b": 0.3,
        "sum": 0.4,
        "mean": 0.2,
        "min": 0.1,
        "max": 0.3,
        "product": 0.03,
        "absdiff": 0.2,
    }.items():
        assert column(rows, "capability_share", side)[0] == pytest.approx(expected), side


def test_missing_on_one_side_is_missing():
    rows = [(1995, 2, 5), (1997, 2, 5)]  # 5 enters in 1996
    for side in ("b", "sum", "mean", "min", "max", "product", "absdiff"):
        got = column(rows, "capability_share", side)
        assert np.isnan(got[0]) and not np.isnan(got[1]), side
    assert column(rows, "capability_share", "a")[0] == pytest.approx(0.1)


def test_directed_feature_has_a_value_each_way():
    # 2 owes 5 offence: 5 has an outside offensive ally against 3, and 3 has none against 5.
    for unit in ("dyad-year", "directed-dyad-year"):
        rows = [(1998, 3, 5)]
        got = {
            s: column(rows, "outside_offense", s, unit=unit)[0] for s in ("a", "b", "max", "sum")
        }
        assert got == {"a": 0, "b": 1, "max": 1, "sum": 1}
    turned = column([(1998, 5, 3)], "outside_offense", "a", unit="directed-dyad-year")
    assert turned[0] == 1


def test_state_years_and_system_features():
    rows = [(1995, 2), (1997, 5), (1996, 5)]
    got = column(rows, "capability_share", unit="state-year")
    np.testing.assert_allclose(got, [0.1, 0.2, np.nan])
    system = column([(1995, 2)], "system_disputes_recent", unit="state-year")
    # One onset in 1990–1994, two states each year.
    np.testing.assert_allclose(system, 10, rtol=1e-6)
    np.testing.assert_allclose(column([(1995, 2, 3)], "system_disputes_recent"), 10, rtol=1e-6)


def test_gathered_rows_are_the_arrays_one_year_before():
    world = random_world(11, years=16)
    codes, years = world["state"].to_numpy(), world["year"].to_numpy()
    rng = np.random.default_rng(1)
    rows = [
        (int(rng.choice(years[1:])), *map(int, sorted(rng.choice(codes, 2, replace=False))))
        for _ in range(60)
    ]
    requests = [
        FeatureRequest("e", "own_expansion", {"window": 3}, "max"),
        FeatureRequest("f", "frontier_expansion", {"window": 3}, "absdiff"),
        FeatureRequest("s", "shared_allies"),
        FeatureRequest("y", "system_disputes_recent"),
        FeatureRequest("p", "peace_years"),
    ]
    got = compute_features(panel(rows, world=world), requests).data
    arrays = feature_arrays(world, requests)
    assert set(arrays) == {"e", "f", "s", "y", "p"}
    for name, array in arrays.items():
        assert array.dims == ("year", "state", "other")
        for r, (year, a, b) in enumerate(rows):
            expected = array.sel(year=year - 1, state=a, other=b)
            np.testing.assert_allclose(got[name][r], expected, rtol=1e-6)
            if name != "f":
                turned = array.sel(year=year - 1, state=b, other=a)
                np.testing.assert_array_equal(expected, turned)
    state = feature_arrays(world, [FeatureRequest("c", "capability_share")], unit="state-year")
    xr.testing.assert_equal(
        state["c"].drop_attrs(), get_feature("capability_share")(world).drop_attrs()
    )


def test_columns_say_how_they_were_made():
    request = FeatureRequest("grew", "own_expansion", {"window": 3}, "max")
    attrs = compute_features(panel([(1996, 2, 3)]), [request]).data["grew"].attrs
    assert attrs["feature"] == "own_expansion"
    assert attrs["options"] == '{"window": 3}'
    assert attrs["side"] == "max"
    assert attrs["unit"] == "states"
    assert attrs["covers"] == "1995-1995"
    both = panel([(1994, 2, 3), (1992, 2, 3), (1999, 2, 3)])  # 1992 looks back past the world
    assert compute_features(both, [request]).data["grew"].attrs["covers"] == "1993-1998"
    blind = WORLD.assign(obligation_covered=WORLD["obligation_covered"] & False)
    got = compute_features(panel([(1996, 2, 3)], world=blind), [request]).data["grew"]
    assert got.attrs["covers"] == "no year" and np.isnan(got).all()


def test_columns_that_are_there_are_kept():
    rows = [(1996, 2, 3)]
    given = panel(rows, pact=[0.25], world=None)
    request = FeatureRequest("pact", "pact_in_dyad")
    assert compute_features(given, [request]).data["pact"].to_numpy() == [0.25]
    kept = compute_features(panel(rows, pact=[0.25]), [request])
    assert kept.data["pact"].to_numpy() == [0.25]
    # What was computed from another request is computed anew, if it can be.
    made = compute_features(panel(rows), [request])
    assert made.data["pact"].to_numpy() == [1]
    other = FeatureRequest("pact", "pact_in_dyad", {"obligation": "offense"})
    assert compute_features(made, [other]).data["pact"].to_numpy() == [0]
    stale = Panel(made.data, None, None, "dyad-year", "all", "onset", 1, "")
    assert compute_features(stale, [request]) is stale
    with pytest.raises(ArgumentError, match=r"column 'pact' was made with .*cannot be made anew"):
        compute_features(stale, [other])
    with pytest.raises(DataError, match=r"column 'rest' \(feature 'shared_allies'\).*of a file"):
        compute_features(stale, [FeatureRequest("rest", "shared_allies")])


def test_the_panel_is_not_changed():
    before = panel([(1996, 2, 3)])
    after = compute_features(before, [FeatureRequest("p", "pact_in_dyad")])
    assert "p" in after.data and "p" not in before.data


def test_rows_of_an_unknown_state():
    with pytest.raises(DataError, match=r"column 'ccode_b', row 1: state 4 is not in the world"):
        column([(1996, 2, 3), (1996, 3, 4)], "pact_in_dyad")
    with pytest.raises(DataError, match="state 999"):
        column([(1996, 2, 999)], "pact_in_dyad")


def test_bad_requests():
    with pytest.raises(UnknownNameError, match="Did you mean 'own_expansion'"):
        FeatureRequest("x", "own_expansoin", {}, "a")
    with pytest.raises(UnknownNameError, match=r"option of feature 'own_expansion' 'windw'. Did"):
        FeatureRequest("x", "own_expansion", {"windw": 3}, "a")
    with pytest.raises(UnknownNameError, match=r"Its options: none\."):
        FeatureRequest("x", "shared_allies", {"window": 3})
    with pytest.raises(UnknownNameError, match=r"side of column 'x': 'maxx'\. Did you mean 'max'"):
        FeatureRequest("x", "own_expansion", {}, "maxx")
    with pytest.raises(ArgumentError, match="one value per pair; side must be 'none', found 'max'"):
        FeatureRequest("x", "shared_allies", {}, "max")
    with pytest.raises(ArgumentError, match="one value per year"):
        FeatureRequest("x", "system_disputes_recent", {}, "a")
    with pytest.raises(ArgumentError, match="is directed"):
        FeatureRequest("x", "outside_defense")
    with pytest.raises(ArgumentError, match="one value for each side"):
        column([(1996, 2, 3)], "own_expansion")
    with pytest.raises(ArgumentError, match="about pairs of states"):
        column([(1996, 2)], "shared_allies", unit="state-year")
    with pytest.raises(ArgumentError, match="has one side"):
        column([(1996, 2)], "own_expansion", "max", unit="state-year")
    twice = [FeatureRequest("x", "own_expansion", {}, side) for side in ("a", "b")]
    with pytest.raises(ArgumentError, match="'x' is requested twice, differently"):
        compute_features(panel([(1996, 2, 3)]), twice)
    assert "x" in compute_features(panel([(1996, 2, 3)]), twice[:1] * 2).data


def test_a_new_state_may_have_the_geography_of_its_first_year():
    rows = [(1995, 2, 5), (1996, 2, 5), (1997, 2, 5)]  # 5 enters in 1996
    request = lambda entry: FeatureRequest("x", "capability_share", {}, "b", entry)  # noqa: E731
    values = {
        entry: compute_features(panel(rows), [request(entry)]).data["x"].to_numpy()
        for entry in ("missing", "current")
    }
    np.testing.assert_array_equal(np.isnan(values["missing"]), [True, True, False])
    np.testing.assert_array_equal(np.isnan(values["current"]), [True, False, False])
    assert values["current"][1] == values["current"][2]
    assert values["current"][2] == values["missing"][2]


def test_a_column_of_another_first_year_is_made_anew():
    rows = [(1995, 2, 5), (1996, 2, 5), (1997, 2, 5)]  # 5 enters in 1996
    current = FeatureRequest("x", "capability_share", {}, "b", "current")
    missing = FeatureRequest("x", "capability_share", {}, "b")
    for first, second in ((current, missing), (missing, current)):
        made = compute_features(compute_features(panel(rows), [first]), [second])
        fresh = compute_features(panel(rows), [second])
        np.testing.assert_array_equal(made.data["x"], fresh.data["x"])
        with pytest.raises(ArgumentError, match="requested twice"):
            compute_features(panel(rows), [first, second])


def test_only_what_no_event_changes_is_current_at_entry():
    for name in ("peace_years", "pact_in_dyad"):
        with pytest.raises(ArgumentError, match="events of the year that is forecast"):
            FeatureRequest("x", name, at_entry="current")
    with pytest.raises(UnknownNameError, match="at_entry"):
        FeatureRequest("x", "land_contiguity", at_entry="now")
