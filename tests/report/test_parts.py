from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.findings import make_simulation, make_tables

from forecast.csv_text import as_csv
from forecast.plot.world import BINS, geometry
from forecast.report import scenarios
from forecast.report.alliances import alliance_changes, alliance_features
from forecast.report.files import digest, rounded
from forecast.report.page import _least
from forecast.report.pairs import bin_labels
from forecast.report.summary import _trust
from forecast.sources.tables import Tables
from forecast.text import group_words, interval, listed, percent, points, ratio, slug

# Text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0%"), (5e-5, "<0.01%"), (0.00034, "0.034%"), (0.0034, "0.34%"), (0.034, "3.4%"),
     (0.34, "34%"), (0.0996, "10%"), (0.994, "99%"), (0.9999, "100.0%"), (math.nan, "–")],
)  # fmt: skip
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text


@given(st.floats(1e-4, 0.995))
def test_percent_is_within_rounding_of_the_number(value: float) -> None:
    assert float(percent(value).rstrip("%")) / 100 == pytest.approx(value, rel=0.051)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.034, "+3.4 points"), (-0.5, "−50 points"), (0.00001, "0 points"), (0.0004, "+0.04 points")],
)
def test_points_have_a_sign_and_a_unit(value: float, text: str) -> None:
    assert points(value) == text


def test_other_texts() -> None:
    assert interval(0.021, 0.054) == "2.1–5.4%"
    assert ratio(12.3) == "12×" and ratio(1234.0) == "1234×"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed("abcd", limit=2) == "a, b and 2 more"
    assert slug("Ukraine joins NATO, 2027!") == "ukraine_joins_nato_2027"


# Files ------------------------------------------------------------------------------------------


def test_digest_sees_every_number_but_not_noise_beyond_twelve_digits() -> None:
    table = pd.DataFrame({"name": ["a", "b"], "x": [1 / 3, 2e-7]})
    noise = table.assign(x=table["x"] * (1 + 1e-15))
    other = table.assign(x=table["x"] * (1 + 1e-11))

    def of(frame: pd.DataFrame, name: str = "t") -> str:
        return digest({name: as_csv(rounded(frame))})

    plain = of(table)
    assert of(noise) == plain
    assert of(other) != plain
    assert of(table, "u") != plain


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_rounding_keeps_twelve_digits_and_no_others(value: float) -> None:
    found = float(rounded(pd.DataFrame({"x": [value]}))["x"].iloc[0])
    if not math.isfinite(value):
        assert found == value or (math.isnan(value) and math.isnan(found))
        return
    assert found == float(f"{found:.12g}")
    assert found == pytest.approx(value, rel=1e-11, abs=0.0)


def test_csv_reads_back_as_it_was() -> None:
    table = pd.DataFrame(
        {"name": ['a, "b"', "é"], "x": [1 / 3, np.nan], "n": [1, 2], "ok": [True, False],
         "many": [["p", "q"], []], "none": [None, None]}
    )  # fmt: skip
    back = pd.read_csv(io.BytesIO(as_csv(table)))
    pd.testing.assert_frame_equal(back[["name", "x", "n", "ok"]], table[["name", "x", "n", "ok"]])
    assert back["many"].tolist() == ["['p', 'q']", "[]"] and back["none"].isna().all()


# Pairs ------------------------------------------------------------------------------------------


def test_columns_of_pairs_hold_every_pair_to_four_digits() -> None:
    from support.findings import make_findings

    from forecast.report.pairs import SCALE, pair_data, shown_rows
    from forecast.report.tables import tables_of

    tables = tables_of(make_findings(scenarios={}, backtest=None))
    changes = tables["risks"].assign(change=-0.25)[::2]
    data = pair_data(tables["risks"], tables["states"], tables["disputes"], changes, [1, 3])
    first = tables["risks"][tables["risks"]["horizon"] == 3].set_index(["state_a", "state_b"])
    assert len(data["a"]) == len(first) == 91
    names = [data["states"][i][0] for i in range(len(data["states"]))]
    for i in range(len(first)):
        row = first.loc[(names[data["a"][i]], names[data["b"][i]])]
        assert data["p"][0][1][i] / SCALE == pytest.approx(row["probability"], rel=1e-3, abs=1e-7)
        assert data["classes"][data["k"][i]][1][0][1] / SCALE == pytest.approx(row["base_rate"])
        assert bool(data["v"][i]) == row["relevant"]
    assert {len(data[key]) for key in "abkov"} == {91}
    assert sorted(data["w"]) == sorted(i for i, o in enumerate(data["o"]) if o == 2)
    assert set(data["c"][0]) == {None, -SCALE // 4}
    shown = shown_rows(data, 1000)
    assert len(shown) == 89 and shown[0]["date"] == "2010-05-10"
    assert [r["p"] for r in shown] == sorted((r["p"] for r in shown), reverse=True)


def test_the_leading_level_of_the_table_is_the_deadly_one() -> None:
    from support.findings import make_findings

    from forecast.report.pairs import SCALE, pair_data, shown_rows
    from forecast.report.summary import summarise
    from forecast.report.tables import tables_of

    tables = tables_of(make_findings(scenarios={}, backtest=None))
    risks = tables["risks"]
    severe = risks.assign(
        probability=risks["probability"] / 4, lower=risks["lower"] / 4, upper=risks["upper"] / 4,
        base_rate=risks["base_rate"] / 5, fighting=risks["probability"] / 4,
    )  # fmt: skip
    going = severe["status"] == "under way"
    severe.loc[going, "fighting"] = 0.75
    severe = severe.assign(fighting_lower=severe["fighting"] / 2, fighting_upper=severe["fighting"])
    data = pair_data(risks, tables["states"], tables["disputes"], None, [1, 3], severe)
    assert data["levels"] == ["deaths_25", "onset"]
    for i in range(len(data["a"])):
        assert data["p"][0][0][i] == pytest.approx(data["p"][1][0][i] / 4, rel=2e-3, abs=2)
    _, rates = data["classes"][0]
    assert rates[0][0] == pytest.approx(rates[1][0] / 5, rel=2e-3)
    # Fighting is what is under way, and what begins everywhere else.
    assert sorted(data["f"]) == [i for i, o in enumerate(data["o"]) if o == 2]
    assert all(values[0][0] == round(0.75 * SCALE) for values in data["f"].values())
    shown = shown_rows(data, 5)
    assert shown[0]["p"] == max(row["p"] for row in shown)
    assert shown[0]["change"] is None
    said = summarise(
        tables | {"risks_deaths_25": severe}, scenarios=[], model="m", observed={2009: 3},
        passed=True,
    )  # fmt: skip
    assert said[0].startswith("Fighting in ") and "(75%)" in said[0]
    assert said[1:] == summarise(tables, scenarios=[], model="m", observed={2009: 3}, passed=True)


def test_slopes_by_era_and_by_relevance_are_told_apart() -> None:
    from forecast import plot
    from forecast.report.evidence import model_views

    numbers = {"mean": 0.1, "lower": 0.0, "upper": 0.2, "level": 0.9}
    levels = {
        "cold_war": "1946–1989",
        "politically_relevant=0": "politically_relevant=0",
        "politically_relevant=1": "politically_relevant=1",
        "under_way=0": "under_way=0",
    }
    slopes = pd.DataFrame(
        [{"term": "pact" if era == "cold_war" else "power", "family": "", "era": era,
          "years": years} | numbers
         for era, years in levels.items()]
    )  # fmt: skip
    terms = [
        {"name": "x", "column": "x", "family": "power", "prior": "", "positive": 1.0} | numbers
    ]
    tables = {"terms": pd.DataFrame(terms), "scales": pd.DataFrame(), "slopes": slopes}
    views = model_views(tables)
    assert views["eras"] == {"cold_war": "1946–1989"}
    ax = plot.slopes(slopes, names=views["eras"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["pact"]
    ax = plot.slopes(slopes, names=views["groups"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["power"]
    legend = ax.get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["politically relevant", "remote"]
    assert model_views({**tables, "slopes": slopes[:1]})["groups"] == {}


def test_names_of_groups_are_words() -> None:
    assert group_words("relevance", "relevant") == "politically relevant"
    assert group_words("stratum", "first ever, remote") == "no conflict on record, remote"
    assert group_words("all", "all") == "all pairs" and group_words("region", "Asia") == "Asia"


def test_only_a_shipped_model_carries_what_is_known_of_it() -> None:
    from support.findings import make_findings

    from forecast.report.evidence import alliances_help

    findings = make_findings(backtest=None)
    known, own = alliances_help(findings, {})
    assert "nothing that can be measured" in known and "no backtest" in own
    spec = findings.fit.spec.model_copy(update={"outcome": "war_onset"})
    other = replace(findings, fit=replace(findings.fit, spec=spec))
    assert alliances_help(other, {}) == [own]


# Alliances --------------------------------------------------------------------------------------


def test_changes_of_the_tiny_world(tiny_tables: Tables) -> None:
    table = alliance_changes(tiny_tables)
    found = {(r.date, r.change, r.alliance_id, r.ccodes) for r in table.itertuples()}
    assert found == {
        ("2006-06-30", "withdrawal", "north-pact", "20"),
        ("2003-06-30", "pact ended", "eron-dara", "40 50"),
        ("2001-01-01", "accession", "bela-fyra", "60"),
    }
    assert table["date"].is_monotonic_decreasing
    longer = alliance_changes(tiny_tables, years=20)
    kinds = longer.set_index(["alliance_id", "date"])["change"]
    assert kinds["eron-dara", "1992-02-01"] == "new pact"
    assert kinds["north-pact", "2000-03-01"] == "accession"
    assert kinds["bela-fyra", "1998-12-31"] == "withdrawal"


def test_amended_obligations_are_no_withdrawal(tiny_tables: Tables) -> None:
    members = tiny_tables.members.copy()
    chosen = (members["alliance_id"] == "north-pact") & (members["ccode"] == 10)
    members.loc[chosen, "end"] = pd.Timestamp("2005-03-31")
    later = members[chosen].assign(
        start=pd.Timestamp("2005-04-01"), end=pd.NaT, defense=0, consultation=1
    )
    edited = tiny_tables.with_tables(
        members=pd.concat([members, later], ignore_index=True), fingerprint="edited"
    )
    table = alliance_changes(edited)
    own = table[(table["alliance_id"] == "north-pact") & (table["ccodes"] == "10")]
    assert own["change"].tolist() == ["obligations changed"]


def test_features_before_and_after_a_withdrawal(tiny_tables: Tables, tiny_world) -> None:
    changes = alliance_changes(tiny_tables)
    table = alliance_features(tiny_world, changes, tiny_tables).set_index(["alliance", "state"])
    bela = table.loc[("North Pact", "Bela")]
    assert (bela["before_year"], bela["after_year"]) == (2005, 2007)
    # In 2005 its defenders are Arvo, Cora and Eron: (10 + 10 + 100) of 10 + 10 + 100 + its own 20.
    assert bela["external_share_before"] == pytest.approx(120 / 140, rel=1e-4)
    assert bela["external_share_after"] == pytest.approx(0.0)


def test_no_change_gives_an_empty_table(tiny_tables: Tables, tiny_world) -> None:
    changes = alliance_changes(tiny_tables, years=1)
    assert changes.empty and "states" in changes
    assert alliance_features(tiny_world, changes, tiny_tables).empty


# Scenarios --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "words", "codes"),
    [
        ("ARV join Bela-Fyra on 2011-01-01", "Arvo joins Bela-Fyra on 2011-01-01", {10}),
        ("ARV, BEL leave North Pact on 2011-01-01",
         "Arvo and Bela leave North Pact on 2011-01-01", {10, 20}),
        ("20, 30 form East owing defense on 2012-01-01",
         "Bela and Cora form East owing defense on 2012-01-01", {20, 30}),
        ("North Pact is dissolved on 2011-01-01", "North Pact is dissolved on 2011-01-01",
         {10, 30, 50}),
        ("obligations of FYR under Bela-Fyra become none on 2011-01-01",
         "obligations of Fyra under Bela-Fyra become none on 2011-01-01", {60}),
        ("obligations of all members under Bela-Fyra become consultation on 2011-01-01",
         "obligations of all members under Bela-Fyra become consultation on 2011-01-01", {20, 60}),
    ],
)  # fmt: skip
def test_edits_in_words_and_their_parties(
    tiny_tables: Tables, sentence: str, words: str, codes: set[int]
) -> None:
    assert scenarios.edit_words(sentence, tiny_tables, year=2010) == words
    assert scenarios.parties([sentence], tiny_tables, year=2010) == codes


def test_reach_tells_parties_from_third_pairs() -> None:
    table = scenarios.dyad_table(make_simulation("x", ("ARV leave North Pact on 2011",)), {10})
    last = table[table["last_year"] == 2015].set_index(["ccode_a", "ccode_b"])
    assert last.loc[(10, 20), "reach"] == "party"
    assert last.loc[(20, 30), "reach"] == "spill-over"
    assert last.loc[(101, 102), "reach"] == "feedback"
    both = last["status_quo"] + last["difference"]
    np.testing.assert_allclose(both, last["scenario"], atol=1e-6)
    np.testing.assert_allclose(last["own"] + last["contagion"], last["difference"], atol=1e-6)
    assert last.loc[(10, 20), "leaves_range"] == "outside_allies"
    assert last.loc[(10, 20), ["percentile_before", "percentile_after"]].tolist() == [44.0, 97.0]
    assert (last["leaves_range"] != "").sum() == 1


def test_a_scenario_says_where_its_differences_come_from() -> None:
    from support.findings import make_findings

    from forecast.report.tables import tables_of

    views = scenarios.scenario_views("Arvo leaves", tables_of(make_findings()))
    assert views["explained"] == (
        "The largest difference is that of Arvo–Bela. Their own alliances raise it by 8.0 points"
        " (+6.0 to +10); the simulated disputes of other pairs lower it by 3.0 points (contagion:"
        " −4.5 to −1.5). It leaves the range of the fit in outside_allies. The pair's alliances go"
        " from the 44th to the 97th percentile of distance from the rows of the fit: an"
        " extrapolation."
    )
    assert views["dyads"].rows[0][-2:] == ("+8.0 (+6.0 to +10)", "−3.0 (−4.5 to −1.5)")
    assert views["unusual"].rows == [("Arvo – Bela", "+5.0", "44", "97", "outside_allies")]


# Map --------------------------------------------------------------------------------------------


def test_every_state_of_today_has_a_place_on_the_map(tables: Tables) -> None:
    world = geometry()
    today = tables.states[tables.states["end"].isna()]
    placed = set(world["paths"]) | set(world["dots"])
    assert set(today["iso3"].dropna()) - placed == set()
    assert not today["iso3"].isna().any()


def test_geometry_is_inside_its_frame() -> None:
    world = geometry()
    for x, y in world["dots"].values():
        assert 0 < x < world["width"] and 0 < y < world["height"]
    for path in world["paths"].values():
        for ring in filter(None, path.split("z")):
            numbers = [int(n) for n in re.findall(r"-?\d+", ring)]
            x, y = np.cumsum(numbers[::2]), np.cumsum(numbers[1::2])
            assert x.min() >= 0 and x.max() <= 10 * world["width"]
            assert y.min() >= 0 and y.max() <= 10 * world["height"]


def test_colour_classes_have_one_label_each() -> None:
    assert len(bin_labels()) == len(BINS) + 1
    assert bin_labels()[0] == "under 2%" and bin_labels()[-1] == "90% or more"


def test_state_without_iso_code_is_listed_as_absent() -> None:
    from forecast.report.pairs import world_map
    from forecast.report.tables import state_risks

    states = rounded(state_risks(make_simulation(), make_tables()))
    svg, absent = world_map(states, [1, 5], {h: f"within {h}" for h in range(1, 6)})
    assert absent == ["Land 8"]
    assert "<circle" in svg and 'data-name="Fyra"' in svg
    assert svg.count("data-rank=") == len(states[states["horizon"] == 1]) - 1


# Sentences --------------------------------------------------------------------------------------


def test_the_likeliest_remote_and_first_ever_pairs_are_named() -> None:
    from support.findings import make_risks

    from forecast.report.summary import _pairs

    risks = make_risks()
    likely = np.arange(len(risks)) < 60  # the first twelve pairs, which are the likeliest
    risks = risks.assign(relevant=likely)
    risks.loc[likely, "stratum"] = "recurrent"
    text = _pairs(risks)
    assert "of remote pairs (no neighbours, and no major power) " in text
    assert "of pairs with no conflict on record " in text
    assert _pairs(risks.assign(status="under way")) == "No pair is at peace."


@pytest.mark.parametrize(("years", "hedged"), [(3, True), (12, False)])
def test_a_gain_over_few_years_is_no_verdict(years: int, hedged: bool) -> None:
    known = {"kind": "all", "horizon": 1}
    tables = {
        "checks": pd.DataFrame({"check": ["a"], "passed": [True]}),
        "scores": pd.DataFrame(
            [known | {"model": "m", "rows": 9, "events": 1, "log_loss": 0.1, "log_loss_skill": 0.3,
                      "expected": 1.0}]
        ),
        "backtest_forecasts": pd.DataFrame({"year": np.arange(2000 - years, 2000)}),
        "differences": pd.DataFrame(
            [known | {"score": "log_loss", "against": "m_without_alliances", "mean": -2e-4,
                      "lower": -3e-4, "upper": -1e-4, "level": 0.9}]
        ),
    }  # fmt: skip
    text = _trust(tables, "m", True)
    assert "alliances make the forecasts measurably better" in text
    assert (f"in these {years} years, too few for a verdict" in text) == hedged


@pytest.mark.parametrize(
    ("levels", "text"),
    [(["threat", "war"], "a threat of force"), (["display_of_force"], "a display of force"),
     (["clash", "use_of_force"], "an armed clash or a use of force"), (["war"], "a war")],
)  # fmt: skip
def test_the_page_says_what_the_lowest_level_of_the_record_is(
    tiny_tables: Tables, levels: list[str], text: str
) -> None:
    rows = tiny_tables.conflicts.iloc[[0] * len(levels)].assign(level=levels)
    assert text in _least(tiny_tables.with_tables(fingerprint="x", conflicts=rows))
