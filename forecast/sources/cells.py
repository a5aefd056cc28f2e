"""The text of cells as values, and the error that names a cell which is not what it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecast.errors import DataError, nearest, shown

__all__ = [
    "LAST_YEAR",
    "NA",
    "Kind",
    "cell_error",
    "empty_column",
    "parse_column",
    "refuse_cells",
    "refuse_repeated",
]

#: How the text of a column is parsed; a trailing ``?`` means that a missing value is allowed. A
#: ``year`` is a whole number that a date can be made of, a ``flag`` one that is 0 or 1.
Kind = Literal[
    "int", "int?", "year", "year?", "flag", "flag?", "float", "float?", "date", "date?", "str",
    "str?",
]  # fmt: skip
#: Last calendar year of a cell.
LAST_YEAR = 2100

#: Texts that mean "missing" in official files, by kind of column. COW writes -9 for an unknown
#: number, R writes NA.
NA: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("int", "year", "flag"), ("", "NA", "-9", ".")),
    "float": ("", "NA", "-9", "."),
    "date": ("", "NA", "-9"),
    "str": ("", "NA"),
}
_EXPECTED = {
    "int": "a whole number",
    "year": "a calendar year",
    "flag": "0 or 1",
    "float": "a finite number with a decimal point",
    "date": "a calendar date as YYYY-MM-DD",
    "str": "text",
}
#: What a cell of our own tables looks like.
_EXACT = {
    **dict.fromkeys(("int", "year", "flag"), r"^[+-]?[0-9]{1,18}$"),
    "float": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
}
_ARROW: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("int", "year", "flag"), pa.int64()),
    "float": pa.float64(),
    "date": pa.date32(),
    "str": pa.string(),
}
#: Smallest and largest value of a kind; sums of numbers in them are still exact, or finite.
_RANGE: Mapping[str, tuple[Any, Any]] = {
    "int": (-(10**15), 10**15),
    "year": (-LAST_YEAR, LAST_YEAR),
    "flag": (0, 1),
    "float": (-1e18, 1e18),
    "date": (date.min, date(LAST_YEAR, 12, 31)),
}


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

    `row` is the line number as an editor shows it (the header is line 1), `more` the number of
    further problems of the same kind.
    """
    place = file
    if row is not None:
        place += f", row {row}"
    if column is not None:
        place += f", column {shown(column)}"
    hint = nearest(found, [str(v) for v in valid])
    text = f"{place}: found {shown(found)}, expected {expected}."
    if hint is not None and hint != found:
        text += f" Did you mean {shown(hint)}?"
    if more > 0:
        text += f" ({more} more of this kind in the file.)"
    return DataError(text)


def refuse_cells(
    frame: pd.DataFrame,
    column: str,
    wrong: npt.ArrayLike,
    *,
    file: str,
    expected: str,
    name: str | None = None,
) -> None:
    """Raise for the first of the wrong cells of a column, if any, and say how many more there are.

    `frame` is indexed by line number in the file, where the column may have another `name`.
    """
    at = np.flatnonzero(np.asarray(wrong, dtype=bool))
    if not len(at):
        return
    found = frame[column].iloc[at[0]]
    if pd.isna(found):
        found = ""
    elif isinstance(found, np.generic):
        found = found.item()
    line = int(frame.index[at[0]])
    raise cell_error(file, line, name or column, found, expected, more=len(at) - 1)


def refuse_repeated(frame: pd.DataFrame, key: Sequence[str], *, file: str) -> None:
    """Raise for the first row whose key another row has, before the key becomes an index.

    `frame` is indexed by line number in the file.
    """
    columns = list(key)
    twice = frame.duplicated(columns, keep=False).to_numpy()
    if not twice.any():
        return
    group = frame.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()
    lines = frame.index[group == group[twice][0]]
    values = ", ".join(
        f"{column}={value.date() if isinstance(value, pd.Timestamp) else str(value)[:60]}"
        for column, value in frame.loc[twice, columns].iloc[0].items()
    )
    rows = ", ".join(map(str, lines[:8])) + (", …" if len(lines) > 8 else "")
    raise DataError(
        f"{file}, rows {rows}: the key ({values}) is there {len(lines)} times, expected once."
    )


def parse_column(
    file: str,
    column: str,
    kind: Kind,
    cells: Sequence[str] | pa.ChunkedArray,
    lines: Sequence[int] | npt.NDArray[np.int64],
    *,
    missing: Sequence[str] | None = None,
) -> Any:
    """Array of the values of a column; the error for the first cell that is not of its kind.

    `missing` are the texts of an official file that stand for no value; without them the cells are
    those of our own tables, in which only an empty one does.
    """
    if not isinstance(cells, pa.ChunkedArray):
        cells = pa.chunked_array([cells], pa.string())
    base, needed, exact = kind.rstrip("?"), not kind.endswith("?"), missing is None
    absent = pc.is_in(cells, value_set=pa.array(("",) if exact else missing, pa.string()))
    present = pc.if_else(absent, pa.scalar(None, pa.string()), cells)
    try:
        if needed and pc.any(absent).as_py():
            raise ValueError("a value is missing")
        return _to_pandas(_cast(present, base, exact), kind)
    except (pa.ArrowInvalid, ValueError):
        expected = _EXPECTED[base]
        if exact and base == "str":
            expected += " without blanks at its ends"
        for line, cell, gone in zip(lines, cells.to_pylist(), absent.to_pylist(), strict=True):
            if gone and needed:
                expected += f" (it may not be {'empty' if exact else 'missing'})"
                raise cell_error(file, int(line), column, cell, expected) from None
            if not gone and not _parses(cell, base, exact):
                if base in _RANGE and base != "flag" and _parses(cell, base, exact, ranged=False):
                    expected += f", at most {_RANGE[base][1]}"
                raise cell_error(file, int(line), column, cell, expected) from None
        raise


def empty_column(kind: Kind, rows: int) -> Any:
    """As `parse_column` gives for a column whose values are all missing."""
    return _to_pandas(pa.nulls(rows, _ARROW[kind.rstrip("?")]), kind)


def _cast(cells: pa.ChunkedArray, base: str, exact: bool) -> pa.ChunkedArray:
    """Values of the column; raises ArrowInvalid or ValueError if a cell is not of its kind."""
    values = _values(cells, base, exact)
    if base in _RANGE and len(values):
        smallest, largest = _RANGE[base]
        within = pc.min_max(values).as_py()
        if within["min"] is not None and not smallest <= within["min"] <= within["max"] <= largest:
            raise ValueError("out of range")
    return values


def _values(cells: pa.ChunkedArray, base: str, exact: bool) -> pa.ChunkedArray:
    if exact:
        if base == "str":
            fits = pc.equal(cells, pc.utf8_trim_whitespace(cells))
        else:
            fits = pc.match_substring_regex(cells, _EXACT[base])
            cells = pc.replace_substring_regex(cells, r"^\+", "")
        if pc.any(pc.invert(fits)).as_py():
            raise ValueError("not as our own tables have it")
    if base == "str":
        return cells
    if base == "date":
        return cells.cast(pa.date32())
    if base != "float":
        try:
            return cells.cast(pa.int64())
        except pa.ArrowInvalid:  # "2.0" and "1e+05", as R and spreadsheets write whole numbers
            return cells.cast(pa.float64()).cast(pa.int64())
    values = cells.cast(pa.float64())
    if pc.any(pc.invert(pc.is_finite(values))).as_py():
        raise ValueError("not finite")
    return values


def _parses(cell: str, base: str, exact: bool, *, ranged: bool = True) -> bool:
    try:
        (_cast if ranged else _values)(pa.chunked_array([[cell]], pa.string()), base, exact)
    except (pa.ArrowInvalid, ValueError):
        return False
    return True


def _to_pandas(values: pa.ChunkedArray | pa.Array, kind: Kind) -> Any:
    base = kind.rstrip("?")
    if base in ("int", "year", "flag"):
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
