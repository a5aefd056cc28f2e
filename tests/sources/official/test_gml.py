"""GML: the known totals, the flags of onset, the releases against each other, faulty files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import ArgumentError, DataError, MissingFileError, UnknownNameError
from forecast.sources.official import reader

read = reader("gml").read

Write = Callable[..., Path]
Pairs = set[tuple[int, int, int]]

HEADER = (
    "dispnum,ccode1,ccode2,year,sidea1,sidea2,orig1,orig2,hostlev,fatality,midongoing,midonset,"
    "outcome,settle,stmon,endmon,version"
)


def _rows(number: int, a: int, b: int, years: dict[int, int], **cells: object) -> list[str]:
    """Both directions of a pair, `a` on side A; `years` gives the onset flag of each year."""
    c = {"orig1": 1, "orig2": 1, "hostlev": 4, "fatality": 0, "outcome": 1, "settle": 2} | cells
    out = []
    for year, onset in years.items():
        tail = f"{c['hostlev']},{c['fatality']},1,{onset},{c['outcome']},{c['settle']},3,9,gml-x"
        out.append(f"{number},{a},{b},{year},1,0,{c['orig1']},{c['orig2']},{tail}")
        out.append(f"{number},{b},{a},{year},0,1,{c['orig2']},{c['orig1']},{tail}")
    return out


def _read(path: Path) -> pd.DataFrame:
    (reading,) = read({"directed_dyad_disputes": path})
    return reading.frame


def _onsets(frame: pd.DataFrame) -> Pairs:
    return set(zip(frame["start"].dt.year, frame["ccode_a"], frame["ccode_b"], strict=True))


def _active(frame: pd.DataFrame, last: int) -> Pairs:
    ends = frame["end"].dt.year.fillna(last).astype(int)
    rows = zip(frame["start"].dt.year, ends, frame["ccode_a"], frame["ccode_b"], strict=True)
    return {(year, a, b) for first, end, a, b in rows for year in range(first, end + 1)}


def test_consecutive_years_are_one_spell(write: Write) -> None:
    path = write("gml.csv", HEADER, *_rows(7, 200, 2, {1900: 1, 1901: 0}, fatality=-9))
    row = _read(path).iloc[0]
    assert (row["conflict_id"], row["ccode_a"], row["ccode_b"]) == ("gml-7", 2, 200)
    # 200 is on side A: it began, and it won.
    assert (row["initiator"], row["outcome"], row["settlement"]) == ("b", "victory_b", "imposed")
    assert (row["level"], pd.isna(row["deaths_class"])) == ("use_of_force", True)
    assert str(row["start"].date()) == "1900-03-01"
    assert row["start_precision"] == "month"
    # The last year of the file: whether the dispute ended in September of it is not known.
    assert (str(row["end"].date()), row["end_precision"]) == ("1901-12-31", "year")
    assert row["source"] == "GML MID x"


def test_a_flagged_onset_after_a_gap_is_a_second_spell_and_an_unflagged_year_is_not(
    write: Write,
) -> None:
    rows = _rows(258, 220, 255, {1939: 1, 1940: 0, 1944: 1, 1945: 0})
    frame = _read(write("gml.csv", HEADER, *rows, *_rows(9, 2, 20, {1950: 1, 1951: 0, 1953: 0})))
    two = frame[frame["ccode_a"] == 220]
    assert two["conflict_id"].tolist() == ["gml-258", "gml-258.2"]
    assert _active(two, 1953) == {(y, 220, 255) for y in (1939, 1940, 1944, 1945)}
    assert _onsets(frame[frame["ccode_a"] == 2]) == {(1950, 2, 20)}


def test_two_disputes_of_one_pair_are_two_rows(write: Write) -> None:
    rows = [*_rows(1, 2, 20, {1900: 1, 1901: 0}), *_rows(2, 20, 2, {1901: 1})]
    frame = _read(write("gml.csv", HEADER, *rows))
    assert frame["conflict_id"].tolist() == ["gml-1", "gml-2"]
    assert frame["initiator"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("one", "two", "initiator"), [(1, 1, "a"), (1, 0, "a"), (0, 1, "unclear"), (0, 0, "unclear")]
)
def test_joiners_never_initiate(write: Write, one: int, two: int, initiator: str) -> None:
    rows = _rows(1, 2, 20, {1900: 1}, orig1=one, orig2=two)
    row = _read(write("gml.csv", HEADER, *rows)).iloc[0]
    assert row["initiator"] == initiator
    assert row["role_a"] == ("originator" if one else "joiner")
    assert row["role_b"] == ("originator" if two else "joiner")
    assert row["start_precision"] == ("month" if one and two else "year")


def test_participants_add_the_days(write: Write) -> None:
    dyads = write("gml.csv", HEADER, *_rows(7, 2, 200, {1900: 1, 1901: 0}))
    header = "dispnum,ccode,styear,stmon,stday,endyear,endmon,endday,sidea,orig"
    part = write("part.csv", header, "7,2,1900,3,5,1902,9,1,1,1", "7,200,1900,4,-9,1901,9,3,0,1")
    (reading,) = read({"directed_dyad_disputes": dyads, "midb": part})
    row = reading.frame.iloc[0]
    assert (str(row["start"].date()), row["start_precision"]) == ("1900-04-01", "month")
    assert (str(row["end"].date()), row["end_precision"]) == ("1901-09-03", "day")


def test_a_dispute_that_goes_on_past_the_file_is_open(write: Write) -> None:
    dyads = write("gml.csv", HEADER, *_rows(7, 2, 200, {1900: 1, 1901: 0}))
    header = "dispnum,ccode,styear,stmon,stday,endyear,endmon,endday,sidea,orig"
    part = write("part.csv", header, "7,2,1900,3,5,1902,9,1,1,1", "7,200,1900,4,1,1902,9,3,0,1")
    (reading,) = read({"directed_dyad_disputes": dyads, "midb": part})
    row = reading.frame.iloc[0]
    assert pd.isna(row["end"])
    assert (row["outcome"], reading.last) == ("ongoing", 1901)


def test_a_file_in_one_direction_is_refused(write: Write) -> None:
    rows = [row for row in _rows(7, 2, 200, {1900: 1}) if row.startswith("7,2,")]
    with pytest.raises(
        DataError, match=r"gml\.csv, row 2: the pair 2 and 200 .* without its other"
    ):
        _read(write("gml.csv", HEADER, *rows))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"hostlev": 8}, r"row 2, column 'hostlev': found 8, expected one of 1 \(none\), 2 \(thr"),
        ({"fatality": 7}, r"row 2, column 'fatality': found 7"),
        ({"hostlev": "war"}, r"row 2, column 'hostlev': found 'war', expected a whole number"),
        ({"orig1": 3}, r"row 2, column 'orig1': found 3"),
    ],
)
def test_codes_that_the_codebook_does_not_have_are_refused(
    write: Write, cells: dict[str, object], message: str
) -> None:
    path = write("gml.csv", HEADER, *_rows(7, 2, 200, {1900: 1}, **cells))
    with pytest.raises(DataError, match=message):
        _read(path)


def test_roles_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'midb'"):
        read({"midbb": tmp_path / "x.csv"})
    with pytest.raises(ArgumentError, match="have the roles none; expected 'directed_dyad_disp"):
        read({})
    with pytest.raises(MissingFileError, match=r"no file 'x\.csv'"):
        _read(tmp_path / "x.csv")


@pytest.fixture(scope="module")
def newest(reference: Path) -> pd.DataFrame:
    return _read(reference / "processed" / "gml_dirdisp.csv.gz")


@pytest.mark.reference
def test_known_totals(newest: pd.DataFrame) -> None:
    assert len(newest) == 3039
    assert len(_onsets(newest)) == 2845
    assert len(_active(newest, 2000)) == 4280


@pytest.mark.reference
def test_the_reduced_table_gives_the_same_pairs_and_years(
    newest: pd.DataFrame, reference: Path
) -> None:
    reduced = _read(reference / "processed" / "gml_mid_ddydisps.csv.gz")
    assert _onsets(reduced) == _onsets(newest)
    assert _active(reduced, 2000) == _active(newest, 2000)


@pytest.mark.reference
def test_days_of_participants_leave_the_years_as_they_are(
    newest: pd.DataFrame, reference: Path
) -> None:
    folder = reference / "processed"
    files = {"directed_dyad_disputes": folder / "gml_dirdisp.csv.gz"}
    (reading,) = read(files | {"midb": folder / "gml_part.csv.gz"})
    assert _onsets(reading.frame) == _onsets(newest)
    assert _active(reading.frame, 2000) == _active(newest, 2000)
    assert (reading.frame["start_precision"] == "day").mean() > 0.85


@pytest.mark.reference
def test_release_2_1_1_against_2_2_1(newest: pd.DataFrame, reference: Path) -> None:
    """Disputes were dropped and added between the releases; of the rest nearly all is the same."""
    old = _read(reference / "official" / "gml_mid" / "gml-ddy-disputes-2.1.1.csv")
    assert len(old) == 3071
    key = ["conflict_id", "ccode_a", "ccode_b"]
    common = old.merge(newest, on=key, suffixes=("_old", "_new"))
    assert len(common) == 2985
    assert (common["start_old"].dt.year == common["start_new"].dt.year).sum() == 2963

    def numbers(frame: pd.DataFrame) -> set[str]:
        return set(frame["conflict_id"].str.split(".").str[0])

    assert (len(numbers(old) - numbers(newest)), len(numbers(newest) - numbers(old))) == (24, 1)
    # Six pairs that 2.1.1 lists without an onset have one in 2.2.1, and so here.
    assert {(1941, 220, 345), (1849, 245, 390), (1991, 645, 692)} <= _onsets(old) & _onsets(newest)


@pytest.mark.reference
def test_release_2_0_as_disputes_and_participants(reference: Path) -> None:
    """Ends before their starts and months such as 31 are known to the year only."""
    folder = reference / "official" / "gml_mid"
    readings = read({"mida": folder / "gml-mida-2.0.csv", "midb": folder / "gml-midb-2.0.csv"})
    frames = {r.table: r.frame for r in readings}
    assert {t: len(f) for t, f in frames.items()} == {
        "conflicts": 3036,
        "disputes": 1933,
        "participants": 4741,
    }
    assert all(r.last == 2000 for r in readings)
    assert all((f["end"].isna() | (f["end"] >= f["start"])).all() for f in frames.values())
    row = frames["disputes"].set_index("conflict_id").loc["gml-1066"]
    assert (str(row["end"].date()), row["end_precision"]) == ("1941-12-31", "year")
