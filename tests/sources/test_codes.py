"""Names and codes of states, year by year."""

import pytest

from forecast.errors import AmbiguousCodeWarning, ArgumentError, UnknownNameError
from forecast.sources.codes import resolve_state, state_label
from forecast.sources.place_names import ALIASES, RENAMED, SHARED


@pytest.mark.parametrize("given", [10, "10", "ARV", "arv", "Arvo", " arvo "])
def test_every_way_to_name_a_state(tiny_tables, given):
    assert resolve_state(tiny_tables, given, year=2000) == 10


def test_abbreviation_where_there_is_no_iso_code(tiny_tables):
    assert resolve_state(tiny_tables, "DAR", year=2000) == 40
    assert state_label(tiny_tables, 40, year=2000, kind="iso3") == "DAR"


def test_iso_and_abbreviation_of_one_state(tiny_tables):
    assert resolve_state(tiny_tables, "BLA", year=2000) == 20
    assert resolve_state(tiny_tables, "BEL", year=2000) == 20


def test_unknown_name_gets_the_nearest(tiny_tables):
    with pytest.raises(UnknownNameError, match=r"Unknown state 'Avro'\. Did you mean 'Arvo'\?"):
        resolve_state(tiny_tables, "Avro", year=2000)
    with pytest.raises(KeyError):
        resolve_state(tiny_tables, "Avro", year=2000)


def test_unknown_number_gets_no_misleading_suggestion(tiny_tables):
    with pytest.raises(UnknownNameError, match=r"^Unknown state 11\. Give a COW number"):
        resolve_state(tiny_tables, 11, year=2000)


@pytest.mark.parametrize("given", [40, "Dara"])
def test_state_that_had_left(tiny_tables, given):
    with pytest.raises(ArgumentError, match=r"not a member .* 2004.*40: 1950-01-01 to 2003-06-30"):
        resolve_state(tiny_tables, given, year=2004)


def test_gap_between_two_spells(tiny_tables):
    assert resolve_state(tiny_tables, "Fyra", year=1998) == 60
    with pytest.raises(ArgumentError, match="1998-12-31, 2001-01-01 to now"):
        resolve_state(tiny_tables, "Fyra", year=1999)


def test_years_past_the_data_know_the_states_that_still_exist(tiny_tables):
    assert resolve_state(tiny_tables, "Cora", year=2030) == 30


@pytest.mark.parametrize("given", [True, 1.0, None])
def test_neither_name_nor_number(tiny_tables, given):
    with pytest.raises(ArgumentError, match="name or code"):
        resolve_state(tiny_tables, given, year=2000)


def test_labels(tiny_tables):
    assert state_label(tiny_tables, 10, year=2000) == "Arvo"
    assert state_label(tiny_tables, 20, year=2000, kind="iso3") == "BLA"
    assert state_label(tiny_tables, 20, year=2000, kind="abbrev") == "BEL"
    # The year before a state entered has the label of its first spell.
    assert state_label(tiny_tables, 30, year=1990) == "Cora"
    with pytest.raises(UnknownNameError, match="Unknown state 11"):
        state_label(tiny_tables, 11, year=2000)
    with pytest.raises(ArgumentError, match="kind='flag': expected one of name, iso3, abbrev"):
        state_label(tiny_tables, 10, year=2000, kind="flag")


@pytest.mark.parametrize(
    ("given", "year", "expected"),
    [
        ("Germany", 1990, 255),
        ("Germany", 1991, 255),
        ("DEU", 1970, 260),
        ("DEU", 2020, 255),
        ("West Germany", 1980, 260),
        ("GDR", 1980, 265),
        ("DDR", 1990, 265),
        ("VNM", 1960, 816),
        ("South Vietnam", 1960, 817),
        ("VNM", 2020, 816),
        ("Yemen", 1960, 678),
        ("YEM", 1989, 678),
        ("Yemen", 1990, 679),
        ("South Yemen", 1980, 680),
        ("Soviet Union", 1960, 365),
        ("RUS", 2020, 365),
        ("Yugoslavia", 1960, 345),
        ("SRB", 2020, 345),
        ("CZE", 1970, 315),
        ("CZE", 2000, 316),
        ("IND", 2020, 750),
        ("Ivory Coast", 2000, 437),
        ("USA", 2026, 2),
    ],
)
def test_year_aware_codes(tables, given, year, expected):
    assert resolve_state(tables, given, year=year) == expected


@pytest.mark.parametrize(
    ("code", "year", "name"),
    [
        (365, 1991, "Soviet Union"),
        (365, 1992, "Russia"),
        (345, 2002, "Yugoslavia"),
        (345, 2026, "Serbia"),
    ],
)
def test_a_renamed_state_is_called_as_in_the_year(tables, code, year, name):
    assert state_label(tables, code, year=year) == name


def test_every_name_with_two_parts_has_the_year_of_its_change(tables):
    double = tables.states.loc[tables.states["name"].str.contains("/"), "ccode"]
    assert set(double) == set(RENAMED)


def test_iso_wins_over_an_abbreviation(tables):
    with pytest.warns(AmbiguousCodeWarning, match=r"'AUS' is read as Australia.*'cow:AUS'"):
        assert resolve_state(tables, "AUS", year=2000) == 900  # Australia, not Austria (305)
    assert resolve_state(tables, "AUT", year=2000) == 305


@pytest.mark.parametrize("year", [1955, 1989])
def test_germany_between_the_states(tables, year):
    assert resolve_state(tables, 260, year=year) == 260
    with pytest.raises(ArgumentError, match="255: 1990-10-03 to now"):
        resolve_state(tables, 255, year=year)


def test_before_west_germany_there_is_no_germany(tables):
    with pytest.raises(ArgumentError, match="'Germany' was not a member"):
        resolve_state(tables, "Germany", year=1950)


def test_every_iso_code_and_name_comes_back(tables):
    """Each label of each spell, in a year of the spell, gives the state that has it."""
    for row in tables.states.itertuples():
        year = row.start.year if row.start.year == 2025 else min(row.start.year + 1, 2025)
        if not row.start.year <= year <= (row.end.year if row.end == row.end else 9999):
            year = row.start.year
        assert resolve_state(tables, row.ccode, year=year) == row.ccode
        if row.name not in SHARED:
            assert resolve_state(tables, row.name, year=year) == row.ccode
        if isinstance(row.iso3, str):
            assert resolve_state(tables, f"iso:{row.iso3}", year=year) == row.ccode


def test_aliases_name_states_of_the_data(tables):
    codes = set(tables.states["ccode"])
    assert {c for listed in ALIASES.values() for c in listed} <= codes


def test_a_number_of_thousands_of_digits_is_nobody(tables):
    with pytest.raises(UnknownNameError, match=r"5,000 characters"):
        resolve_state(tables, "1" * 5000, year=2000)
