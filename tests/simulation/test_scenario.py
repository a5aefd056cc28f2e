from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import ArgumentError, MissingFileError, SpecificationError, UnknownNameError
from forecast.panel.world import build_world
from forecast.simulation.apply import apply_scenario
from forecast.simulation.scenario import Scenario, stock_scenarios
from forecast.sources.tables import Tables

USA, UKR, POL, RUS, CHN, HUN = 2, 369, 290, 365, 710, 310


def edited(tables: Tables, scenario: Scenario) -> Tables:
    return apply_scenario(tables, scenario, first_year=2026, last_year=2030)


def owes(tables: Tables, a: int, b: int, year: int, what: str = "defense") -> bool:
    world = build_world(tables, first_year=year, last_year=year, carry_forward=True)
    return bool(
        world["obligations"].sel(year=year, state=a, other=b, obligation=what).to_numpy().item()
    )


def refused(tables: Tables, scenario: Scenario, *words: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        edited(tables, scenario)
    for word in words:
        assert word in str(caught.value)


def test_join_twice_is_refused(tables: Tables) -> None:
    refused(tables, Scenario("x").join("NATO", ["POL"], 2027), "'POL'", "already a member")
    once = Scenario("x").join("NATO", ["UKR"], 2027).join("NATO", ["UKR"], 2028)
    refused(tables, once, "edit 2", "already a member")
    refused(tables, Scenario("x").join("NATO", ["UKR", "Ukraine"], 2027), "named twice")


def test_leaving_what_one_is_not_in_is_refused(tables: Tables) -> None:
    refused(tables, Scenario("x").leave("NATO", ["UKR"], 2027), "not a member")
    twice = Scenario("x").leave("NATO", ["HUN"], 2027).leave("NATO", ["HUN"], 2028)
    refused(tables, twice, "edit 2", "not a member")


def test_dates_before_or_after_the_forecast_are_refused(tables: Tables) -> None:
    refused(tables, Scenario("x").join("NATO", ["UKR"], 2024), "2024", "2026–2030")
    refused(tables, Scenario("x").join("NATO", ["UKR"], 2031), "2031", "2026–2030")


def test_unknown_names_suggest_the_nearest(tables: Tables) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'NATO'"):
        edited(tables, Scenario("x").join("NATOO", ["UKR"], 2027))
    with pytest.raises(UnknownNameError, match="Ukraine"):
        edited(tables, Scenario("x").join("NATO", ["Ukrane"], 2027))
    with pytest.raises(UnknownNameError, match="defense"):
        Scenario("x").form("Pact", ["USA", "UKR"], 2027, obligations="defence")


def test_forming_needs_two_states_and_a_free_name(tables: Tables) -> None:
    refused(tables, Scenario("x").form("Solo", ["USA"], 2027), "at least two")
    refused(tables, Scenario("x").form("nato", ["USA", "UKR"], 2027), "is taken")


def test_an_alliance_that_has_ended_cannot_be_joined(tables: Tables) -> None:
    refused(tables, Scenario("x").join("Warsaw Pact", ["USA"], 2027), "ended on 1991-07-01")


@pytest.mark.parametrize("when", ["2027-13-01", "soon", 27, True, 2027.0])
def test_a_bad_date_is_refused(when: object) -> None:
    with pytest.raises(ArgumentError, match="when"):
        Scenario("x").join("NATO", ["UKR"], when)  # type: ignore[arg-type]


def test_joining_binds_both_ways_from_that_year(tables: Tables) -> None:
    after = edited(tables, Scenario("x").join("NATO", ["UKR"], 2027))
    assert not owes(after, USA, UKR, 2026)
    assert owes(after, USA, UKR, 2027)
    assert owes(after, UKR, POL, 2028)
    # By default as the others owe: defence and consultation, not neutrality.
    row = after.members[(after.members["alliance_id"] == "nato") & (after.members["ccode"] == UKR)]
    nato = tables.members[
        (tables.members["alliance_id"] == "nato") & (tables.members["ccode"] == POL)
    ]
    names = ["defense", "offense", "neutrality", "nonaggression", "consultation"]
    assert row[names].to_numpy().tolist() == nato[names].tail(1).to_numpy().tolist()


def test_leaving_in_a_year_means_no_day_of_it_inside(tables: Tables) -> None:
    after = edited(tables, Scenario("x").leave("NATO", ["HUN"], 2027))
    assert owes(after, USA, HUN, 2026)
    assert not owes(after, USA, HUN, 2027)
    assert not owes(after, HUN, USA, 2027)
    assert owes(after, USA, POL, 2027)
    day = edited(tables, Scenario("x").leave("NATO", ["HUN"], "2027-06-01"))
    assert owes(day, USA, HUN, 2027)
    assert not owes(day, USA, HUN, 2028)


def test_form_amend_and_dissolve(tables: Tables) -> None:
    base = Scenario("x").form("Pact", ["CHN", "RUS"], 2027)
    assert owes(edited(tables, base), CHN, RUS, 2027)
    less = base.amend("Pact", 2028, states=["CHN"], obligations="consultation")
    assert not owes(edited(tables, less), CHN, RUS, 2028)
    assert owes(edited(tables, less), RUS, CHN, 2028)
    assert owes(edited(tables, less), CHN, RUS, 2028, "consultation")
    gone = base.dissolve("Pact", 2029)
    assert owes(edited(tables, gone), CHN, RUS, 2028)
    assert not owes(edited(tables, gone), CHN, RUS, 2029)
    none = edited(tables, Scenario("x").dissolve("NATO", 2027))
    assert not owes(none, USA, POL, 2027)


def test_the_record_and_the_input_stay_as_they_are(tables: Tables) -> None:
    before = tables.members.copy()
    after = edited(tables, Scenario("x").join("NATO", ["UKR"], 2027).leave("NATO", ["USA"], 2028))
    pd.testing.assert_frame_equal(tables.members, before)
    assert after.fingerprint != tables.fingerprint
    worlds = [build_world(t, last_year=2025)["obligations"].to_numpy() for t in (tables, after)]
    assert (worlds[0] == worlds[1]).all()


def test_scenarios_are_values(tables: Tables) -> None:
    base = Scenario("x")
    joined = base.join("NATO", ["UKR"], 2027)
    assert base.edits == ()
    assert joined == Scenario("x").join("NATO", ["UKR"], 2027)
    assert Scenario.from_dict(joined.to_dict()) == joined
    with pytest.raises(ArgumentError):
        Scenario(" ")


def test_a_file_says_the_same_as_the_methods(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(
        'name = "x"\n[[edit]]\naction = "join"\nalliance = "NATO"\nstates = ["UKR"]\nwhen = 2027\n'
        '[[edit]]\naction = "dissolve"\nalliance = "CSTO"\nwhen = 2028-05-01\n'
    )
    expected = Scenario("x").join("NATO", ["UKR"], 2027).dissolve("CSTO", "2028-05-01")
    assert Scenario.from_toml(file) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 1", "name of a scenario is 1"),
        ('nmae = "x"', "did you mean 'name'"),
        ('name = "x"\n[[edit]]\naction = "jion"\nalliance="N"\nwhen=2027', "action"),
        (
            'name = "x"\n[[edit]]\naction = "join"\naliance="N"\nwhen=2027',
            "did you mean 'alliance'",
        ),
        ('name = "x"\n[[edit]]\naction = "join"\nalliance="N"', "when"),
        (
            'name = "x"\n[[edit]]\naction="join"\nalliance="N"\nwhen="never"',
            "[[edit]] 1: `when` is 'never'",
        ),
        ('name = "x"\n[[edit]]\naction="amend"\nalliance="N"\nwhen=2027', "obligations"),
        (f'name = "{"x" * 101}"', "expected 1 to 100 characters"),
        ("name = ", "not a valid TOML file"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(SpecificationError) as caught:
        Scenario.from_toml(file)
    assert words in str(caught.value)
    assert "bad.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.toml"):
        Scenario.from_toml(tmp_path / "none.toml")


def test_the_stock_scenarios_apply(tables: Tables) -> None:
    scenarios = stock_scenarios()
    assert len(scenarios) == 3
    for scenario in scenarios:
        assert edited(tables, scenario).fingerprint != tables.fingerprint
