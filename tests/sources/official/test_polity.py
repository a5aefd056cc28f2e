"""Polity: rows invented in the official layout, as its files may not be passed on."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forecast.errors import DataError, ForecastError
from forecast.sources.acquire import add
from forecast.sources.catalogue import read_source
from forecast.sources.official import reader
from forecast.sources.tables import Reading

Write = Callable[..., Path]
HEADER = "cyear,ccode,scode,country,year,flag,fragment,democ,autoc,polity,polity2,durable"


def row(code: int, year: int, score: object, two: object) -> str:
    return f"{code}{year},{code},XXX,Invented,{year},0,,0,0,{score},{two},1"


def read(path: Path) -> Reading:
    return reader("polity").read({"country_years": path})[0]


def values(reading: Reading) -> dict[tuple[int, int], float | None]:
    frame = reading.frame.astype({"polity": object})
    frame = frame.where(frame.notna(), None)
    return {(int(c), int(y)): v for c, y, v in frame.itertuples(index=False)}


def test_polity2_is_preferred_and_special_scores_are_no_scores(write: Write) -> None:
    path = write(
        "p4v2018.csv",
        HEADER,
        row(2, 1800, 4, 4),
        row(2, 1900, 10, 10),
        row(2, 1901, -9, -9),  # a score, though it is COW's "missing"
        row(2, 1902, -66, ""),
        row(2, 1903, -77, 0),
        row(2, 1904, -88, 3),
        row(2, 1905, -66, "-66"),
    )
    reading = read(path)
    assert values(reading) == {
        (2, 1900): 10, (2, 1901): -9, (2, 1902): None, (2, 1903): 0, (2, 1904): 3,
        (2, 1905): None,
    }  # fmt: skip
    assert (reading.first, reading.last) == (1900, 1905)
    assert reading.notes[0] == "The score is the column polity2."
    assert [note.split(" ")[0] for note in reading.notes[1:]] == ["1", "1"]


def test_without_polity2_the_three_are_missing(write: Write) -> None:
    rows = [f"2,{1900 + i},{score}" for i, score in enumerate((-9, -66, -77, -88, 6))]
    reading = read(write("p.csv", "ccode,year,polity", *rows))
    assert list(values(reading).values()) == [-9, None, None, None, 6]
    assert reading.notes[0] == "The score is the column polity."


def test_numbers_are_cows_and_the_state_that_goes_on_counts(write: Write) -> None:
    rows = [
        row(364, 1991, 0, 0), row(365, 1992, 5, 5), row(347, 2005, 6, 6), row(347, 2006, 6, 6),
        row(342, 2006, 8, 8), row(342, 2007, 8, 8), row(341, 2008, 7, 7), row(348, 2006, 9, 9),
        row(625, 2011, -2, -2), row(626, 2011, -4, -4), row(626, 2012, -4, -4),
        row(525, 2011, 0, 0), row(818, 1976, -7, -7), row(769, 1970, 3, 3), row(529, 1993, 1, 1),
    ]  # fmt: skip
    reading = read(write("p5v2018.csv", HEADER, *rows))
    assert values(reading) == {
        (365, 1991): 0, (365, 1992): 5, (345, 2005): 6, (345, 2006): 8, (345, 2007): 8,
        (347, 2008): 7, (341, 2006): 9, (625, 2011): -4, (625, 2012): -4, (626, 2011): 0,
        (816, 1976): -7, (770, 1970): 3, (530, 1993): 1,
    }  # fmt: skip
    # Numbers of a table without Polity's letters are COW's: 341 is Montenegro.
    plain = read(write("own.csv", "ccode,year,polity2", "341,2008,9", "347,2008,7"))
    assert values(plain) == {(341, 2008): 9, (347, 2008): 7}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("ccode,year,polity2", "2,1900,high"), r"p\.csv, row 2, column 'polity2': found 'high'"),
        (("ccode,year,polity2", "2,1900,11"), r"p\.csv, row 2, column 'polity': found 11"),
        (("ccode,year,polyty2", "2,1900,1"), r"'polity2' is missing\. The nearest .*'polyty2'"),
        (("ccode,year,polity2", "2,1790,1"), r"p\.csv: no record is of a year from 1816 on"),
    ],
)
def test_faulty_files_are_refused(write: Write, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write("p.csv", *lines))


@pytest.mark.parametrize(
    ("name", "source"), [("p4v2018.csv", "polity4_2018"), ("p5v2018.csv", "polity5_2018")]
)
def test_it_is_recognised_by_its_name(write: Write, tmp_path: Path, name: str, source: str) -> None:
    path, cache = write(name, HEADER, row(2, 1900, 10, 10)), tmp_path / "cache"
    add(source, [path], cache=cache)
    (reading,) = read_source(source, cache)
    assert values(reading) == {(2, 1900): 10}


def workbook(*rows: tuple[object, ...]) -> bytes:
    """A sheet of Excel 2.1: records of a type, a length and the cells."""
    out = struct.pack("<HHHH", 0x0009, 4, 0x0002, 0x0010)
    for r, cells in enumerate(rows):
        for c, cell in enumerate(cells):
            where = struct.pack("<HH", r, c) + b"\0\0\0"
            if isinstance(cell, str):
                body = where + struct.pack("<B", len(cell)) + cell.encode("latin-1")
                out += struct.pack("<HH", 0x0004, len(body)) + body
            elif cell is not None:
                body = where + struct.pack("<d", cell)
                out += struct.pack("<HH", 0x0003, len(body)) + body
    return out + struct.pack("<HH", 0x000A, 0)


SHEET = (("ccode", "scode", "year", "polity2"), (365, "RUS", 1992, 5), (2, "USA", 1992, None))


def test_an_old_workbook(tmp_path: Path) -> None:
    path = tmp_path / "p5v2018.xls"
    path.write_bytes(workbook(*SHEET))
    assert values(read(path)) == {(2, 1992): None, (365, 1992): 5}
    add("polity5_2018", [path], cache=tmp_path / "cache")
    assert values(read_source("polity5_2018", tmp_path / "cache")[0])[365, 1992] == 5
    path.write_bytes(workbook(*SHEET, (20, "CAN", "soon", 10)))
    with pytest.raises(DataError, match=r"p5v2018\.xls, row 4, column 'year': found 'soon'"):
        read(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0 and no more")
    with pytest.raises(DataError, match=r"p5v2018\.xls: .*not a whole Excel workbook"):
        read(path)


def test_a_workbook_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p5v2018.xls"
    path.write_bytes(workbook(*SHEET))
    monkeypatch.setitem(sys.modules, "xlrd", None)
    with pytest.raises(ForecastError, match=r"alliance-forecast\[excel\].*save the sheet as CSV"):
        read(path)
