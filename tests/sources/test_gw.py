"""Gleditsch–Ward and COW numbers, both ways."""

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ArgumentError
from forecast.sources.gw import NO_STATE, to_cow, to_cow_codes, to_gw, to_gw_codes

#: (Gleditsch–Ward number, COW number, year), the traps first.
PAIRS = [
    (255, 255, 1938),  # Germany
    (260, 260, 1955),  # Federal Republic
    (260, 260, 1989),
    (260, 255, 1990),  # a member on 31 December 1990
    (260, 255, 2005),
    (265, 265, 1970),  # German Democratic Republic
    (678, 678, 1970),  # Yemen Arab Republic
    (678, 679, 1990),
    (678, 679, 2010),
    (680, 680, 1980),  # People's Republic of Yemen
    (340, 345, 1900),  # Serbia
    (345, 345, 1925),  # Yugoslavia
    (345, 345, 2005),
    (340, 345, 2006),
    (341, 341, 2010),  # Montenegro
    (816, 816, 1965),  # Democratic Republic of Vietnam
    (817, 817, 1965),  # Republic of Vietnam
    (325, 325, 1850),  # Sardinia, Italy
    (300, 300, 1900),  # Austria-Hungary
    (305, 305, 1930),  # Austria
    (365, 365, 1950),  # Russia, Soviet Union
    (730, 730, 1900),  # Korea
    (970, 946, 2005),  # Kiribati
    (971, 970, 2005),  # Nauru
    (972, 955, 2005),  # Tonga
    (973, 947, 2005),  # Tuvalu
    (55, 55, 1983),  # Grenada, a microstate
]


@pytest.mark.parametrize(("gw", "cow", "year"), PAIRS)
def test_both_ways(gw, cow, year):
    assert to_cow(gw, year) == cow
    assert to_gw(cow, year) == gw


def test_the_last_year_of_a_state_that_was_merged():
    """260 and 678 were COW members for a part of 1990."""
    assert to_gw(260, 1990) == 260
    assert to_gw(678, 1990) == 678


@pytest.mark.parametrize(
    ("gw", "year"), [(711, 1930), (815, 1850), (345, 1910), (946, 2005), (255, 1995), (-9, 1950)]
)
def test_no_cow_number(gw, year):
    with pytest.raises(ArgumentError, match=f"Gleditsch–Ward number {gw}.*no COW number in {year}"):
        to_cow(gw, year)
    assert to_cow_codes([gw], [year]) == [NO_STATE]


@pytest.mark.parametrize(("cow", "year"), [(260, 1995), (678, 2000), (340, 2010), (255, 1970)])
def test_no_gw_number(cow, year):
    with pytest.raises(ArgumentError, match=f"COW number {cow} has no Gleditsch–Ward .* {year}"):
        to_gw(cow, year)


def test_arrays_broadcast():
    assert to_cow_codes(260, [1989, 1990]).tolist() == [260, 255]
    assert to_gw_codes([2, 345, 679], 2006).tolist() == [2, 340, 678]
    assert to_cow_codes([], []).shape == (0,)


@pytest.mark.reference
def test_every_row_of_the_reference(reference):
    """All rows with both numbers agree, both ways, but for the two states merged in 1990."""
    panel = pd.read_csv(reference / "processed/cow_gw_panel.csv.gz").dropna(
        subset=["gwcode", "ccode"]
    )
    gw, cow, year = (panel[c].to_numpy(dtype=np.int64) for c in ("gwcode", "ccode", "year"))
    assert len(panel) > 17_000
    wrong = to_gw_codes(cow, year) != gw
    assert panel[wrong].empty, panel[wrong]
    differs = panel[to_cow_codes(gw, year) != cow]
    found = {(int(r.gwcode), int(r.ccode), int(r.year)) for r in differs.itertuples()}
    assert found == {(260, 260, 1990), (678, 678, 1990)}


@pytest.mark.reference
def test_states_of_one_system_only(reference):
    """What has no counterpart is what the reference leaves without one in every year."""
    listed = pd.read_csv(reference / "processed/gw_states.csv.gz")
    first = pd.to_datetime(listed["startdate"]).dt.year
    none = to_cow_codes(listed["gwcode"], first) == NO_STATE
    cow = set(pd.read_csv(reference / "processed/cow_states.csv.gz")["ccode"])
    expected = ~listed["gwcode"].isin(cow) & ~listed["gwcode"].eq(340)
    assert listed["gwcode"][none].tolist() == listed["gwcode"][expected].tolist()
