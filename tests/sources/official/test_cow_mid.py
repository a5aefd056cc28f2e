"""COW disputes: pairing by days, the dyadic file and its defects, the known numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.official import reader
from forecast.sources.tables import Reading

read = reader("cow_mid").read

Write = Callable[..., Path]

MIDA = (
    "dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,fatalpre,hostlev,"
    "recip,ongo2014,version"
)
MIDB = (
    "dispnum,stabb,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,fatality,fatalpre,"
    "hostlev,orig,version"
)
#: Columns of dyadic_mid_4.02 and 4.03 that matter, in the order of the file.
DYADIC = (
    "disno,dyindex,statea,namea,stateb,nameb,strtday,strtmnth,strtyr,endday,endmnth,endyear,"
    "outcome,settlmnt,fatlev,hihost,rolea,roleb,dyad_rolea,year"
)


def _tables(readings: list[Reading]) -> dict[str, pd.DataFrame]:
    return {r.table: r.frame for r in readings}


def _active(frame: pd.DataFrame, last: int) -> set[tuple[int, int, int, int]]:
    """Dispute, year and pair."""
    number = frame["conflict_id"].str.extract(r"-(\d+)")[0].astype(int)
    ends = frame["end"].dt.year.fillna(last).astype(int)
    rows = zip(
        number, frame["start"].dt.year, ends, frame["ccode_a"], frame["ccode_b"], strict=True
    )
    return {(n, y, a, b) for n, first, end, a, b in rows for y in range(first, end + 1)}


def _onsets(frame: pd.DataFrame) -> set[tuple[int, int, int, int]]:
    number = frame["conflict_id"].str.extract(r"-(\d+)")[0].astype(int)
    year = frame["start"].dt.year
    return set(zip(number, year, frame["ccode_a"], frame["ccode_b"], strict=True))


def test_sides_are_paired_over_shared_days(write: Write) -> None:
    mida = write("a.csv", MIDA, "9,1,2,1940,30,6,1941,1,2,6,1500,5,1,0,5", end="\r\n")
    midb = write(
        "b.csv",
        MIDB,
        "9,GMY,255,1,2,1940,30,6,1941,1,3,150,5,1,5",
        "9,NOR,385,1,2,1940,9,6,1940,0,1,2,4,1,5",
        "9,ITA,325,10,6,1940,30,6,1941,1,-9,-9,4,0,5",
        "9,GRC,350,-9,10,1940,30,6,1941,0,0,0,4,0,5",
        end="\r\n",
    )
    tables = _tables(read({"mida": mida, "midb": midb}))
    conflicts = tables["conflicts"].set_index(["ccode_a", "ccode_b"])
    # Norway left the day before Italy came: both were in it in 1940, but not together.
    assert sorted(conflicts.index) == [(255, 350), (255, 385), (325, 350)]
    assert conflicts["initiator"].to_dict() == {
        (255, 350): "a",
        (255, 385): "a",
        (325, 350): "unclear",
    }
    greece = conflicts.loc[(325, 350)]
    assert (str(greece["start"].date()), greece["start_precision"]) == ("1940-10-01", "month")
    assert (greece["role_a"], greece["role_b"]) == ("joiner", "joiner")
    # Level and deaths are those of the dispute.
    assert (greece["level"], greece["deaths_class"]) == ("war", 6)
    participants = tables["participants"].set_index("ccode")
    assert participants.loc[255, "deaths"] == 150
    assert pd.isna(participants.loc[325, "deaths_class"])
    assert tables["disputes"].iloc[0]["reciprocated"] == 1


def test_a_state_that_comes_back_has_a_second_spell(write: Write) -> None:
    # The last year covered is that in which the last dispute begins.
    mida = write(
        "a.csv",
        MIDA,
        "9,1,2,1940,30,6,1945,1,2,6,0,5,1,0,5",
        "10,1,2,1945,1,3,1945,1,2,6,0,5,1,0,5",
    )
    midb = write(
        "b.csv",
        MIDB,
        "9,GMY,255,1,2,1940,30,6,1945,0,3,0,5,1,5",
        "9,FRN,220,1,2,1940,22,6,1940,1,3,0,5,1,5",
        "9,FRN,220,1,10,1940,2,11,1940,1,3,0,5,0,5",
        "9,FRN,220,23,10,1944,30,6,1945,1,3,0,5,0,5",
    )
    frame = _tables(read({"mida": mida, "midb": midb}))["conflicts"]
    # Two spells that begin in one year are one onset of that year.
    assert frame["conflict_id"].tolist() == ["mid-9", "mid-9.2"]
    assert [str(d.date()) for d in frame["end"]] == ["1940-11-02", "1945-06-30"]
    assert frame["initiator"].tolist() == ["a", "unclear"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9,2,2,1940,1,1,1940,1,2,6,0,5,1,0,5", r"a\.csv, row 2: found an end \(1940-01-01\) befo"),
        ("9,2,13,1940,1,1,1941,1,2,6,0,5,1,0,5", r"a\.csv, row 2, column 'stmon': found 13"),
        ("9,2,2,1940,1,1,1941,12,2,6,0,5,1,0,5", r"a\.csv, row 2, column 'outcome': found 12"),
        ("8,2,2,1940,1,1,1941,1,2,6,0,5,1,0,5", r"b\.csv, row 2, column 'dispnum': found 9, exp"),
        ("9,2,2,1940,1,1", r"a\.csv, row 2: found 6 fields .* the record is damaged"),
    ],
)
def test_faulty_records_are_refused(write: Write, line: str, message: str) -> None:
    mida = write("a.csv", MIDA, line)
    midb = write("b.csv", MIDB, "9,GMY,255,2,2,1940,30,6,1941,1,3,150,5,1,5")
    with pytest.raises(DataError, match=message):
        read({"mida": mida, "midb": midb})


def _dyadic(write: Write, *rows: str) -> pd.DataFrame:
    path = write("dyadic_mid_4.03.csv", DYADIC, *rows, end="\r\n")
    return read({"dyadic": path})[0].frame


def test_the_dyadic_layout(write: Write) -> None:
    frame = _dyadic(
        write,
        "2,2.001,2,USA,200,UKG,1,7,1902,24,1,1903,0,0,0,3,1,3,1,1902",
        "2,2.001,2,USA,200,UKG,1,7,1902,24,1,1903,6,1,1,4,1,3,1,1903",
        "2,2.001,200,UKG,2,USA,1,7,1902,24,1,1903,0,0,0,3,3,1,3,1902",
        "2,2.001,200,UKG,2,USA,1,7,1902,24,1,1903,6,1,1,4,3,1,3,1903",
    )
    (row,) = frame.to_dict("records")
    assert (str(row["start"].date()), str(row["end"].date())) == ("1902-07-01", "1903-01-24")
    # The file fills unknown days with the first of the month.
    assert (row["start_precision"], row["end_precision"]) == ("month", "day")
    assert (row["level"], row["deaths_class"], row["outcome"]) == ("use_of_force", 1, "compromise")
    assert row["initiator"] == "a"


def test_the_same_roles_in_both_directions_leave_the_initiator_unclear(write: Write) -> None:
    frame = _dyadic(
        write,
        "2882,1,365,RUS,740,JPN,11,6,1961,2,8,1961,5,3,0,3,1,3,1,1961",
        "2882,1,740,JPN,365,RUS,11,6,1961,2,8,1961,5,3,0,3,1,3,1,1961",
        "3012,1,540,ANG,600,MOR,11,6,1961,2,8,1961,5,3,0,3,3,1,1,1961",
        "3012,1,600,MOR,540,ANG,11,6,1961,2,8,1961,5,3,0,3,3,1,1,1961",
    )
    assert frame["initiator"].tolist() == ["unclear", "unclear"]


def test_one_direction_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"dyadic_mid_4\.03\.csv, row 2: dispute 2 has the pair 2"):
        _dyadic(write, "2,2.001,2,USA,200,UKG,1,7,1902,24,1,1902,0,0,0,3,1,3,1,1902")


@pytest.fixture(scope="module")
def mid(reference: Path) -> dict[str, pd.DataFrame]:
    folder = reference / "official" / "cow_mid"
    readings = read({"mida": folder / "MIDA 5.0.csv", "midb": folder / "MIDB 5.0.csv"})
    assert {(r.first, r.last) for r in readings} == {(1816, 2000)}
    return _tables(readings)


@pytest.mark.reference
def test_known_numbers(mid: dict[str, pd.DataFrame]) -> None:
    assert {table: len(frame) for table, frame in mid.items()} == {
        "conflicts": 3216,
        "disputes": 2031,
        "participants": 4953,
    }
    levels = mid["disputes"]["level"].value_counts().to_dict()
    assert levels == {"threat": 67, "display_of_force": 499, "use_of_force": 1360, "war": 105}
    # What ended after the last year of the file is still going on in it.
    assert mid["conflicts"]["end"].max().year == 2000
    assert mid["conflicts"]["end"].isna().sum() == 23


@pytest.mark.reference
def test_pairs_are_exactly_those_of_the_processed_table(
    mid: dict[str, pd.DataFrame], reference: Path
) -> None:
    table = pd.read_csv(reference / "processed" / "cow_mid_dirdisps.csv.gz")
    table = table[table["ccode1"] < table["ccode2"]][
        ["dispnum", "year", "ccode1", "ccode2", "disponset"]
    ]
    rows = set(table.iloc[:, :4].itertuples(index=False, name=None))
    onsets = set(table[table["disponset"] == 1].iloc[:, :4].itertuples(index=False, name=None))
    assert len(rows) == 4983
    assert _active(mid["conflicts"], 2000) == rows
    assert _onsets(mid["conflicts"]) == onsets


@pytest.mark.reference
def test_the_reduced_table_gives_the_same_onsets(
    mid: dict[str, pd.DataFrame], reference: Path
) -> None:
    path = reference / "processed" / "cow_mid_ddydisps.csv.gz"
    reduced = read({"dyadic": path})[0].frame
    pairs = {onset[1:] for onset in _onsets(reduced)}
    assert pairs == {onset[1:] for onset in _onsets(mid["conflicts"])}
    assert len(pairs) == 2973


@pytest.mark.reference
def test_the_dyadic_file_has_exactly_its_own_pairs_and_years(reference: Path) -> None:
    path = reference / "official" / "cow_mid" / "dyadic_mid_4.02.csv"
    frame = read({"dyadic": path})[0].frame
    raw = pd.read_csv(path, usecols=["disno", "year", "statea", "stateb"])
    assert len(raw) == 9014
    low, high = np.minimum(raw["statea"], raw["stateb"]), np.maximum(raw["statea"], raw["stateb"])
    rows = set(zip(raw["disno"], raw["year"], low, high, strict=True))
    assert _active(frame, 2000) == rows
    assert (len(rows), len({row[1:] for row in rows}), len(frame)) == (4500, 4042, 3020)


@pytest.mark.reference
def test_pairing_and_dyadic_file_differ_by_construction(
    mid: dict[str, pd.DataFrame], reference: Path
) -> None:
    path = reference / "official" / "cow_mid" / "dyadic_mid_4.02.csv"
    confronted = {row[1:] for row in _active(read({"dyadic": path})[0].frame, 2000)}
    paired = {row[1:] for row in _active(mid["conflicts"], 2000)}
    assert len(paired) == 4483
    assert len(confronted - paired) < 0.02 * len(confronted)
    assert len(paired - confronted) > 0.1 * len(paired)
