"""A user's own amendments: what may be changed, and how it is read from CSV, TOML or frames.

An amendment is a list of changes, each a few named cells of text; the three ways to write one give
the same list, and so the same hash. `forecast.sources.overlay.apply` puts it over a data set.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from forecast.documents import opened, read_text, toml_of
from forecast.draws import is_whole
from forecast.errors import ArgumentError, DataError, nearest, shown, wrong_type
from forecast.sources.cells import Kind, cell_error, parse_column
from forecast.sources.checking import kinds
from forecast.sources.reader import read_cells
from forecast.sources.tables import OBLIGATIONS

__all__ = ["CHANGES", "DATA", "Amendment", "Change", "amendment_from_frames", "read_amendment"]

#: Data sets that an amendment may be made for.
DATA = ("embedded", "historical")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

_OWN: dict[str, Kind] = {"change": "str", "state": "str", "state_a": "str", "state_b": "str"}
_OWN |= {"members": "str", "table": "str", "through": "int"}
_SIDES = ("conflict_id", "state_a", "state_b")
_OF_TREATY = ("alliance_id", "state")


def _columns(table: str, *without: str) -> tuple[str, ...]:
    return tuple(name for name in kinds(table) if name not in without)


_OF_CONFLICT = _columns("conflicts", "conflict_id", "ccode_a", "ccode_b", "source")

#: For each kind of change the columns that it needs, and those that it may have besides, in the
#: order in which the kinds are applied.
CHANGES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "covers": (("table", "through"), ()),
    "treaty": (
        ("alliance_id", "name", "members", "start"),
        (*_columns("alliances", "alliance_id", "name", "start", "source"), *OBLIGATIONS),
    ),
    "accession": ((*_OF_TREATY, "start"), ("end", *OBLIGATIONS)),
    "exit": ((*_OF_TREATY, "end"), ()),
    "obligation": ((*_OF_TREATY, "start"), OBLIGATIONS),
    "end_treaty": (("alliance_id", "end"), ()),
    "conflict": (
        (*_SIDES, "name", "start", "level"),
        tuple(c for c in _OF_CONFLICT if c not in ("name", "start", "level")),
    ),
    "end_conflict": (
        ("conflict_id", "end"),
        ("state_a", "state_b", *(c for c in _OF_CONFLICT if c not in ("end", "name"))),
    ),
    "correct_conflict": (("conflict_id",), ("state_a", "state_b", *_OF_CONFLICT)),
}

#: How the text of each column is parsed; an empty cell is one that is not given.
KINDS: Mapping[str, Kind] = {
    column: cast(Kind, kind.removesuffix("?"))
    for table in ("alliances", "members", "conflicts")
    for column, kind in kinds(table).items()
} | _OWN
_USED = (c for need, may in CHANGES.values() for c in (*need, *may))
_COLUMNS = tuple(dict.fromkeys(("change", *_USED, "source")))


@dataclass(frozen=True)
class Change:
    """One change of an amendment: its kind, a key of `CHANGES`, and where it was written.

    `cells` has the text of each column that is given; states as the user named them.
    """

    kind: str
    cells: Mapping[str, str]
    file: str
    row: int

    def wrong(
        self, column: str | None, found: object, expected: str, valid: Sequence[object] = ()
    ) -> DataError:
        """Error that names this change and the column."""
        return cell_error(self.file, self.row, column, found, expected, valid=valid)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The cells as numbers, dates and text; a DataError for the first that cannot be parsed."""
        return {
            column: parse_column(self.file, column, KINDS[column], [text], [self.row])[0]
            for column, text in self.cells.items()
        }


@dataclass(frozen=True)
class Amendment:
    """A user's changes of a data set (one of `DATA`), under a name of letters, digits, ``_.-``.

    The changes are in the order of `CHANGES`, and within a kind as written.
    """

    name: str
    data: str
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ArgumentError(
                f"name={shown(self.name)}: expected up to 64 letters, digits, '_', '.' and '-', "
                "the first a letter or digit."
            )
        if self.data not in DATA:
            raise ArgumentError(
                f"data={shown(self.data)} of the amendment {self.name!r}: expected one of "
                f"{', '.join(DATA)}."
            )
        if not self.changes:
            raise DataError(
                f"The amendment {self.name!r} has no change; expected {', '.join(CHANGES)}. "
                "`forecast data amend --example` prints a file to start from."
            )
        order = {kind: i for i, kind in enumerate(CHANGES)}
        ordered = tuple(sorted(self.changes, key=lambda change: order[change.kind]))
        object.__setattr__(self, "changes", ordered)

    @cached_property
    def sha256(self) -> str:
        """Hash of the changes (hex): the same whether they came from CSV, TOML or frames."""
        return hashlib.sha256(json.dumps(self.records(), sort_keys=True).encode()).hexdigest()

    @property
    def label(self) -> str:
        """Name, number of rows and start of the hash, as every vintage shows it."""
        count = len(self.changes)
        return f"{self.name} ({count} row{'s' if count > 1 else ''}, {self.sha256[:12]})"

    def records(self) -> list[dict[str, str]]:
        """The changes as plain dictionaries."""
        return [{"change": change.kind, **change.cells} for change in self.changes]


def read_amendment(
    path: str | Path, *, name: str | None = None, data: str | None = None
) -> Amendment:
    """Amendment of a CSV or TOML file.

    Parameters
    ----------
    path : str or pathlib.Path
        CSV with a column ``change`` and those that the changes need, or TOML with an array of
        tables for each kind of change (and, if wanted, ``name`` and ``data`` at its top).
    name : str, optional
        Instead of the one in the file; by default the file's own name without its ending.
    data : str, optional
        Instead of the one in the file; ``"embedded"`` by default.

    Raises
    ------
    MissingFileError
        There is no such file.
    ArgumentError
        A name that cannot be, or a file that is neither CSV nor TOML.
    DataError
        Names file, row and column, what was found and what was expected.
    """
    path = Path(path)
    with opened(
        path, "file", wrong=DataError,
        remedy=" `forecast data amend --example` prints one to start from.",
    ):  # fmt: skip
        kind = path.suffix.lower()
    if kind not in (".csv", ".toml"):
        raise ArgumentError(f"{path.name}: expected a file that ends in .csv or .toml.")
    top: dict[str, str] = {}
    changes = _from_csv(path) if kind == ".csv" else _from_toml(path, top)
    try:
        return Amendment(
            name=name or top.get("name", path.stem),
            data=data or top.get("data", DATA[0]),
            changes=tuple(changes),
        )
    except (ArgumentError, DataError) as error:
        raise type(error)(f"{path.name}: {error}") from None


#: Columns of the tables by the names that they have in a change.
_AS_TABLES = {"ccode": "state", "ccode_a": "state_a", "ccode_b": "state_b"}


def amendment_from_frames(
    frames: Mapping[str, pd.DataFrame], *, name: str = "frames", data: str = "embedded"
) -> Amendment:
    """Amendment of frames in memory.

    Parameters
    ----------
    frames : mapping of str to pandas.DataFrame
        By kind of change (a key of `CHANGES`), with the columns of that change and ``source``; rows
        of the table ``conflicts`` may be given as they are (``ccode_a`` is ``state_a``). A missing
        value is a cell that is not given, a truth 0 or 1. The index is the row in messages if it is
        of whole numbers.
    name, data : str
        As in `Amendment`.

    Raises
    ------
    ArgumentError, DataError
        As `read_amendment`.
    """
    changes = []
    for kind, frame in frames.items():
        file = f"amend[{kind!r}]"
        _check_kind(kind, file, None)
        if not isinstance(frame, pd.DataFrame):
            raise wrong_type(file, frame, "a DataFrame.")
        frame = frame.rename(columns=_AS_TABLES)
        labels = frame.index if frame.index.dtype.kind == "i" else range(len(frame))
        for row, record in zip(labels, frame.to_dict("records"), strict=True):
            changes.append(_change(kind, {str(c): v for c, v in record.items()}, file, int(row)))
    return Amendment(name=name, data=data, changes=tuple(changes))


def _from_csv(path: Path) -> list[Change]:
    table = read_cells(path, _COLUMNS, optional=_COLUMNS)
    if "change" not in table:
        raise DataError(
            f"{path.name}, row 1: the column 'change' is missing; it says what each row is: "
            f"{', '.join(CHANGES)}."
        )
    changes = []
    for row, record in zip(table.index, table.to_dict("records"), strict=True):
        kind = record.pop("change")
        _check_kind(kind, path.name, int(row))
        changes.append(_change(kind, {str(c): v for c, v in record.items()}, path.name, int(row)))
    return changes


def _from_toml(path: Path, top: dict[str, str]) -> list[Change]:
    text = read_text(path, "file", wrong=DataError)
    content = toml_of(text, path.name, wrong=DataError)
    changes = []
    for kind, value in content.items():
        if kind in ("name", "data"):
            if not isinstance(value, str):
                raise cell_error(path.name, None, kind, value, "text in quotes")
            top[kind] = value
            continue
        _check_kind(kind, path.name, None)
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise DataError(
                f"{path.name}, {kind!r}: found {type(value).__name__}, expected an array of "
                f"tables: a line [[{kind}]] above each change."
            )
        head = re.compile(rf"[ \t]*\[\[[ \t]*{kind}[ \t]*\]\]")
        rows = [row for row, line in enumerate(text.split("\n"), 1) if head.match(line)]
        if len(rows) != len(value):
            rows = list(range(1, len(value) + 1))
        for row, record in zip(rows, value, strict=True):
            changes.append(_change(kind, record, path.name, row))
    return changes


def _check_kind(kind: object, file: str, row: int | None) -> None:
    if kind not in CHANGES:
        raise cell_error(file, row, "change", kind, f"one of {', '.join(CHANGES)}", valid=CHANGES)


def _change(kind: str, record: Mapping[str, Any], file: str, row: int) -> Change:
    """A change with its cells as text: those it needs, and no others."""
    need, may = CHANGES[kind]
    allowed = (*need, *may, "source")
    cells: dict[str, str] = {}
    for column, value in record.items():
        text = _text(value, file, row, column)
        if text == "":
            continue
        if column not in allowed:
            near = nearest(column, allowed)
            raise cell_error(
                file, row, column, text,
                f"nothing: a change {kind!r} has {', '.join(allowed)}"
                + (f" (did you mean the column {near!r}?)" if near else ""),
            )  # fmt: skip
        cells[column] = text
    for column in (*need, "source"):
        if column not in cells:
            why = " (where it is known from)" if column == "source" else ""
            raise cell_error(file, row, column, "", f"a value{why}: {kind!r} needs it")
    return Change(kind=kind, cells=dict(sorted(cells.items())), file=file, row=row)


def _text(value: Any, file: str, row: int, column: str) -> str:
    """The text of a cell, as a CSV file would have it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "; ".join(_text(v, file, row, column) for v in value)
    if isinstance(value, datetime | np.datetime64):
        return "" if pd.isna(value) else pd.Timestamp(value).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, bool | np.bool_) and KINDS.get(column) == "int":
        return str(int(value))
    if is_whole(value):
        return str(value)
    if isinstance(value, float | np.floating):
        # A column of whole numbers with a gap is one of floats in pandas.
        return "" if np.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    raise cell_error(file, row, column, value, "text, a whole number or a date")
