"""A user's amendments over a data set, whole and valid or an error that names the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from forecast.errors import ArgumentError, DataError, UnknownNameError
from forecast.sources.checking import validate
from forecast.sources.codes import resolve_states, state_label
from forecast.sources.embedded import COMPUTED, finish_tables
from forecast.sources.overlay.changes import Amendment, Change, amendment_from_frames
from forecast.sources.overlay.edits import EDITS
from forecast.sources.stored import frames_of
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = ["Work", "amend", "amended"]

#: What a declaration of coverage speaks of, and the tables that it extends. Yearly figures are not
#: among them: without rows they are missing.
_DECLARED: Mapping[str, tuple[str, ...]] = {
    "conflicts": ("conflicts",),
    "alliances": ("alliances", "members"),
    "states": ("states", "powers", "contiguity"),
}


def amend(
    tables: Tables, amendment: Amendment | Mapping[str, pd.DataFrame], *, name: str = "frames"
) -> Tables:
    """The data set with an amendment over it, under the same checks as the data.

    `amendment` may be frames by kind of change, as `amendment_from_frames` takes them; `name` is
    theirs. `tables` stay as they are. The result has other rows and another fingerprint;
    ``coverage`` of each changed table has the amendment in ``amended_by``, and ``declared_after``
    where it extends the years covered.

    A change that cannot be, by itself, beside the others or beside the data, is a DataError that
    names file, row and column, what was found and what was expected; an amendment of a name that is
    there already an ArgumentError.
    """
    if not isinstance(amendment, Amendment):
        amendment = amendment_from_frames(amendment, name=name)
    there = [label for c in tables.coverage.values() for label in c.amended_by]
    if any(label.split(" ")[0] == amendment.name for label in there):
        raise ArgumentError(f"The data are already amended by {amendment.name!r}.")
    changes = sorted(amendment.changes, key=_when)
    try:
        return _with(tables, amendment, changes)
    except _InPlaceError as error:
        raise DataError(str(error)) from None
    except DataError as error:
        # Of the table as a whole; the row is the first with which it is no longer valid.
        change = _first_wrong(tables, amendment, changes)
        raise DataError(
            f"{change.file}, row {change.row} ({change.kind}): with this change the data are not "
            f"valid any more. {error}"
        ) from None


def amended(tables: Tables, amendments: Sequence[Amendment]) -> Tables:
    """A data set with amendments over it in turn; the first that does not fit is named."""
    if amendments:
        for one in amendments:
            try:
                tables = amend(tables, one)
            except DataError as error:
                raise DataError(f"Amendment {one.name!r}: {error}") from None
    return tables


class _InPlaceError(DataError):
    """An error that already names file and row of the amendment."""


def _when(change: Change) -> str:
    """Membership in the order of its days; all else in the order of `CHANGES`."""
    if change.kind in ("accession", "exit", "obligation", "end_treaty"):
        return "b" + change.cells.get("start", change.cells.get("end", ""))
    return "a" if change.kind in ("covers", "treaty") else "c"


def _first_wrong(tables: Tables, amendment: Amendment, changes: Sequence[Change]) -> Change:
    low, high = 0, len(changes) - 1
    while low < high:
        middle = (low + high) // 2
        try:
            _with(tables, amendment, changes[: middle + 1])
        except DataError:
            high = middle
        else:
            low = middle + 1
    return changes[low]


def _with(tables: Tables, amendment: Amendment, changes: Sequence[Change]) -> Tables:
    work = Work(tables, amendment)
    for change in changes:
        try:
            if change.kind == "covers":
                work.covers(change)
                continue
            values = dict(change.values)
            work.within(change, values)
            EDITS[change.kind](work, change, values)
        except DataError as error:
            raise _InPlaceError(str(error)) from None
    touched = [t for t in TABLES if t in work.touched]
    for table in touched:
        validate(table, work.frames[table].reset_index(drop=True))
    coverage = dict(work.coverage)
    for table in touched:
        before = coverage[table].amended_by
        coverage[table] = replace(coverage[table], amended_by=(*before, amendment.label))
    return finish_tables(work.frames, coverage=coverage, name=tables.name, extra=dict(tables.extra))


class Work:
    """Frames of a data set while the changes of an amendment are made one by one."""

    def __init__(self, tables: Tables, amendment: Amendment) -> None:
        self._tables = tables
        self.name = amendment.name
        every = frames_of(tables)
        self.frames = {t: every[t] for t in TABLES}
        self.frames["capabilities"] = every["capabilities"].drop(columns=list(COMPUTED))
        self.coverage: dict[str, Coverage] = dict(tables.coverage)
        self.touched: set[str] = set()

    def covers(self, change: Change) -> None:
        """Extend the years that some tables cover, as the user declares."""
        what, through = change.cells["table"], change.cells["through"]
        if what not in _DECLARED:
            raise change.wrong("table", what, f"one of {', '.join(_DECLARED)}", list(_DECLARED))
        last = max(self.coverage[table].last for table in _DECLARED[what])
        if not (through.isascii() and through.isdecimal() and len(through) == 4):
            raise change.wrong(
                "through", through,
                f"a whole calendar year, e.g. {last + 1}. A part of a year covers nothing: what is"
                " not yet on record would count as peace",
            )  # fmt: skip
        year = int(through)
        if not last < year <= 2100:
            raise change.wrong(
                "through", year,
                f"a year after {last}, to which {what} are covered already (leave this row out)",
            )  # fmt: skip
        for table in _DECLARED[what]:
            cover = self.coverage[table]
            said = f"To {year} as the user's amendment {self.name} declares."
            self.coverage[table] = replace(
                cover,
                last=year,
                declared_after=cover.last if cover.declared_after is None else cover.declared_after,
                notes=(*cover.notes, said),
            )
            self.touched.add(table)

    def within(self, change: Change, values: Mapping[str, Any]) -> None:
        """Raise if a date of a change lies outside of what is covered; says how to declare it."""
        what = "conflicts" if "conflict" in change.kind else "alliances"
        cover = self.coverage[what if what == "conflicts" else "members"]
        for column in ("start", "end"):
            if column not in values:
                continue
            year = _year(values[column])
            if not cover.first <= year <= cover.last:
                late = (
                    f"nothing after {cover.last}, the last year that {what} are covered. A few rows"
                    f" do not cover a year: only if this amendment, with the data, has all of"
                    f" {year} that you want counted, declare it, as a change 'covers' with"
                    f" table = {what}, through = {year} and a source"
                )
                early = f"nothing before {cover.first}, the first year that {what} are covered"
                expected = late if year > cover.last else early
                raise change.wrong(column, change.cells[column], expected)

    def state(self, change: Change, column: str, named: str, day: Any) -> int:
        """COW number of a state as the user named it, in the year of a day."""
        return self.states(change, column, [named], day)[0]

    def states(self, change: Change, column: str, named: Sequence[str], day: Any) -> list[int]:
        """COW numbers of states that were named together."""
        try:
            return resolve_states(self._tables, named, year=_year(day))
        except (UnknownNameError, ArgumentError) as error:
            raise DataError(
                f"{change.file}, row {change.row}, column {column!r}: {error}"
            ) from None

    def label(self, ccode: int, day: Any) -> str:
        """Name of a state in the year of a day."""
        return state_label(self._tables, int(ccode), year=_year(day))

    def check(self, table: str, change: Change, row: Mapping[str, Any]) -> pd.DataFrame:
        """The row as a frame like the table, if it fulfils the schema."""
        frame = self.frames[table]
        values = {c: [row.get(c)] for c in frame.columns}
        made = pd.DataFrame(values, index=[change.row]).astype(frame.dtypes.to_dict())
        return validate(table, made, file=change.file)

    def add(self, table: str, change: Change, row: Mapping[str, Any]) -> None:
        """Append a row to a table."""
        made = self.check(table, change, row)
        self.frames[table] = pd.concat([self.frames[table], made], ignore_index=True)
        self.touched.add(table)

    def put(self, table: str, at: Any, values: Mapping[str, Any]) -> None:
        """Put other values into the row with the label `at`."""
        frame = self.frames[table].copy()
        for column, value in values.items():
            frame.loc[at, column] = value
        self.frames[table] = frame.astype(self.frames[table].dtypes.to_dict())
        self.touched.add(table)


def _year(day: Any) -> int:
    return pd.Timestamp(day).year
