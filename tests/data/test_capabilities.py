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
