from __future__ import annotations

import html
import json
from typing import Any

import numpy as np
import pytest

import forecast
from forecast import cli
from forecast.errors import ArgumentError, ForecastError, UnknownNameError
from forecast.inference.fit import Fit
from forecast.risk import risk
from forecast.simulation.levels import Level
from forecast.store import open_store

GULF = frozenset({"ARE", "BHR", "KWT", "OMN", "QAT", "SAU"})


def test_a_set_of_one_pair_is_the_pair(known_fit: Fit) -> None:
    for horizon in (1, 4):
        pair = risk(known_fit, "IND", "PAK", horizon=horizon)
        answer = risk(known_fit, {"IND"}, "PAK", how="any", horizon=horizon)
        assert answer.pairs == 1
        for name in ("probability", "lower", "upper"):
            assert getattr(answer, name) == pytest.approx(getattr(pair, name), rel=1e-4)
        assert answer.independent == pytest.approx(answer.probability, rel=1e-6)
        assert answer.expected == pytest.approx(pair.probability)
        assert answer.distribution == pytest.approx([1 - pair.probability, pair.probability])


def test_one_state_and_an_alliance(known_fit: Fit) -> None:
    nato = forecast.members("NATO")
    answer = risk(known_fit, "RUS", nato, how="any", horizon=2)
    table = risk(known_fit, ["RUS"] * 32, sorted(nato), horizon=2)
    own = table.loc[table["horizon"] == 2, "probability"]
    assert (answer.pairs, answer.side_b) == (32, "NATO (32 states)")
    assert answer.expected == pytest.approx(own.sum(), rel=1e-5)
    assert answer.contributions[0]["probability"] == pytest.approx(own.max(), rel=1e-5)
    assert sum(one["share"] for one in answer.contributions) == pytest.approx(1)
    # Fewer than independent draws say, since several begin at once; more than the largest alone.
    assert own.max() < answer.probability < answer.independent < own.sum()
    assert answer.lower < answer.probability < answer.upper
    assert sum(answer.distribution) == pytest.approx(1)
    assert answer.at_least(1) == answer.probability == pytest.approx(1 - answer.distribution[0])
    assert answer.fewest <= answer.expected <= answer.most
    text = str(answer)
    assert "at least one of the 32 pairs in 2026–2027" in text
    assert answer.contributions[0]["pair"] in text
    assert "of the 20 years 2006–2025" in text
    content = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert content["probability"] == answer.probability


def test_sides_can_change_places_and_be_named(known_fit: Fit) -> None:
    nato = forecast.members("NATO")
    for a, b in ((nato, "RUS"), ("NATO", "RUS"), ("otan", ["Russia"])):
        one = risk(known_fit, "RUS", nato, how="any").to_dict()
        other = risk(known_fit, a, b, how="any").to_dict()
        sides = {"side_a", "side_b", "states_a", "states_b", "contributions", "under_way"}
        for mine, turned in zip(*(x["rounded"].pop("largest") for x in (one, other)), strict=True):
            assert mine["pair"].split("–") == turned["pair"].split("–")[::-1]
            assert mine["text"] == turned["text"]
        for key in one.keys() - sides:
            assert other[key] == one[key], key
        for mine, turned in zip(one["contributions"], other["contributions"], strict=True):
            assert mine["probability"] == turned["probability"]
        # Pairs are named in the order of the sides, too.
        first = [told["contributions"][0]["pair"].split("–") for told in (one, other)]
        assert first[0] == first[1][::-1]
        assert (one["states_a"], other["states_b"]) == (("Russia",), ("Russia",))


@pytest.mark.parametrize("severity", ["onset", "deaths_25"])
def test_its_largest_pairs_are_told_as_they_are_alone(known_fit: Fit, severity: Level) -> None:
    asked: dict[str, Any] = {"horizon": 2, "severity": severity}
    answer = risk(known_fit, "Russia", "NATO", how="any", **asked)
    assert len(answer.rounded["largest"]) == 5
    for told, one in zip(answer.rounded["largest"], answer.contributions, strict=False):
        assert told["pair"] == one["pair"]
        alone = risk(known_fit, *told["pair"].split("–"), **asked)
        assert told["text"] == alone.rounded["text"]
        words = f"{told['pair']} {told['text']} ({told['interval']})"
        assert html.escape(words) in answer._repr_html_()
        assert told["interval"] == alone.rounded["interval"]
    first = answer.rounded["largest"][0]
    assert f"Largest of the pairs: {first['pair']} {first['text']} (" in str(answer)


def test_states_of_a_list_stay_in_its_order(known_fit: Fit) -> None:
    given = risk(known_fit, ["UKR", "FRA", "IND"], ["RUS", "PAK"], how="any")
    assert given.states_a == ("Ukraine", "France", "India")
    assert given.states_b == ("Russia", "Pakistan")
    assert given.side_a == "Ukraine, France or India"
    assert {one["pair"].split("–")[0] for one in given.contributions} == set(given.states_a)


def test_within_a_set_and_between_sets_that_overlap(known_fit: Fit) -> None:
    within = risk(known_fit, GULF, GULF, how="any")
    assert within.pairs == 15 and str(within).startswith("Within GCC (6 states): ")
    with_others = risk(known_fit, GULF, GULF | {"IRN"}, how="any")
    assert with_others.pairs == 21
    assert with_others.probability > within.probability


def test_a_state_against_all_others(known_fit: Fit) -> None:
    answer = risk(known_fit, "TAW", how="any")
    assert answer.pairs == 194 and len(answer.states_b) == 194
    # The fit is of politically relevant pairs: the observed rate stands in for the others.
    assert 0 < answer.observed_rate < 194
    assert f"Of {answer.observed_rate} pairs the model has no row" in str(answer)
    rows = risk(known_fit, ["TAW"] * 194, list(answer.states_b))
    assert answer.expected == pytest.approx(rows["probability"].sum(), rel=1e-5)


def test_what_is_under_way_leads(known_fit: Fit) -> None:
    answer = risk(known_fit, "RUS", {"UKR", "POL"}, how="any", horizon=2)
    assert [one["pair"] for one in answer.under_way] == ["Russia–Ukraine"]
    pair = risk(known_fit, "RUS", "UKR", horizon=2)
    assert pair.under_way is not None
    assert answer.under_way[0]["still"] == pytest.approx(pair.under_way.years[-1]["still"])
    text = str(answer)
    assert text.index("is under way between Russia–Ukraine since 2022-02-24") < text.index("proba")
    assert "that a further dispute begins" in text
    assert "under way" not in str(risk(known_fit, "FRA", {"BRA", "CHL"}, how="any"))


def test_the_record_is_that_of_the_same_pairs(known_fit: Fit) -> None:
    table = known_fit.panel.tables.conflicts
    year = table["start"].dt.year
    ours = table[(table["ccode_a"] == 750) & (table["ccode_b"] == 770) & year.between(2006, 2025)]
    found = risk(known_fit, "IND", {"PAK"}, how="any").record
    assert found["years_with"] == ours["start"].dt.year.nunique() == found["onsets"] > 0


def test_more_years_more_risk(known_fit: Fit) -> None:
    found = [risk(known_fit, GULF, GULF, how="any", horizon=h).probability for h in (1, 2, 5)]
    assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize(
    ("a", "b", "how", "error", "words"),
    [
        ("RUS", "NATO", None, UnknownNameError, r"forecast\.members\('NATO'\)"),
        ("RUS", GULF, None, ArgumentError, "ask with how='any'"),
        ("RUS", None, None, ArgumentError, "how='any'"),
        (None, None, "any", ArgumentError, "needs a side"),
        ("RUS", "USA", "anny", UnknownNameError, "Did you mean 'any'"),
        ("RUS", set(), "any", ArgumentError, "b is an empty set"),
        ({"RUS"}, {"Russia"}, "any", ArgumentError, "pairs need two states"),
        ("RUS", "NATOO", "any", UnknownNameError, "Did you mean 'NATO'"),
        ("RUS", {"Frnce"}, "any", UnknownNameError, "Did you mean 'France'"),
        ("RUS", "Warsaw Pact", "any", ArgumentError, "no members on 31 December 2025"),
        ("RUS", 3.5, "any", ArgumentError, "found float"),
    ],
)
def test_bad_input(
    a: Any, b: Any, how: Any, error: type[ForecastError], words: str, known_fit: Fit
) -> None:
    with pytest.raises(error, match=words):
        risk(known_fit, a, b, how=how)


def test_the_command_line(
    known_fit: Fit, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(tmp_path).save(known_fit)
    store = ["--store", str(tmp_path)]
    assert cli.main(["risk", "RUS", "NATO", *store]) == 0
    assert "Russia and NATO (32 states): " in capsys.readouterr().out
    assert cli.main(["risk", "NATO", "NATO", "--json", *store]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == 496
    assert cli.main(["risk", "TAW", "--any", "--horizon", "2", *store]) == 0
    assert "Taiwan and any other state: " in capsys.readouterr().out
    assert cli.main(["risk", "TAW", *store]) == 1
    assert "--any" in capsys.readouterr().err
    assert cli.main(["risk", "RUS", "NATOO", "--any", *store]) == 1
    assert "Did you mean 'NATO'" in capsys.readouterr().err
