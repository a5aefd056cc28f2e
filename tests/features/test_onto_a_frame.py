"""Our features on frames of others: their rows, order and index; missing where not covered."""

import numpy as np
import pandas as pd
import pytest

import forecast as fc
from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.features import FeatureRequest, compute_features
from forecast.panel.build import load_panel

FEATURES = ["pact_in_dyad", "peace_years", "outside_defense", "capability_share", "polarization"]
COLUMNS = [
    "pact_in_dyad", "peace_years", "outside_defense_a", "outside_defense_b",
    "capability_share_a", "capability_share_b", "polarization",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tables):
    return load_panel(data=tables, unit="directed-dyad-year", years=(1996, 1999))


@pytest.fixture(scope="module")
def frame(whole):
    rows = whole.to_dataframe()[["ccode_a", "ccode_b", "year"]]
    some = rows.sample(2_000, random_state=1, replace=True)
    return some.assign(mine=np.arange(len(some))).set_index(np.arange(len(some)) // 3)


def test_the_same_values_as_in_our_panels_in_their_order(whole, frame):
    made = fc.attach(frame, FEATURES, data=whole)
    assert list(made) == ["ccode_a", "ccode_b", "year", "mine", *COLUMNS]
    pd.testing.assert_frame_equal(made[list(frame)], frame)  # rows, order, index as they are
    requests = [
        FeatureRequest(name, name.rpartition("_")[0] if name[-2:] in ("_a", "_b") else name, {},
                       name[-1] if name[-2:] in ("_a", "_b") else "none")
        for name in COLUMNS
    ]  # fmt: skip
    data = compute_features(whole, requests).data
    ours = data.to_dataframe().set_index(["ccode_a", "ccode_b", "year"])[COLUMNS]
    keys = pd.MultiIndex.from_frame(frame[["ccode_a", "ccode_b", "year"]])
    np.testing.assert_array_equal(made[COLUMNS].to_numpy(), ours.loc[keys].to_numpy())
    about = made.attrs["forecast"]
    assert (about["lag"], about["data"]) == (1, "embedded")
    assert about["peace_years"] == {
        "feature": "peace_years", "unit": "years", "covers": "1995-1998",
    }  # fmt: skip


def test_undirected_rows_options_and_names(whole):
    frame = pd.DataFrame(
        {"country_a": ["Iran", "Israel"], "country_b": ["ISR", "Iran"], "year": [1998, 1998]}
    )
    lowest = FeatureRequest("least", "capability_share", {}, "min")
    made = fc.attach(frame, ["peace_years", lowest], data=whole)
    assert made["least"].nunique() == 1 == made["peace_years"].nunique()
    # the state of affairs of the year itself is another
    now = fc.attach(frame.assign(year=1997), ["peace_years", lowest], data=whole, lag=0)
    pd.testing.assert_frame_equal(now[["peace_years", "least"]], made[["peace_years", "least"]])


def test_missing_where_not_covered(whole):
    frame = pd.DataFrame(
        {
            "gwcode1": [2, 2, 2, np.nan, 2, 260, 2, 89],
            "gwcode2": [200, 200, 200, 200, 2, 220, 200, 2],
            "year": [1998, 1900, 2400, 1998, 1998, 1998, np.nan, 1998],
        },
        index=list("abcdefgh"),
    )
    made = fc.attach(frame, ["pact_in_dyad", "contiguity_closeness"], data=whole)
    # Germany is 260 with Gleditsch and Ward; 89 is nobody with COW
    assert made["pact_in_dyad"].dropna().to_dict() == {"a": 1.0, "f": 1.0}
    names = pd.DataFrame(
        {"ccode1": ["Germany"] * 3, "ccode2": "France", "year": [1998, 1950, 1992]}
    )
    found = fc.attach(names, ["pact_in_dyad"], data=whole)["pact_in_dyad"]
    np.testing.assert_array_equal(found, [1, np.nan, 1])


def test_state_years_and_keys_in_the_index(whole):
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.MultiIndex.from_tuples(
        [("USA", 1998), ("China", 1998)], names=["country", "year"],
    ))  # fmt: skip
    made = fc.attach(frame, ["capability_share", "has_ally"], data=whole)
    assert made.index.equals(frame.index)
    assert list(made) == ["x", "capability_share", "has_ally"]
    assert made["capability_share"].between(0.05, 0.25).all()
    with pytest.raises(ArgumentError, match="is about pairs of states"):
        fc.attach(frame, ["pact_in_dyad"], data=whole)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"features": ["peace_year"]}, UnknownNameError, "Did you mean 'peace_years'"),
        ({}, {"features": [3]}, ArgumentError, "features: found 3, expected names"),
        ({}, {"features": None}, ArgumentError, "features: found None, expected names"),
        ({}, {"features": []}, ArgumentError, "features: expected at least one"),
        ({"peace_years": 1}, {}, ArgumentError, "has a column 'peace_years' already"),
        ({}, {"lag": 0.5}, ArgumentError, "lag=0.5: expected whole years"),
        ({}, {"a": "x", "b": "ccode2"}, ArgumentError, "a='x': the frame has no such column"),
        ({}, {"a": None, "b": "ccode2"}, ArgumentError, "expected with `a`"),
        ({"ccode1": ["USA", "Rusia"]}, {}, UnknownNameError, "row 1: 'Rusia'.*'Russia'"),
        ({"ccode1": ["x", "y"], "ccode2": ["u", "v"]}, {}, ArgumentError, "no value of .* known"),
        ({"year": ["1998", "x"]}, {}, DataError, "column 'year', row 1: found 'x'"),
        ({}, {"codes": "iso2"}, ArgumentError, "codes='iso2': expected one of auto"),
    ],
)
def test_refusals(whole, change, options, error, message):
    rows = pd.DataFrame({"ccode1": ["USA", "Iran"], "ccode2": ["Iran", "ISR"], "year": 1998})
    given = {"features": ["peace_years"], "data": whole} | options
    features = given.pop("features")
    with pytest.raises(error, match=message):
        fc.attach(rows.assign(**change), features, **given)
    with pytest.raises(ArgumentError, match=r"found a dict, expected a pandas\.DataFrame"):
        fc.attach({}, features)
