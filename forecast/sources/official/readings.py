"""What the readers of official files share: roles, declared layouts, the reading they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.sources.cells import Kind
from forecast.sources.checking import validate
from forecast.sources.reader import read_official
from forecast.sources.schemas import SCHEMAS
from forecast.sources.tables import OBLIGATIONS, Reading

__all__ = [
    "Layout",
    "OfficialReader",
    "combine_obligations",
    "given_roles",
    "one_per_state_year",
    "ordered_pairs",
    "read_layout",
    "reading_of",
]


@dataclass(frozen=True)
class OfficialReader:
    """How the files of a source are read.

    Attributes
    ----------
    roles : mapping of str to str
        What the file of each role is, and the columns it has.
    read : callable
        Takes the path of each file by role; gives one `Reading` per kind of fact, checked against
        its schema. Raises ArgumentError if no layout is complete, UnknownNameError for an unknown
        role, MissingFileError and DataError for a file that cannot be read.
    code_system : {"cow", "gw"}
        Whose state numbers the readings have.
    """

    roles: Mapping[str, str]
    read: Callable[[Mapping[str, Path]], list[Reading]]
    code_system: str = "cow"


@dataclass(frozen=True)
class Layout:
    """A file of one row per unit and year: its columns, and what is made of them.

    `columns`, `optional`, `rename` and `na` as in `read_official`. Rows of which none of the
    columns `known` has a value are left out. `tidy` turns that frame into one with the columns of
    `table`, and adds to the notes what it left out.
    """

    table: str
    columns: Mapping[str, Kind]
    rename: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    na: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known: Sequence[str] = ()
    tidy: Callable[[pd.DataFrame, list[str]], pd.DataFrame] | None = None


def read_layout(layout: Layout, path: Path) -> Reading:
    """Reading of a file in a layout; it covers the years that it lists."""
    frame = read_official(
        path, layout.columns, optional=layout.optional, rename=layout.rename, na=layout.na
    )
    if layout.known:
        frame = frame[frame[list(layout.known)].notna().any(axis=1)]
    first, last = (int(y) for y in frame["year"].agg(["min", "max"]).fillna(0))
    notes: list[str] = []
    if layout.tidy is not None:
        frame = layout.tidy(frame, notes)
    return reading_of(
        layout.table, frame, file=path.name, first=first, last=last, notes=tuple(notes)
    )


def given_roles(
    files: Mapping[str, Path], roles: Mapping[str, str], *layouts: tuple[str, ...]
) -> tuple[str, ...]:
    """First of the layouts, preferred first, all of whose files were given by role."""
    for role in files:
        if role not in roles:
            raise UnknownNameError("role", role, roles, f"The roles are {', '.join(roles)}.")
    for layout in layouts:
        if all(role in files for role in layout):
            return layout
    expected = " or ".join(
        " and ".join(f"{role!r} ({roles[role]})" for role in layout) for layout in layouts
    )
    found = ", ".join(map(repr, files)) or "none"
    raise ArgumentError(f"The files given have the roles {found}; expected {expected}.")


def reading_of(
    table: str,
    frame: pd.DataFrame,
    *,
    file: str,
    first: int,
    last: int,
    notes: tuple[str, ...] = (),
) -> Reading:
    """Reading of one kind of fact: the columns of its schema, in order and checked.

    `frame` has at least the required columns and is indexed by line number in the `file`; `first`
    and `last` are the calendar years covered.
    """
    if frame.empty:
        raise DataError(f"{file}: there is no record of the table {table!r} in it.")
    schema = SCHEMAS[table].columns
    columns = {name: c for name, c in schema.items() if c.required or name in frame}
    text = {name: "str" for name, c in columns.items() if str(c.dtype).lower().startswith("str")}
    tidy = frame[list(columns)].astype(text)
    return Reading(table, validate(table, tidy, file=file), first, last, notes)


def one_per_state_year(table: pd.DataFrame, *, unit: str) -> pd.DataFrame:
    """Rows by state and year: of two units that have one number in a year, the one that goes on."""
    until = table.groupby(unit)["year"].transform("max")
    order = table.assign(_until=until).sort_values(["ccode", "year", "_until"], kind="stable")
    return order.drop_duplicates(["ccode", "year"], keep="last").drop(columns="_until")


def ordered_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of pairs with ``ccode_a < ccode_b``; one in both directions counts once."""
    one, two = table["ccode_a"].to_numpy(), table["ccode_b"].to_numpy()
    if not (one > two).any():
        return table
    table = table.assign(ccode_a=np.minimum(one, two), ccode_b=np.maximum(one, two))
    return table.drop_duplicates()


def combine_obligations(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per ordered pair and year: what is owed under any of the treaties.

    Columns ``ccode_owing, ccode_owed, year`` and the five obligations as 0/1, sorted; the index is
    that of the first row of each.
    """
    # The flags as bits of one number: "any of them" is then one reduction instead of five.
    bits = sum(frame[name].to_numpy(dtype=np.int64) << i for i, name in enumerate(OBLIGATIONS))
    pair = ("ccode_owing", "ccode_owed", "year")
    keys = [frame[name].to_numpy(dtype=np.int64) for name in pair]
    order = np.lexsort(tuple(reversed(keys)))
    first = np.ones(len(frame), dtype=bool)
    first[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    start = np.flatnonzero(first)
    if not len(frame):
        owed = np.empty(0, dtype=np.int64)
    else:
        owed = np.bitwise_or.reduceat(np.asarray(bits)[order], start)
    data = {name: key[order][start] for name, key in zip(pair, keys, strict=True)}
    data |= {name: (owed >> i) & 1 for i, name in enumerate(OBLIGATIONS)}
    return pd.DataFrame(data, index=frame.index[order[start]])
