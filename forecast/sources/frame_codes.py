"""Keys of a frame that somebody else made: its years, and its states in whatever code they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from forecast.arrays import BoolArray, IntArray
from forecast.errors import (
    ArgumentError,
    DataError,
    NotAMemberError,
    UnknownNameError,
    nearest,
    shown,
)
from forecast.sources.codes import resolve_states, state_index
from forecast.sources.gw import NO_STATE, to_cow_codes
from forecast.sources.tables import Tables

__all__ = [
    "NO_STATE", "Codes", "StateColumns", "column_of", "place_of", "refuse_rows",
    "state_columns", "usual_columns", "years_of",
]  # fmt: skip

#: In which code states are given; "labels" are none of ours.
Codes = Literal["auto", "cow", "gw", "iso", "names", "labels"]

#: Members of the COW system that left it before 1946, where the embedded data begin.
_LEFT: Mapping[int, str] = {
    240: "Hanover", 245: "Bavaria", 267: "Baden", 269: "Saxony", 271: "Württemberg",
    273: "Hesse Electoral", 275: "Hesse Grand Ducal", 280: "Mecklenburg Schwerin",
    300: "Austria-Hungary", 327: "Papal States", 329: "Two Sicilies", 332: "Modena", 335: "Parma",
    337: "Tuscany", 730: "Korea",
}  # fmt: skip

#: Largest number of a state: a pair is one number of both.
_MOST = 99_999

#: Names under which columns of states go, tried in this order where none is given.
_PAIRS: tuple[tuple[str, str], ...] = (
    ("ccode_a", "ccode_b"), ("ccode1", "ccode2"), ("statea", "stateb"), ("state_a", "state_b"),
    ("state1", "state2"), ("gwcode1", "gwcode2"), ("gwcode_a", "gwcode_b"), ("iso3_a", "iso3_b"),
    ("iso3a", "iso3b"), ("country_a", "country_b"), ("country1", "country2"),
)  # fmt: skip
_STATES: tuple[str, ...] = ("ccode", "state", "gwcode", "iso3", "country", "country_name")


@dataclass(frozen=True)
class StateColumns:
    """States of the rows of a frame, as numbers.

    Attributes
    ----------
    codes : tuple of numpy.ndarray
        One array (row,) for each column: COW numbers, or numbers that stand for labels;
        `NO_STATE` where there is none.
    system : {"cow", "labels"}
        What the numbers are.
    names : dict of int to str
        Name of each number.
    """

    codes: tuple[IntArray, ...]
    system: Literal["cow", "labels"]
    names: Mapping[int, str]


def place_of(frame: pd.DataFrame, row: int) -> str:
    """A row in words: its position, and its label where that is something else."""
    label = _plain(frame.index[row])
    return f"row {row}" if label == row else f"row {row} (index {label!r})"


def column_of(frame: pd.DataFrame, name: str, argument: str) -> pd.Series:
    """Column of a frame, or level of its index, by name; an error names the nearest."""
    if name in frame.columns:
        found: Any = frame[name]
        if found.ndim > 1:
            raise ArgumentError(
                f"{argument}={name!r}: the frame has {found.shape[1]} such columns."
            )
        return pd.Series(found.reset_index(drop=True))
    if name is not None and name in frame.index.names:
        return pd.Series(frame.index.get_level_values(name))
    columns = [str(c) for c in (*frame.columns, *(n for n in frame.index.names if n is not None))]
    listed = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    near = nearest(str(name), columns)
    hint = f" Did you mean {near!r}?" if near else ""
    raise ArgumentError(
        f"{argument}={name!r}: the frame has no such column; it has {listed}.{hint}"
    )


def refuse_rows(
    frame: pd.DataFrame, name: str, column: pd.Series, wrong: BoolArray, expected: str
) -> None:
    """Refuse a column some cells of which are `wrong`, (row,); the first is named."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {name!r}, {place_of(frame, row)}: found {shown(_plain(column.iloc[row]))},"
            f" expected {expected}."
        )


def years_of(frame: pd.DataFrame, name: str, *, gaps: bool = False) -> IntArray:
    """Calendar year of each row; 0 for a missing one where there may be `gaps`."""
    column = column_of(frame, name, "year")
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.year
    if column.dtype.kind not in "iufO" and not isinstance(column.dtype, pd.StringDtype):
        raise ArgumentError(f"year={name!r}: found a column of {column.dtype}, expected years.")
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isnan(values) if not gaps else np.isnan(values) & column.notna().to_numpy()
    wrong |= ~np.isnan(values) & ((values % 1 != 0) | (values < 1) | (values > 9999))
    refuse_rows(frame, name, column, wrong, "a calendar year")
    return np.asarray(np.nan_to_num(values), dtype=np.int64)


def usual_columns(frame: pd.DataFrame, *, pair: bool | None) -> tuple[str, ...]:
    """The columns of states of a frame whose names nobody gave, by the names that are usual.

    Those of a `pair`, or of one state; None for either, a pair first.
    """
    there = {str(c) for c in (*frame.columns, *frame.index.names)}
    alone = tuple((name,) for name in _STATES)
    candidates: tuple[tuple[str, ...], ...] = alone if pair is False else _PAIRS
    if pair is None:
        candidates += alone
    for names in candidates:
        if there >= set(names):
            return names
    wanted = 'a="…"' if pair is False else 'a="…", b="…"'
    raise ArgumentError(
        f"Which columns hold the states? Say {wanted}; the frame has "
        f"{', '.join(sorted(there - {'None'}))}."
    )


def state_columns(
    frame: pd.DataFrame,
    names: Sequence[str],
    years: IntArray,
    tables: Tables,
    *,
    codes: Codes = "auto",
    gaps: bool = False,
) -> StateColumns:
    """Numbers of the states in some columns of a frame, each in the year of its row.

    ``auto``: numbers are COW numbers if all are known as such (Gleditsch–Ward numbers if the
    columns are called so), text is names, ISO codes or COW letters if all are known; columns of
    which none is known are labels. Anything between is an error, never a guess, and so are letters
    that two systems give to two states where no others tell which is meant. ``cow`` and ``gw`` are
    numbers or letters of the one system. With `gaps` a state that was not a member in the year of
    its row, and one that is missing, are `NO_STATE`.

    Raises
    ------
    ArgumentError
        `codes` is none; a name is ambiguous, or not a member in the year, with the row.
    UnknownNameError
        A state that is not known among others that are, with the row and the nearest name.
    """
    if codes not in get_args(Codes):
        raise ArgumentError(f"codes={codes!r}: expected one of {', '.join(get_args(Codes))}.")
    if not names:
        return StateColumns((), "cow", {})
    columns = [column_of(frame, name, "ab"[i]) for i, name in enumerate(names)]
    for name, column in zip(names, columns, strict=True):
        if not gaps and (missing := column.isna().to_numpy()).any():
            row = int(np.flatnonzero(missing)[0])
            raise DataError(f"column {name!r}, {place_of(frame, row)}: the state is missing.")
    numbers = [_numbers(column) for column in columns]
    if codes == "auto":
        codes = _guess(frame, names, columns, numbers, tables)
        if codes == "cow":
            _refuse_gw(frame, names, numbers, years, tables)
    if codes == "labels":
        return _labelled(columns)
    known = {**_LEFT, **_named(tables)}
    read = _Names(tables, columns, codes)
    found: list[IntArray] = []
    for name, column, number in zip(names, columns, numbers, strict=True):
        if number is None or codes in ("names", "iso"):
            found.append(read(frame, name, column, years, gaps=gaps))
        else:
            found.append(to_cow_codes(number, years) if codes == "gw" else number)
        if codes == "gw" and not gaps and (none := found[-1] == NO_STATE).any():
            row = int(np.flatnonzero(none)[0])
            raise DataError(
                f"column {name!r}, {place_of(frame, row)}: the Gleditsch–Ward number"
                f" {_plain(column.iloc[row])} has no COW number in {years[row]}; take such rows"
                " out, or say codes='labels'."
            )
    used = np.unique(np.concatenate([np.unique(each) for each in found])).tolist()
    if not gaps and used and not 0 < used[0] <= used[-1] <= _MOST:
        wrong = used[0] if used[0] < 1 else used[-1]
        raise DataError(f"state {wrong}: expected a number from 1 to {_MOST:,}, or codes='labels'.")
    return StateColumns(tuple(found), "cow", {c: known.get(c, str(c)) for c in used if c})


def _named(tables: Tables) -> dict[int, str]:
    states = tables.states
    return {int(c): str(n) for c, n in zip(states["ccode"], states["name"], strict=True)}


def _numbers(column: pd.Series) -> IntArray | None:
    """The column as whole numbers (0 where missing); None if it is something else."""
    if column.dtype.kind == "b":
        return None
    values = pd.to_numeric(column, errors="coerce")
    bad = values.isna() & column.notna()
    if bad.any():
        return None
    plain = values.to_numpy(dtype=float, na_value=np.nan)
    plain = np.nan_to_num(plain)
    whole: bool = bool((plain % 1 == 0).all() and (np.abs(plain) < 1e15).all())
    return plain.astype(np.int64) if whole else None


def _guess(
    frame: pd.DataFrame,
    names: Sequence[str],
    columns: Sequence[pd.Series],
    numbers: Sequence[IntArray | None],
    tables: Tables,
) -> Codes:
    """In which code states are: one for all columns, of which all values or none are known."""
    if all(name.casefold().startswith("gw") for name in names):
        return "gw"
    whole = [number for number in numbers if number is not None]
    if len(whole) == len(names):
        ours = np.array([*_LEFT, *_named(tables)])
        known = [np.isin(number, ours) | (number == NO_STATE) for number in whole]
        right: Codes = "cow"
    else:
        each = {
            v: _is_known(v, tables) for column in columns for v in column.dropna().unique().tolist()
        }
        known = [column.map(each).fillna(True).to_numpy(dtype=bool) for column in columns]
        right = "names"
    if all(k.all() for k in known):
        return right
    if not any(k.any() for k in known):
        return "labels"
    at = next(i for i, k in enumerate(known) if not k.all())
    row = int(np.flatnonzero(~known[at])[0])
    value, share = _plain(columns[at].iloc[row]), float(np.mean([k.mean() for k in known]))
    try:
        resolve_states(tables, [value], year=tables.coverage["states"].last, note=False)
        why = ""
    except (UnknownNameError, ArgumentError) as error:
        why = str(error)
    raise UnknownNameError(
        f"state in column {names[at]!r}, {place_of(frame, row)}:", value, (),
        f"{why.partition('. ')[2] or why} {share:.0%} of the states are known. Say what they are: "
        "codes='cow' or 'gw' takes numbers as they are, 'labels' takes all of them as labels that "
        "mean nothing to us; or mend these.",
    )  # fmt: skip


def _refuse_gw(
    frame: pd.DataFrame,
    names: Sequence[str],
    numbers: Sequence[IntArray | None],
    years: IntArray,
    tables: Tables,
) -> None:
    """Ask where numbers are nobody's in COW in their year and a member's in Gleditsch–Ward.

    Where COW's own number of the state is there too they are COW's, on a grid of all years.
    """
    index = state_index(tables)
    used = set().union(*(np.unique(number).tolist() for number in numbers if number is not None))
    for name, number in zip(names, numbers, strict=True):
        if number is None:
            continue
        other = to_cow_codes(number, years)
        for row in np.flatnonzero((other != number) & (other != NO_STATE)).tolist():
            code, year = int(number[row]), int(years[row])
            if code not in index.spells or int(other[row]) in used:
                continue
            if index.present([code], year):
                continue
            if int(other[row]) in index.spells and index.present([int(other[row])], year):
                raise DataError(
                    f"column {name!r}, {place_of(frame, row)}: {code} is no COW number of {year};"
                    f" as a Gleditsch–Ward number it is {index.call(int(other[row]), year)}. Say"
                    " codes='gw' if all of them are such numbers, 'cow' to take them as they are."
                )


def _is_known(value: Any, tables: Tables) -> bool:
    """Whether a name or letters have ever been those of a state, or are of a place that is none."""
    try:
        state_index(tables).resolve([value], tables.coverage["states"].last, note=False)
    except UnknownNameError:
        return False
    except ArgumentError:
        return isinstance(value, str)
    return True


class _Names:
    """COW numbers of columns of names or letters: each name once a year."""

    def __init__(self, tables: Tables, columns: Sequence[pd.Series], codes: Codes) -> None:
        self.tables, self.index = tables, state_index(tables)
        self.prefix = "" if codes in ("auto", "names") else f"{codes}:"
        texts = {v for c in columns for v in c.dropna().unique().tolist() if isinstance(v, str)}
        self.system, self.told = self.index.letters(texts)
        self.told |= bool(self.prefix)

    def __call__(
        self, frame: pd.DataFrame, name: str, column: pd.Series, years: IntArray, *, gaps: bool
    ) -> IntArray:
        place, values = pd.factorize(column)  # -1 where missing
        key, first, back = np.unique(
            place.astype(np.int64) * 10_000 + years, return_index=True, return_inverse=True
        )
        found = np.full(key.shape, NO_STATE, dtype=np.int64)
        for i, row in enumerate(first.tolist()):
            if place[row] < 0 or (gaps and years[row] == 0):
                continue
            try:
                found[i] = self._code(_plain(values[place[row]]), int(years[row]))
            except NotAMemberError as error:
                if not gaps:
                    spells = "Data that go further back (data='historical') may know it; "
                    more = spells if "Its membership" in str(error) else ""
                    raise DataError(
                        f"column {name!r}, {place_of(frame, row)}: {error} {more}codes='labels'"
                        " takes states as labels."
                    ) from None
            except (UnknownNameError, ArgumentError) as error:
                raise DataError(f"column {name!r}, {place_of(frame, row)}: {error}") from None
        return found[back]

    def _code(self, given: Any, year: int) -> int:
        if self.prefix:
            return resolve_states(self.tables, [f"{self.prefix}{given}"], year=year)[0]
        if not self.told and isinstance(given, str) and (both := self.index.colliding(given, year)):
            iso, cow = (self.index.call(code, year) for code in both)
            raise ArgumentError(
                f"{given!r} is {iso} in ISO 3166 and {cow} as a COW abbreviation, and no other"
                " letters of the columns tell which: say codes='iso' or codes='cow'."
            )
        return self.index.resolve([given], year, note=False, system=self.system)[0]


def _labelled(columns: Sequence[pd.Series]) -> StateColumns:
    """Numbers from 1 that stand for labels, in the order of the labels."""
    texts = [column.map(_text, na_action="ignore") for column in columns]
    labels = sorted(set().union(*(set(text.dropna()) for text in texts)))
    if len(labels) > _MOST:
        raise DataError(f"found {len(labels):,} labels of states, expected at most {_MOST:,}.")
    number = {label: i for i, label in enumerate(labels, start=1)}
    codes = tuple(
        text.map(number).fillna(NO_STATE).to_numpy(dtype=np.int64, na_value=NO_STATE)
        for text in texts
    )
    return StateColumns(codes, "labels", {i: label for label, i in number.items()})


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
