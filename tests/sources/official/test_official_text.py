"""The one reader of official files: what it tolerates, what it refuses, and where."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecast.errors import DataError, MissingFileError, UnknownNameError
from forecast.sources.official.cow_alliances import expand_obligations
from forecast.sources.official.readings import (
    combine_obligations,
    dates_of,
    given_roles,
    month_dates,
    spells_of_years,
    year_dates,
)
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import OBLIGATIONS

Write = Callable[..., Path]
COLUMNS = {"ccode": "int", "name": "str", "share": "float?", "day": "date?"}
LINES = ("ccode,name,share,day", "2,USA,0.5,1949-04-04", '200,"Kingdom, United",-9,NA')


def _expected() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ccode": np.array([2, 200]),
            "name": pd.array(["USA", "Kingdom, United"], dtype="str"),
            "share": [0.5, np.nan],
            "day": np.array(["1949-04-04", "NaT"], dtype="datetime64[s]"),
        },
        index=pd.Index([2, 3], name="line"),
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark_do_not_matter(write: Write, end: str, bom: str) -> None:
    path = write("x.csv", bom + LINES[0], *LINES[1:], end=end)
    pd.testing.assert_frame_equal(read_official(path, COLUMNS), _expected())
    assert columns_of(path) == ["ccode", "name", "share", "day"]


def test_gzip_and_no_last_line_end(write: Write, tmp_path: Path) -> None:
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(LINES).encode()))
    pd.testing.assert_frame_equal(read_official(packed, COLUMNS), _expected())
    assert columns_of(packed) == ["ccode", "name", "share", "day"]
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"x\.csv\.gz: not a whole gzip file"):
        read_official(packed, COLUMNS)


def test_latin_1_where_it_is_not_utf_8(write: Write) -> None:
    for encoding in ("utf-8", "latin-1"):
        path = write("x.csv", "name", "Türkiye", "Côte d'Ivoire", encoding=encoding)
        assert list(read_official(path, {"name": "str"})["name"]) == ["Türkiye", "Côte d'Ivoire"]


def test_further_columns_names_in_another_case_and_blanks(write: Write) -> None:
    path = write("x.csv", ",CCode, Year ,,,note", "0, 2 ,1816,,,", "1,20,1920,,,x")
    frame = read_official(path, {"ccode": "int", "year": "int"}, rename={"ccode": "code"})
    assert frame.to_dict("list") == {"code": [2, 20], "year": [1816, 1920]}


def test_blank_lines_and_line_ends_in_a_field_keep_the_numbers_of_lines(write: Write) -> None:
    path = write("x.csv", "a,b", "", '1,"two', 'lines"', "", "x,2")
    with pytest.raises(DataError, match=r"x\.csv, row 6, column 'a': found 'x', expected a whole"):
        read_official(path, {"a": "int", "b": "str"})


def test_whole_numbers_as_r_writes_them(write: Write) -> None:
    path = write("x.csv", "a", "1e+05", "2.0", "NA")
    assert read_official(path, {"a": "int?"})["a"].tolist() == [100_000, 2, pd.NA]
    with pytest.raises(DataError, match=r"row 2, column 'a': found '2\.5'"):
        read_official(write("y.csv", "a", "2.5"), {"a": "int"})


def test_missing_texts_are_per_column_and_optional_columns_are_missing(write: Write) -> None:
    path = write("x.csv", "a,b", "-8,-9", "-9,0")
    frame = read_official(
        path,
        {"a": "int?", "b": "int?"},
        optional={"c": "int?", "d": "str?", "e": "date?", "f": "float?"},
        na={"a": ("-8",)},
    )
    assert frame["a"].tolist() == [pd.NA, -9]
    assert frame["b"].tolist() == [pd.NA, 0]
    assert frame[["c", "d", "e", "f"]].isna().all().all()
    assert frame["e"].dtype == "datetime64[s]"


def test_a_missing_value_where_none_may_be(write: Write) -> None:
    with pytest.raises(DataError, match=r"row 3, column 'a': found '-9', .*may not be missing"):
        read_official(write("x.csv", "a", "1", "-9"), {"a": "int"})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("a;b", "1;2"), "row 1: the separator is a semicolon, expected a comma"),
        (("a\tb", "1\t2"), "row 1: the separator is a tab, expected a comma"),
        (("a,b", "1,2", "3"), r"row 3: found 1 fields \('3'\), expected 2 \('a,b'\)"),
        (("a,b", "1,2", "3,4,5"), r"row 3: found 3 fields \('3,4,5'\), expected 2"),
        (("a,b", "1,2", '3,"4'), "row 3: unexpected end of data"),
        (("a,b,b", "1,2,3"), "row 1: the column 'b' is there 2 times"),
        (("a,bb", "1,2"), "row 1: the column 'b' is missing. The nearest one there is 'bb'"),
        (("", "1,2"), "row 1: the line is empty"),
        (("a,b", "1,nan"), "row 2, column 'b': found 'nan', expected a finite number"),
        (("a,b", "1,inf"), "row 2, column 'b': found 'inf', expected a finite number"),
        (("a,b", "1,\0"), "row 2: found a NUL byte"),
    ],
)
def test_what_is_refused_is_located(write: Write, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_official(write("x.csv", *lines), {"a": "int", "b": "float"})


@pytest.mark.parametrize("cell", ["29-05-1997", "29/05/1997", "1997-29-05", "1997-02-30", "1997"])
def test_day_month_and_impossible_dates_are_refused(write: Write, cell: str) -> None:
    path = write("x.csv", "day", "1997-05-29", cell)
    with pytest.raises(DataError, match=r"row 3, column 'day': .*calendar date as YYYY-MM-DD"):
        read_official(path, {"day": "date"})


def test_no_file_no_role_and_another_encoding(tmp_path: Path, write: Write) -> None:
    with pytest.raises(MissingFileError, match=r"no file 'x\.csv'"):
        read_official(tmp_path / "x.csv", COLUMNS)
    with pytest.raises(UnknownNameError, match="Unknown role 'states'"):
        given_roles({"states": tmp_path}, {"nmc": "state-years"}, ("nmc",))
    with pytest.raises(DataError, match="UTF-16"):
        read_official(write("y.csv", *LINES, encoding="utf-16"), COLUMNS)


def test_a_header_without_records_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"x\.csv: found a header and no record"):
        read_official(write("x.csv", LINES[0]), COLUMNS)


@pytest.mark.reference
def test_a_megabyte_is_read_well_under_a_second(reference: Path) -> None:
    path = reference / "official/cow_contiguity/contdird.csv"
    started = time.perf_counter()
    frame = read_official(path, {"state1no": "int", "year": "int", "conttype": "int"})
    assert len(frame) == 82_498
    assert time.perf_counter() - started < 1.0


@pytest.mark.reference
def test_the_damaged_variant_is_refused(reference: Path) -> None:
    path = reference / "official/variants/UcdpPrioConflict_v25_1_resaved_damaged.csv"
    with pytest.raises(DataError, match="row 1: the separator is a semicolon"):
        read_official(path, {"conflict_id": "int"})


@pytest.mark.reference
def test_the_damaged_variant_is_refused_with_the_right_separator_too(
    reference: Path, tmp_path: Path
) -> None:
    path = reference / "official/variants/UcdpPrioConflict_v25_1_resaved_damaged.csv"
    text = path.read_text(encoding="utf-8-sig").replace(",", " ").replace(";", ",")
    copy = tmp_path / "commas.csv"
    copy.write_text(text, encoding="utf-8")
    # Conflict 11349 in 2008 was cut into lines 42 and 43.
    with pytest.raises(DataError, match=r"row 4[23]"):
        read_official(copy, {"conflict_id": "int", "year": "int"})
    lines = text.split("\n")
    copy.write_text("\n".join(lines[:41] + lines[43:]), encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2, column 'start_date': found '29-5-1997'"):
        read_official(copy, {"conflict_id": "int", "start_date": "date?"})


def _parts(*rows: tuple[int | None, int | None, int | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["y", "m", "d"], dtype="Int64").rename(index=lambda i: i + 2)


def test_unknown_parts_of_dates() -> None:
    parts = _parts((1900, 2, 3), (1900, 2, -9), (1900, None, 3), (1904, 2, 0), (0, 0, 0))
    first, precision = dates_of(parts, ("y", "m", "d"))
    last, _ = dates_of(parts, ("y", "m", "d"), last=True)
    assert list(precision) == ["day", "month", "year", "month", "year"]
    assert [str(x)[:10] for x in first] == [
        "1900-02-03",
        "1900-02-01",
        "1900-01-01",
        "1904-02-01",
        "NaT",
    ]
    assert [str(x)[:10] for x in last] == [
        "1900-02-03",
        "1900-02-28",
        "1900-12-31",
        "1904-02-29",
        "NaT",
    ]
    assert first.dtype == "datetime64[s]"
    assert first.index.tolist() == parts.index.tolist()


def test_impossible_parts_are_refused_or_coarsened() -> None:
    parts = _parts((1923, 12, 1), (1923, 31, 3))
    with pytest.raises(DataError, match=r"f\.csv, row 3, column 'm': found 31, expected a month"):
        dates_of(parts, ("y", "m", "d"), file="f.csv")
    with pytest.raises(DataError, match=r"f\.csv, row 2, column 'd': found 29, expected a day"):
        dates_of(_parts((1900, 2, 29)), ("y", "m", "d"), file="f.csv")
    dates, precision = dates_of(parts, ("y", "m", "d"), coarsen=True)
    assert (str(dates.iloc[1])[:10], precision.iloc[1]) == ("1923-01-01", "year")


def test_a_month_without_a_year_is_no_date() -> None:
    dates, precision = dates_of(_parts((0, 5, 3), (None, 12, -9)), ("y", "m", "d"), last=True)
    assert dates.isna().all()
    assert precision.tolist() == ["year", "year"]


@settings(deadline=None)
@given(st.dates())
def test_known_dates_come_back(day: object) -> None:
    parts = _parts((day.year, day.month, day.day))  # type: ignore[attr-defined]
    for last in (False, True):
        dates, precision = dates_of(parts, ("y", "m", "d"), last=last)
        assert dates.iloc[0].date() == day
        assert precision.iloc[0] == "day"


def test_months_as_numbers() -> None:
    frame = pd.DataFrame({"begin": [192001, 190412, 198190]}, index=[2, 3, 4])
    with pytest.raises(DataError, match=r"c\.csv, row 4, column 'begin': found 198190"):
        month_dates(frame, "begin", file="c.csv")
    dates = month_dates(frame, "begin", last=True, coarsen=True)
    assert [str(x)[:10] for x in dates] == ["1920-01-31", "1904-12-31", "1981-12-31"]


def test_years_join_into_spells() -> None:
    frame = pd.DataFrame({"k": [1, 1, 1, 1, 2], "year": [1901, 1900, 1903, 1900, 1902]})
    spells = spells_of_years(frame, ["k"])
    found = spells[["k", "first", "last"]].to_numpy().tolist()
    assert found == [[1, 1900, 1901], [1, 1903, 1903], [2, 1902, 1902]]
    assert str(year_dates(spells["last"], last=True).iloc[0])[:10] == "1901-12-31"
    assert str(year_dates(spells["first"]).iloc[0])[:10] == "1900-01-01"
    assert spells_of_years(frame.iloc[:0], ["k"]).empty


def test_obligations_of_several_treaties_are_combined_by_direction() -> None:
    flags = pd.DataFrame(0, index=range(3), columns=list(OBLIGATIONS))
    spells = flags.assign(ccode_owing=[2, 2, 740], ccode_owed=[740, 740, 2])
    spells.loc[0, "defense"] = spells.loc[1, "consultation"] = spells.loc[2, "consultation"] = 1
    frame = expand_obligations(
        spells, pd.Series([1951, 1952, 1951]), pd.Series([1952, 1953, 9999]), window=(1900, 1953)
    )
    found = frame.set_index(["ccode_owing", "ccode_owed", "year"])[["defense", "consultation"]]
    assert found.loc[(2, 740)].to_numpy().tolist() == [[1, 0], [1, 1], [0, 1]]
    assert found.loc[(740, 2)].to_numpy().tolist() == [[0, 1]] * 3
    assert combine_obligations(frame.iloc[:0]).empty
