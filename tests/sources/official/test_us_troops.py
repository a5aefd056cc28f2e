"""US troops by host: what is no state, no report, or hidden; against the real file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.official import reader
from forecast.sources.tables import Reading

Write = Callable[..., Path]
FILE = "official/troops/troopdata-rebuild-country-year.csv"


def read(write: Write, *rows: str) -> Reading:
    path = write("t.csv", "countryname,year,ccode,troops_ad,army_ad", *rows)
    return reader("us_troops").read({"country_years": path})[0]


def values(reading: Reading) -> dict[tuple[int, int], float]:
    return {(int(c), int(y)): float(v) for c, y, v in reading.frame.itertuples(index=False)}


def test_what_is_left_out_is_counted(write: Write) -> None:
    reading = read(
        write,
        "Greenland,1990,1002,300,0",
        "Puerto Rico,1990,6,4000,0",
        "United States,1990,2,1138627,0",
        "Norway,1951,385,129,0",
        "Sweden,1952,380,0,0",
        "Norway,1953,385,208,25",
        "Sweden,1953,380,0,0",
        "Kuwait,2003,690,0,0",
        "Kuwait,2006,690,44400,0",
        "Iraq,2021,645,2500,5",
        "Iraq,2022,645,153,8",
        "Czech Republic,2013,316,0,0",
        "Czechia,2013,316,17,4",
    )
    assert values(reading) == {
        (316, 2013): 17,
        (380, 1953): 0,  # not listed in a complete list
        (385, 1953): 208,
        (645, 2021): 2500,
        (690, 2006): 44400,
    }
    assert (reading.first, reading.last) == (1951, 2022)
    assert [note.split(" rows")[0] for note in reading.notes] == ["2", "1", "2", "2", "1"]


def test_hosts_have_cow_numbers(write: Write) -> None:
    rows = ("Germany,1980,255,10,0", "Germany,1990,255,9,0", "Vietnam,1953,817,1,0")
    more = ("Vietnam,1954,816,2,0", "Vietnam,1974,816,3,0", "Vietnam,1975,816,0,0")
    found = values(read(write, *rows, *more))
    assert set(found) == {(260, 1980), (255, 1990), (817, 1953), (817, 1954), (817, 1974),
                          (816, 1975)}  # fmt: skip


def test_a_later_version_has_gleditsch_ward_numbers(write: Write) -> None:
    rows = ("Germany,1980,260,10,0", "Germany,2000,260,9,0", "Kiribati,2000,970,1,0")
    assert values(read(write, *rows)) == {(260, 1980): 10, (255, 2000): 9, (946, 2000): 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Norway,1990,385,many,0", r"t\.csv, row 2, column 'troops_ad': found 'many'"),
        ("Norway,1990,385,-3,0", r"t\.csv, row 2, column 'us_troops': found -3"),
        ("Guam,1990,1008,3,0", r"t\.csv: there is no record of the table 'troops'"),
    ],
)
def test_faulty_records_are_refused(write: Write, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write, row)


@pytest.mark.reference
def test_the_published_file(reference: Path) -> None:
    """Against the file itself, read by pandas alone."""
    raw = pd.read_csv(reference / FILE, keep_default_na=False)
    (reading,) = reader("us_troops").read({"country_years": reference / FILE})
    found = values(reading)
    top = raw.groupby(["ccode", "year"])["troops_ad"].max()
    for ours, theirs in (
        ((255, 1990), (255, 1990)),
        ((260, 1970), (255, 1970)),
        ((732, 2024), (732, 2024)),
        ((817, 1968), (816, 1968)),
        ((316, 2024), (316, 2024)),
    ):
        assert found[ours] == top[theirs] > 0
    assert (reading.first, reading.last) == (raw["year"].min(), raw["year"].max()) == (1950, 2024)
    no_state = (raw["ccode"] >= 1000) | (raw["ccode"] == 6)
    own = raw["ccode"] == 2
    no_report = raw["year"].isin([1951, 1952])
    rest = raw[~(no_state | own | no_report)]
    twice = int(rest.duplicated(["ccode", "year"]).sum())
    counts = [int(note.split(" ")[0]) for note in reading.notes]
    assert counts[:3] == [no_state.sum(), own.sum(), (no_report & ~no_state & ~own).sum()]
    hidden, same = counts[3:]
    assert same == twice
    assert hidden == 3 + 4 + 3 + 4  # Kuwait, Afghanistan, Iraq, Syria
    assert len(found) == len(rest) - hidden - twice
    kept = sum(found.values())
    unseen = rest[(rest["ccode"].isin([645, 652, 700])) & (rest["year"] >= 2021)]
    unseen = unseen[~((unseen["ccode"] == 645) & (unseen["year"] == 2021))]
    doubled = rest.loc[rest.duplicated(["ccode", "year"], keep=False)].groupby(["ccode", "year"])
    lower = doubled["troops_ad"].min().sum()
    assert kept == rest["troops_ad"].sum() - unseen["troops_ad"].sum() - lower
