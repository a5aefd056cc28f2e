"""Strict reading of one CSV file: bytes to a typed frame, or an error that names the cell."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from forecast.errors import DataError, MissingFileError, nearest

__all__ = ["Kind", "cell_error", "parse_column", "read_cells", "read_table"]

#: How the text of a column is parsed; a trailing ``?`` means that an empty field is allowed.
Kind = Literal["int", "int?", "float", "float?", "date", "date?", "str", "str?"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INT = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_SEPARATORS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}


def cell_error(
    file: str,
    row: int | None,
    column: str | None,
    found: object,
    expected: str,
    *,
    valid: Iterable[object] = (),
    more: int = 0,
) -> DataError:
    """Error that names the cell, what was found, what was expected and the nearest valid value.

    Parameters
    ----------
    file : str
        Name of the file.
    row : int or None
        Line number as an editor shows it (the header is line 1).
    column : str or None
        Name of the column.
    found : object
        Value found.
    expected : str
        What is allowed there.
    valid : iterable
        Valid values; the nearest in spelling is suggested.
    more : int
        Number of further problems of the same kind.
    """
    place = file
    if row is not None:
        place += f", row {row}"
    if column is not None:
        place += f", column {column!r}"
    hint = nearest(str(found), [str(v) for v in valid])
    text = f"{place}: found {found!r}, expected {expected}."
    if hint is not None and hint != str(found):
        text += f" Did you mean {hint!r}?"
    if more > 0:
        text += f" ({more} more of this kind in the file.)"
    return DataError(text)


def read_table(
    path: Path, columns: Mapping[str, Kind], *, optional: Collection[str] = ()
) -> pd.DataFrame:
    """Typed frame of one file, indexed by line number.

    Parameters
    ----------
    path : pathlib.Path
        CSV file: UTF-8, comma, one header line, ISO dates, an empty field is missing.
    columns : mapping of str to Kind
        Columns that the file must have, no more and no fewer, and how each is parsed.
    optional : collection of str
        Those of them that the file may lack; the frame then lacks them too.

    Returns
    -------
    pandas.DataFrame
        Columns in the order of `columns`; ``int64``, ``Int64`` (where missing is allowed),
        ``float64``, ``str`` or ``datetime64[s]``. The index is the line number in the file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    DataError
        If it is not UTF-8, has another separator, other columns, a line of another length, or
        a cell that cannot be parsed.
    """
    cells = read_cells(path, columns, optional=optional)
    there = {c: kind for c, kind in columns.items() if c in cells}
    data = {c: parse_column(path.name, c, kind, cells[c]) for c, kind in there.items()}
    return pd.DataFrame(data, index=pd.Index(cells.index, name="line", dtype="int64"))


def read_cells(
    path: Path, columns: Iterable[str], *, optional: Collection[str] = ()
) -> pd.DataFrame:
    """Text of every cell of one file, indexed by line number.

    Parameters
    ----------
    path : pathlib.Path
        CSV file as `read_table` takes it.
    columns : iterable of str
        Columns that the file may have.
    optional : collection of str
        Those of them that it may lack.

    Raises
    ------
    MissingFileError, DataError
        As `read_table`, but for cells that cannot be parsed.
    """
    name, allowed = path.name, list(columns)
    records = _records(path, name)
    if not records:
        raise DataError(f"{name}: the file is empty, expected the header {','.join(allowed)}.")
    header = records[0][1]
    _check_header(name, header, allowed, optional)
    for line, fields in records[1:]:
        if len(fields) != len(header):
            raise DataError(
                f"{name}, row {line}: found {len(fields)} fields, expected {len(header)} "
                f"({', '.join(header)})."
            )
    lines = [line for line, _ in records[1:]]
    return pd.DataFrame([fields for _, fields in records[1:]], columns=header, index=lines)


def _records(path: Path, name: str) -> list[tuple[int, list[str]]]:
    """Non-blank lines with their line numbers."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(
            f"There is no file {name!r} in {path.parent}. The embedded data set comes with the "
            "package (reinstall alliance-forecast); a data set of your own needs every table, "
            "with the columns listed in data/README.md."
        ) from None
    try:
        # A spreadsheet's byte-order mark is harmless; anything else that is not UTF-8 is not.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{name}, row {line}: byte 0x{raw[error.start]:02x} is not UTF-8. Save the file "
            "with the encoding UTF-8."
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{name}, row {line}: found a NUL byte, expected text in UTF-8.")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    last = 0
    try:
        for fields in reader:
            # A quoted field may span lines: a record is named by its first line.
            if fields:
                records.append((last + 1, fields))
            last = reader.line_num
    except csv.Error as error:
        raise DataError(f"{name}, row {last + 1}: {error}. Expected a valid CSV line.") from None
    return records


def _check_header(
    name: str, header: list[str], columns: Sequence[str], optional: Collection[str]
) -> None:
    if len(header) == 1 and len(columns) > 1:
        for mark, word in _SEPARATORS.items():
            if mark in header[0]:
                raise DataError(f"{name}, row 1: the separator is a {word}, expected a comma.")
    duplicated = sorted({c for c in header if header.count(c) > 1})
    if duplicated:
        raise DataError(f"{name}, row 1: the column {duplicated[0]!r} is there twice.")
    absent = [c for c in columns if c not in header]
    missing = [c for c in absent if c not in optional]
    for column in header:
        if column not in columns:
            near = nearest(column, absent or columns)
            hint = f" Did you mean {near!r}?" if near else ""
            raise DataError(
                f"{name}, row 1: unknown column {column!r}.{hint} "
                f"Expected the columns {', '.join(columns)}."
            )
    if missing:
        raise DataError(
            f"{name}, row 1: the column {missing[0]!r} is missing. "
            f"Expected the columns {', '.join(columns)}."
        )


def parse_column(name: str, column: str, kind: Kind, cells: pd.Series) -> Any:
    """Array of the values of a column, from their text.

    Parameters
    ----------
    name : str
        File, for messages.
    column : str
        Column, for messages.
    kind : Kind
        How the text is parsed.
    cells : pandas.Series of str
        Indexed by line number; empty text is missing.

    Raises
    ------
    DataError
        For the first cell that cannot be parsed; names file, row and column.
    """
    optional = kind.endswith("?")
    base = kind.rstrip("?")
    parse, expected = _PARSERS[base]
    values: list[Any] = []
    for line, cell in zip(cells.index.tolist(), cells.tolist(), strict=True):
        if cell == "":
            if not optional:
                raise cell_error(name, line, column, "", f"{expected} (it may not be empty)")
            values.append(None)
            continue
        value = parse(cell)
        if value is None:
            raise cell_error(name, line, column, cell, expected)
        values.append(value)
    if base == "date":
        return np.array(values, dtype="datetime64[s]")
    if base == "int":
        return pd.array(values, dtype="Int64") if optional else np.array(values, dtype=np.int64)
    if base == "float":
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return pd.array(values, dtype="str")


def _parse_date(cell: str) -> np.datetime64 | None:
    if _DATE.fullmatch(cell) is None:
        return None
    try:
        return np.datetime64(date.fromisoformat(cell), "s")
    except ValueError:
        return None


def _parse_int(cell: str) -> int | None:
    return int(cell) if _INT.fullmatch(cell) else None


def _parse_float(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    # "1_000" and "nan" are numbers to Python but not in a data file.
    return value if math.isfinite(value) and "_" not in cell and cell == cell.strip() else None


def _parse_str(cell: str) -> str | None:
    return cell if cell == cell.strip() else None


_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "date": (_parse_date, "a calendar date as YYYY-MM-DD"),
    "int": (_parse_int, "a whole number"),
    "float": (_parse_float, "a finite number with a decimal point"),
    "str": (_parse_str, "text without blanks at its ends"),
}
