"""Reading an old Excel workbook (.xls) as if its first sheet were comma-separated text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from forecast.errors import DataError, ForecastError, MissingFileError

__all__ = ["text_of_workbook"]


def text_of_workbook(path: Path) -> bytes:
    """First sheet of a workbook, as UTF-8 text with one record per row.

    Parameters
    ----------
    path : pathlib.Path
        A ``.xls`` file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ForecastError
        If xlrd is not installed.
    DataError
        If the file is no such workbook.
    """
    if not path.is_file():
        raise MissingFileError(f"There is no file {path.name!r} in {path.parent}.")
    try:
        import xlrd
    except ImportError as error:
        raise ForecastError(
            f"{path.name}: reading .xls needs xlrd: `pip install 'alliance-forecast[excel]'`. Or"
            " save the sheet as CSV, which needs nothing."
        ) from error
    try:
        book = xlrd.open_workbook(str(path), on_demand=True, logfile=io.StringIO())
        sheet = book.sheet_by_index(0)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError, AssertionError, IndexError) as error:
        raise DataError(f"{path.name}: {error}; expected an Excel workbook (.xls).") from None
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in range(sheet.nrows):
        writer.writerow([_cell(value) for value in sheet.row_values(row)])
    return out.getvalue().encode()


def _cell(value: object) -> object:
    """Every number of a workbook is a float: whole ones as such."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
