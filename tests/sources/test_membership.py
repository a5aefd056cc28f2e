from __future__ import annotations

import pytest

import forecast
from forecast.errors import ArgumentError, CoverageError, ForecastError, UnknownNameError
from forecast.risk.sets import side_codes
from forecast.simulation.apply import apply_scenario
from forecast.simulation.scenario import Scenario
from forecast.sources.codes import (
    ALLIANCE_ALIASES,
    alliance_named,
    alliance_of,
    member_codes,
    resolve_state,
    resolve_states,
    state_index,
)
from forecast.sources.datasets import members
from forecast.sources.tables import Tables

GULF = {"ARE", "BHR", "KWT", "OMN", "QAT", "SAU"}


def test_members_of_a_year(tables: Tables) -> None:
    assert forecast.members("GCC") == GULF
    assert members("Gulf Cooperation Council", 2000, data=tables) == GULF
    nato = members("nato", data=tables)
    assert len(nato) == 32 and {"USA", "SWE"} <= nato
    assert len(members("NATO", 1949, data=tables)) == 12
    assert members("Warsaw Pact", 1980, data=tables) == {
        "RUS", "POL", "DDR", "CSK", "HUN", "ROU", "BGR",
    }  # fmt: skip


def test_who_left_within_the_year_is_out(tables: Tables) -> None:
    # Two parties to its protocol on defence left ECOWAS on 2025-01-29 (Mali was none).
    gone = members("ECOWAS", 2024, data=tables) - members("ECOWAS", 2025, data=tables)
    assert gone == {"NER", "BFA"}


@pytest.mark.parametrize(
    ("name", "year", "error", "words"),
    [
        ("NAOT", None, UnknownNameError, "Did you mean 'NATO'"),
        ("NATO", 1930, CoverageError, "from 1946 to 2025"),
        ("NATO", 2031, CoverageError, "from 1946 to 2025"),
        ("NATO", 1948, ArgumentError, "began on 1949-04-04"),
        ("Warsaw Pact", None, ArgumentError, "ended on 1991-07-01"),
        ("NATO", "2020", ArgumentError, "expected a calendar year"),
    ],
)
def test_bad_names_and_years(
    name: str, year: int | None, error: type[ForecastError], words: str, tables: Tables
) -> None:
    with pytest.raises(error, match=words):
        members(name, year, data=tables)


@pytest.mark.parametrize("year", [1955, 1985, 2025])
def test_states_are_those_that_every_function_takes(year: int, tables: Tables) -> None:
    for alliance in tables.alliances["alliance_id"]:
        codes = member_codes(tables, alliance, year)
        if codes:
            given = members(alliance, year, data=tables)
            assert set(resolve_states(tables, sorted(given), year=year, note=False)) == codes


def test_every_alias_means_an_alliance_and_no_state(tables: Tables) -> None:
    for alias, short in ALLIANCE_ALIASES.items():
        assert alliance_named(tables, alias) == short
    both = [name for name in ALLIANCE_ALIASES if state_index(tables).knows(name)]
    assert both == ["au"]  # Australia in ISO 3166: asked back where a side may be either
    with pytest.raises(
        ArgumentError, match=r"a code of Australia, and the alliance 'African Union'"
    ):
        side_codes(tables, 2025, "AU", "a")
    for name in {*tables.alliances["short_name"], *ALLIANCE_ALIASES} - {*both}:
        with pytest.raises(UnknownNameError, match=r"forecast\.members"):
            resolve_state(tables, name, year=2025)


def test_a_set_is_known_by_its_members(tables: Tables) -> None:
    nato = member_codes(tables, "nato", 2025)
    assert alliance_of(tables, nato, 2025) == "NATO"
    assert alliance_of(tables, nato, 2010) is None
    assert alliance_of(tables, nato - {2}, 2025) is None


def test_a_scenario_takes_the_same_names(tables: Tables) -> None:
    edit = Scenario("x").join("North Atlantic Treaty Organization", ["UKR"], 2026)
    joined = apply_scenario(tables, edit, first_year=2026, last_year=2030)
    assert 369 in member_codes(joined, "nato", 2026)


def test_the_historical_data_know_the_same_names(historical: Tables) -> None:
    assert {"USA", "GBR", "TUR"} <= members("NATO", 1960, data=historical)
    assert members("NATO", data=historical) == members("NATO")
    with pytest.raises(CoverageError, match="from 18"):
        members("NATO", 1700, data=historical)
