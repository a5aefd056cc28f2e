"""Tables under their schemas, and what must hold between their rows and between tables.

Spells in order and apart, foreign keys, memberships inside alliances and the state system. Every
error names file, row, column, what was found and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa

from forecast.errors import DataError, nearest, shown
from forecast.sources.cells import Kind, cell_error, refuse_repeated
from forecast.sources.reader import read_table
from forecast.sources.schemas import KEYS, OVERLAP_KEYS, SCHEMAS
from forecast.sources.spells import (
    clip_spells,
    ends_before_start,
    outside,
    overlapping,
    span_years,
    uncovered,
)
from forecast.sources.tables import Coverage

__all__ = ["check_spells", "check_tables", "kinds", "never_together", "read", "validate"]

Frames = Mapping[str, pd.DataFrame]
#: Columns of state numbers, by table.
_STATE_KEYS: dict[str, tuple[str, ...]] = {
    "powers": ("ccode",),
    "contiguity": ("ccode_a", "ccode_b"),
    "capabilities": ("ccode",),
    "members": ("ccode",),
    "conflicts": ("ccode_a", "ccode_b"),
}


def kinds(table: str) -> dict[str, Kind]:
    """How the text of each column of a table is parsed."""
    out: dict[str, Kind] = {}
    for name, column in SCHEMAS[table].columns.items():
        text = str(column.dtype).lower()
        base = next(k for k in ("datetime", "float", "int", "string") if text.startswith(k))
        kind = {"datetime": "date", "string": "str"}.get(base, base)
        out[name] = f"{kind}?" if column.nullable else kind  # type: ignore[assignment]
    return out


def read(table: str, folder: Path) -> pd.DataFrame:
    """Frame of one table, read from ``<folder>/<table>.csv`` and checked against its schema.

    The index is the line number in the file, for the messages of later checks.
    """
    optional = [name for name, column in SCHEMAS[table].columns.items() if not column.required]
    frame = read_table(folder / f"{table}.csv", kinds(table), optional=optional)
    return validate(table, frame)


def validate(table: str, frame: pd.DataFrame, *, file: str | None = None) -> pd.DataFrame:
    """The frame unchanged, if it fulfils the schema of the table.

    A `DataError` names the first offending cell in file order; the index is its row, and `file`
    (``<table>.csv`` by default) its file.
    """
    if table not in SCHEMAS:
        raise DataError(f"There is no table {table!r}; the tables are {', '.join(SCHEMAS)}.")
    schema = SCHEMAS[table]
    name = file or f"{table}.csv"
    try:
        # By position: a line that was read into two rows is there twice.
        schema.validate(frame.reset_index(drop=True), lazy=True)
    except pa.errors.SchemaErrors as error:
        raise _translate(name, schema, frame, error.failure_cases) from None
    refuse_repeated(frame, KEYS[table], file=name)
    return frame


def _translate(
    file: str,
    schema: pa.DataFrameSchema,
    frame: pd.DataFrame,
    cases: pd.DataFrame,
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
    positions = cases["index"].to_numpy(dtype=np.int64)
    located = cases.assign(line=frame.index[positions]).sort_values("line", kind="stable")
    case = located.iloc[0]
    row, check = case["line"], str(case["check"])
    at = int(case["index"])
    same = located[located["check"] == case["check"]]
    more = same["index"].nunique() - 1
    if check == "field_uniqueness":  # a whole row that is repeated is said to be one
        refuse_repeated(frame, KEYS[str(schema.name)], file=file)
    if check == "ccode_a < ccode_b":
        pair = tuple(_plain(frame[name].iloc[at]) for name in ("ccode_a", "ccode_b"))
        return cell_error(file, row, "ccode_a, ccode_b", pair, "ccode_a < ccode_b", more=more)
    column = str(case["column"])
    expected, valid = _expectation(schema.columns[column], check)
    found = _plain(frame[column].iloc[at])
    return cell_error(file, row, column, found, expected, valid=valid, more=more)


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


def check_tables(frames: Frames, *, coverage: Mapping[str, Coverage] | None = None) -> None:
    """Raise for the first spell, reference or membership that cannot be.

    The seven tables are valid under their schemas and indexed by line number. With `coverage`, a
    date past that of its table is refused.
    """
    for table, frame in frames.items():
        check_spells(table, frame, file=f"{table}.csv")
    codes = frames["states"]["ccode"]
    for table, columns in _STATE_KEYS.items():
        for column in columns:
            _check_reference(table, frames[table], column, "states", codes)
    alliance_ids = frames["alliances"]["alliance_id"]
    _check_reference("members", frames["members"], "alliance_id", "alliances", alliance_ids)
    _check_neighbours(frames)
    _check_members(frames)
    _check_conflicts(frames)
    if coverage is not None:
        _check_coverage(frames, coverage)


def check_spells(table: str, frame: pd.DataFrame, *, file: str) -> None:
    """Raise for the first spell of a table that ends before it starts, or overlaps another.

    The kind of fact says within which key spells may not overlap; the frame is valid under its
    schema and indexed by line number.
    """
    if "end" in frame:
        _refuse(
            ends_before_start(frame), file, frame, "end",
            lambda at: f"found {_day(frame['end'].iloc[at])}, expected a day no earlier than the"
            f" start {_day(frame['start'].iloc[at])}",
        )  # fmt: skip
    if table not in OVERLAP_KEYS:
        return
    key = OVERLAP_KEYS[table]
    pairs = overlapping(frame, on=key)
    if len(pairs):
        earlier, later = (int(p) for p in pairs[0])
        values = ", ".join(f"{c}={frame[c].iloc[later]}" for c in key)
        raise DataError(
            f"{file}, rows {frame.index[earlier]} and {frame.index[later]}: the spells of "
            f"{values} overlap ({_spell(frame, earlier)} and {_spell(frame, later)}), expected "
            f"spells without a common day.{_more(len(pairs) - 1)}"
        )


def _refuse(
    wrong: npt.NDArray[np.bool_] | pd.Series,
    file: str,
    frame: pd.DataFrame,
    column: str | None,
    said: Callable[[int], str],
) -> None:
    """Raise at the first row that is wrong; `said` tells of a position what is."""
    found = np.flatnonzero(np.asarray(wrong, dtype=bool))
    if len(found):
        at = int(found[0])
        place = f"{file}, row {frame.index[at]}" + (f", column {column!r}" if column else "")
        text = said(at)
        stop = "" if text.endswith("?") else "."
        raise DataError(f"{place}: {text}{stop}{_more(len(found) - 1)}")


def _more(count: int) -> str:
    return f" ({count} more of this kind in the file.)" if count else ""


def _day(value: object) -> str:
    return "open" if pd.isna(value) else str(pd.Timestamp(value).date())  # type: ignore[call-overload,arg-type]


def _spell(frame: pd.DataFrame, position: int) -> str:
    row = frame.iloc[position]
    return f"{_day(row['start'])} to {_day(row['end'])}"


def _memberships(states: pd.DataFrame, ccode: int) -> str:
    own = states[states["ccode"] == ccode]
    return "; ".join(_spell(own, i) for i in range(len(own)))


def _check_reference(
    table: str, frame: pd.DataFrame, column: str, target: str, valid: pd.Series
) -> None:
    def said(at: int) -> str:
        found = _plain(frame[column].iloc[at])
        hint = nearest(found, [str(v) for v in valid.unique()])
        what = "COW state number" if target == "states" else "alliance_id"
        near = f". Did you mean {shown(hint)}?" if hint else ""
        return f"found {shown(found)}, expected a {what} that is in {target}.csv{near}"

    _refuse(~frame[column].isin(valid), f"{table}.csv", frame, column, said)


def _check_members(frames: Frames) -> None:
    members, alliances, states = frames["members"], frames["alliances"], frames["states"]

    def apart(at: int) -> str:
        row = members.iloc[at]
        home = alliances[alliances["alliance_id"] == row["alliance_id"]]
        return (
            f"the membership of state {row['ccode']} ({_spell(members, at)}) reaches outside the"
            f" alliance {shown(row['alliance_id'])} ({_spell(home, 0)}, alliances.csv, row"
            f" {home.index[0]}), expected it inside"
        )

    def stateless(at: int) -> str:
        ccode = int(members["ccode"].iloc[at])
        return (
            f"state {ccode} was not in the state system at any time in {_spell(members, at)}"
            f" (alliance {shown(members['alliance_id'].iloc[at])}); expected a spell that meets its"
            f" membership, {_memberships(states, ccode)}"
        )

    _refuse(uncovered(members, alliances, on=["alliance_id"]), "members.csv", members, None, apart)
    _refuse(outside(members, states, on=["ccode"]), "members.csv", members, None, stateless)
    sizes = members.groupby("alliance_id")["ccode"].nunique()
    ids = alliances["alliance_id"]
    _refuse(
        ids.map(sizes).fillna(0) < 2, "alliances.csv", alliances, "alliance_id",
        lambda at: f"{shown(ids.iloc[at])} has fewer than two states in members.csv, expected two"
        " or more",
    )  # fmt: skip


def _check_conflicts(frames: Frames) -> None:
    """An onset counts in the year it began, so both states must be in the system in that year."""
    conflicts, states, file = frames["conflicts"], frames["states"], "conflicts.csv"
    start, _ = span_years(conflicts)
    first, last = span_years(states)
    for column in ("ccode_a", "ccode_b"):
        code = conflicts[column].to_numpy()
        here = (
            (code[:, None] == states["ccode"].to_numpy()[None, :])
            & (first[None, :] <= start[:, None])
            & (start[:, None] <= last[None, :])
        ).any(axis=1)

        def elsewhere(at: int, code: npt.NDArray[np.int64] = code) -> str:
            return (
                f"state {code[at]} was not in the state system in {start[at]}, when the conflict"
                f" began; its membership is {_memberships(states, int(code[at]))}"
            )

        _refuse(~here, file, conflicts, column, elsewhere)
    years = pd.Series(start, index=conflicts.index).astype(str)
    whole_year = conflicts.assign(
        start=years.astype("datetime64[s]"), end=(years + "-12-31").astype("datetime64[s]")
    )
    _refuse(
        never_together(whole_year, states), file, conflicts, None,
        lambda at: f"states {conflicts['ccode_a'].iloc[at]} and {conflicts['ccode_b'].iloc[at]}"
        f" were not in the state system on a common day of {start[at]}, when the conflict began;"
        " expected two states that coexist",
    )  # fmt: skip
    _refuse(
        conflicts["end"].isna() & (conflicts["outcome"] != "ongoing"), file, conflicts, "outcome",
        lambda at: f"found {conflicts['outcome'].iloc[at]!r}, expected 'ongoing' because 'end' is"
        " empty",
    )  # fmt: skip
    _check_evidence(conflicts)


def _check_evidence(conflicts: pd.DataFrame) -> None:
    """Where evidence is used at all, it is there for every row whose deaths are known."""
    evidence = conflicts.get("evidence", pd.Series(np.nan, index=conflicts.index, dtype="str"))
    if evidence.isna().all():
        return
    deaths, given = conflicts["deaths_class"], evidence.notna()
    rules = (
        (deaths.notna() & ~given, "how the deaths are known, because 'deaths_class' is given"),
        (deaths.isna() & given, "nothing, because 'deaths_class' is empty"),
        (
            (evidence == "none_reported") & (deaths > 0).fillna(False),
            "'official', 'reported' or 'estimate', because 'deaths_class' is above 0",
        ),
    )
    for broken, expected in rules:

        def said(at: int, expected: str = expected) -> str:
            found = evidence.iloc[at]
            return f"found {'nothing' if pd.isna(found) else repr(found)}, expected {expected}"

        _refuse(broken, "conflicts.csv", conflicts, "evidence", said)


def never_together(pairs: pd.DataFrame, states: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which spells of pairs (n) have no day on which both states are members of the system."""
    rest = pairs[["ccode_a", "ccode_b", "start", "end"]].assign(row=np.arange(len(pairs)))
    # What is left after cutting at one state and then at the other are their common days.
    for column in ("ccode_a", "ccode_b"):
        own = states[["ccode", "start", "end"]].rename(columns={"ccode": column})
        rest = clip_spells(rest, own, on=[column])
    return ~np.isin(np.arange(len(pairs)), rest["row"].to_numpy())


def _check_neighbours(frames: Frames) -> None:
    contiguity, powers, states = frames["contiguity"], frames["powers"], frames["states"]

    def strangers(at: int) -> str:
        a, b = (int(contiguity[c].iloc[at]) for c in ("ccode_a", "ccode_b"))
        return (
            f"states {a} and {b} were not in the state system together at any time in"
            f" {_spell(contiguity, at)}; their memberships are {_memberships(states, a)} and"
            f" {_memberships(states, b)}"
        )

    def stateless(at: int) -> str:
        ccode = int(powers["ccode"].iloc[at])
        return (
            f"state {ccode} was not in the state system at any time in {_spell(powers, at)}; its"
            f" membership is {_memberships(states, ccode)}"
        )

    apart = never_together(contiguity, states)
    _refuse(apart, "contiguity.csv", contiguity, None, strangers)
    _refuse(outside(powers, states, on=["ccode"]), "powers.csv", powers, None, stateless)


def _check_coverage(frames: Frames, coverage: Mapping[str, Coverage]) -> None:
    for table, frame in frames.items():
        last = coverage[table].last
        for column in (c for c in ("start", "end", "year") if c in frame):
            years = frame[column] if column == "year" else frame[column].dt.year

            def said(at: int, found: pd.Series = frame[column], last: int = last) -> str:
                value = found.iloc[at] if found.name == "year" else _day(found.iloc[at])
                return (
                    f"found {value}, expected nothing after {last}, the last year that the table"
                    " covers (datapackage.json). An end that has not come yet is left empty"
                )

            _refuse(years > last, f"{table}.csv", frame, column, said)
