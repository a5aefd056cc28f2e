"""A user's amendments over a data set: whole and valid, or an error that names the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from forecast.errors import ArgumentError, DataError
from forecast.sources.checking import validate
from forecast.sources.embedded import finish_tables
from forecast.sources.overlay.changes import Amendment, Change, amendment_from_frames
from forecast.sources.overlay.edits import EDITS
from forecast.sources.overlay.work import Work
from forecast.sources.tables import TABLES, Tables

__all__ = ["amend"]


def amend(
    tables: Tables, amendment: Amendment | Mapping[str, pd.DataFrame], *, name: str = "frames"
) -> Tables:
    """The data set with an amendment over it, under the same checks as the data.

    Parameters
    ----------
    tables : Tables
        Stays as it is.
    amendment : Amendment or mapping of str to pandas.DataFrame
        From `forecast.sources.overlay.read_amendment`, or frames by kind of change as
        `forecast.sources.overlay.amendment_from_frames` takes them.
    name : str
        Name of an amendment given as frames.

    Returns
    -------
    Tables
        With other rows and fingerprint; ``coverage`` of each changed table has the amendment in
        ``amended_by``, and ``declared_after`` where it extends the years covered.

    Raises
    ------
    DataError
        A change that cannot be, by itself, beside the others or beside the data: names file, row
        and column, what was found and what was expected.
    ArgumentError
        An amendment of that name is there already.
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
