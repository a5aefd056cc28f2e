"""The embedded population and GDP: completeness, flags, plausible levels and totals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
FLAGS = {"observed", "interpolated", "extrapolated", "estimated"}


@pytest.fixture(scope="module")
def capabilities() -> pd.DataFrame:
    return pd.read_csv(DATA / "capabilities.csv")


@pytest.fixture(scope="module")
def states() -> pd.DataFrame:
    return pd.read_csv(DATA / "states.csv", keep_default_na=False)


def cell(table: pd.DataFrame, ccode: int, year: int, column: str) -> float:
    row = table[(table["ccode"] == ccode) & (table["year"] == year)]
    return float(row[column].iloc[0])


def test_one_row_for_every_state_year(capabilities: pd.DataFrame, states: pd.DataFrame) -> None:
    expected = {
        (s.ccode, year)
        for s in states.itertuples()
        for year in range(max(int(s.start[:4]), 1946), (int(s.end[:4]) if s.end else 2025) + 1)
    }
    found = list(zip(capabilities["ccode"], capabilities["year"], strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert found == sorted(found)


def test_values_and_flags(capabilities: pd.DataFrame) -> None:
    assert list(capabilities.columns) == [
        "ccode", "year", "population", "gdp", "population_flag", "gdp_flag",
    ]  # fmt: skip
    assert not capabilities.isna().to_numpy().any()
    assert capabilities["population"].between(5_000, 1.6e9).all()
    per_head = capabilities["gdp"] / capabilities["population"]
    assert per_head.between(300, 260_000).all()
    for column in ("population_flag", "gdp_flag"):
        assert set(capabilities[column]) == FLAGS
    # No source reaches past 2022 (population) and no anchor past 2024 (GDP).
    last = capabilities[capabilities["year"] == 2025]
    assert not last["population_flag"].isin(["observed", "interpolated"]).any()
    assert (last["gdp_flag"] == "extrapolated").all()


def test_world_totals(capabilities: pd.DataFrame) -> None:
    world = capabilities.groupby("year")[["population", "gdp"]].sum()
    assert 8.1e9 < world.loc[2025, "population"] < 8.3e9
    # In 1950 the members hold about 2.1 of the world's 2.5 billion; the rest lived in colonies
    # and in Germany, Austria, Japan and Indochina, which were not members of the system.
    assert 2.0e9 < world.loc[1950, "population"] < 2.3e9
    assert 155e12 < world.loc[2022, "gdp"] < 180e12


@pytest.mark.parametrize(
    ("ccode", "year", "low", "high"),
    [
        (2, 2000, 280e6, 284e6),
        (365, 1980, 262e6, 269e6),  # the Soviet Union
        (365, 1991, 146e6, 150e6),  # Russia
        (345, 1980, 21.5e6, 23.5e6),  # Yugoslavia
        (345, 2010, 7.0e6, 7.5e6),  # Serbia
        (770, 1970, 115e6, 135e6),  # with East Pakistan
        (770, 1971, 55e6, 65e6),
        (260, 1980, 61e6, 62e6),
        (265, 1980, 16.5e6, 17e6),
        (255, 1990, 78e6, 81e6),
        (816, 1970, 19e6, 23e6),
        (817, 1970, 16.5e6, 20e6),
        (816, 1980, 50e6, 56e6),
        (625, 2010, 40e6, 45e6),  # with the south
        (530, 1990, 48e6, 52e6),  # with Eritrea
        (710, 1950, 540e6, 560e6),
        (713, 2020, 23.2e6, 23.8e6),
        (713, 1980, 17.5e6, 18.1e6),
    ],
)
def test_known_populations(
    capabilities: pd.DataFrame, ccode: int, year: int, low: float, high: float
) -> None:
    assert low <= cell(capabilities, ccode, year, "population") <= high


def test_order_of_economies(capabilities: pd.DataFrame) -> None:
    now = capabilities[capabilities["year"] == 2024].set_index("ccode")["gdp"]
    assert list(now.nlargest(3).index) == [710, 2, 750]
    then = capabilities[capabilities["year"] == 1955].set_index("ccode")["gdp"]
    assert list(then.nlargest(2).index) == [2, 365]


def growth(table: pd.DataFrame, ccode: int, year: int) -> float:
    """Growth of GDP over the year before, in percent."""
    return 100 * (cell(table, ccode, year, "gdp") / cell(table, ccode, year - 1, "gdp") - 1)


@pytest.mark.parametrize(
    ("ccode", "year", "low", "high"),
    [
        (2, 2020, -3.0, -1.5),  # United States
        (365, 2020, -3.5, -2.0),  # Russia
        (850, 2020, -2.6, -1.5),  # Indonesia
        (290, 2020, -2.6, -1.5),  # Poland
        (372, 2020, -7.0, -5.5),  # Georgia
        (371, 2020, -8.0, -6.0),  # Armenia
        (369, 2020, -4.5, -3.0),  # Ukraine
        (369, 2021, 2.5, 4.0),
        (369, 2022, -31.0, -27.0),  # the flight belongs to the year of the invasion
        (365, 2015, -3.0, -1.0),
        (140, 2015, -4.5, -3.0),  # Brazil
        (140, 2016, -4.5, -3.0),
        (369, 2015, -12.0, -8.0),
        (411, 2016, -10.0, -7.0),  # Equatorial Guinea
        (475, 2016, -3.0, 0.0),  # Nigeria
        (731, 2020, -5.0, -4.0),  # North Korea, from our own rates
        (713, 2021, 6.0, 7.5),  # Taiwan
    ],
)
def test_growth_of_known_years(
    capabilities: pd.DataFrame, ccode: int, year: int, low: float, high: float
) -> None:
    assert low <= growth(capabilities, ccode, year) <= high


def test_the_pandemic_reaches_every_state(capabilities: pd.DataFrame) -> None:
    year = capabilities[capabilities["year"] == 2020]
    assert not (year["gdp_flag"] == "interpolated").any()
    world = capabilities.groupby("year")["gdp"].sum()
    assert -0.035 < world[2020] / world[2019] - 1 < -0.02
    assert 0.05 < world[2021] / world[2020] - 1 < 0.075


def test_no_straight_line_after_2011(capabilities: pd.DataFrame) -> None:
    head = capabilities.assign(head=capabilities["gdp"] / capabilities["population"])
    wide = head.set_index(["ccode", "year"])["head"].unstack().loc[:, 2011:2019]  # noqa: PD010
    rates = np.log(wide).diff(axis=1).iloc[:, 1:].dropna()
    straight = rates.index[rates.std(axis=1) < 0.0005]
    assert set(straight) <= {223, 531}  # Liechtenstein and Eritrea publish no yearly rates
    assert len(rates) > 190


def test_people_who_left(capabilities: pd.DataFrame) -> None:
    assert cell(capabilities, 369, 2021, "population") > 43e6
    assert cell(capabilities, 369, 2022, "population") < 39e6
    assert cell(capabilities, 40, 2024, "population") < 9.9e6


def test_every_growth_rate_names_its_source() -> None:
    rates = pd.read_csv(DATA / "anchors" / "growth.csv")
    states = pd.read_csv(DATA / "states.csv", keep_default_na=False)
    assert not rates.duplicated(["iso3", "year"]).any()
    assert rates["source"].str.len().gt(10).all()
    assert rates["growth"].between(-40, 60).all()
    members = set(states.loc[states["end"] == "", "iso3"])
    assert set(rates.loc[rates["year"] == 2021, "iso3"]) == members


@pytest.mark.reference
def test_levels_against_reference(capabilities: pd.DataFrame, reference: Path) -> None:
    ref = pd.read_csv(reference / "processed" / "gdp_pop.csv.gz")
    both = capabilities.merge(ref, on=["ccode", "year"])
    people = np.log(both["population"] / 1e6 / both["pwtpop"]).dropna().abs()
    assert people.median() < 0.03
    assert (people > np.log(2)).mean() < 0.015  # states whose extent the two count differently
    money = np.log(both["gdp"] / both["population"] / both["mrgdppc"]).dropna()
    money = (money - money.median()).abs()  # the two are in dollars of different years
    assert money.median() < 0.20
    assert (money > np.log(2)).mean() < 0.02
