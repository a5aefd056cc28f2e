"""COW states and major powers: both layouts, spells and years, the real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.sources.codes import region_of
from forecast.sources.official import reader
from forecast.sources.spells import expand_years, span_years

read_states = reader("cow_states").read
read_majors = reader("cow_majors").read

Write = Callable[..., Path]
HEADER = "stateabb,ccode,statenme,styear,stmonth,stday,endyear,endmonth,endday,version"
LIST_2024 = (
    "StateAbb,CCode,StateNme,StYear,StMonth,StDay,EndYear,EndMonth,EndDay,Version",
    "USA,2,United States of America,1816,1,1,2024,12,31,2024",
    "GMY,255,Germany,1816,1,1,1945,5,8,2024",
    "GMY,255,Germany,1990,10,3,2024,12,31,2024",
    "TUR,640,Türkiye,1816,1,1,2024,12,31,2024",
)


def test_layout_of_2024(write: Write) -> None:
    path = write("statelist2024.csv", *LIST_2024, end="\r\n", encoding="latin-1")
    (reading,) = read_states({"states": path})
    frame = reading.frame
    assert (reading.table, reading.first, reading.last) == ("states", 1816, 2024)
    assert frame["end"].isna().tolist() == [True, False, True, True]
    assert str(frame["end"].iloc[1].date()) == "1945-05-08"
    assert frame["name"].iloc[3] == "Türkiye"
    assert frame["iso3"].isna().all()
    assert frame["region"].tolist()[::3] == ["Americas", "Middle East and North Africa"]


def test_a_hand_over_is_one_membership(write: Write) -> None:
    rows = (
        "YUG,345,Yugoslavia,1878,7,13,1941,4,20,2024",
        "YUG,345,Yugoslavia,1944,10,20,2006,6,3,2024",
        "SRB,345,Serbia,2006,6,3,2024,12,31,2024",
    )
    (reading,) = read_states({"states": write("statelist2024.csv", HEADER, *rows)})
    frame = reading.frame
    assert frame["start"].astype(str).tolist() == ["1878-07-13", "1944-10-20"]
    assert frame["end"].isna().tolist() == [False, True]
    assert frame["name"].tolist() == ["Yugoslavia", "Serbia/Yugoslavia"]
    assert frame["abbrev"].tolist() == ["YUG", "SRB"]
    assert reading.notes[0].startswith("1 spells joined")


def test_states_that_are_refused(write: Write) -> None:
    row = "USA,2,United States of America,1816,13,1,2016,12,31,2016"
    with pytest.raises(DataError, match=r"s\.csv, row 2, column 'stmonth': found 13"):
        read_states({"states": write("s.csv", HEADER, row)})
    row = "USA,2000,United States of America,1816,1,1,2016,12,31,2016"
    with pytest.raises(DataError, match=r"s\.csv, row 2, column 'ccode': found 2000"):
        read_states({"states": write("s.csv", HEADER, row)})
    row = "USA,2,United States of America,1816,1,1,2016,12,31,2016"
    with pytest.raises(DataError, match=r"s\.csv, rows 2, 3: the key .* is there 2 times"):
        read_states({"states": write("s.csv", HEADER, row, row)})
    with pytest.raises(DataError, match=r"'stateabb' is missing. The nearest .* 'stateab'"):
        read_states({"states": write("s.csv", HEADER.replace("stateabb", "stateab"), row)})
    with pytest.raises(ArgumentError, match="The files given have the roles none; expected"):
        read_states({})


def test_regions_by_number() -> None:
    codes = (2, 165, 200, 395, 402, 591, 600, 625, 626, 651, 700, 860, 900, 990)
    regions = [region_of(code) for code in codes]
    assert regions == [
        "Americas",
        "Americas",
        "Europe",
        "Europe",
        "Sub-Saharan Africa",
        "Sub-Saharan Africa",
        "Middle East and North Africa",
        "Middle East and North Africa",
        "Sub-Saharan Africa",
        "Middle East and North Africa",
        "Asia",
        "Asia",
        "Oceania",
        "Oceania",
    ]
    with pytest.raises(ArgumentError, match="from 2 to 999"):
        region_of(0)


def test_regions_agree_with_the_embedded_data(tables: object) -> None:
    states = tables.states  # type: ignore[attr-defined]
    assert states["region"].tolist() == [region_of(code) for code in states["ccode"]]


def test_major_powers_of_2024(write: Write) -> None:
    path = write(
        "majors2024.csv",
        "stateabb,ccode,styear,stmonth,stday,endyear,endmonth,endday,version",
        "FRN,220,1816,1,1,1940,6,22,2024",
        "FRN,220,1945,8,15,2024,12,31,2024",
    )
    (reading,) = read_majors({"majors": path})
    assert reading.frame["end"].isna().tolist() == [False, True]
    assert (reading.table, reading.first, reading.last) == ("powers", 1816, 2024)
    with pytest.raises(UnknownNameError, match="The roles are majors"):
        read_majors({"states": path})


@pytest.mark.reference
@pytest.mark.parametrize(
    "name",
    [
        "official/cow_states/states2016.csv",
        "official/variants/states2016_trailing_commas.csv",
        "processed/cow_states.csv.gz",
    ],
)
def test_real_states(reference: Path, name: str) -> None:
    (reading,) = read_states({"states": reference / name})
    frame = reading.frame
    assert (len(frame), frame["ccode"].nunique()) == (243, 217)
    assert (reading.first, reading.last) == (1816, 2016)
    # 195 states in 2016, and as many as the panel of the R package has in every year.
    first, last = span_years(frame)
    row, year = expand_years(first, last, window=(1816, 2016))
    members = pd.DataFrame({"c": frame["ccode"].to_numpy()[row], "year": year}).drop_duplicates()
    counts = pd.read_csv(reference / "processed/cow_ddy_counts_by_year.csv.gz", index_col="year")
    expected = counts.loc[1816:2016, "states"]
    assert members.groupby("year").size().tolist() == expected.tolist()


@pytest.mark.reference
def test_the_real_list_of_2024_has_the_memberships_of_2016(reference: Path) -> None:
    new, old = (
        read_states({"states": reference / "official/cow_states" / name})[0].frame
        for name in ("statelist2024.csv", "states2016.csv")
    )
    spell = ["ccode", "start", "end"]
    pd.testing.assert_frame_equal(
        new[spell].reset_index(drop=True), old[spell].reset_index(drop=True)
    )


@pytest.mark.reference
def test_real_major_powers(reference: Path) -> None:
    (reading,) = read_majors({"majors": reference / "processed/cow_majors.csv.gz"})
    frame = reading.frame
    assert len(frame) == 14
    now = sorted(frame.loc[frame["end"].isna(), "ccode"])
    assert now == [2, 200, 220, 255, 365, 710, 740]
    assert (reading.first, reading.last) == (1816, 2016)
