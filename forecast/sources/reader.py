"""The one reader of delimited text: a file to a typed frame, or an error that names the cell.

`read_table` is exact, as our own tables are written: UTF-8, the columns of the schema and no
others, an empty field is missing. `read_official` takes a file as its authors, or a spreadsheet
after them, wrote it. Tolerant where it does no harm: any line end, a byte-order mark, Latin-1,
gzip, Stata's, R's and Excel's files, names of columns in another case, further columns, blanks
around a cell. Strict where it does: a record that was cut, another separator, day-month dates and
cells that are not what their column holds are refused, with the line and the column.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from forecast.errors import DataError, nearest, shown
from forecast.sources.cells import NA, Kind, cell_error, empty_column, parse_column
from forecast.sources.content import content, newlines, opened, reading

__all__ = [
    "columns_of",
    "no_records",
    "read_cells",
    "read_official",
    "read_table",
    "stream_blocks",
]

_SEPARATORS = {";": "semicolon", "\t": "tab", "|": "vertical bar"}
_MEGABYTE = 1 << 20
#: Bytes of a block. Arrow reads some 30 blocks ahead, so they are small: 60 MB in all.
_BLOCK = 1 << 20


def read_table(
    path: Path, columns: Mapping[str, Kind], *, optional: Collection[str] = ()
) -> pd.DataFrame:
    """Typed frame of one of our own tables: these columns, of which it may lack the `optional`.

    ``int64``, ``Int64`` (where missing is allowed), ``float64``, ``str`` or ``datetime64[s]``, in
    the order of `columns`, indexed by line number in the file.
    """
    cells = read_cells(path, columns, optional=optional)
    lines = cells.index.tolist()
    data = {
        column: parse_column(path.name, column, kind, cells[column].tolist(), lines)
        for column, kind in columns.items()
        if column in cells
    }
    return pd.DataFrame(data, index=pd.Index(cells.index, name="line", dtype="int64"))


def read_cells(
    path: Path, columns: Iterable[str], *, optional: Collection[str] = ()
) -> pd.DataFrame:
    """Text of every cell of a file in the layout of our own tables, indexed by line number."""
    name, allowed = path.name, list(columns)
    raw = content(
        path,
        hint=" The embedded data set comes with the package (reinstall alliance-forecast); a data"
        " set of your own needs every table, with the columns listed in data/README.md.",
    )
    try:
        # A spreadsheet's byte-order mark is harmless; anything else that is not UTF-8 is not.
        raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{name}, row {line}: byte 0x{raw[error.start]:02x} is not UTF-8. Save the file "
            "with the encoding UTF-8."
        ) from None
    raw = newlines(raw)
    _refuse_nul(raw, name, "text in UTF-8")
    records = _records(raw, name)
    header = next(records, (1, []))[1]
    if not header:
        raise DataError(f"{name}: the file is empty, expected the header {','.join(allowed)}.")
    _check_header(name, header, allowed, optional)
    lines, rows = [], []
    for line, fields in records:
        if len(fields) != len(header):
            raise _damaged(name, line, fields, header)
        lines.append(line)
        rows.append(fields)
    return pd.DataFrame(rows, columns=header, index=lines)


def _check_header(
    name: str, header: list[str], columns: Sequence[str], optional: Collection[str]
) -> None:
    if len(columns) > 1:
        _refuse_separator(name, header)
    duplicated = sorted(c for c, count in Counter(header).items() if count > 1)
    if duplicated:
        raise DataError(f"{name}, row 1: the column {shown(duplicated[0])} is there twice.")
    expected = f"Expected the columns {', '.join(columns)}."
    absent = [c for c in columns if c not in header]
    for column in header:
        if column not in columns:
            near = nearest(column, absent or columns)
            hint = f" Did you mean {near!r}?" if near else ""
            raise DataError(f"{name}, row 1: unknown column {shown(column)}.{hint} {expected}")
    if missing := [c for c in absent if c not in optional]:
        raise DataError(f"{name}, row 1: the column {missing[0]!r} is missing. {expected}")


def read_official(
    path: Path,
    columns: Mapping[str, Kind],
    *,
    optional: Mapping[str, Kind] | None = None,
    rename: Mapping[str, str] | None = None,
    na: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Typed frame of some columns of an official file, indexed by line number in it.

    Comma-separated text with a header line, as it is or as ``.gz``; Stata's ``.dta``; R's ``.rds``
    or ``.rda``; or an old ``.xls`` workbook. `columns` and `optional` (which some releases do not
    have: all missing, so their kinds end with ``?``) are official names, in any case, and how each
    is parsed; in this order they are the result, with the names of `rename`. `na` has the texts
    that mean "missing", by official name of a column or by kind (``"int"``, ``"float"``,
    ``"date"``, ``"str"``); the rest as in `NA`.
    """
    optional, rename, na = optional or {}, rename or {}, na or {}
    raw = _normalised(path)
    header = _header(raw, path.name)
    position = _positions(path.name, header, columns, optional)
    table = _parse(raw, path.name, header, sorted(position.values()))
    lines = _lines(raw, table.num_rows, path.name)
    data: dict[str, Any] = {}
    for column, kind in {**columns, **optional}.items():
        if column in position:
            base = kind.rstrip("?")
            cells = pc.utf8_trim_whitespace(table.column(str(position[column])))
            missing = na.get(column, na.get(base, NA[base]))
            values = parse_column(path.name, column, kind, cells, lines, missing=missing)
        else:
            values = empty_column(kind, table.num_rows)
        data[rename.get(column, column)] = values
    return pd.DataFrame(data, index=pd.Index(lines, name="line"))


def columns_of(path: Path) -> list[str]:
    """Names of the columns, in lower case, by which a layout is told; reads the first line only."""
    raw = newlines(content(path, at_most=_MEGABYTE))
    return [name.casefold() for name in _header(raw, path.name)]


def _normalised(path: Path) -> bytes:
    """Content as UTF-8 with line feeds as line ends."""
    raw = content(path)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path.name}: the encoding is UTF-16, expected UTF-8 or Latin-1.")
    raw = newlines(raw)
    _refuse_nul(raw, path.name, "text")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode("utf-8")
    return raw


def _refuse_nul(raw: bytes, file: str, expected: str) -> None:
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise DataError(f"{file}, row {line}: found a NUL byte, expected {expected}.")


def _refuse_separator(file: str, header: list[str]) -> None:
    if len(header) == 1:
        for mark, word in _SEPARATORS.items():
            if mark in header[0]:
                raise DataError(f"{file}, row 1: the separator is a {word}, expected a comma.")


def _header(raw: bytes, file: str) -> list[str]:
    first = raw.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    if not first.strip():
        raise DataError(f"{file}, row 1: the line is empty, expected the names of the columns.")
    _, header = next(_records(first.encode("utf-8"), file))
    _refuse_separator(file, header)
    return [name.strip() for name in header]


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
        hint = f" The nearest one there is {shown(near)}." if near else ""
        raise DataError(
            f"{file}, row 1: the column {missing[0]!r} is missing.{hint} "
            f"Expected the columns {', '.join(columns)}."
        )
    return found


def _parse(
    raw: bytes, file: str, header: list[str], wanted: list[int], *, block: int = _BLOCK
) -> pa.Table:
    """The columns wanted as text, named by position."""
    names = [str(i) for i in range(len(header))]
    if not raw.partition(b"\n")[2].strip():
        raise no_records(file)
    if raw.count(b'"') % 2:  # a quote is never closed: the strict reader says where
        for _ in _records(raw, file):
            pass
    try:
        return pa.csv.read_csv(
            pa.BufferReader(raw),
            read_options=pa.csv.ReadOptions(
                column_names=names, skip_rows=1, use_threads=False, block_size=block
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=b'"' in raw),
            convert_options=pa.csv.ConvertOptions(
                include_columns=[str(i) for i in wanted],
                column_types={str(i): pa.string() for i in wanted},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        if "straddling" in str(error) and block < len(raw):  # a record must fit into a block
            return _parse(raw, file, header, wanted, block=len(raw) + 1)
        for line, fields in _records(raw, file):
            if len(fields) != len(header):
                raise _damaged(file, line, fields, header) from None
        raise DataError(f"{file}: {str(error)[:200]}. Expected a valid CSV file.") from None


def no_records(file: str) -> DataError:
    """The error for a file that was cut to its header."""
    return DataError(f"{file}: found a header and no record, expected at least one.")


def _damaged(file: str, line: int, fields: list[str], header: list[str]) -> DataError:
    return DataError(
        f"{file}, row {line}: found {len(fields)} fields ({shown(','.join(fields))}), expected"
        f" {len(header)} ({shown(','.join(header))}): the record is damaged."
    )


def _records(raw: bytes, file: str) -> Iterator[tuple[int, list[str]]]:
    """Non-blank records, each with the line on which it begins: a quoted field may span lines."""
    reader = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}, row {line}: {error}. Expected a valid CSV record.") from None


def _lines(raw: bytes, rows: int, file: str) -> npt.NDArray[np.int64]:
    """Line on which each record begins."""
    count = raw.count(b"\n") + (not raw.endswith(b"\n"))
    if count == rows + 1:  # neither blank lines nor line ends inside a field
        return np.arange(2, rows + 2, dtype=np.int64)
    lines = [line for line, _ in _records(raw, file)][1:]
    if len(lines) != rows:
        raise DataError(f"{file}: found quotes that end in the middle of a field; expected CSV.")
    return np.array(lines, dtype=np.int64)


def stream_blocks(
    path: Path, type_of: Callable[[str], pa.DataType | None], *, needed: Collection[str] = ()
) -> Iterator[dict[str, pa.Array]]:
    """Columns of a file too large to hold, one block of records after the other.

    By name in lower case, as far as `type_of` gives an Arrow type for that name; an empty field and
    NA are null, which those `needed` may not have.
    """
    names = columns_of(path)
    types = {i: t for i, name in enumerate(names) if (t := type_of(name)) is not None}
    wanted = [str(i) for i in types]
    try:
        with reading(path), opened(path) as stream:
            reader = pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(
                    column_names=[str(i) for i in range(len(names))],
                    skip_rows=1,
                    block_size=_BLOCK,
                    use_threads=False,
                ),
                parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(
                    include_columns=wanted,
                    column_types={str(i): t for i, t in types.items()},
                    null_values=["", "NA"],
                    quoted_strings_can_be_null=True,
                    strings_can_be_null=True,
                ),
            )
            line = 2
            for batch in reader:
                block = {names[int(column)]: batch.column(column) for column in wanted}
                for name in needed:
                    if block[name].null_count:
                        at = block[name].is_null().index(True).as_py()
                        expected = "a whole number (it may not be missing)"
                        raise cell_error(path.name, line + at, name, "", expected)
                line += batch.num_rows
                yield block
    except pa.ArrowException as error:
        raise DataError(_message(path.name, str(error), names)) from None


def _message(file: str, error: str, names: list[str]) -> str:
    """The error of Arrow in terms of lines and columns."""
    damaged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", error)
    if damaged:
        row, expected, found = damaged.groups()
        return (
            f"{file}, row {row}: found {found} fields, expected {expected}: the record is damaged."
        )
    cell = re.search(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (\w+)", error)
    value = re.search(r"invalid value '(.*)'", error, re.DOTALL)
    if cell and value:
        place = f"{file}, row {cell[2]}" if cell[2] else file
        kind = "a whole number" if "int" in cell[3] else "a number"
        return f"{place}, column {names[int(cell[1])]!r}: found {shown(value[1])}, expected {kind}."
    return f"{file}: {error[:200]}. Expected a valid CSV file."
