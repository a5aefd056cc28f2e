"""Hindcasts of named cases: nothing later is seen, both worlds are paired, and it is told well."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import forecast as fc
from forecast import cli
from forecast.cases import before
from forecast.cases import hindcast as module
from forecast.cases.change import change_of, change_words
from forecast.cases.happened import Happened
from forecast.cases.hindcast_answer import Hindcast
from forecast.cases.records import Case
from forecast.errors import CoverageError, SpecificationError, UnknownNameError
from forecast.evaluation.origins import known_before
from forecast.modeling.spec import load_model
from forecast.sources.tables import TABLES, Tables

mpl.use("agg")
NAMES = tuple(name for name in fc.cases().index if fc.case(name).questions)
EVERY = [(name, question.name) for name in NAMES for question in fc.case(name).questions]
OPTIONS: dict[str, Any] = {"draws": 100, "population": "contiguous", "seed": 1}


def small(name: str, **changes: Any) -> Case:
    """A case with its first question alone, changed."""
    one = fc.case(name)
    return dataclasses.replace(one, questions=(dataclasses.replace(one.questions[0], **changes),))


@pytest.fixture(scope="module")
def model() -> Any:
    return fc.model(
        "onset", terms=["peace_years", "pact_in_dyad", "own_expansion"], population="contiguous"
    )


@pytest.fixture(scope="module")
def one() -> Case:
    about = ((("POL",), ("RUS",)), (("POL", "HUN"), ()), (("USA",), ("POL",)))
    return small("nato-1999", horizon=2, about=about)


@pytest.fixture(scope="module")
def made(tables: Tables, one: Case, model: Any) -> Hindcast:
    return fc.hindcast(one, data=tables, model=model, **OPTIONS)


# ------------------------------------------------------------------------ the answer


def test_both_worlds_are_paired_at_every_level(made):
    table = made.forecasts
    assert list(table["severity"]) == ["onset", "fatal", "deaths_25", "deaths_1000"] * 3
    assert np.allclose(table["difference"], table["with"] - table["without"], atol=1e-6)
    for name in ("with", "without", "difference"):
        assert (table[f"{name}_lower"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_upper"]).all()
    for _, part in table.groupby("who"):
        assert part["with"].is_monotonic_decreasing
        # paired: the difference is far better known than the risks
        width = part["difference_upper"] - part["difference_lower"]
        assert (width < part["with_upper"] - part["with_lower"]).iloc[0]
    assert (table["difference"].abs() > 0).any()
    assert set(table["pairs"]) > {1}
    outside = table["observed_rate"] > 0
    assert table.loc[(table["pairs"] == 1) & ~outside, "base_rate"].notna().all()
    # The United States and Poland are no neighbours: no row, and no change that moves them.
    assert table.loc[outside, "who"].unique().tolist() == ["United States–Poland"]
    assert (table.loc[outside, "difference"] == 0.0).all()


def test_what_happened_is_read_from_the_data(made, tables):
    for row in made.forecasts[made.forecasts["severity"] == "onset"].to_dict("records"):
        assert bool(row["events"]) == bool(row["happened"])
    own = made.record.set_index("severity").loc["onset"]
    assert own["lower"] <= own["expected"] <= own["upper"]
    conflicts = tables.conflicts
    begun = conflicts[conflicts["start"].dt.year.isin([1999, 2000])]
    assert 0 < own["observed"] <= begun.groupby(["ccode_a", "ccode_b"]).ngroups


def test_it_is_told_well(made, one):
    text = str(made)
    assert max(map(len, repr(made).splitlines())) < 120
    assert "Hindcast: Poland, Hungary" in repr(made)
    assert "<table" in made._repr_html_()
    assert "fitted on 1947–1998 (embedded data" in text
    assert "1999-03-12: The three become members" in text
    assert "Poland–Russia: " in text
    assert "with it" in text
    assert "the observed rate of such pairs, of which the model has no row" in text
    assert "without; difference" in text
    assert "What happened: nothing on record" in text
    assert "Association, not causal effect" in text
    assert "How this fit did over all its" in text
    content = made.to_dict()
    assert json.loads(json.dumps(content)) == content
    assert {row["question"] for row in content["forecasts"]} == {"1999"}


def test_it_can_be_drawn(made):
    figure = fc.plot.hindcast(made)
    words = [t.get_text() for ax in figure.axes for t in ax.texts]
    assert words.count("did not come") + words.count("came") == 3
    assert fc.plot.hindcast(made, severity="fatal").axes
    with pytest.raises(UnknownNameError, match="fatal"):
        fc.plot.hindcast(made, severity="fata")


# ------------------------------------------------------------------------ no hindsight


def later_changed(tables: Tables, first: int) -> Tables:
    """Every fact after the origin made another: none of them may be seen."""
    frames: dict[str, Any] = {}
    for name in TABLES:
        frame = getattr(tables, name).copy()
        if "start" in frame:
            frame = frame[frame["start"].dt.year < first].reset_index(drop=True)
            late = frame["end"].dt.year >= first
            frame.loc[late, "end"] = frame.loc[late, "end"] + pd.Timedelta(days=400)
        elif "year" in frame:
            late = frame["year"] >= first
            value = [c for c in frame.select_dtypes("number") if c not in ("year", "ccode")]
            frame.loc[late, value] = frame.loc[late, value] * 3
        frames[name] = frame
    return dataclasses.replace(tables, **frames, fingerprint="another future")


def test_no_later_fact_moves_a_forecast(made, tables, one, model):
    other = fc.hindcast(one, data=later_changed(tables, 1999), model=model, **OPTIONS)
    forecast = made.forecasts.columns.drop(["happened", "events"])
    pd.testing.assert_frame_equal(other.forecasts[forecast], made.forecasts[forecast])
    expected = ["question", "severity", "pairs", "expected", "lower", "upper"]
    pd.testing.assert_frame_equal(other.record[expected], made.record[expected])
    assert other.record["observed"].sum() < made.record["observed"].sum()


# ------------------------------------------------------------------------ the change


def test_the_facts_are_the_change(tables):
    case = fc.case("japan-us-1951-1960")
    asked = {question.name: question for question in case.questions}
    gone = change_of(case, asked["abrogation"], tables)
    assert [(e.action, e.when) for e in gone.edits] == [("dissolve", "2026-01-01")]
    known = known_before(tables, 1960)
    new = change_of(case, asked["1960"], known)
    # the old treaty ends the day before the new one binds; Japan owes no defence
    assert [(e.action, e.when) for e in new.edits] == [
        ("dissolve", "1960-06-23"), ("form", "1960-06-23"), ("amend", "1960-06-23")
    ]  # fmt: skip
    assert "defense" in new.edits[1].obligations
    assert "defense" not in new.edits[2].obligations
    assert change_words(case, asked["1960"]).startswith("1960-06-22: Last day of the treaty")
    end = fc.case("warsaw-pact-1991")
    edits = change_of(end, end.questions[0], known_before(tables, 1991)).edits
    assert {e.action for e in edits} == {"dissolve"}
    assert len(edits) == 16
    assert change_of(fc.case("nato-balkans"), fc.case("nato-balkans").questions[0], known) is None


def test_a_treaty_of_another_name_is_found_by_its_members(tables):
    case = fc.case("gcc-1981")
    question = next(q for q in case.questions if q.name == "today")
    known = known_before(tables, 2026)
    renamed = known.alliances["alliance_id"].replace("gcc-joint-defence", "x-1")
    named = known.alliances.assign(alliance_id=renamed)
    named.loc[renamed == "x-1", ["short_name", "name"]] = "X"
    members = known.members.assign(
        alliance_id=known.members["alliance_id"].replace("gcc-joint-defence", "x-1")
    )
    other = dataclasses.replace(known, alliances=named, members=members)
    assert [e.alliance for e in change_of(case, question, other).edits] == ["x-1"]
    none = dataclasses.replace(other, members=members[members["alliance_id"] != "x-1"])
    with pytest.raises(CoverageError, match="no treaty of BAH, KUW, OMA, QAT, SAU, UAE near 2000"):
        change_of(case, question, none)


@pytest.mark.parametrize(("name", "ask"), EVERY)
def test_every_question_asks_about_states_and_facts_of_its_case(name, ask):
    case = fc.case(name)
    question = next(q for q in case.questions if q.name == ask)
    assert question.about
    for sides in question.about:
        assert before.sides_words(case, sides, question.first_year)
        assert all(state in case.ccodes for side in sides for state in side)
    assert bool(change_words(case, question)) == bool(question.change)


def test_sides_in_words():
    case = fc.case("nato-1999")
    words = before.sides_words
    assert words(case, (("POL",), ("RUS",)), 1999) == "Poland–Russia"
    assert words(case, (("POL",), ("RUS",)), 1980) == "Poland–Soviet Union"
    assert words(case, (("POL",), ("RUS",)), 1910) == "Poland–Russia"
    assert (
        words(case, (("POL", "HUN"), ()), 1999) == "any of Poland and Hungary and any other state"
    )
    both = ("POL", "HUN")
    assert words(case, (both, both), 1999) == "any two of Poland and Hungary"


# ------------------------------------------------------------------------ what is refused


def test_what_is_not_covered_says_what_to_get(tables, model, monkeypatch, tmp_path):
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    with pytest.raises(CoverageError, match=r"(?s)nato-1949.*historical data.*forecast data get"):
        fc.hindcast("nato-1949")
    with pytest.raises(CoverageError, match=r"(?s)1960: needs .*data answer ask='abrogation'"):
        fc.hindcast("japan-us-1951-1960", ["1960", "abrogation"])
    early = small("nato-1955", data="embedded")
    with pytest.raises(CoverageError, match=r"9 years before.*20 are asked for.*historical"):
        fc.hindcast(early, data=tables, model=model)
    short = known_before(tables, 2000)
    with pytest.raises(CoverageError, match=r"from 2023 on; the conflicts .* covered to 1999"):
        fc.hindcast("nato-2023", data=short, model=model)
    with pytest.raises(CoverageError, match=r"needs conflicts from before 1881 to 1914"):
        fc.hindcast("europe-1879-1914", "year by year", data=tables)
    with pytest.raises(UnknownNameError, match=r"'1969'.*Did you mean '1960'"):
        fc.hindcast("japan-us-1951-1960", "1969")
    with pytest.raises(UnknownNameError, match="Unknown case"):
        fc.hindcast("nato-1998")
    with pytest.raises(CoverageError, match="no hindcast"):
        fc.hindcast("german-unification-1990")


def test_questions_whose_files_are_not_there_are_named_and_the_others_answered(
    model, monkeypatch, tmp_path
):
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    found = fc.hindcast("japan-us-1951-1960", model=model, draws=100)
    assert list(found.fits["question"]) == ["abrogation"]
    assert list(found.unanswered) == ["1951", "1960"]
    assert "Not answered: 1951, 1960: needs the historical data" in str(found)
    assert "forecast data get" in found.to_dict()["unanswered"]["1960"]
    assert "not answered" in found._repr_html_()


def test_the_file_is_checked(tmp_path, monkeypatch):
    from test_cases import CASE, STATES

    from forecast.cases import records

    monkeypatch.setattr(records, "data_folder", lambda: tmp_path)
    question = (
        'hindcast = [{ name = "1949", first_year = 1949, change = ["nato"],'
        ' about = [["NOR", "*"]] }]\n'
    )
    for old, new, error, match in (
        ("", "", None, ""),
        ('["nato"]', '["nata"]', SpecificationError, "no fact of 'nata'"),
        ("first_year = 1949", "first_year = 1950", SpecificationError, "no fact of 'nato'"),
        ('["NOR", "*"]', '["NRO", "*"]', UnknownNameError, "NRO"),
        ("first_year = 1949", 'first_year = "soon"', SpecificationError, "first_year"),
        ('about = [["NOR", "*"]]', "about = []", SpecificationError, "about"),
    ):
        text = question.replace(old, new) if old else question
        (tmp_path / "cases.toml").write_text(STATES + CASE + text, encoding="utf-8")
        records.read_cases.cache_clear()
        try:
            if error is None:
                assert records.read_cases()["one"].questions[0].about == ((("NOR",), ()),)
                continue
            with pytest.raises(error, match=match):
                records.read_cases()
        finally:
            records.read_cases.cache_clear()


def test_earlier_years_are_fitted_where_there_are_no_others():
    spec = load_model("dyad_onset_historical")
    assert before.reaching_back(spec, 1817, 1949) is spec
    back = before.reaching_back(spec, 1817, 1901)
    assert [e.first for e in back.exclusions] == [1914, 1939]
    assert back.name.endswith("with_earlier_years")


def test_outcomes_that_are_not_over_are_not_known(tables):
    ahead = Happened(tables, 2024, 2030)
    found = ahead.pairs([(2, 20)])
    assert np.isnan(found["onset"])
    # Israel and Iran: one began in a year on record, whatever comes
    assert ahead.pairs([(630, 666)])["onset"] == 1.0
    assert Happened(tables, 1999, 2003).pairs([(2, 20)])["onset"] == 0.0


def test_command(capsys, made, monkeypatch):
    monkeypatch.setattr(module, "hindcast", lambda case, ask, *, data, draws: made)
    assert cli.main(["cases", "nato-1999", "--hindcast"]) == 0
    assert "Poland–Russia: " in capsys.readouterr().out
    assert cli.main(["cases", "nato-1999", "--hindcast", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["case"] == "nato-1999"


# ------------------------------------------------------------------------ every case


@pytest.mark.long
@pytest.mark.reference
@pytest.mark.parametrize(("name", "ask"), EVERY)
def test_every_question_has_an_answer(name, ask, historical_cache, monkeypatch):
    monkeypatch.setenv("FORECAST_DATA", str(historical_cache))
    found = fc.hindcast(name, ask, draws=100)
    assert found.text
    parts = (found.forecasts, found.yearly, found.settlement)
    assert sum(map(len, parts)) > 0
    assert fc.plot.hindcast(found).axes
