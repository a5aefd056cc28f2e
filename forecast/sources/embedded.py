"""Reading a data set in the layout of the embedded one: seven CSV files and a datapackage.json.

`finish_tables` completes the tables of any data set: checks, capability, fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.documents import checked, read_json
from forecast.errors import DataError, MissingFileError, shown
from forecast.paths import data_folder
from forecast.sources.cells import LAST_YEAR
from forecast.sources.spells import cut_members, expand_years, merge_memberships, span_years
from forecast.sources.tables import EXTRA_TABLES, OBLIGATIONS, TABLES, Coverage, Recall, Tables

__all__ = [
    "CARRY_BACK_YEARS",
    "COMPUTED",
    "FLOOR",
    "finish_tables",
    "load_tables",
    "read_coverage",
    "tables_from_frames",
    "with_capability",
]

DESCRIPTOR = "datapackage.json"


def load_tables(
    folder: str | Path | None = None, *, coverage: Mapping[str, Coverage] | None = None
) -> Tables:
    """Tables of the embedded data set, or of a folder in the same layout.

    The folder has ``states.csv``, ``powers.csv``, ``contiguity.csv``, ``capabilities.csv``,
    ``alliances.csv``, ``members.csv``, ``conflicts.csv`` and ``datapackage.json``; `coverage` are
    the years that each table covers, instead of those stated there.

    Member spells are cut at the membership of their state in the system; `capabilities` has the
    computed columns ``capability`` and ``capability_floored``. A file that breaks its schema, a
    foreign key, or the algebra of spells is a DataError that names file, row and column, what was
    found and what was expected.
    """
    from forecast.sources.checking import read

    where = data_folder() if folder is None else Path(folder)
    if not where.is_dir():
        raise MissingFileError(
            f"There is no folder {str(where)!r}. Give the folder of a data set (seven CSV files "
            'and datapackage.json), data="embedded" or data="historical".'
        )
    covers = read_coverage(where) if coverage is None else coverage
    frames = {table: read(table, where) for table in TABLES}
    name = "embedded" if folder is None else where.name
    return finish_tables(frames, coverage=covers, name=name)


def tables_from_frames(
    frames: Mapping[str, pd.DataFrame],
    *,
    coverage: Mapping[str, Coverage],
    name: str,
    extra: Mapping[str, pd.DataFrame] | None = None,
    known: str | None = None,
) -> Tables:
    """Tables from frames in memory, under the same checks as files.

    `frames` are the seven tables with the columns of their schemas; the capabilities may also be in
    the layout of ``material_capabilities``. Dates may be of any resolution; columns that are
    computed from others (`COMPUTED`) are made anew, so that what the library gives (the frames of
    `Tables`, `forecast.sources.stored.frames_of`) can be changed and given back. The index is the
    row number in messages. `extra`, or else `frames`, has those of `EXTRA_TABLES` that there are;
    `coverage` has an entry for each. `known` is a fingerprint of tables that were checked before:
    the same content is not checked again.
    """
    for table, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise DataError(
                f"frames[{table!r}]: found a {type(frame).__name__}, expected a DataFrame."
            )
    missing = [table for table in TABLES if table not in frames]
    if missing:
        raise DataError(f"The table {missing[0]!r} is missing; expected {', '.join(TABLES)}.")
    bare = [table for table in TABLES if table not in coverage]
    if bare:
        raise DataError(
            f"coverage has no entry for the table {bare[0]!r}; expected one for each of "
            f"{', '.join(TABLES)}."
        )
    frames = {table: _as_read(frame) for table, frame in frames.items()}
    more = {t: f for t, f in frames.items() if t not in TABLES} if extra is None else extra
    more = {table: _as_read(frame) for table, frame in more.items()}
    strange = [table for table in more if table not in EXTRA_TABLES or table not in coverage]
    if strange:
        raise DataError(
            f"extra={sorted(more)}: expected tables among {', '.join(EXTRA_TABLES)}, each with an "
            f"entry in coverage; found {strange[0]!r}."
        )
    checked = known is not None and fingerprint_tables(frames, coverage, more) == known
    if not checked:
        from forecast.sources.checking import validate

        for table, frame in {**{t: frames[t] for t in TABLES}, **more}.items():
            validate(_schema_of(table, frame), frame, file=f"{table}.csv")
    return finish_tables(frames, coverage=coverage, name=name, extra=more, check=not checked)


def _as_read(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as it is read from a file: dates to the second, nothing computed."""
    dates = frame.select_dtypes("datetime").columns
    plain = frame.drop(columns=list(COMPUTED), errors="ignore")
    return plain.astype(dict.fromkeys(dates, "datetime64[s]"))


def _schema_of(table: str, frame: pd.DataFrame) -> str:
    return "material_capabilities" if table == "capabilities" and "cinc" in frame else table


def finish_tables(
    frames: Mapping[str, pd.DataFrame],
    *,
    coverage: Mapping[str, Coverage],
    name: str,
    extra: Mapping[str, pd.DataFrame] | None = None,
    check: bool = True,
) -> Tables:
    """Tables from frames that fulfil their schemas: checked against each other, and completed.

    With `check` spells, references and memberships are checked.
    """
    frames = {**frames, "states": merge_memberships(frames["states"])}
    if check:
        from forecast.sources.checking import check_tables

        check_tables(frames, coverage=coverage)
    ready = {table: frames[table].reset_index(drop=True) for table in TABLES}
    ready["members"] = cut_members(ready["members"], ready["states"])
    ready["conflicts"] = _with_optional("conflicts", ready["conflicts"])
    more = {table: frame.reset_index(drop=True) for table, frame in (extra or {}).items()}
    ready["capabilities"] = with_capability(
        ready["capabilities"], ready["states"], last_year=coverage["capabilities"].last
    )
    # Of what is saved and read again: the computed columns follow from the others.
    as_read = {**ready, "capabilities": ready["capabilities"].drop(columns=list(COMPUTED))}
    fingerprint = fingerprint_tables(as_read, coverage, more)
    return Tables(**ready, coverage=dict(coverage), name=name, fingerprint=fingerprint, extra=more)


def fingerprint_tables(
    tables: Mapping[str, pd.DataFrame],
    coverage: Mapping[str, Coverage],
    extra: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """SHA-256 (hex) over the seven tables, the `extra` ones, and what they cover.

    The order of rows and the index do not matter, values do.
    """
    digest = hashlib.sha256()
    for name in TABLES:
        frame = tables[name]
        digest.update(_header(name, frame, coverage[name]))
        lines = frame.to_csv(index=False, header=False, lineterminator="\n").splitlines()
        digest.update("\n".join(sorted(lines)).encode())
    for name, frame in sorted((extra or {}).items()):
        digest.update(_header(name, frame, coverage[name]))
        # Millions of dyad-years: a hash for each row is a hundred times faster than its text.
        rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
        digest.update(np.sort(rows).tobytes())
    return digest.hexdigest()


def _header(name: str, frame: pd.DataFrame, cover: Coverage) -> bytes:
    # What is not amended keeps the fingerprint that it had before there were amendments.
    own = [part for part in (dict(cover.columns), list(cover.amended_by)) if part]
    return json.dumps([name, list(frame.columns), cover.first, cover.last, *own]).encode()


def _with_optional(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every column of its schema: an optional one that is absent is all missing."""
    from forecast.sources.schemas import SCHEMAS

    absent = [c for c in SCHEMAS[table].columns if c not in frame]
    return frame.reindex(columns=list(SCHEMAS[table].columns)).astype(dict.fromkeys(absent, "str"))


def read_coverage(folder: Path) -> dict[str, Coverage]:
    """Years that each table covers, as stated in the folder's ``datapackage.json``.

    Each resource of the descriptor states ``"coverage": {"first": 1946, "last": 2025}``, and for a
    column that is covered for less ``"columns": {"neutrality": {"first": 1946, "last": 1990}}`` in
    it; that of conflicts may state ``"recall"``, the fields of `forecast.sources.tables.Recall`.
    What a table covers cannot be read off its rows.
    """
    remedy = (
        " It states which years each table covers, which cannot be read off the rows; copy the one"
        " of the embedded data set and set the coverage of each resource."
    )
    package = read_json(folder / DESCRIPTOR, "file", wrong=DataError, remedy=remedy)
    if not isinstance(package, dict):
        raise DataError(f"{DESCRIPTOR}: found a {type(package).__name__}, expected an object.")
    return {table: _coverage(table, package) for table in TABLES}


def _dicts(values: object) -> list[dict[str, Any]]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


def _coverage(table: str, package: Mapping[str, Any]) -> Coverage:
    resources = [r for r in _dicts(package.get("resources")) if r.get("name") == table]
    years: Any = resources[0].get("coverage") if resources else None
    if not _is_span(years, 1, LAST_YEAR):
        raise DataError(
            f"{DESCRIPTOR}, resource {table!r}, property 'coverage': found {shown(years)}, expected"
            f' {{"first": <year>, "last": <year>}}, the calendar years covered, to {LAST_YEAR}.'
        )
    declared, recall = resources[0].get("recall"), None
    if declared is not None:
        where = f"{DESCRIPTOR}, resource {table!r}, property 'recall'"
        recall = checked(Recall, declared, where, wrong=DataError)
    licences = _dicts(package.get("licenses")) or [{}]
    return Coverage(
        first=years["first"],
        last=years["last"],
        source=str(package.get("title", package.get("name", ""))),
        version=str(package.get("version", "")),
        licence=str(licences[0].get("name", "")),
        recall=recall,
        columns=_column_years(table, years),
    )


def _is_span(value: object, first: int, last: int) -> bool:
    """Whether it is ``{"first": year, "last": year}``, in order and inside two years."""
    if not isinstance(value, dict):
        return False
    ends: list[Any] = [value.get("first"), value.get("last")]
    return all(type(year) is int for year in ends) and first <= ends[0] <= ends[1] <= last


def _column_years(table: str, years: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Years of the columns that the descriptor says are covered for less than the table."""
    found = years.get("columns", {})
    valid = isinstance(found, dict) and all(
        _is_span(span, years["first"], years["last"]) for span in found.values()
    )
    if not valid:
        raise DataError(
            f"{DESCRIPTOR}, resource {table!r}, property 'coverage.columns': found {shown(found)},"
            ' expected {"<column>": {"first": <year>, "last": <year>}} inside '
            f"{years['first']}-{years['last']}."
        )
    if strange := [name for name in found if table != "members" or name not in OBLIGATIONS]:
        raise DataError(
            f"{DESCRIPTOR}, resource {table!r}, property 'coverage.columns': found "
            f"{shown(strange[0])}, expected obligations of 'members' ({', '.join(OBLIGATIONS)})."
        )
    return {name: (span["first"], span["last"]) for name, span in found.items()}


#: Smallest share; a smaller one is set to it and flagged (logarithms are taken of it).
FLOOR = 1e-6
#: Largest gap at a state's entry over which its first observed value is carried back.
CARRY_BACK_YEARS = 3
#: Columns that `with_capability` adds.
COMPUTED: tuple[str, ...] = ("capability", "capability_floored")


def with_capability(
    capabilities: pd.DataFrame, states: pd.DataFrame, *, last_year: int
) -> pd.DataFrame:
    r"""The table with columns ``capability`` and ``capability_floored``, one row per (ccode, year).

    With a column ``cinc`` (Singer, Bremer and Stuckey 1972; Correlates of War, national material
    capabilities) that index as published: the mean of a state's shares of world military
    expenditure and personnel, iron and steel, energy, population and urban population. Else

    .. math:: c_{it} = \frac{1}{2} \left( \frac{pop_{it}}{\sum_j pop_{jt}}
              + \frac{gdp_{it}}{\sum_j gdp_{jt}} \right)

    with the sums over the states that are members of the system in year t, which is not CINC: it
    has no military personnel, expenditure, energy or steel in it. Population is in persons, GDP in
    constant international dollars.

    What is missing at a state's entry is carried back at most `CARRY_BACK_YEARS` years (and flagged
    ``extrapolated`` where there are flags); rows are added for that where there
    are none. ``capability`` is a share (0–1), NaN where its inputs are missing or the state is not
    a member; ``capability_floored`` is True where it was below `FLOOR`.
    """
    first, last = span_years(states)
    window = (int(capabilities["year"].min()) if len(capabilities) else last_year, last_year)
    row, year = expand_years(first, last, window=window)
    member = pd.DataFrame({"ccode": states["ccode"].to_numpy()[row], "year": year})
    member["entry"] = first[row]
    # A state that leaves and returns within one year has two spells in it; the later one counts.
    member = member.sort_values("entry").drop_duplicates(["ccode", "year"], keep="last")
    table = capabilities.merge(member, on=["ccode", "year"], how="outer", sort=True)
    inputs = ["cinc"] if "cinc" in capabilities else ["population", "gdp"]
    inside = table["entry"].notna()
    shares = []
    for column in inputs:
        table = _carry_back(table, column)
        value = table[column].where(inside)
        # CINC is a share already, of a world that may hold states without components.
        total = 1.0 if column == "cinc" else value.groupby(table["year"]).transform("sum")
        shares.append(value / total)
    share = sum(shares[1:], shares[0]) / len(shares)
    table["capability"] = share.clip(lower=FLOOR)
    table["capability_floored"] = (share < FLOOR).to_numpy()
    known = table[inputs].notna().any(axis=1)
    return table.loc[known].drop(columns="entry").reset_index(drop=True)


def _carry_back(table: pd.DataFrame, column: str) -> pd.DataFrame:
    value = table[column]
    group = [table["ccode"], table["entry"]]
    observed = table["year"].where(value.notna())
    first_seen = observed.groupby(group).transform("min")
    gap = first_seen - table["entry"]
    fill = value.isna() & (table["year"] < first_seen) & (gap <= CARRY_BACK_YEARS)
    later = value.groupby(group).bfill()
    out = table.copy()
    out[column] = np.where(fill, later, value)
    if f"{column}_flag" in table:
        out[f"{column}_flag"] = table[f"{column}_flag"].mask(fill, "extrapolated")
    return out
