"""Panels of frames that somebody else made: any code, wide or long, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from support.modeling_panels import term, varying

import forecast as fc
from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.evaluation.checks import CHECKS
from forecast.modeling.spec import ModelSpec
from forecast.panel.build import load_panel
from forecast.panel_file import open_panel, save_panel
from forecast.store import open_store

ROWS = pd.DataFrame(
    {
        "ccode1": [2, 2, 365, 365],
        "ccode2": [200, 200, 2, 710],
        "year": [2001, 2000, 2000, 2000],
        "mid": [0, 1, np.nan, 0],
        "trade": [4.0, 3.0, 2.0, np.nan],
        "allied": pd.array([True, True, False, None], dtype="boolean"),
        "note": ["x", None, "y", "z"],
    },
    index=[7, 7, "k", "l"],
)


def test_long_rows_with_their_columns_and_names():
    panel = fc.panel_from_frame(ROWS, outcome="mid")
    assert (panel.unit, panel.outcome, panel.lag) == ("dyad-year", "mid", 1)
    assert (panel.world, panel.tables, panel.population) == (None, None, None)
    frame = panel.to_dataframe(names=True)
    assert list(frame) == [
        "year", "ccode_a", "ccode_b", "state_a", "state_b", "outcome", "trade", "allied", "note",
    ]  # fmt: skip
    assert frame["year"].tolist() == [2000, 2000, 2000, 2001]
    assert frame["state_a"].tolist() == ["United States", "Russia", "Russia", "United States"]
    np.testing.assert_array_equal(frame["outcome"], [1, np.nan, 0, 0])
    np.testing.assert_array_equal(frame["allied"], [1, 0, np.nan, 1])
    assert frame["note"].tolist() == ["", "y", "z", "x"]
    # the order of the rows is no other panel; another value is
    assert fc.panel_from_frame(ROWS.iloc[::-1], outcome="mid").fingerprint == panel.fingerprint
    other = ROWS.assign(trade=[4.0, 3.0, 2.5, np.nan])
    assert fc.panel_from_frame(other, outcome="mid").fingerprint != panel.fingerprint


@pytest.mark.parametrize(
    ("codes", "a", "b"),
    [
        ("auto", ["USA", "USA", "Russia", "RU"], ["GBR", "UKG", "us", "Chine"]),
        ("names", ["USA", "USA", "Russia", "RU"], ["GBR", "UKG", "us", "Chine"]),
        ("auto", ["2", "2", "365", "365"], [200.0, 200.0, 2.0, 710.0]),
        ("gw", [2, 2, 365, 365], [200, 200, 2, 710]),
    ],
)
def test_every_code_that_the_resolver_knows(codes, a, b):
    frame = ROWS.assign(ccode1=a, ccode2=b)
    found = fc.panel_from_frame(frame, outcome="mid", codes=codes).to_dataframe()
    expected = fc.panel_from_frame(ROWS, outcome="mid").to_dataframe()
    pd.testing.assert_frame_equal(found, expected)


def test_codes_are_of_the_year():
    rows = {"gwcode1": [260, 260], "gwcode2": [2, 2], "year": [1985, 1995], "outcome": [0, 1]}
    frame = fc.panel_from_frame(pd.DataFrame(rows)).to_dataframe()
    assert frame["ccode_a"].tolist() == [260, 255]
    named = pd.DataFrame(rows | {"gwcode1": "DEU"}).rename(columns={"gwcode1": "a"})
    frame = fc.panel_from_frame(named, a="a", b="gwcode2", codes="names").to_dataframe()
    assert frame["ccode_a"].tolist() == [260, 255]


def test_labels_are_labels():
    frame = ROWS.assign(ccode1=["x1", "x1", "z", "z"], ccode2=["y", "y", "x1", "q"])
    panel = fc.panel_from_frame(frame, outcome="mid")
    assert panel.data.attrs["codes"] == "labels"
    named = panel.to_dataframe(names=True)
    assert named["state_a"].tolist() == ["x1", "z", "z", "x1"]
    assert named["ccode_a"].tolist() == [2, 4, 4, 2]
    # the numbers of COW, said to be none
    labels = fc.panel_from_frame(ROWS, outcome="mid", codes="labels").to_dataframe(names=True)
    assert labels["state_b"].tolist() == ["200", "2", "710", "200"]
    more = pd.DataFrame({"a": ["x1", "z", "new"], "gdp": [5.0, 6.0, 7.0]})
    own = panel.with_data(more, a="a", year=None, side="a").data["gdp"]
    np.testing.assert_array_equal(own, [5, 6, 6, 5])


def test_some_known_and_some_not_is_never_guessed():
    with pytest.raises(UnknownNameError, match=r"'ccode1', row 2 \(index 'k'\).*9999.*codes='cow'"):
        fc.panel_from_frame(ROWS.assign(ccode1=[2, 2, 9999, 365]), outcome="mid")
    with pytest.raises(UnknownNameError, match=r"'Rusia'.*Did you mean 'Russia'"):
        names = {"ccode1": ["USA", "USA", "Rusia", "Russia"], "ccode2": ["GBR"] * 4}
        fc.panel_from_frame(ROWS.assign(**names), outcome="mid")
    kept = fc.panel_from_frame(ROWS.assign(ccode1=[2, 2, 9999, 365]), outcome="mid", codes="cow")
    assert "9999" in kept.to_dataframe(names=True)["state_a"].tolist()
    early = pd.DataFrame({"a": ["Austria"], "b": ["USA"], "year": [1900], "outcome": [0]})
    with pytest.raises(DataError, match=r"'a', row 0: State 'Austria' was not a member .* 1900"):
        fc.panel_from_frame(early, a="a", b="b")


def test_wide_frames_become_long():
    wide = pd.DataFrame(
        {"ccode": [2, 200], 2000: [0, 1], 2001: [1, np.nan], "gdp_2000": [5, 6], "gdp_2001": [7, 8]}
    )
    panel = fc.panel_from_frame(wide, unit="state-year", outcome="war")
    frame = panel.to_dataframe()
    assert frame["year"].tolist() == [2000, 2000, 2001, 2001]
    np.testing.assert_array_equal(frame["outcome"], [0, 1, 1, np.nan])
    assert frame["gdp"].tolist() == [5, 6, 7, 8]
    named = wide.rename(columns={2000: "war2000", 2001: "war2001"})
    again = fc.panel_from_frame(named, unit="state-year", outcome="war").to_dataframe()
    pd.testing.assert_frame_equal(again, frame)


def test_lead_and_lag_move_the_outcome_and_the_columns():
    frame = pd.DataFrame(
        {"a": 2, "b": 20, "year": range(2000, 2004), "y": [0, 1, 0, 1], "x": [1.0, 2, 3, 4]}
    )
    ahead = fc.panel_from_frame(frame, outcome="y", a="a", b="b", lead=1).to_dataframe()
    assert ahead["year"].tolist() == [2001, 2002, 2003, 2004]
    assert (ahead["outcome"].tolist(), ahead["x"].tolist()) == ([0, 1, 0, 1], [1, 2, 3, 4])
    panel = fc.panel_from_frame(frame, outcome="y", a="a", b="b", lag=2)
    assert panel.lag == 2
    np.testing.assert_array_equal(panel.to_dataframe()["x"], [np.nan, np.nan, 1, 2])
    assert panel.data["x"].attrs["covers"] == "2000-2001"
    # whichever way round a pair is written
    frame.loc[1, ["a", "b"]] = [20, 2]
    panel = fc.panel_from_frame(frame, outcome="y", a="a", b="b", lag=1).to_dataframe()
    np.testing.assert_array_equal(panel["x"], [np.nan, 1, 2, 3])


def test_keys_in_the_index():
    indexed = ROWS.drop(columns="note").set_index(["ccode1", "ccode2", "year"])
    panel = fc.panel_from_frame(indexed, outcome="mid")
    expected = fc.panel_from_frame(ROWS.drop(columns="note"), outcome="mid")
    pd.testing.assert_frame_equal(panel.to_dataframe(), expected.to_dataframe())


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"outcome": "mids"}, "outcome='mids'.*no such column.*Did you mean 'mid'"),
        ({"mid": [0, 1, 2, 0]}, {}, r"'mid', row 2 \(index 'k'\): found 2, expected 0, 1"),
        ({"year": [2000, 2000, 2000, 2000]}, {}, r"row 1 \(index 7\).*same states and year as row"),
        ({"year": [2000, 2001, 2000.5, 2]}, {}, r"'year', row 2 \(index 'k'\): found 2000.5"),
        ({"ccode1": [2, 2, None, 365]}, {}, r"'ccode1', row 2 .*the state is missing"),
        ({"ccode2": [2, 200, 2, 710]}, {}, r"row 0 \(index 7\): both states are the same"),
        ({}, {"year": "jahr"}, "year='jahr'.*it has ccode1, ccode2, year"),
        ({}, {"a": "ccode1"}, "has two states; give both"),
        ({}, {"unit": "dispute-dyad"}, "a frame may be of dyad-year, directed-dyad-year"),
        ({}, {"codes": "un"}, "codes='un': expected one of auto, cow"),
        ({}, {"lead": 1.5}, "lead=1.5: expected whole years"),
        ({}, {"data": 7}, "data: found 7 of type int, expected 'embedded'"),
        ({"ccode1": [2, 2, 10**9, 365]}, {"codes": "cow"}, "state 1000000000: expected a number"),
        ({"ccode_a": 1}, {"a": "ccode1", "b": "ccode2"}, "'ccode_a' of the frame is called as a"),
    ],
)
def test_refusals_name_place_and_what_is_expected(changes, options, message):
    with pytest.raises((ArgumentError, DataError), match=message):
        fc.panel_from_frame(ROWS.assign(**changes), **{"outcome": "mid"} | options)


def test_a_pair_both_ways_is_directed():
    both = pd.DataFrame({"ccode1": [2, 20], "ccode2": [20, 2], "year": 2000, "outcome": [0, 1]})
    with pytest.raises(DataError, match="both ways round: unit='directed-dyad-year'"):
        fc.panel_from_frame(both)
    panel = fc.panel_from_frame(both, unit="directed-dyad-year")
    assert panel.to_dataframe()["outcome"].tolist() == [0, 1]


def many(seed: int = 1) -> pd.DataFrame:
    """Pairs of twenty labels over twelve years, more onsets where x is large."""
    rng = np.random.default_rng(seed)
    a, b = np.triu_indices(20, k=1)
    frame = pd.DataFrame(
        {
            "one": [f"s{i:02d}" for i in np.tile(a, 12)],
            "two": [f"s{i:02d}" for i in np.tile(b, 12)],
            "year": np.repeat(np.arange(2000, 2012), a.size),
        }
    )
    frame["x"] = rng.normal(size=len(frame))
    frame["mid"] = (rng.random(len(frame)) < 1 / (1 + np.exp(3 - frame["x"]))).astype(int)
    return frame


def own_model(**more) -> ModelSpec:
    return ModelSpec.from_dict(
        {
            "name": "own",
            "description": "Of a frame.",
            "unit": "dyad-year",
            "population": "all",
            "outcome": "mid",
            "intercept": {"reason": "test"},
            "term": [term("x")],
            "varying": [varying("state", 0.5)],
        }
        | more
    )


def test_it_fits_checks_backtests_and_is_kept(tmp_path):
    panel = fc.panel_from_frame(many(), outcome="mid", a="one", b="two")
    fit = fc.fit(own_model(), panel, seed=1, draws=200)
    mean = float(fit.posterior["posterior"]["beta"].sel(term="x").mean()) / 2  # per s.d.
    assert 0.7 < mean < 1.3
    assert [c.name for c in fc.check(fit, seed=1, checks=list(CHECKS)[:3])] == list(CHECKS)[:3]
    result = fc.backtest(own_model(), panel, years=(2009, 2009), seed=1)
    assert set(result.forecasts["model"]) == {"own", "climatology", "conflictology"}
    store = open_store(tmp_path / "store")
    back = store.load(store.save(fit))
    pd.testing.assert_frame_equal(
        back.panel.to_dataframe(names=True), panel.to_dataframe(names=True)
    )
    with pytest.raises(ArgumentError, match=r"is of a frame.*Risks and scenarios need a fit of"):
        fc.risk(fit, "s01", "s02")
    with pytest.raises(ArgumentError, match=r"is of a frame"):
        fc.simulate(fit)
    with pytest.raises(ArgumentError, match="only horizon 1"):
        fc.backtest(own_model(), panel, years=(2008, 2009), horizon=2, seed=1)
    with pytest.raises(ArgumentError, match="without its tables"):
        save_panel(panel, tmp_path / "x.panel")


def test_a_frame_where_a_panel_is_expected():
    frame = many()
    with pytest.raises(ArgumentError, match=r"fit\(model, panel\): found a DataFrame.*panel_f"):
        fc.fit(own_model(), frame, seed=1)
    with pytest.raises(ArgumentError, match=r"backtest\(plan, panel\): found a DataFrame"):
        fc.backtest(own_model(), frame, years=(2008, 2009), seed=1)
    with pytest.raises(ArgumentError, match=r"build\(model, panel\): found 'rows.*expected a P"):
        fc.build(own_model(), "rows.csv")
    for ask in (lambda: fc.check(frame, seed=1), lambda: fc.risk(frame, 2, 20)):
        with pytest.raises(ArgumentError, match="found a DataFrame, expected a Fit"):
            ask()
    # the rows of a panel are one
    spec = own_model(outcome="onset")
    rows = fc.panel_from_frame(frame, outcome="mid", a="one", b="two").to_dataframe()
    assert fc.fit(spec, rows, seed=1, draws=100).panel.data.sizes["row"] == len(frame)


def test_a_parquet_file_of_rows_is_the_same_panel(tmp_path):
    frame = ROWS.rename(columns={"ccode1": "ccode_a", "ccode2": "ccode_b", "mid": "outcome"})
    frame.reset_index(drop=True).to_parquet(tmp_path / "rows.parquet")
    found = open_panel(tmp_path / "rows.parquet")
    expected = fc.panel_from_frame(frame, codes="cow")
    assert found.fingerprint == expected.fingerprint
    assert found.outcome == "onset"


def test_names_of_the_rows_of_our_panels(tiny_panel, tables):
    frame = tiny_panel.to_dataframe(names=True)
    assert frame["state_a"].notna().all()
    assert "state_a" not in tiny_panel.to_dataframe()
    rows = load_panel(data=tables, unit="state-year", years=(1990, 1993)).to_dataframe(names=True)
    russia = rows[rows["ccode"] == 365].set_index("year")["state"]
    assert russia.to_dict() == {
        1990: "Soviet Union", 1991: "Soviet Union", 1992: "Russia", 1993: "Russia",
    }  # fmt: skip
    labels = json.loads(fc.panel_from_frame(ROWS, outcome="mid").data.attrs["labels"])
    assert labels["365"] == "Russia/Soviet Union"


def test_columns_in_capitals_are_terms():
    frame = many().rename(columns={"x": "GDP_pc", "mid": "MID"})
    panel = fc.panel_from_frame(frame, outcome="MID", a="one", b="two")
    spec = own_model(outcome="MID", term=[term("GDP_pc")])
    assert fc.fit(spec, panel, seed=1, draws=100).encoding.names == ("intercept", "GDP_pc")
