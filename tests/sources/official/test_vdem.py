"""V-Dem: needed columns only, bounded memory, countries that share a COW number."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forecast.errors import DataError
from forecast.sources.official import reader

read = reader("vdem").read

Write = Callable[..., Path]

HEADER = "country_name,country_text_id,country_id,year,historical_date,COWcode,v2x_polyarchy,v2x_li"


def test_the_official_layout(write: Write) -> None:
    path = write(
        "V-Dem-CY-Core-v15.csv",
        f'"{HEADER.replace(",", chr(34) + "," + chr(34))}"',
        '"Sardinia, Piedmont","SPD",373,1861,"1861-12-31",325,0.20,0.1',
        '"Italy","ITA",82,1861,"1861-12-31",325,0.25,0.1',
        '"Italy","ITA",82,1862,"1862-12-31",325,NA,0.1',
        '"Mexico","MEX",3,1789,"1789-12-31",70,0.028,0.1',
        '"Zanzibar","ZZB",236,1900,"1900-12-31",,0.3,0.1',
    )
    (reading,) = read({"country_years": path})
    frame = reading.frame
    # Of two countries with one number the one that goes on; nothing before the state system.
    assert frame[["ccode", "year"]].to_numpy().tolist() == [[325, 1861], [325, 1862]]
    assert frame["polyarchy"].tolist()[0] == 0.25
    assert frame["polyarchy"].isna().tolist() == [False, True]
    assert (reading.first, reading.last) == (1861, 1862)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Italy,ITA,82,1861,d,325,high,0", r"v\.csv.* column 'v2x_polyarchy': found 'high', expec"),
        ("Italy,ITA,82,1861,d,325", r"v\.csv, row 3: found 6 fields, expected 8: the record is d"),
        ("Italy,ITA,82,1861,d,325,1.2,0", r"v\.csv, row 3, column 'polyarchy': found 1\.2"),
    ],
)
def test_faulty_records_are_refused(write: Write, row: str, message: str) -> None:
    path = write("v.csv", HEADER, "France,FRA,76,1861,d,220,0.4,0", row)
    with pytest.raises(DataError, match=message):
        read({"country_years": path})


def test_a_missing_column_is_named_with_the_nearest(write: Write) -> None:
    path = write("v.csv", "COWcode,year,v2x_polyarch", "2,1900,0.1")
    with pytest.raises(
        DataError, match=r"'v2x_polyarchy' is missing\. The nearest one there is 'v2x"
    ):
        read({"country_years": path})


def test_a_file_of_polity_is_named(write: Write) -> None:
    """What a user of Polity meets who takes it for the source of regimes."""
    path = write("p4v2018.csv", "cyear,ccode,scode,year,polity,polity2", "21900,2,USA,1900,9,9")
    with pytest.raises(
        DataError, match=r"'v2x_polyarchy' is missing\. These are columns of Polity"
    ):
        read({"country_years": path})


PEAK = """
import resource, sys
from pathlib import Path
from forecast.sources.official import reader
small, large = (Path(p) for p in sys.argv[1:3])
reader("vdem").read({"country_years": small})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(reading,) = reader("vdem").read({"country_years": large})
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(reading.frame), (after - before) // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of 126 MB (14,000 records of 9 kB) adds less than 80 MB; V-Dem's has 400 MB."""
    filler = ",".join(["0.123456789"] * 750)
    names = ",".join(f"v{i}" for i in range(750))
    large, small = tmp_path / "large.csv", tmp_path / "small.csv"
    with large.open("w", encoding="utf-8") as stream:
        stream.write(f"country_id,COWcode,year,{names},v2x_polyarchy\n")
        for code in range(2, 72):
            rows = (f"{code},{code},{year},{filler},0.5\n" for year in range(1816, 2016))
            stream.writelines(rows)
    small.write_text("country_id,COWcode,year,v2x_polyarchy\n1,2,1900,0.5\n", encoding="utf-8")
    assert large.stat().st_size > 120e6
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows, megabytes = (int(word) for word in out.split())
    assert rows == 14_000
    assert megabytes < 80


def test_a_gzipped_copy_is_read(tmp_path: Path) -> None:
    path = tmp_path / "v.csv.gz"
    path.write_bytes(gzip.compress(b"COWcode,year,v2x_polyarchy\n2,1900,0.5\n"))
    assert read({"country_years": path})[0].frame["polyarchy"].tolist() == [0.5]


@pytest.mark.reference
def test_the_processed_table(reference: Path) -> None:
    (reading,) = read({"country_years": reference / "processed" / "democracy.csv.gz"})
    assert (len(reading.frame), reading.first, reading.last) == (17_706, 1816, 2025)
    assert reading.frame["polyarchy"].isna().sum() == 1016
