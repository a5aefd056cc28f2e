"""Checks between rows and between tables: spells, foreign keys, containment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError, nearest
from forecast.sources.schemas import OVERLAP_KEYS
from forecast.sources.spells import (
    clip_spells,
    ends_before_start,
    outside,
    overlapping,
    span_years,
    uncovered,
)
from forecast.sources.tables import Coverage

__all__ = ["check_spells", "check_tables", "never_together"]

Frames = Mapping[str, pd.DataFrame]


def check_tables(frames: Frames, *, coverage: Mapping[str, Coverage] | None = None) -> None:
    """Raise for the first spell, reference or membership that cannot be.

    Parameters
    ----------
    frames : mapping of str to pandas.DataFrame
        The seven tables, each valid under its schema, indexed by line number.
    coverage : mapping of str to Coverage, optional
        With it, a date past the coverage of its table is refused.

    Raises
    ------
    DataError
        Names file, row, column, what was found and what was expected.
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

    Parameters
    ----------
    table : str
        Kind of fact, which says within which key spells may not overlap.
    frame : pandas.DataFrame
        Valid under the schema of the table, indexed by line number.
    file : str
        Name used in messages.

    Raises
    ------
    DataError
        Names file, row, what was found and what was expected.
    """
    if "end" in frame:
        _check_order(file, frame)
    if table in OVERLAP_KEYS:
        _check_overlap(file, frame, OVERLAP_KEYS[table])


_STATE_KEYS: dict[str, tuple[str, ...]] = {
    "powers": ("ccode",),
    "contiguity": ("ccode_a", "ccode_b"),
    "capabilities": ("ccode",),
    "members": ("ccode",),
    "conflicts": ("ccode_a", "ccode_b"),
}


def _day(value: object) -> str:
    return "open" if pd.isna(value) else str(pd.Timestamp(value).date())  # type: ignore[call-overload,arg-type]


def _spell(frame: pd.DataFrame, position: int) -> str:
    row = frame.iloc[position]
    return f"{_day(row['start'])} to {_day(row['end'])}"


def _more(mask: npt.NDArray[np.bool_]) -> str:
    count = int(mask.sum()) - 1
    return f" ({count} more of this kind in the file.)" if count else ""


def _first(mask: npt.NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(mask)[0])


def _check_order(file: str, frame: pd.DataFrame) -> None:
    wrong = ends_before_start(frame)
    if wrong.any():
        at = _first(wrong)
        raise DataError(
            f"{file}, row {frame.index[at]}, column 'end': found {_day(frame['end'].iloc[at])}"
            f", expected a day no earlier than the start {_day(frame['start'].iloc[at])}."
            + _more(wrong)
        )


def _check_overlap(file: str, frame: pd.DataFrame, key: Sequence[str]) -> None:
    pairs = overlapping(frame, on=key)
    if len(pairs):
        earlier, later = (int(p) for p in pairs[0])
        values = ", ".join(f"{c}={frame[c].iloc[later]}" for c in key)
        raise DataError(
            f"{file}, rows {frame.index[earlier]} and {frame.index[later]}: the spells of "
            f"{values} overlap ({_spell(frame, earlier)} and {_spell(frame, later)}), expected "
            "spells without a common day."
            + (f" ({len(pairs) - 1} more of this kind in the file.)" if len(pairs) > 1 else "")
        )


def _check_reference(
    table: str, frame: pd.DataFrame, column: str, target: str, valid: pd.Series
) -> None:
    unknown = ~frame[column].isin(valid).to_numpy(dtype=bool)
    if unknown.any():
        at = _first(unknown)
        found = frame[column].iloc[at]
        hint = nearest(str(found), [str(v) for v in valid.unique()])
        what = "COW state number" if target == "states" else "alliance_id"
        raise DataError(
            f"{table}.csv, row {frame.index[at]}, column {column!r}: found {found!s}, expected a "
            f"{what} that is in {target}.csv."
            + (f" Did you mean {hint!r}?" if hint else "")
            + _more(unknown)
        )


def _check_members(frames: Frames) -> None:
    members, alliances, states = frames["members"], frames["alliances"], frames["states"]
    apart = uncovered(members, alliances, on=["alliance_id"])
    if apart.any():
        at = _first(apart)
        row = members.iloc[at]
        home = alliances[alliances["alliance_id"] == row["alliance_id"]]
        raise DataError(
            f"members.csv, row {members.index[at]}: the membership of state {row['ccode']} "
            f"({_spell(members, at)}) reaches outside the alliance {row['alliance_id']!r} "
            f"({_spell(home, 0)}, alliances.csv, row {home.index[0]}), expected it inside."
            + _more(apart)
        )
    stateless = outside(members, states, on=["ccode"])
    if stateless.any():
        at = _first(stateless)
        ccode = int(members["ccode"].iloc[at])
        raise DataError(
            f"members.csv, row {members.index[at]}: state {ccode} was not in the state system "
            f"at any time in {_spell(members, at)} (alliance "
            f"{members['alliance_id'].iloc[at]!r}); expected a spell that meets its membership, "
            f"{_memberships(states, ccode)}." + _more(stateless)
        )
    sizes = members.groupby("alliance_id")["ccode"].nunique()
    lonely = alliances["alliance_id"].map(sizes).fillna(0).to_numpy() < 2
    if lonely.any():
        at = _first(lonely)
        raise DataError(
            f"alliances.csv, row {alliances.index[at]}, column 'alliance_id': "
            f"{alliances['alliance_id'].iloc[at]!r} has fewer than two states in members.csv, "
            "expected two or more." + _more(lonely)
        )


def _memberships(states: pd.DataFrame, ccode: int) -> str:
    own = states[states["ccode"] == ccode]
    return "; ".join(_spell(own, i) for i in range(len(own)))


def _check_conflicts(frames: Frames) -> None:
    """An onset counts in the year it began, so both states must be in the system in that year."""
    conflicts, states = frames["conflicts"], frames["states"]
    start, _ = span_years(conflicts)
    first, last = span_years(states)
    for column in ("ccode_a", "ccode_b"):
        code = conflicts[column].to_numpy()
        here = (
            (code[:, None] == states["ccode"].to_numpy()[None, :])
            & (first[None, :] <= start[:, None])
            & (start[:, None] <= last[None, :])
        ).any(axis=1)
        absent = ~here
        if absent.any():
            at = _first(absent)
            raise DataError(
                f"conflicts.csv, row {conflicts.index[at]}, column {column!r}: state {code[at]} "
                f"was not in the state system in {start[at]}, when the conflict began; its "
                f"membership is {_memberships(states, int(code[at]))}." + _more(absent)
            )
    years = pd.Series(start, index=conflicts.index)
    apart = never_together(
        conflicts.assign(
            start=years.astype(str).astype("datetime64[s]"),
            end=(years.astype(str) + "-12-31").astype("datetime64[s]"),
        ),
        states,
    )
    if apart.any():
        at = _first(apart)
        raise DataError(
            f"conflicts.csv, row {conflicts.index[at]}: states {conflicts['ccode_a'].iloc[at]} and "
            f"{conflicts['ccode_b'].iloc[at]} were not in the state system on a common day of "
            f"{start[at]}, when the conflict began; expected two states that coexist."
            + _more(apart)
        )
    open_end = conflicts["end"].isna().to_numpy()
    closed = open_end & (conflicts["outcome"] != "ongoing").to_numpy()
    if closed.any():
        at = _first(closed)
        raise DataError(
            f"conflicts.csv, row {conflicts.index[at]}, column 'outcome': found "
            f"{conflicts['outcome'].iloc[at]!r}, expected 'ongoing' because 'end' is empty."
            + _more(closed)
        )
    _check_evidence(conflicts)


def _check_evidence(conflicts: pd.DataFrame) -> None:
    """Where evidence is used at all, it is there for every row whose deaths are known."""
    evidence = conflicts.get("evidence", pd.Series(np.nan, index=conflicts.index, dtype="str"))
    if evidence.isna().all():
        return
    deaths, given = conflicts["deaths_class"], evidence.notna()
    rules = (
        (
            "evidence",
            deaths.notna() & ~given,
            "how the deaths are known, because 'deaths_class' is given",
        ),
        ("evidence", deaths.isna() & given, "nothing, because 'deaths_class' is empty"),
        (
            "evidence",
            (evidence == "none_reported") & (deaths > 0).fillna(False),
            "'official', 'reported' or 'estimate', because 'deaths_class' is above 0",
        ),
    )
    for column, broken, expected in rules:
        wrong = broken.to_numpy(dtype=bool)
        if wrong.any():
            at = _first(wrong)
            found = conflicts[column].iloc[at] if column in conflicts else np.nan
            raise DataError(
                f"conflicts.csv, row {conflicts.index[at]}, column {column!r}: found "
                f"{'nothing' if pd.isna(found) else repr(found)}, expected {expected}."
                + _more(wrong)
            )


def never_together(pairs: pd.DataFrame, states: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which spells of pairs have no day on which both states are members of the system.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Columns ``ccode_a, ccode_b, start, end``.
    states : pandas.DataFrame
        Membership spells.

    Returns
    -------
    numpy.ndarray, shape (n,), bool
    """
    rest = pairs[["ccode_a", "ccode_b", "start", "end"]].assign(row=np.arange(len(pairs)))
    # What is left after cutting at one state and then at the other are their common days.
    for column in ("ccode_a", "ccode_b"):
        own = states[["ccode", "start", "end"]].rename(columns={"ccode": column})
        rest = clip_spells(rest, own, on=[column])
    return ~np.isin(np.arange(len(pairs)), rest["row"].to_numpy())


def _check_neighbours(frames: Frames) -> None:
    contiguity, states = frames["contiguity"], frames["states"]
    apart = never_together(contiguity, states)
    if apart.any():
        at = _first(apart)
        a, b = (int(contiguity[c].iloc[at]) for c in ("ccode_a", "ccode_b"))
        raise DataError(
            f"contiguity.csv, row {contiguity.index[at]}: states {a} and {b} were not in the state "
            f"system together at any time in {_spell(contiguity, at)}; their memberships are "
            f"{_memberships(states, a)} and {_memberships(states, b)}." + _more(apart)
        )
    absent = outside(frames["powers"], states, on=["ccode"])
    if absent.any():
        at = _first(absent)
        ccode = int(frames["powers"]["ccode"].iloc[at])
        raise DataError(
            f"powers.csv, row {frames['powers'].index[at]}: state {ccode} was not in the state "
            f"system at any time in {_spell(frames['powers'], at)}; its membership is "
            f"{_memberships(states, ccode)}." + _more(absent)
        )


def _check_coverage(frames: Frames, coverage: Mapping[str, Coverage]) -> None:
    for table, frame in frames.items():
        last = coverage[table].last
        for column in ("start", "end", "year"):
            if column not in frame:
                continue
            years = frame[column] if column == "year" else frame[column].dt.year
            late = (years > last).to_numpy(dtype=bool)
            if late.any():
                at = _first(late)
                found = frame[column].iloc[at]
                raise DataError(
                    f"{table}.csv, row {frame.index[at]}, column {column!r}: found "
                    f"{found if column == 'year' else _day(found)}, expected nothing after {last}, "
                    "the last year that the table covers (datapackage.json). An end that has not "
                    "come yet is left empty." + _more(late)
                )
