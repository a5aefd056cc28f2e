"""COW wars: the real file with its CR line ends, periods, initiators; the dyadic file's defects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.official import reader

read = reader("cow_wars").read

Write = Callable[..., Path]
Rows = set[tuple[int, int, int, int]]

HEADER = (
    "WarNum,WarName,WarType,ccode,StateName,Side,StartMonth1,StartDay1,StartYear1,EndMonth1,"
    "EndDay1,EndYear1,StartMonth2,StartDay2,StartYear2,EndMonth2,EndDay2,EndYear2,TransFrom,"
    "WhereFought,Initiator,Outcome,TransTo,BatDeath,Version"
)
DYADIC = (
    "warnum,disno,dyindex,statea,stateb,warstrtmnth,warstrtday,warstrtyr,warendmnth,warenday,"
    "warendyr,year,warolea,waroleb,wardyadrolea,wardyadroleb,outcomea,batdtha,batdthb,changes_1,"
    "changes_2,batdths,durindx"
)


def _rows(frame: pd.DataFrame) -> Rows:
    """War, pair and year."""
    number = frame["conflict_id"].str.extract(r"-(\d+)")[0].astype(int)
    start, end = frame["start"].dt.year, frame["end"].dt.year
    spells = zip(number, frame["ccode_a"], frame["ccode_b"], start, end, strict=True)
    return {(n, a, b, y) for n, a, b, first, last in spells for y in range(first, last + 1)}


def _line(
    ccode: int, side: int, first: str, second: str, began: int, result: int, dead: int
) -> str:
    return (
        f"147,First Kashmir,1,{ccode},X,{side},{first},{second},-8,7,{began},{result},-8,{dead},4"
    )


def test_periods_initiator_and_outcome(write: Write) -> None:
    none = "-8,-8,-8,-8,-8,-8"
    path = write(
        "wars.csv",
        HEADER,
        _line(750, 1, "10,26,1947,1,1,1948", "3,-9,1948,1,1,1949", 2, 2, -9),
        _line(770, 2, "10,26,1947,1,1,1949", none, 1, 1, 1000),
        _line(700, 2, "1,2,1948,2,1,1948", none, 2, 3, 20),
        end="\r",
    )
    tables = {r.table: r.frame for r in read({"wars": path})}
    conflicts = tables["conflicts"]
    # Afghanistan was in it only while India was not.
    assert conflicts[["ccode_a", "ccode_b"]].to_numpy().tolist() == [[750, 770], [750, 770]]
    assert conflicts["conflict_id"].tolist() == ["war-147", "war-147.2"]
    assert conflicts["start_precision"].tolist() == ["day", "month"]
    assert conflicts["initiator"].tolist() == ["b", "b"]
    assert conflicts["outcome"].tolist() == ["victory_b", "victory_b"]
    assert conflicts["level"].unique().tolist() == ["war"]
    participants = tables["participants"].set_index(["ccode", "start"])
    assert participants["deaths"].isna().tolist() == [False, True, True, False]
    assert participants.loc[700, "deaths_class"].tolist() == [1]
    assert participants.loc[700, "role"].tolist() == ["joiner"]


def test_codes_are_checked(write: Write) -> None:
    row = _line(750, 3, "10,26,1947,1,1,1948", "-8,-8,-8,-8,-8,-8", 2, 2, -9)
    with pytest.raises(DataError, match=r"wars\.csv, row 2, column 'Side': found 3, expected one"):
        read({"wars": write("wars.csv", HEADER, row)})


def test_damaged_dates_of_the_dyadic_file_are_known_to_the_year(write: Write) -> None:
    path = write(
        "dyadic.csv",
        DYADIC,
        "106,257,1,2,300,24,10,1918,3,11,1918,1918,4,2,1,3,1,1,2,,,3000,1",
        "106,257,1,300,2,24,10,1918,3,11,1918,1918,2,4,3,1,3,2,1,,,3000,1",
        "106,257,2,325,355,8,11,1916,9,29,19118,1916,4,2,1,3,1,1,2,,,300,1",
        "106,257,2,325,355,8,11,1916,9,29,19118,1917,4,2,1,3,1,1,2,,,300,2",
        "106,257,2,355,325,8,11,1916,9,29,19118,1916,2,4,3,1,3,2,1,,,300,1",
        "106,257,2,355,325,8,11,1916,9,29,19118,1917,2,4,3,1,3,2,1,,,300,2",
    )
    frame = read({"dyadic": path})[0].frame
    assert _rows(frame) == {(106, 2, 300, 1918), (106, 325, 355, 1916), (106, 325, 355, 1917)}
    assert frame["deaths_class"].tolist() == [6, 4]
    assert frame["initiator"].tolist() == ["unclear", "unclear"]
    assert frame["outcome"].tolist() == ["victory_a", "victory_a"]


@pytest.fixture(scope="module")
def wars(reference: Path) -> dict[str, pd.DataFrame]:
    path = reference / "official" / "cow_wars" / "Inter-StateWarData_v4.0.csv"
    readings = read({"wars": path})
    assert {(r.first, r.last) for r in readings} == {(1816, 2007)}
    return {r.table: r.frame for r in readings}


@pytest.mark.reference
def test_known_numbers(wars: dict[str, pd.DataFrame]) -> None:
    assert len(wars["disputes"]) == 95
    assert len(wars["conflicts"]) == 382
    people = wars["participants"]
    # 337 participants, of whom 19 left and came back (or changed sides within a row).
    assert len(people) == 337 + 19
    assert (people["level"] == "war").all()


@pytest.mark.reference
def test_pairs_against_the_processed_table(wars: dict[str, pd.DataFrame], reference: Path) -> None:
    """All of its pairs and years, and eight more: of second periods that it leaves out."""
    path = reference / "processed" / "cow_war_inter.csv.gz"
    table = pd.read_csv(path)
    table = table[table["ccode1"] < table["ccode2"]]
    processed = set(
        table[["warnum", "ccode1", "ccode2", "year"]].itertuples(index=False, name=None)
    )
    paired = _rows(wars["conflicts"])
    assert len(processed) == 958
    assert processed <= paired
    assert paired - processed == {
        *((100, state, 640, 1913) for state in (345, 355)),
        *((139, 220, state, year) for state in (255, 310, 740) for year in (1944, 1945)),
    }
    assert _rows(read({"dyadic": path})[0].frame) == processed


@pytest.mark.reference
def test_initiators_and_outcomes_agree_with_the_processed_table(
    wars: dict[str, pd.DataFrame], reference: Path
) -> None:
    table = (
        reader("cow_wars")
        .read({"dyadic": reference / "processed" / "cow_war_inter.csv.gz"})[0]
        .frame
    )
    both = wars["conflicts"].merge(table, on=["conflict_id", "ccode_a", "ccode_b"])
    assert len(both) == 376
    assert (both["initiator_x"] == both["initiator_y"]).all()
    assert (both["outcome_x"] == both["outcome_y"]).sum() == 374


@pytest.mark.reference
def test_the_dyadic_file(wars: dict[str, pd.DataFrame], reference: Path) -> None:
    folder = reference / "official" / "cow_wars"
    files = {
        "wars": folder / "Inter-StateWarData_v4.0.csv",
        "dyadic": folder / "directed_dyadic_war.csv",
    }
    tables = {r.table: r.frame for r in read(files)}
    assert len(tables["disputes"]) == 95
    raw = pd.read_csv(files["dyadic"])
    raw = raw[raw["statea"] < raw["stateb"]]
    rows = set(raw[["warnum", "statea", "stateb", "year"]].itertuples(index=False, name=None))
    assert len(rows) == 682
    # Four pairs and years more: between two rounds, or where the dates reach past the years.
    assert rows <= _rows(tables["conflicts"])
    assert len(_rows(tables["conflicts"]) - rows) == 4
