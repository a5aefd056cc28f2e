"""COW direct contiguity: spells, years, the real archive."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import ArgumentError, DataError
from forecast.sources.official import reader
from forecast.sources.spells import expand_years, overlapping, span_years

read = reader("cow_contiguity").read

Write = Callable[..., Path]
HEADER = "dyad,statelno,statelab,statehno,statehab,conttype,begin,end,notes,version"


def _by_year(frame: pd.DataFrame, last: int) -> pd.Series:
    """Smallest type in each year."""
    first, end = span_years(frame)
    row, year = expand_years(first, end, window=(1816, last))
    rows = frame[["ccode_a", "ccode_b", "type"]].iloc[row].assign(year=year)
    return rows.groupby(["ccode_a", "ccode_b", "year"])["type"].min()


def test_two_types_at_once_give_the_smaller(write: Write) -> None:
    path = write(
        "contdir.csv",
        HEADER,
        '651670,651,"EGY",670,"SAU",2,192712,196706,"Gulf of Aqaba",3.2',
        '651670,651,"EGY",670,"SAU",4,196706,198204,"Red Sea",3.2',
        '651670,651,"EGY",670,"SAU",2,198204,201612,"Gulf of Aqaba again",3.2',
        '2020,2,"USA",20,"CAN",1,192001,201612,"",3.2',
        '2031,2,"USA",31,"BHM",4,197307,198001,"inside",3.2',
        '2031,2,"USA",31,"BHM",2,197501,197512,"nearer for a year",3.2',
    )
    (reading,) = read({"contdir": path})
    frame = reading.frame
    assert len(overlapping(frame, on=["ccode_a", "ccode_b"])) == 0
    text = [
        f"{row.ccode_a}-{row.ccode_b} {row.type} {row.start.date()} "
        + ("open" if pd.isna(row.end) else str(row.end.date()))
        for row in frame.itertuples()
    ]
    assert text == [
        "2-20 1 1920-01-01 open",
        "2-31 4 1973-07-01 1974-12-31",
        "2-31 2 1975-01-01 1975-12-31",
        "2-31 4 1976-01-01 1980-01-31",
        "651-670 2 1927-12-01 1967-06-30",
        "651-670 4 1967-07-01 1982-03-31",
        "651-670 2 1982-04-01 open",
    ]
    assert frame["note"].iloc[1] == "inside"
    assert pd.isna(frame["note"].iloc[0])
    assert (reading.first, reading.last) == (1920, 2016)


def test_years_become_spells(write: Write) -> None:
    rows = ["2020,2,USA,20,CAN,{},1,3.2", "2020,20,CAN,2,USA,{},1,3.2"]
    lines = [row.format(year) for row in rows for year in (2010, 2011, 2013)]
    lines += ["2020,2,USA,20,CAN,2013,4,3.2"]
    path = write(
        "contdird.csv", "dyad,state1no,state1ab,state2no,state2ab,year,conttype,version", *lines
    )
    (reading,) = read({"contdird": path})
    frame = reading.frame
    assert frame["start"].dt.year.tolist() == [2010, 2013]
    assert frame["type"].tolist() == [1, 1]
    assert str(frame["end"].iloc[0].date()) == "2011-12-31"
    assert pd.isna(frame["end"].iloc[1])


def test_what_is_refused(write: Write) -> None:
    row = '2020,2,"USA",20,"CAN",7,192001,201612,"",3.2'
    with pytest.raises(DataError, match=r"c\.csv, row 2, column 'type': found 7"):
        read({"contdir": write("c.csv", HEADER, row)})
    row = '2020,20,"CAN",2,"USA",1,192001,201612,"",3.2'
    with pytest.raises(DataError, match="ccode_a < ccode_b"):
        read({"contdir": write("c.csv", HEADER, row)})
    row = '2020,2,"USA",20,"CAN",1,1920,201612,"",3.2'
    with pytest.raises(DataError, match=r"row 2, column 'begin': found 1920"):
        read({"contdir": write("c.csv", HEADER, row)})
    with pytest.raises(ArgumentError, match="The files given have the roles none; expected"):
        read({})


@pytest.mark.reference
def test_spells_and_years_of_the_release_agree(reference: Path, tmp_path: Path) -> None:
    folder = reference / "official/cow_contiguity"
    with zipfile.ZipFile(folder / "DirectContiguity320.zip") as archive:
        for name in ("contdir.csv", "contdird.csv"):
            (tmp_path / name).write_bytes(archive.read(f"DirectContiguity320/{name}"))
    (spells,) = read({"contdir": tmp_path / "contdir.csv"})
    (years,) = read({"contdird": tmp_path / "contdird.csv"})
    (copy,) = read({"contdir": folder / "contdir.csv"})
    pd.testing.assert_frame_equal(spells.frame, copy.frame)
    assert (len(spells.frame), spells.first, spells.last) == (847, 1816, 2016)
    assert len(overlapping(spells.frame, on=["ccode_a", "ccode_b"])) == 0
    # Computed by hand from the file by year: the smaller number of each undirected dyad-year.
    raw = pd.read_csv(tmp_path / "contdird.csv")
    keys = ["state1no", "state2no", "year"]
    assert raw.duplicated(keys).sum() == 58
    expected = raw[raw["state1no"] < raw["state2no"]].groupby(keys)["conttype"].min()
    for found in (_by_year(spells.frame, 2016), _by_year(years.frame, 2016)):
        assert len(found) == 41_220
        assert found.index.tolist() == expected.index.tolist()
        assert found.tolist() == expected.tolist()


@pytest.mark.reference
def test_an_older_release_and_the_processed_table(reference: Path) -> None:
    (old,) = read({"contdir": reference / "official/variants/contdir_v31_cr_only.csv"})
    assert (len(old.frame), old.last) == (835, 2006)
    (new,) = read({"contdir": reference / "official/cow_contiguity/contdir.csv"})
    (processed,) = read({"contdir": reference / "processed/cow_contdir.csv.gz"})
    pd.testing.assert_series_equal(_by_year(new.frame, 2016), _by_year(processed.frame, 2016))
