"""COW material capabilities: releases 5, 6 and 7."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import ArgumentError, DataError
from forecast.sources.official import reader

read = reader("cow_nmc").read

Write = Callable[..., Path]
HEADER = "stateabb,ccode,year,milex,milper,irst,pec,tpop,upop,cinc,version"


def test_layouts_of_release_7(write: Write) -> None:
    lines = ("USA,2,2022,-9,1395,80535,-9,338290,-9,0.13,7", "CAN,20,2022,26896,63,0,1,2,3,0.01,7")
    (reading,) = read({"nmc": write("NMC-70-abridged.csv", HEADER, *lines, end="\r\n")})
    frame = reading.frame
    assert (reading.table, reading.first, reading.last) == ("material_capabilities", 2022, 2022)
    assert frame.loc[2, ["milex", "pec", "upop"]].isna().all()
    # A zero is a quantity: Canada made no steel.
    assert frame.loc[3, "irst"] == 0
    # The supplementary form has the source of each value between the columns.
    header = HEADER.replace("milex,", "milex,milexsource,milexnote,")
    row = 'USA,2,2022,-9,"IISS, SIPRI",,1395,80535,-9,338290,-9,0.13,7'
    (long,) = read({"nmc": write("NMC-70-wsupplementary.csv", header, row)})
    pd.testing.assert_frame_equal(long.frame, frame.loc[[2]])


def test_what_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"n\.csv, row 2, column 'cinc': found 39\.7"):
        read({"nmc": write("n.csv", HEADER, "USA,2,1816,1,1,1,1,1,1,39.7,6")})
    with pytest.raises(DataError, match=r"n\.csv, row 2, column 'milper': found '1,000'"):
        read({"nmc": write("n.csv", HEADER, 'USA,2,1816,1,"1,000",1,1,1,1,0.1,6')})
    twice = ("USA,2,1816,1,1,1,1,1,1,0.1,6",) * 2
    with pytest.raises(DataError, match=r"n\.csv, rows 2, 3: the key \(ccode=2, year=1816\)"):
        read({"nmc": write("n.csv", HEADER, *twice)})
    with pytest.raises(ArgumentError, match="The files given have the roles none; expected"):
        read({})


@pytest.mark.reference
def test_real_releases(reference: Path) -> None:
    folder = reference / "official/cow_nmc"
    files = {
        5: (folder / "NMC_5_0.csv", 15_171, 2012),
        6: (folder / "NMC-60-abridged.csv", 15_951, 2016),
        7: (reference / "processed/cow_nmc.csv.gz", 17_121, 2022),
    }
    found = {}
    for release, (path, rows, last) in files.items():
        (reading,) = read({"nmc": path})
        assert (len(reading.frame), reading.first, reading.last) == (rows, 1816, last)
        assert reading.frame["cinc"].notna().all()
        found[release] = reading.frame.set_index(["ccode", "year"])
    assert found[6]["milex"].isna().sum() == (pd.read_csv(files[6][0])["milex"] == -9).sum() == 2217
    total = found[7]["cinc"].groupby("year").sum()
    assert (total.min().round(2), total.max().round(2)) == (1.00, 1.07)
    both = found[6].join(found[7].add_suffix("_7"), how="inner")
    assert len(both) == 15_951
    assert ((both["cinc"] - both["cinc_7"]).abs() > 1e-4).sum() == 144
