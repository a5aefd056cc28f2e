"""One pandera schema per table, and the reading of a file under it.

`data/datapackage.json` states the same rules for other tools; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from forecast.errors import DataError
from forecast.sources.reader import Kind, cell_error, read_table
from forecast.sources.tables import OBLIGATIONS

__all__ = ["KEYS", "LEVELS", "OVERLAP_KEYS", "REGIONS", "SCHEMAS", "kinds", "read", "validate"]

REGIONS: tuple[str, ...] = (
    "Americas",
    "Europe",
    "Sub-Saharan Africa",
    "Middle East and North Africa",
    "Asia",
    "Oceania",
)
_FLAGS = ("observed", "interpolated", "extrapolated", "estimated")
_PRECISIONS = ("day", "month", "year")
#: Levels of hostility, rising. "clash" is used by the embedded data only: both sides fought.
LEVELS: tuple[str, ...] = ("threat", "display_of_force", "use_of_force", "clash", "war")
_OUTCOMES = (
    "victory_a",
    "victory_b",
    "yield_a",
    "yield_b",
    "stalemate",
    "compromise",
    "released",
    "ongoing",
    "unclear",
)
_SETTLEMENTS = ("negotiated", "imposed", "none", "unclear")
_DEPTH = (
    "integrated_command",
    "military_coordination",
    "basing",
    "military_aid",
    "organization",
)
_CONDITIONS = (
    "cond_adversary",
    "cond_location",
    "cond_conflict",
    "cond_number",
    "cond_demands",
    "cond_nonprovocation",
)

#: Primary key of each table.
KEYS: Mapping[str, tuple[str, ...]] = {
    "states": ("ccode", "start"),
    "powers": ("ccode", "start"),
    "contiguity": ("ccode_a", "ccode_b", "start"),
    "capabilities": ("ccode", "year"),
    "alliances": ("alliance_id",),
    "members": ("alliance_id", "ccode", "start"),
    "conflicts": ("conflict_id", "ccode_a", "ccode_b"),
    "rivalries": ("rivalry_id", "ccode_a", "ccode_b", "start"),
    "regimes": ("ccode", "year"),
    "trade": ("ccode", "year"),
    "dyadic_trade": ("ccode_a", "ccode_b", "year"),
    "igos": ("ccode_a", "ccode_b", "year"),
    "distances": ("ccode_a", "ccode_b", "year"),
    "treaty_design": ("alliance_id",),
    "material_capabilities": ("ccode", "year"),
    "disputes": ("conflict_id",),
    "participants": ("conflict_id", "ccode", "start"),
    "obligation_years": ("ccode_owing", "ccode_owed", "year"),
}

#: Columns within which the spells of a table may not overlap.
OVERLAP_KEYS: Mapping[str, tuple[str, ...]] = {
    "states": ("ccode",),
    "powers": ("ccode",),
    "contiguity": ("ccode_a", "ccode_b"),
    "members": ("alliance_id", "ccode"),
}

_STR = pd.StringDtype(na_value=np.nan)


def _ccode() -> pa.Column:
    return pa.Column(int, pa.Check.in_range(2, 999), description="COW state number")


def _flag() -> pa.Column:
    return pa.Column(int, pa.Check.isin([0, 1]))


def _enum(values: Sequence[str]) -> pa.Column:
    return pa.Column(_STR, pa.Check.isin(list(values)))


def _text(*, nullable: bool = False, pattern: str | None = None) -> pa.Column:
    checks = [] if pattern is None else [pa.Check.str_matches(f"^(?:{pattern})$")]
    return pa.Column(_STR, checks, nullable=nullable)


def _year() -> pa.Column:
    return pa.Column(int, pa.Check.in_range(1800, 2100))


def _number(low: float, high: float | None = None) -> pa.Column:
    """A number that may be missing."""
    check = pa.Check.ge(low) if high is None else pa.Check.in_range(low, high)
    return pa.Column(float, check, nullable=True)


def _date(*, nullable: bool = False) -> pa.Column:
    return pa.Column("datetime64[s]", nullable=nullable)


def _schema(name: str, columns: dict[str, pa.Column], **options: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        columns, name=name, strict=True, ordered=True, unique=list(KEYS[name]), **options
    )


_PAIR_ORDER = pa.Check(lambda frame: frame["ccode_a"] < frame["ccode_b"], name="ccode_a < ccode_b")

#: The schema of each table, by name.
SCHEMAS: Mapping[str, pa.DataFrameSchema] = {
    "states": _schema(
        "states",
        {
            "ccode": _ccode(),
            "abbrev": _text(pattern="[A-Z]{3}"),
            "name": _text(),
            "iso3": _text(nullable=True, pattern="[A-Z]{3}"),
            "region": _enum(REGIONS),
            "start": _date(),
            "end": _date(nullable=True),
        },
    ),
    "powers": _schema("powers", {"ccode": _ccode(), "start": _date(), "end": _date(nullable=True)}),
    "contiguity": _schema(
        "contiguity",
        {
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "type": pa.Column(int, pa.Check.in_range(1, 5)),
            "start": _date(),
            "end": _date(nullable=True),
            "note": _text(nullable=True),
        },
        checks=_PAIR_ORDER,
    ),
    "capabilities": _schema(
        "capabilities",
        {
            "ccode": _ccode(),
            "year": pa.Column(int, pa.Check.in_range(1800, 2100)),
            "population": pa.Column(float, pa.Check.ge(1), nullable=True),
            "gdp": pa.Column(float, pa.Check.ge(1), nullable=True),
            "population_flag": pa.Column(_STR, pa.Check.isin(list(_FLAGS)), nullable=True),
            "gdp_flag": pa.Column(_STR, pa.Check.isin(list(_FLAGS)), nullable=True),
        },
    ),
    "alliances": _schema(
        "alliances",
        {
            "alliance_id": _text(pattern="[a-z0-9]+(?:-[a-z0-9]+)*"),
            "name": _text(),
            "short_name": pa.Column(_STR, unique=True),
            "start": _date(),
            "end": _date(nullable=True),
            "kind": _enum(("bilateral", "multilateral")),
            "wartime": _flag(),
            **{name: _flag() for name in _DEPTH},
            "peaceful_settlement": _flag(),
            **{name: _flag() for name in _CONDITIONS},
            "source": _text(),
        },
    ),
    "members": _schema(
        "members",
        {
            "alliance_id": _text(),
            "ccode": _ccode(),
            "start": _date(),
            "end": _date(nullable=True),
            **{name: _flag() for name in OBLIGATIONS},
        },
    ),
    "conflicts": _schema(
        "conflicts",
        {
            "conflict_id": _text(),
            "name": _text(),
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "start": _date(),
            "end": _date(nullable=True),
            "start_precision": _enum(_PRECISIONS),
            "end_precision": _enum(_PRECISIONS),
            "level": _enum(LEVELS),
            "deaths_class": pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True),
            "initiator": _enum(("a", "b", "both", "unclear")),
            "role_a": _enum(("originator", "joiner")),
            "role_b": _enum(("originator", "joiner")),
            "outcome": _enum(_OUTCOMES),
            "settlement": _enum(_SETTLEMENTS),
            "source": _text(),
        },
        checks=_PAIR_ORDER,
    ),
    "rivalries": _schema(
        "rivalries",
        {
            "rivalry_id": _text(),
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "start": _date(),
            "end": _date(nullable=True),
            "kind": _text(nullable=True),
        },
        checks=_PAIR_ORDER,
    ),
    "regimes": _schema(
        "regimes",
        {"ccode": _ccode(), "year": _year(), "polyarchy": _number(0, 1)},
    ),
    "trade": _schema(
        "trade",
        {"ccode": _ccode(), "year": _year(), "imports": _number(0), "exports": _number(0)},
    ),
    # imports_a: what a imports from b, million current US dollars.
    "dyadic_trade": _schema(
        "dyadic_trade",
        {
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "year": _year(),
            "imports_a": _number(0),
            "imports_b": _number(0),
        },
        checks=_PAIR_ORDER,
    ),
    "igos": _schema(
        "igos",
        {
            "ccode_a": _ccode(),
            "ccode_b": _ccode(),
            "year": _year(),
            "joint_igos": pa.Column(int, pa.Check.ge(0)),
        },
        checks=_PAIR_ORDER,
    ),
    "distances": _schema(
        "distances",
        {"ccode_a": _ccode(), "ccode_b": _ccode(), "year": _year(), "km": _number(0)},
        checks=_PAIR_ORDER,
    ),
    # Peacetime provisions that the embedded data do not code; 0/1, missing where not coded.
    "treaty_design": _schema(
        "treaty_design",
        {
            "alliance_id": _text(),
            **{
                name: pa.Column(pd.Int64Dtype(), pa.Check.isin([0, 1]), nullable=True)
                for name in ("subordination", "contribution", "companion_agreements")
            },
        },
    ),
    "material_capabilities": _schema(
        "material_capabilities",
        {
            "ccode": _ccode(),
            "year": _year(),
            **{name: _number(0) for name in ("milex", "milper", "irst", "pec", "tpop", "upop")},
            "cinc": _number(0, 1),
        },
    ),
    "disputes": _schema(
        "disputes",
        {
            "conflict_id": _text(),
            "name": _text(nullable=True),
            "start": _date(),
            "end": _date(nullable=True),
            "start_precision": _enum(_PRECISIONS),
            "end_precision": _enum(_PRECISIONS),
            "level": pa.Column(_STR, pa.Check.isin(list(LEVELS)), nullable=True),
            "deaths_class": pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True),
            "outcome": _enum(_OUTCOMES),
            "settlement": _enum(_SETTLEMENTS),
            "reciprocated": pa.Column(pd.Int64Dtype(), pa.Check.isin([0, 1]), nullable=True),
        },
    ),
    "participants": _schema(
        "participants",
        {
            "conflict_id": _text(),
            "ccode": _ccode(),
            "side": _enum(("a", "b")),
            "role": _enum(("originator", "joiner")),
            "start": _date(),
            "end": _date(nullable=True),
            "start_precision": _enum(_PRECISIONS),
            "end_precision": _enum(_PRECISIONS),
            "level": pa.Column(_STR, pa.Check.isin(["none", *LEVELS]), nullable=True),
            "deaths_class": pa.Column(pd.Int64Dtype(), pa.Check.in_range(0, 6), nullable=True),
            "deaths": _number(0),
        },
    ),
    # One row per ordered pair and year: what the first owes the second.
    "obligation_years": _schema(
        "obligation_years",
        {
            "ccode_owing": _ccode(),
            "ccode_owed": _ccode(),
            "year": _year(),
            **{name: _flag() for name in OBLIGATIONS},
        },
    ),
}


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
    frame = read_table(folder / f"{table}.csv", kinds(table))
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
