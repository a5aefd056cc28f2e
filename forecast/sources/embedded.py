"""Reading a data set in the layout of the embedded one: seven CSV files and a datapackage.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from forecast.errors import DataError, MissingFileError
from forecast.paths import data_folder
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = ["load_tables", "read_coverage", "tables_from_frames"]

DESCRIPTOR = "datapackage.json"


def load_tables(
    folder: str | Path | None = None, *, coverage: Mapping[str, Coverage] | None = None
) -> Tables:
    """Tables of the embedded data set, or of a folder in the same layout.

    Parameters
    ----------
    folder : str or pathlib.Path, optional
        Folder with ``states.csv``, ``powers.csv``, ``contiguity.csv``, ``capabilities.csv``,
        ``alliances.csv``, ``members.csv``, ``conflicts.csv`` and ``datapackage.json``. The
        embedded data set by default.
    coverage : mapping of str to Coverage, optional
        Years that each table covers, instead of those stated in ``datapackage.json``.

    Returns
    -------
    Tables
        Dates are ``datetime64[s]``, an open end is ``NaT``. Member spells are cut at the
        membership of their state in the system; `capabilities` has the computed columns
        ``capability`` and ``capability_floored``.

    Raises
    ------
    MissingFileError
        If the folder or a file is not there.
    DataError
        If a file breaks its schema, a foreign key, or the algebra of spells; names file, row and
        column, what was found and what was expected.
    """
    from forecast.sources.schemas import read

    where = data_folder() if folder is None else Path(folder)
    if not where.is_dir():
        raise MissingFileError(
            f"There is no folder {str(where)!r}. Give the folder of a data set (seven CSV files "
            'and datapackage.json), or data="embedded".'
        )
    covers = read_coverage(where) if coverage is None else coverage
    frames = {table: read(table, where) for table in TABLES}
    name = "embedded" if folder is None else where.name
    return _tables(frames, coverage=covers, name=name)


def tables_from_frames(
    frames: Mapping[str, pd.DataFrame], *, coverage: Mapping[str, Coverage], name: str
) -> Tables:
    """Tables from frames in memory, under the same checks as files.

    Parameters
    ----------
    frames : mapping of str to pandas.DataFrame
        The seven tables with the columns of their schemas (dates ``datetime64[s]``). The index
        is used as the row number in messages.
    coverage : mapping of str to Coverage
        Years that each table covers.
    name : str
        Name of the data set.

    Raises
    ------
    DataError
        As `load_tables`.
    """
    from forecast.sources.schemas import validate

    missing = [table for table in TABLES if table not in frames]
    if missing:
        raise DataError(f"The table {missing[0]!r} is missing; expected {', '.join(TABLES)}.")
    checked = {table: validate(table, frames[table]) for table in TABLES}
    return _tables(checked, coverage=coverage, name=name)


def _tables(
    frames: Mapping[str, pd.DataFrame], *, coverage: Mapping[str, Coverage], name: str
) -> Tables:
    from forecast.sources.capability import with_capability
    from forecast.sources.fingerprint import fingerprint_tables
    from forecast.sources.integrity import check_tables, cut_members

    check_tables(frames, coverage=coverage)
    ready = {table: frame.reset_index(drop=True) for table, frame in frames.items()}
    ready["members"] = cut_members(ready["members"], ready["states"])
    fingerprint = fingerprint_tables(ready, coverage)
    ready["capabilities"] = with_capability(
        ready["capabilities"], ready["states"], last_year=coverage["capabilities"].last
    )
    return Tables(
        **{table: ready[table] for table in TABLES},  # type: ignore[arg-type]
        coverage=dict(coverage),
        name=name,
        fingerprint=fingerprint,
    )


def read_coverage(folder: Path) -> dict[str, Coverage]:
    """Years that each table covers, as stated in the folder's ``datapackage.json``.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the data set.

    Returns
    -------
    dict of str to Coverage
        Keyed by table name. Each resource of the descriptor states
        ``"coverage": {"first": 1946, "last": 2025}``.

    Raises
    ------
    MissingFileError
        If there is no descriptor: what a table covers cannot be read off its rows.
    DataError
        If the descriptor is not valid JSON or states no coverage for a table.
    """
    path = folder / DESCRIPTOR
    if not path.is_file():
        raise MissingFileError(
            f"There is no file {DESCRIPTOR!r} in {folder}. It states which years each table "
            "covers, which cannot be read off the rows; copy the one of the embedded data set "
            "and set the coverage of each resource."
        )
    try:
        package = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{DESCRIPTOR}: {error}; expected a JSON object.") from None
    if not isinstance(package, dict):
        raise DataError(f"{DESCRIPTOR}: found a {type(package).__name__}, expected an object.")
    return {table: _coverage(table, package) for table in TABLES}


def _dicts(values: object) -> list[dict[str, Any]]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _coverage(table: str, package: Mapping[str, Any]) -> Coverage:
    resources = [r for r in _dicts(package.get("resources")) if r.get("name") == table]
    years = resources[0].get("coverage") if resources else None
    if (
        not isinstance(years, dict)
        or not all(type(years.get(key)) is int for key in ("first", "last"))
        or years["first"] > years["last"]
    ):
        raise DataError(
            f"{DESCRIPTOR}, resource {table!r}, property 'coverage': found {years!r}, expected "
            '{"first": <year>, "last": <year>}, the calendar years covered.'
        )
    licences = _dicts(package.get("licenses")) or [{}]
    return Coverage(
        first=years["first"],
        last=years["last"],
        source=str(package.get("title", package.get("name", ""))),
        version=str(package.get("version", "")),
        licence=str(licences[0].get("name", "")),
    )
