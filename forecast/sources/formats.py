"""Files of Stata, R and Excel as if they were comma-separated text."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from forecast.errors import DataError, ForecastError, shown
from forecast.sources.archive import most_bytes
from forecast.sources.entries import AS_CSV, R_FILES

__all__ = ["CONVERTED", "as_text"]

#: Endings of the files that `as_text` takes.
CONVERTED = (".xls", *AS_CSV)

#: How the files of R are packed, by their first bytes.
_PACKED: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


@lru_cache(maxsize=2)
def as_text(path: Path, _changed: int) -> bytes:
    """The file as UTF-8 with one record a line; `_changed` tells its versions apart."""
    ending = path.suffix.lower()
    what, read = (
        ("Excel workbook (.xls)", _workbook)
        if ending == ".xls"
        else ("file of R", _of_r)
        if ending in R_FILES
        else ("Stata file", _stata)
    )
    try:
        return read(path)
    except ForecastError:
        raise
    except Exception as error:  # the parsers raise whatever a damaged byte leads to
        found = shown(f"{type(error).__name__}: {error}", 200)
        raise DataError(f"{path.name}: not a whole {what} ({found}).") from None


def _stata(path: Path) -> bytes:
    """Table of a Stata file: codes without labels."""
    return _csv(pd.read_stata(path, convert_categoricals=False))


def _csv(frame: pd.DataFrame) -> bytes:
    for name in frame.select_dtypes("float"):
        # A whole number with a missing one beside it is a float to pandas, every number to R.
        known = frame[name].dropna()
        if ((known.abs() < 2**53) & (known % 1 == 0)).all():
            frame[name] = frame[name].astype("Int64")
    return frame.to_csv(index=False).encode("utf-8")


def _of_r(path: Path) -> bytes:
    """The data frame of a file of R."""
    try:
        import rdata
    except ImportError as error:
        raise ForecastError(
            f"{path.name}: reading files of R needs rdata: `pip install 'alliance-forecast[r]'`."
            " Or write it with `write.csv(…, row.names = FALSE)`, which needs nothing."
        ) from error
    _refuse_bomb(path)
    rds = path.suffix.lower() == ".rds"
    objects = {path.stem: rdata.read_rds(path)} if rds else rdata.read_rda(path)
    frames = [value for value in objects.values() if isinstance(value, pd.DataFrame)]
    if len(frames) != 1:
        held = ", ".join(f"{name} ({type(value).__name__})" for name, value in objects.items())
        raise DataError(f"{path.name}: found {held[:200]}, expected one data frame.")
    return _csv(frames[0])


def _refuse_bomb(path: Path) -> None:
    """Refuse a packed file that unpacks to more than any table shrinks from."""
    with path.open("rb") as raw:
        head = raw.read(6)
    unpack = next((unpack for mark, unpack in _PACKED.items() if head.startswith(mark)), None)
    if unpack is None:
        return
    left = most_bytes(path.stat().st_size)
    with unpack(path) as stream:
        while left >= 0 and (block := stream.read(1 << 20)):
            left -= len(block)
    if left < 0:
        raise DataError(f"{path.name}: no table of data shrinks as much as what is packed in it.")


def _workbook(path: Path) -> bytes:
    """First sheet of an old Excel workbook."""
    try:
        import xlrd
    except ImportError as error:
        raise ForecastError(
            f"{path.name}: reading .xls needs xlrd: `pip install 'alliance-forecast[excel]'`. Or"
            " save the sheet as CSV, which needs nothing."
        ) from error
    book = xlrd.open_workbook(str(path), on_demand=True, logfile=io.StringIO())
    sheet = book.sheet_by_index(0)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in range(sheet.nrows):
        writer.writerow([_cell(value) for value in sheet.row_values(row)])
    return out.getvalue().encode()


def _cell(value: object) -> object:
    """Every number of a workbook is a float: whole ones as such."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
