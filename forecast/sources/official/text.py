"""Reading a file as its authors, or a spreadsheet after them, wrote it.

Tolerant where it does no harm: any line end, a byte-order mark, UTF-8 or Latin-1, gzip, names of
columns in another case, further columns. Strict where it does: a record that was cut, another
separator, day-month dates and cells that are not what their column holds are refused, with the
line and the column.
"""

from __future__ import annotations

import csv
import gzip
import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from forecast.errors import DataError, ForecastError, MissingFileError, nearest
from forecast.sources.entries import AS_CSV, R_FILES
from forecast.sources.reader import Kind, cell_error

__all__ = ["NA", "Kind", "columns_of", "read_official"]

#: Texts that mean "missing", by kind of column. COW writes -9 for an unknown number, R writes NA.
NA: Mapping[str, tuple[str, ...]] = {
    "int": ("", "NA", "-9", "."),
    "float": ("", "NA", "-9", "."),
    "date": ("", "NA", "-9"),
    "str": ("", "NA"),
}

_SEPARATORS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}
_EXPECTED = {
    "int": "a whole number",
    "float": "a finite number with a decimal point",
    "date": "a calendar date as YYYY-MM-DD",
    "str": "text",
}
_MEGABYTE = 1 << 20


def read_official(
    path: Path,
    columns: Mapping[str, Kind],
    *,
    optional: Mapping[str, Kind] | None = None,
    rename: Mapping[str, str] | None = None,
    na: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Typed frame of the columns asked for, indexed by line number in the file.

    Parameters
    ----------
    path : pathlib.Path
        Comma-separated text with a header line, as it is or as ``.gz``; Stata's ``.dta``; R's
        ``.rds`` or ``.rda``; or an old ``.xls`` workbook.
    columns : mapping of str to Kind
        Official names of the columns that the file must have, in any case, and how each is
        parsed. A trailing ``?`` allows a missing value. Further columns are ignored.
    optional : mapping of str to Kind
        Columns that some releases do not have; there all values are missing, so the kinds end
        with ``?``.
    rename : mapping of str to str
        Names in the result, by official name.
    na : mapping of str to sequence of str
        Texts that mean "missing", by official name of a column or by kind (``"int"``,
        ``"float"``, ``"date"``, ``"str"``); the rest as in `NA`.

    Returns
    -------
    pandas.DataFrame
        `columns`, then `optional`, in that order: ``int64``, ``Int64`` (where missing is
        allowed), ``float64``, ``str`` or ``datetime64[s]``. Text has no blanks at its ends.

    Raises
    ------
    MissingFileError
        If there is no such file.
    DataError
        If a record has too few or too many fields, the separator is not a comma, a column is
        missing or a cell cannot be parsed: names the file, line and column, and what is near.
    """
    optional, rename, na = optional or {}, rename or {}, na or {}
    raw = _normalised(path)
    header = _header(raw, path.name)
    position = _positions(path.name, header, columns, optional)
    table = _parse(raw, path.name, header, sorted(position.values()))
    lines = _lines(raw, table.num_rows)
    data: dict[str, Any] = {}
    for column, kind in {**columns, **optional}.items():
        base = kind.rstrip("?")
        if column in position:
            cells = _trimmed(table.column(str(position[column])))
            missing = na.get(column, na.get(base, NA[base]))
            values = _column(path.name, column, kind, cells, missing, lines)
        else:
            values = _to_pandas(pa.nulls(table.num_rows, _ARROW[base]), kind)
        data[rename.get(column, column)] = values
    return pd.DataFrame(data, index=pd.Index(lines, name="line"))


def columns_of(path: Path) -> list[str]:
    """Names of the columns, in lower case, by which a module recognises the layout.

    Parameters
    ----------
    path : pathlib.Path
        As for `read_official`; only its first line is read.

    Raises
    ------
    MissingFileError, DataError
    """
    with _opened(path) as stream:
        return [name.casefold() for name in _header(_newlines(stream.read(_MEGABYTE)), path.name)]


def _opened(path: Path) -> io.BufferedIOBase:
    try:
        if path.suffix == ".gz":
            return gzip.open(path)
        if path.suffix.lower() in (".xls", *AS_CSV):
            return io.BytesIO(_as_text(path, path.stat().st_mtime_ns))
        return path.open("rb")
    except FileNotFoundError:
        raise MissingFileError(f"There is no file {path.name!r} in {path.parent}.") from None


@lru_cache(maxsize=2)
def _as_text(path: Path, _changed: int) -> bytes:
    """A file of Stata, R or Excel as comma-separated text, of which all parts are read."""
    if path.suffix.lower() == ".xls":
        from forecast.sources.official.workbook import text_of_workbook

        return text_of_workbook(path)
    frame = _of_r(path) if path.suffix.lower() in R_FILES else _stata(path)
    for name in frame.select_dtypes("float"):
        # A whole number with a missing one beside it is a float to pandas, every number to R.
        if (frame[name].dropna() % 1 == 0).all():
            frame[name] = frame[name].astype("Int64")
    return frame.to_csv(index=False).encode("utf-8")


def _stata(path: Path) -> pd.DataFrame:
    """Table of a Stata file: codes without labels."""
    try:
        return pd.read_stata(path, convert_categoricals=False)
    except (ValueError, OSError, EOFError, struct.error) as error:
        raise DataError(f"{path.name}: not a whole Stata file ({error}).") from None


def _of_r(path: Path) -> pd.DataFrame:
    """The data frame of a file of R."""
    try:
        import rdata
    except ImportError as error:
        raise ForecastError(
            f"{path.name}: reading files of R needs rdata: `pip install 'alliance-forecast[r]'`."
            " Or write it with `write.csv(…, row.names = FALSE)`, which needs nothing."
        ) from error
    try:
        rds = path.suffix.lower() == ".rds"
        objects = {path.stem: rdata.read_rds(path)} if rds else rdata.read_rda(path)
    except Exception as error:  # the parser raises whatever a damaged byte leads to
        raise DataError(f"{path.name}: not a whole file of R ({error!r}).") from None
    frames = [value for value in objects.values() if isinstance(value, pd.DataFrame)]
    if len(frames) != 1:
        held = ", ".join(f"{name} ({type(value).__name__})" for name, value in objects.items())
        raise DataError(f"{path.name}: found {held}, expected one data frame.")
    return frames[0]


def _normalised(path: Path) -> bytes:
    """Content as UTF-8 with line feeds as line ends."""
    try:
        with _opened(path) as stream:
            raw = stream.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: not a whole gzip file ({error}).") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path.name}: the encoding is UTF-16, expected UTF-8 or Latin-1.")
    raw = _newlines(raw)
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise DataError(f"{path.name}, row {line}: found a NUL byte, expected text.")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode("utf-8")
    return raw


def _newlines(raw: bytes) -> bytes:
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def _header(raw: bytes, file: str) -> list[str]:
    first = raw.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    if not first.strip():
        raise DataError(f"{file}, row 1: the line is empty, expected the names of the columns.")
    header = [name.strip() for name in next(csv.reader([first]))]
    if len(header) == 1:
        for mark, word in _SEPARATORS.items():
            if mark in first:
                raise DataError(f"{file}, row 1: the separator is a {word}, expected a comma.")
    return header


def _positions(
    file: str, header: list[str], columns: Mapping[str, Kind], optional: Mapping[str, Kind]
) -> dict[str, int]:
    """Where each column asked for is; the optional ones that are not there are left out."""
    found: dict[str, int] = {}
    lower = [name.casefold() for name in header]
    for column in (*columns, *optional):
        count = lower.count(column.casefold())
        if count > 1:
            raise DataError(f"{file}, row 1: the column {column!r} is there {count} times.")
        if count == 1:
            found[column] = lower.index(column.casefold())
    missing = [column for column in columns if column not in found]
    if missing:
        unused = [name for i, name in enumerate(header) if name and i not in found.values()]
        near = nearest(missing[0], unused)
        hint = f" The nearest one there is {near!r}." if near else ""
        raise DataError(
            f"{file}, row 1: the column {missing[0]!r} is missing.{hint} "
            f"Expected the columns {', '.join(columns)}."
        )
    return found


def _parse(raw: bytes, file: str, header: list[str], wanted: list[int]) -> pa.Table:
    """The columns wanted as text, named by position."""
    names = [str(i) for i in range(len(header))]
    if not raw.partition(b"\n")[2].strip():  # a header and no records
        return pa.table({str(i): pa.array([], pa.string()) for i in wanted})
    if raw.count(b'"') % 2:  # a quote is never closed: the strict reader says where
        for _ in _records(raw, file):
            pass
    try:
        return pa.csv.read_csv(
            pa.BufferReader(raw),
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=pa.csv.ParseOptions(newlines_in_values=b'"' in raw),
            convert_options=pa.csv.ConvertOptions(
                include_columns=[str(i) for i in wanted],
                column_types={str(i): pa.string() for i in wanted},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        for line, fields in _records(raw, file):
            if len(fields) != len(header):
                raise DataError(
                    f"{file}, row {line}: found {len(fields)} fields "
                    f"({_shortened(','.join(fields))}), expected {len(header)} "
                    f"({_shortened(','.join(header))}): the record is damaged."
                ) from None
        raise DataError(f"{file}: {error}. Expected a valid CSV file.") from None


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _records(raw: bytes, file: str) -> Iterator[tuple[int, list[str]]]:
    """Non-blank records, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}, row {line}: {error}. Expected a valid CSV record.") from None


def _lines(raw: bytes, rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Line on which each record begins."""
    count = raw.count(b"\n") + (not raw.endswith(b"\n"))
    if count == rows + 1:  # neither blank lines nor line ends inside a field
        return np.arange(2, rows + 2, dtype=np.int64)
    return np.array([line for line, _ in _records(raw, "")][1:], dtype=np.int64)


_ARROW: Mapping[str, pa.DataType] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "date": pa.date32(),
    "str": pa.string(),
}


def _trimmed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(cells)


def _column(
    file: str,
    column: str,
    kind: Kind,
    cells: pa.ChunkedArray,
    missing: Sequence[str],
    lines: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> Any:
    base = kind.rstrip("?")
    absent = pc.is_in(cells, value_set=pa.array(missing, pa.string()))
    if not kind.endswith("?") and pc.any(absent).as_py():
        i = pc.index(absent, True).as_py()
        expected = f"{_EXPECTED[base]} (it may not be missing)"
        raise cell_error(file, int(lines[i]), column, cells[i].as_py(), expected)
    present = pc.if_else(absent, pa.scalar(None, pa.string()), cells)
    try:
        return _to_pandas(_cast(present, base), kind)
    except (pa.ArrowInvalid, ValueError):
        for line, cell in zip(lines, present.to_pylist(), strict=True):
            if cell is not None and not _parses(cell, base):
                expected = _EXPECTED[base]
                raise cell_error(file, int(line), column, cell, expected) from None
        raise


def _cast(cells: pa.ChunkedArray, base: str) -> pa.ChunkedArray:
    """Values of the column; raises ArrowInvalid or ValueError if a cell is not of its kind."""
    if base == "str":
        return cells
    if base == "date":
        return cells.cast(pa.date32())
    if base == "int":
        try:
            return cells.cast(pa.int64())
        except pa.ArrowInvalid:  # "2.0" and "1e+05", as R and spreadsheets write whole numbers
            return cells.cast(pa.float64()).cast(pa.int64())
    values = cells.cast(pa.float64())
    if not pc.all(pc.is_finite(values)).as_py() and pc.any(pc.invert(pc.is_finite(values))).as_py():
        raise ValueError("not finite")
    return values


def _parses(cell: str, base: str) -> bool:
    try:
        _cast(pa.chunked_array([[cell]], pa.string()), base)
    except (pa.ArrowInvalid, ValueError):
        return False
    return True


def _to_pandas(values: pa.ChunkedArray | pa.Array, kind: Kind) -> Any:
    base = kind.rstrip("?")
    if base == "int":
        if not kind.endswith("?"):
            return values.to_numpy()
        filled = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
        mask = pc.is_null(values).to_numpy(zero_copy_only=False)
        return pd.arrays.IntegerArray(filled.astype(np.int64), mask.astype(bool))
    if base == "float":
        return values.to_numpy(zero_copy_only=False).astype(np.float64)
    if base == "date":
        return values.to_numpy(zero_copy_only=False).astype("datetime64[s]")
    return pd.array(values.to_pandas(), dtype="str")
