"""A user's own columns on the rows of our panels: matched, lagged, missing, fingerprinted."""

import numpy as np
import pandas as pd
import pytest
from support.modeling_panels import term, varying

import forecast as fc
from forecast.errors import ArgumentError, DataError
from forecast.modeling.spec import ModelSpec
from forecast.panel.build import load_panel
from forecast.panel_file import save_panel


@pytest.fixture(scope="module")
def relevant(tables):
    return load_panel(data=tables, population="politically_relevant", years=(1990, 2004))


@pytest.fixture(scope="module")
def aid(relevant) -> pd.DataFrame:
    """A value for each state and year, by ISO code and COW letters: 1990 to 2002."""
    rng = np.random.default_rng(1)
    named = ["USA", "RUS", "CHN", "FRN", "UKG", "India", "Iran", "ISR", "UKR", "Pakistan"]
    years = range(1992, 2003)
    keys = pd.MultiIndex.from_product([named, years], names=["country", "year"])
    return pd.DataFrame({"aid": rng.normal(size=len(keys))}, index=keys).reset_index()


def test_values_of_states_are_those_of_the_year_before(relevant, aid):
    panel = relevant.with_data(aid, a="country", side="max")
    frame = panel.to_dataframe(names=True)
    row = frame[(frame["ccode_a"] == 2) & (frame["ccode_b"] == 365) & (frame["year"] == 2000)]
    then = aid[aid["year"] == 1999].set_index("country")["aid"]
    assert row["aid"].item() == max(then["USA"], then["RUS"])
    late = frame[(frame["ccode_a"] == 2) & (frame["ccode_b"] == 365)].set_index("year")["aid"]
    assert late[late.notna()].index.tolist() == list(range(1993, 2004))
    assert frame["aid"].isna().mean() > 0.9  # pairs with another state are not covered
    assert panel.data["aid"].attrs == {
        "own": "state",
        "lag": 1,
        "side": "max",
        "covers": "1992-2002",
    }
    now = relevant.with_data(aid, a="country", side="max", lag=0).to_dataframe()
    now = now[(now["ccode_a"] == 2) & (now["ccode_b"] == 365)].set_index("year")["aid"]
    np.testing.assert_array_equal(now.loc[1992:2002], late.loc[1993:2003])
    assert panel.fingerprint not in (relevant.fingerprint, "")
    assert relevant.with_data(aid, a="country", side="min").fingerprint != panel.fingerprint


def test_values_of_pairs_of_years_and_of_what_does_not_change(relevant):
    pairs = pd.DataFrame({"ccode1": [365, 2], "ccode2": [2, 20], "year": 1999, "treaty": [1.0, 0]})
    found = relevant.with_data(pairs).to_dataframe()
    here = found[found["treaty"].notna()]
    assert here[["year", "ccode_a", "ccode_b", "treaty"]].to_numpy().tolist() == [
        [2000, 2, 20, 0], [2000, 2, 365, 1],
    ]  # fmt: skip
    both = pd.DataFrame({"ccode1": [365, 2], "ccode2": [2, 365], "year": 1999, "sent": [1.0, 5]})
    with pytest.raises(DataError, match=r"two rows for the same key .the pair both ways"):
        relevant.with_data(both)
    most = relevant.with_data(both, side="max").to_dataframe()
    assert most["sent"].dropna().tolist() == [5]
    world = pd.DataFrame({"year": range(1989, 2004), "oil": np.arange(15.0)})
    oil = relevant.with_data(world).to_dataframe()
    assert (oil["oil"] == oil["year"] - 1990).all()
    fixed = pd.DataFrame({"ccode": [2, 365], "island": [0, 0]})
    assert relevant.with_data(fixed, year=None, side="sum").data["island"].sum() == 0


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {}, "side='none': the frame has one value for each state"),
        ({}, {"side": "best"}, "side='best': expected one of a, b, sum"),
        (
            {"aid": "much"},
            {"side": "a"},
            "column 'aid': found one group, 'much', expected two groups or more",
        ),
        ({"aid": None}, {"side": "a"}, "column 'aid': found nothing, expected two groups or more"),
        ({"year": 1801}, {"side": "a"}, "None of the .* rows of the panel gets a value.*lag=1"),
        ({"country": "USA"}, {"side": "a"}, "two rows for the same key: row 0 and row 11"),
        ({"outcome": 1}, {"side": "a"}, "has a column 'outcome' already"),
        ({}, {"side": "a", "lag": -1}, "lag=-1: expected whole years"),
        ({}, {"side": "a", "year": "when"}, "year='when': the frame has no such column"),
    ],
)
def test_refusals(relevant, aid, change, options, message):
    with pytest.raises((ArgumentError, DataError), match=message):
        relevant.with_data(aid.assign(**change), **{"a": "country"} | options)
    with pytest.raises(ArgumentError, match=r"found a list, expected a pandas\.DataFrame"):
        relevant.with_data([1, 2])
    with pytest.raises(DataError, match="the frame has no rows"):
        relevant.with_data(aid.iloc[:0], a="country", side="a")


def test_years_may_be_periods(relevant, aid):
    dated = aid.assign(year=pd.PeriodIndex(aid["year"].astype(str), freq="Y"))
    one, other = (relevant.with_data(frame, a="country", side="a") for frame in (aid, dated))
    np.testing.assert_array_equal(one.data["aid"], other.data["aid"])


def test_an_own_column_is_a_term(relevant, aid, tmp_path):
    spec = ModelSpec.from_dict(
        {
            "name": "aided",
            "description": "Ours and theirs.",
            "unit": "dyad-year",
            "population": "politically_relevant",
            "intercept": {"reason": "test"},
            "term": [
                term("aid", missing="indicator"),
                term("peace", feature="peace_years", family="history", pre_treatment=False,
                     missing="drop", transform="log1p"),
            ],
            "varying": [varying("state", 0.5)],
        }
    )  # fmt: skip
    with pytest.raises(ArgumentError, match=r"'aid' names no registered feature.*panel.with_data"):
        fc.fit(spec, relevant, seed=1)
    panel = relevant.with_data(aid, a="country", side="max")
    fit = fc.fit(spec, panel, seed=1, draws=100)
    assert list(fit.encoding.names) == ["intercept", "aid", "aid:has_value", "peace"]
    other = relevant.with_data(aid.assign(aid=aid["aid"] + 1), a="country", side="max")
    assert fc.fit(spec, other, seed=1, draws=100).id != fit.id
    with pytest.raises(ArgumentError, match=r"terms of your own columns \(aid\): nothing is known"):
        fc.risk(fit, "USA", "RUS")
    with pytest.raises(ArgumentError, match="'aid' is a column of your own"):
        plan = {"origins": (2002, 2003), "horizons": (2,), "baselines": ("climatology",)}
        fc.backtest(fc.BacktestPlan(model=spec, seed=1, **plan), panel)
    with pytest.raises(ArgumentError, match=r"columns of your own \(aid\)"):
        save_panel(panel, tmp_path / "x.panel")


def test_groups_of_ones_own_become_columns_of_terms(relevant):
    """Text and categories: a column of 0 and 1 for each level but the first, missing kept."""
    states = pd.DataFrame(
        {
            "country": ["Russia", "USA", "China", "Iran"],
            "regime": ["Hybrid", "Democracy", "One party", None],
            "bloc": pd.Categorical(["east", "west", "east", "none"], ["none", "east", "west", "?"]),
        }
    )
    panel = relevant.with_data(states, a="country", year=None, side="max")
    assert "regime" not in panel.data
    assert "regime_democracy" not in panel.data  # the first of the alphabet is what is compared to
    assert {"regime_hybrid", "regime_one_party", "bloc_east", "bloc_west"} <= set(panel.data)
    rows = panel.to_dataframe()
    one = rows[(rows["ccode_a"] == 2) & (rows["ccode_b"] == 710)].iloc[0]
    found = [one[c] for c in ("regime_hybrid", "regime_one_party", "bloc_east", "bloc_west")]
    assert found == [0, 1, 1, 1]
    assert rows.loc[rows["ccode_a"] == 630, "regime_hybrid"].isna().all()
    text = ["onset", ["regime_hybrid"], []]
    spec = fc.model(*text, columns={"regime_hybrid": "society"})
    assert spec.own_terms == ("regime_hybrid",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1", "2", "n/a"], "column 'x', row 2: found 'n/a', expected a number"),
        (["a", "a", "a"], "column 'x': found one group, 'a', expected two groups or more"),
        (["a", "b c", "b-c"], "the level 'b-c' becomes 'x_b_c', which is there already"),
    ],
)
def test_what_is_no_group_is_refused(relevant, values, message):
    frame = pd.DataFrame({"country": ["USA", "Russia", "China"], "x": values})
    with pytest.raises(DataError, match=message):
        relevant.with_data(frame, a="country", year=None, side="max")


def test_a_fit_of_a_frame_is_refused_where_the_world_is_needed(tmp_path):
    """With the reason, wherever a result, findings or a fit of our world is expected."""
    rng = np.random.default_rng(1)
    rows = pd.MultiIndex.from_product([[2, 200, 220], [365, 710], range(1990, 2005)])
    frame = rows.to_frame(index=False, name=["ccode1", "ccode2", "year"])
    frame = frame.assign(outcome=rng.integers(0, 2, len(frame)), x=rng.normal(size=len(frame)))
    frame["kind"] = np.where(frame["x"] > 0, "up", "down")
    panel = fc.panel_from_frame(frame)
    fit = fc.fit(fc.model("onset", ["x"], [], columns={"x": "society"}), panel, seed=1)
    scenario = fc.Scenario("x").join("NATO", ["UKR"], when="2027-01-01")
    for ask in (
        lambda: fc.risk(fit, "USA", "RUS"),
        lambda: fc.simulate(fit, scenario),
        lambda: fc.explain(fit, "USA", "RUS"),
        lambda: fc.report(fit, tmp_path / "report"),
    ):
        with pytest.raises(ArgumentError, match="no states, borders or alliances are known"):
            ask()
    for ask in (lambda: fc.explain(panel, 2, 365), lambda: fc.explain(frame, 2, 365)):
        with pytest.raises(ArgumentError, match=r"expected a result of forecast\.simulate"):
            ask()
    with pytest.raises(ArgumentError, match=r"report: found a Panel, expected .*Findings"):
        fc.report(panel, tmp_path / "report")
    with pytest.raises(DataError, match=r"'kind' must hold one number.*panel\.with_data\(frame\)"):
        fc.fit(fc.model("onset", ["kind"], [], columns={"kind": "society"}), panel, seed=1)
