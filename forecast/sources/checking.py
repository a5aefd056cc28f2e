"""Reading a table under its schema, and what is said of a cell that breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from forecast.errors import DataError
from forecast.sources.cells import Kind, cell_error
from forecast.sources.reader import read_table
from forecast.sources.schemas import KEYS, SCHEMAS

__all__ = ["kinds", "read", "validate"]


def kinds(table: str) -> dict[str, Kind]:
    """How the text of each column of a table is parsed.

    Parameters
    ----------
    table : str
        One of `TABLES`.
    """
    out: dict[str, Kind] = {}
    for name, column in SCHEMAS[table].columns.items():
        text = str(column.dtype).lower()
        base = next(k for k in ("datetime", "float", "int", "string") if text.startswith(k))
        kind = {"datetime": "date", "string": "str"}.get(base, base)
        out[name] = f"{kind}?" if column.nullable else kind  # type: ignore[assignment]
    return out


def read(table: str, folder: Path) -> pd.DataFrame:
    """Frame of one table, read from ``<folder>/<table>.csv`` and checked against its schema.

    Parameters
    ----------
    table : str
        One of `TABLES`.
    folder : pathlib.Path
        Folder of the data set.

    Returns
    -------
    pandas.DataFrame
        Indexed by line number in the file, for the messages of later checks.

    Raises
    ------
    MissingFileError, DataError
    """
    optional = [name for name, column in SCHEMAS[table].columns.items() if not column.required]
    frame = read_table(folder / f"{table}.csv", kinds(table), optional=optional)
    return validate(table, frame)


def validate(table: str, frame: pd.DataFrame, *, file: str | None = None) -> pd.DataFrame:
    """The frame unchanged, if it fulfils the schema of the table.

    Parameters
    ----------
    table : str
        One of `TABLES`.
    frame : pandas.DataFrame
        Columns as in the schema; the index is used as the row number in messages.
    file : str, optional
        Name used in messages; ``<table>.csv`` by default.

    Raises
    ------
    DataError
        For the first offending cell, in file order.
    """
    if table not in SCHEMAS:
        raise DataError(f"There is no table {table!r}; the tables are {', '.join(SCHEMAS)}.")
    schema = SCHEMAS[table]
    name = file or f"{table}.csv"
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise _translate(name, schema, frame, error.failure_cases, KEYS[table]) from None
    return frame


def _translate(
    file: str,
    schema: pa.DataFrameSchema,
    frame: pd.DataFrame,
    cases: pd.DataFrame,
    key: Sequence[str],
) -> DataError:
    """The first failure of a pandera report, in the words of this library."""
    structural = cases[cases["index"].isna()]
    if not structural.empty:
        case = structural.iloc[0]
        return cell_error(
            file,
            None,
            case["column"] if case["column"] in schema.columns else None,
            case["failure_case"],
            f"{_structure(str(case['check']))}; the columns are {', '.join(schema.columns)}",
            valid=schema.columns,
        )
    located = cases.sort_values("index", kind="stable")
    case = located.iloc[0]
    row, check = int(case["index"]), str(case["check"])
    if check == "multiple_fields_uniqueness":
        values = ", ".join(f"{c}={_plain(frame.loc[row, c])}" for c in key)
        twins = frame.index[(frame[list(key)] == frame.loc[row, list(key)]).all(axis=1)]
        return DataError(
            f"{file}, rows {', '.join(map(str, twins))}: the key ({values}) is there "
            f"{len(twins)} times, expected once."
        )
    same = located[located["check"] == case["check"]]
    more = same["index"].nunique() - 1
    if check == "ccode_a < ccode_b":
        found = (_plain(frame.loc[row, "ccode_a"]), _plain(frame.loc[row, "ccode_b"]))
        return cell_error(file, row, "ccode_a, ccode_b", found, "ccode_a < ccode_b", more=more)
    column = str(case["column"])
    expected, valid = _expectation(schema.columns[column], check)
    return cell_error(
        file, row, column, _plain(frame.loc[row, column]), expected, valid=valid, more=more
    )


def _structure(check: str) -> str:
    return {
        "column_in_schema": "only the columns of the schema",
        "column_in_dataframe": "every column of the schema",
        "column_ordered": "the columns in the order of the schema",
    }.get(check, check)


def _expectation(column: pa.Column, check: str) -> tuple[str, tuple[object, ...]]:
    """What a column allows, in words, and the valid values where they can be listed."""
    if check == "not_nullable":
        return "a value (it may not be missing)", ()
    if check == "field_uniqueness":
        return "a value that no other row has", ()
    for rule in column.checks:
        statistics = rule.statistics or {}
        if "allowed_values" in statistics:
            allowed = tuple(statistics["allowed_values"])
            return f"one of {', '.join(map(str, allowed))}", allowed
        if "max_value" in statistics and "min_value" in statistics:
            low, high = statistics["min_value"], statistics["max_value"]
            return f"a number from {low} to {high}", ()
        if "min_value" in statistics:
            return f"a number of at least {statistics['min_value']}", ()
        if "pattern" in statistics:
            pattern = statistics["pattern"]
            return f"text that matches {getattr(pattern, 'pattern', pattern)}", ()
    return check, ()


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return value.item() if isinstance(value, np.generic) else value
