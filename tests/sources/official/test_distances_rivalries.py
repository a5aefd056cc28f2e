"""Distances and strategic rivalries: both layouts, open ends, the real tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from forecast.errors import DataError
from forecast.sources.official import reader

read_distances = reader("distances").read
read_rivalries = reader("rivalries").read

Write = Callable[..., Path]


def test_distances_of_both_directions_count_once(write: Write) -> None:
    path = write(
        "d.csv", "ccode1,ccode2,year,mindist", "2,20,1921,0", "20,2,1921,0", "40,2,1921,144.5"
    )
    frame = read_distances({"mindist": path})[0].frame
    assert frame.to_numpy().tolist() == [[2, 20, 1921, 0], [2, 40, 1921, 144.5]]


def test_two_distances_of_one_pair_are_refused(write: Write) -> None:
    path = write("d.csv", "ccode1,ccode2,year,mindist", "2,20,1921,0", "20,2,1921,7")
    with pytest.raises(DataError, match=r"rows 2, 3: the key \(ccode_a=2, ccode_b=20, year=1921\)"):
        read_distances({"mindist": path})


def test_thompson_and_dreyer(write: Write) -> None:
    path = write(
        "td.csv",
        "rivalryno,rivalryname,ccode1,ccode2,styear,endyear,region,type1,type2,type3",
        "1,Austria-France,300,220,1494,1918,European GPs,spatial,positional,",
        "2,China-India,710,750,1948,2010,Asia,spatial,NA,",
    )
    (reading,) = read_rivalries({"rivalries": path})
    first, second = reading.frame.to_dict("records")
    assert (first["rivalry_id"], first["ccode_a"], first["ccode_b"]) == ("td-1", 220, 300)
    assert (str(first["start"].date()), str(first["end"].date())) == ("1494-01-01", "1918-12-31")
    assert (first["kind"], second["kind"]) == ("spatial+positional", "spatial")
    # What lasts into the last year of the data has not ended.
    assert reading.frame["end"].isna().tolist() == [False, True]
    assert (reading.first, reading.last) == (1494, 2010)


def test_thompson_sakuwa_and_suhas(write: Write) -> None:
    path = write(
        "tss.csv",
        "tssr_id,rivalry,ccode1,ccode2,start,end,positional,spatial,ideological,interventionary",
        "1,Austria-France,220,300,1494,1918,1,1,,",
        "2,X-Y,2,20,1950,2020,,,,",
    )
    frame = read_rivalries({"rivalries": path})[0].frame
    assert frame["kind"].tolist()[0] == "positional+spatial"
    assert frame["kind"].isna().tolist() == [False, True]


def test_an_end_before_the_start_is_refused(write: Write) -> None:
    header = "rivalryno,ccode1,ccode2,styear,endyear"
    with pytest.raises(DataError, match=r"td\.csv, row 2: the rivalry ends in 1900, before it beg"):
        read_rivalries({"rivalries": write("td.csv", header, "1,2,20,1950,1900")})


@pytest.mark.reference
def test_the_real_tables(reference: Path) -> None:
    folder = reference / "processed"
    (km,) = read_distances({"mindist": folder / "cow_mindist.csv.gz"})
    assert (len(km.frame), km.first, km.last) == (952_244, 1886, 2019)
    (td,) = read_rivalries({"rivalries": folder / "td_rivalries.csv.gz"})
    assert (len(td.frame), td.last, td.frame["end"].isna().sum()) == (197, 2010, 42)
    (tss,) = read_rivalries({"rivalries": folder / "tss_rivalries.csv.gz"})
    assert (len(tss.frame), tss.last, tss.frame["end"].isna().sum()) == (264, 2020, 56)
