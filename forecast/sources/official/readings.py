"""The table that a reader gives back: columns of the schema, in its order, checked."""

from __future__ import annotations

import pandas as pd

from forecast.errors import DataError
from forecast.sources.checking import validate
from forecast.sources.schemas import SCHEMAS
from forecast.sources.tables import Reading

__all__ = ["one_per_state_year", "reading_of"]


def reading_of(
    table: str,
    frame: pd.DataFrame,
    *,
    file: str,
    first: int,
    last: int,
    notes: tuple[str, ...] = (),
) -> Reading:
    """Reading of one kind of fact, checked against its schema.

    Parameters
    ----------
    table : str
        A key of `forecast.sources.schemas.SCHEMAS`.
    frame : pandas.DataFrame
        Has at least the required columns of that schema; indexed by line number in the file.
    file : str
        Name of the file, for messages.
    first, last : int
        Calendar years covered.
    notes : tuple of str
        What was left out, as sentences.

    Raises
    ------
    DataError
        If there are no rows, or one breaks the schema.
    """
    if frame.empty:
        raise DataError(f"{file}: there is no record of the table {table!r} in it.")
    schema = SCHEMAS[table].columns
    columns = {name: c for name, c in schema.items() if c.required or name in frame}
    text = {name: "str" for name, c in columns.items() if str(c.dtype).lower().startswith("str")}
    tidy = frame[list(columns)].astype(text)
    return Reading(table, validate(table, tidy, file=file), first, last, notes)


def one_per_state_year(table: pd.DataFrame, *, unit: str) -> pd.DataFrame:
    """Rows by state and year: of two units that have one number in a year, the one that goes on.

    Parameters
    ----------
    table : pandas.DataFrame
        Has ``ccode`` and ``year``.
    unit : str
        Column with the source's own unit.
    """
    until = table.groupby(unit)["year"].transform("max")
    order = table.assign(_until=until).sort_values(["ccode", "year", "_until"], kind="stable")
    return order.drop_duplicates(["ccode", "year"], keep="last").drop(columns="_until")
