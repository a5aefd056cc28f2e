"""Treaties of a user's own as a whole table: a frame in place of a data set's alliances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import DataError, shown
from forecast.sources.assembly import Sourced, assemble
from forecast.sources.checking import kinds
from forecast.sources.embedded import COMPUTED, finish_tables
from forecast.sources.frame_codes import (
    column_of,
    place_of,
    refuse_rows,
    state_columns,
    usual_columns,
)
from forecast.sources.spells import OPEN_YEAR, span_years
from forecast.sources.tables import OBLIGATIONS, TABLES, Reading, Tables

__all__ = ["with_treaties"]

#: Tables that say more of the treaties that they were made for, and of no others.
_OF_TREATIES = ("treaty_design", "obligation_years")
_SOURCE = "your own treaties (a DataFrame)"


def with_treaties(tables: Tables, frame: pd.DataFrame) -> Tables:
    """The data set with the treaties of a frame in place of its own.

    A row for each member of a treaty and spell of its membership: ``alliance_id``, the state (by
    the usual names of such columns, in any code), ``start``, ``end`` (missing where it still
    holds), any of `OBLIGATIONS` as 0/1, and what is the same for all rows of a treaty: ``name``,
    ``short_name``, and columns of the table ``alliances``. An obligation or column that is not
    there is not coded, and 0 (the coverage says so). A treaty holds from the first start to the
    last end of its members; spells are cut to membership in the state system, with notes.

    They cover the years from the first start to the last of the data, or to the last end if none
    holds still; ``frame.attrs["years"] = (first, last)`` says otherwise.

    Raises
    ------
    DataError, ArgumentError, UnknownNameError
        Names the column and row, what was found and what was expected.
    """
    if frame.empty:
        raise DataError("sources['alliances']: the frame has no rows.")
    ids = column_of(frame, "alliance_id", "alliance_id").astype(str).str.strip()
    start, end = (_dates(frame, name) for name in ("start", "end"))
    state = usual_columns(frame, pair=False)
    for name in ("alliance_id", "start", *state):
        if (bad := frame[name].isna().to_numpy()).any():
            place = place_of(frame, int(np.flatnonzero(bad)[0]))
            raise DataError(f"column {name!r}, {place}: nothing is there, expected a value.")
    if (bad := (end < start).to_numpy()).any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"column 'end', {place_of(frame, row)}: found {_cell(frame['end'], row)}, which is"
            f" before the start, {_cell(frame['start'], row)}."
        )
    codes = state_columns(frame, state, start.dt.year.to_numpy(), tables, gaps=True).codes[0]
    if not any(name in frame for name in OBLIGATIONS):
        column_of(frame, "defense", "obligation")
    made = ids.str.casefold().str.replace(r"[^a-z0-9]+", "-", regex=True).str.strip("-")
    members = pd.DataFrame(
        {"alliance_id": made, "ccode": codes, "start": start, "end": end}
        | {name: _flags(frame, name) for name in OBLIGATIONS}
    )
    outside = codes == 0
    alliances = _alliances(frame, members.assign(own=ids))
    first, last = _years(frame, members, tables)
    missing = [c for c in kinds("alliances") if c not in frame and kinds("alliances")[c] == "int"]
    notes = [f"not coded, and 0: {', '.join(missing)}"] if missing else []
    if outside.any():
        notes.append(f"{int(outside.sum()):,} rows left out: no member of the system at the start")
    readings = {
        "states": Reading("states", tables.states, first, last),
        "alliances": Reading("alliances", alliances, first, last, tuple(notes)),
        "members": Reading("members", members[~outside], first, last, tuple(notes[len(notes) :])),
    }
    facts = {name: Sourced(one, _SOURCE, "", "yours") for name, one in readings.items()}
    frames, coverage = assemble(facts)
    base = {table: getattr(tables, table) for table in TABLES}
    base["capabilities"] = tables.capabilities.drop(columns=list(COMPUTED), errors="ignore")
    changed = ("alliances", "members")
    return finish_tables(
        base | {name: frames[name] for name in changed},
        coverage={
            **{name: c for name, c in tables.coverage.items() if name not in _OF_TREATIES},
            **{name: coverage[name] for name in changed},
        },
        name=tables.name,
        extra={name: table for name, table in tables.extra.items() if name not in _OF_TREATIES},
    )


def _dates(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of dates; a missing ``end`` is one that is open."""
    if name == "end" and name not in frame:
        return pd.Series(pd.NaT, index=range(len(frame)), dtype="datetime64[s]")
    column = column_of(frame, name, name)
    found = pd.to_datetime(column.astype(object), errors="coerce", format="mixed")
    wrong = (found.isna() & column.notna()).to_numpy() | column.map(
        lambda value: isinstance(value, (int, float)) and value == value
    ).to_numpy(dtype=bool)
    refuse_rows(frame, name, column, wrong, "a date such as '1949-04-04'")
    return found.astype("datetime64[s]")


def _cell(column: pd.Series, row: int) -> str:
    return shown(column.astype(object).iloc[row])


def _flags(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of 0/1; all 0 if it is not there."""
    if name not in frame:
        return np.zeros(len(frame), dtype=np.int64)
    column = pd.to_numeric(column_of(frame, name, name), errors="coerce")
    wrong = ~column.isin([0, 1]).to_numpy()
    refuse_rows(frame, name, frame[name], wrong, "0 or 1")
    return column.to_numpy(dtype=np.int64)


def _alliances(frame: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """A row for each treaty."""
    by = members.groupby("alliance_id", sort=True)
    wanted = kinds("alliances")
    rows: dict[str, Any] = {
        "alliance_id": list(by.groups),
        "start": by["start"].min().to_numpy(),
        "end": by["end"].max().where(by["end"].count() == by.size()).to_numpy(),
        "kind": np.where(by["ccode"].nunique() == 2, "bilateral", "multilateral"),
    }
    rows |= {"short_name": by["own"].first().to_numpy(), "source": _SOURCE}
    for column in (c for c in wanted if c in frame and c not in ("alliance_id", "start", "end")):
        flags = wanted[column] == "int"
        values = _flags(frame, column) if flags else column_of(frame, column, column).to_numpy()
        each = members[["alliance_id"]].assign(value=values)
        different = each.drop_duplicates()["alliance_id"]
        if (twice := different.duplicated()).any():
            treaty = different[twice].iloc[0]
            raise DataError(
                f"column {column!r}: the treaty {treaty!r} has several values; it is the same for"
                " all rows of a treaty."
            )
        own = each.groupby("alliance_id", sort=True)["value"]
        rows[column] = own.first().to_numpy()
    table = pd.DataFrame(rows)
    table["name"] = table["name"] if "name" in rows else table["short_name"]
    for column in (c for c, kind in wanted.items() if kind == "int" and c not in rows):
        table[column] = 0
    return table[list(wanted)]


def _years(frame: pd.DataFrame, members: pd.DataFrame, tables: Tables) -> tuple[int, int]:
    """Years that the treaties cover."""
    own = tables.coverage["states"]
    if (said := frame.attrs.get("years")) is not None:
        whole = isinstance(said, (tuple, list)) and len(said) == 2
        if not whole or not all(isinstance(y, int) for y in said) or said[0] > said[1]:
            raise DataError(f"frame.attrs['years']: found {shown(said)}, expected (first, last).")
        return max(own.first, said[0]), min(own.last, said[1])
    first, last = span_years(members)
    end = int(last.max())
    return max(own.first, int(first.min())), own.last if end >= OPEN_YEAR else min(own.last, end)
