"""Reading some columns of a file too large to hold: one block after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from forecast.errors import DataError
from forecast.sources.official.text import columns_of

__all__ = ["stream_blocks"]

#: Bytes of a block. Arrow reads some 30 blocks ahead, so they are small: 60 MB in all.
BLOCK = 1 << 20


def stream_blocks(
    path: Path, type_of: Callable[[str], pa.DataType | None]
) -> Iterator[dict[str, pa.Array]]:
    """Columns of one block of records after the other.

    Parameters
    ----------
    path : pathlib.Path
        Comma-separated text with a header line, as it is or as ``.gz``.
    type_of : callable
        Arrow type of a column by its name in lower case; None leaves the column out.

    Yields
    ------
    dict of str to pyarrow.Array
        By name in lower case; an empty field and NA are null.

    Raises
    ------
    MissingFileError
        If there is no such file.
    DataError
        If a record has too few or too many fields or a cell is not of its type: names the file,
        and the line or the column.
    """
    names = columns_of(path)
    types = {i: t for i, name in enumerate(names) if (t := type_of(name)) is not None}
    wanted = [str(i) for i in types]
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            reader = pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(
                    column_names=[str(i) for i in range(len(names))],
                    skip_rows=1,
                    block_size=BLOCK,
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
            for batch in reader:
                yield {names[int(column)]: batch.column(column) for column in wanted}
    except pa.ArrowInvalid as error:
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
    value = re.search(r"invalid value '([^']*)'", error)
    if cell and value:
        place = f"{file}, row {cell[2]}" if cell[2] else file
        kind = "a whole number" if "int" in cell[3] else "a number"
        return f"{place}, column {names[int(cell[1])]!r}: found {value[1]!r}, expected {kind}."
    return f"{file}: {error}. Expected a valid CSV file."
