"""Each kind of change as an edit of the frames of a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.sources.checking import kinds
from forecast.sources.overlay.changes import Change
from forecast.sources.tables import OBLIGATIONS, OTHER_SIDE
from forecast.sources.treaties import read_counterparts, usual_pledge

if TYPE_CHECKING:
    from forecast.sources.overlay.apply import Work

__all__ = ["EDITS"]

_SIDES = ("state_a", "state_b")
_ONE_DAY = np.timedelta64(1, "D")


def _treaty(work: Work, change: Change, values: dict[str, Any]) -> None:
    pledge = {o: int(values.pop(o, 0)) for o in OBLIGATIONS}
    if not any(o in change.cells for o in OBLIGATIONS):
        raise change.wrong("defense", "", f"what members owe: one of {', '.join(OBLIGATIONS)}")
    named = [part.strip() for part in values.pop("members").split(";") if part.strip()]
    codes = work.states(change, "members", named, values["start"])
    if len(set(codes)) < 2 or len(set(codes)) < len(codes):
        raise change.wrong(
            "members", change.cells["members"],
            "two states or more, each once, with semicolons between them",
        )  # fmt: skip
    known = work.frames["alliances"]
    if (known["alliance_id"] == values["alliance_id"]).any():
        raise change.wrong(
            "alliance_id", values["alliance_id"],
            "an identifier that the data do not have. For a new member of that treaty: a"
            " change 'accession'",
        )  # fmt: skip
    row = {
        **{c: 0 for c, kind in kinds("alliances").items() if kind == "int"},
        "short_name": values["name"],
        "kind": "bilateral" if len(codes) == 2 else "multilateral",
        "end": None,
        **values,
    }
    work.add("alliances", change, row)
    for code in codes:
        spell = {"start": row["start"], "end": row["end"], "ccode": code}
        work.add("members", change, {"alliance_id": row["alliance_id"], **spell, **pledge})


def _accession(work: Work, change: Change, values: dict[str, Any]) -> None:
    treaty = _known_treaty(work, change)
    start = values["start"]
    code = work.state(change, "state", values["state"], start)
    members = work.frames["members"]
    its = members[members["alliance_id"] == treaty]
    on_day = its[_holds(its, start)]
    if on_day.empty:
        raise change.wrong("start", change.cells["start"], f"a day on which {treaty!r} binds")
    own = on_day[on_day["ccode"] == code]
    if len(own):
        raise change.wrong(
            "state", change.cells["state"],
            f"a state that is not a member of {treaty!r} on {change.cells['start']}; it is one"
            f" since {_day_words(own['start'].iloc[0])}",
        )  # fmt: skip
    pledge = usual_pledge(on_day[list(OBLIGATIONS)].to_numpy())
    pledge |= {o: int(values[o]) for o in OBLIGATIONS if o in values}
    spell = {"start": start, "end": values.get("end"), "ccode": code}
    work.add("members", change, {"alliance_id": treaty, **spell, **pledge})


def _exit(work: Work, change: Change, values: dict[str, Any]) -> None:
    at = _membership(work, change, values, "end")
    work.put("members", at, {"end": values["end"]})


def _obligation(work: Work, change: Change, values: dict[str, Any]) -> None:
    given = {o: int(values[o]) for o in OBLIGATIONS if o in values}
    if not given:
        raise change.wrong("defense", "", f"what is owed: one of {', '.join(OBLIGATIONS)}")
    at = _membership(work, change, values, "start")
    spell = work.frames["members"].loc[at]
    work.check("members", change, {**spell.to_dict(), **given})
    if spell["start"] == pd.Timestamp(values["start"]):
        work.put("members", at, given)
        return
    work.put("members", at, {"end": values["start"] - _ONE_DAY})
    work.add("members", change, {**spell.to_dict(), "start": values["start"], **given})


def _end_treaty(work: Work, change: Change, values: dict[str, Any]) -> None:
    treaty = _known_treaty(work, change)
    day = values["end"]
    table = work.frames["alliances"]
    at = table.index[table["alliance_id"] == treaty][0]
    if not _holds(table.loc[[at]], day)[0] or table.loc[at, "end"] == pd.Timestamp(day):
        ended = table.loc[at, "end"]
        spell = f"{_day_words(table.loc[at, 'start'])} to {_day_words(ended)}"
        raise change.wrong(
            "end", change.cells["end"], f"a day before the end of {treaty!r} ({spell})"
        )
    work.put("alliances", at, {"end": day})
    members = work.frames["members"]
    its = members["alliance_id"] == treaty
    for later in members.index[its & (members["end"].isna() | (members["end"] > day))]:
        work.put("members", later, {"end": day})


def _known_treaty(work: Work, change: Change) -> str:
    """Identifier of the treaty by identifier, short name or its counterpart in ATOP."""
    given = change.cells["alliance_id"]
    table = work.frames["alliances"]
    ids = set(table["alliance_id"])
    if given in ids:
        return given
    short = table.loc[table["short_name"].str.casefold() == given.casefold(), "alliance_id"]
    if len(short) == 1:
        return str(short.iloc[0])
    counterpart = read_counterparts().get(given)
    if counterpart in ids:
        return str(counterpart)
    valid = sorted({*ids, *table["short_name"]})
    raise change.wrong("alliance_id", given, "a treaty of the data, or of this file", valid)


def _membership(work: Work, change: Change, values: Mapping[str, Any], column: str) -> Any:
    """Label of the row of `members` in force on the day of the change."""
    treaty, day = _known_treaty(work, change), values[column]
    code = work.state(change, "state", values["state"], day)
    members = work.frames["members"]
    its = members[(members["alliance_id"] == treaty) & (members["ccode"] == code)]
    now = its[_holds(its, day)]
    ended = column == "end" and len(now) and now["end"].iloc[0] == pd.Timestamp(day)
    if now.empty or ended:
        spells = [
            f"{_day_words(s)} to {_day_words(e)}"
            for s, e in zip(its["start"], its["end"], strict=True)
        ]
        raise change.wrong(
            column, change.cells[column],
            f"a day within the membership of {change.cells['state']} in {treaty!r}"
            f" ({'; '.join(spells) or 'it has none'})",
        )  # fmt: skip
    return now.index[0]


def _conflict(work: Work, change: Change, values: dict[str, Any]) -> None:
    a, b = (work.state(change, s, values.pop(s), values["start"]) for s in _SIDES)
    if a == b:
        raise change.wrong("state_b", change.cells["state_b"], "another state than state_a")
    is_open = "end" not in values
    row = {
        "end": None,
        "start_precision": "day",
        "end_precision": "day",
        "initiator": "unclear",
        "role_a": "originator",
        "role_b": "originator",
        "outcome": "ongoing" if is_open else "unclear",
        "settlement": "unclear",
        **values,
    }
    row = _ordered(row, a, b)
    table = work.frames["conflicts"]
    if "deaths_class" in values and "evidence" in table and table["evidence"].notna().any():
        # Its source is where the deaths are known from.
        row.setdefault("evidence", "reported" if values["deaths_class"] else "none_reported")
    same = table[(table["ccode_a"] == row["ccode_a"]) & (table["ccode_b"] == row["ccode_b"])]
    twin = same[(same["conflict_id"] == row["conflict_id"]) | (same["start"] == row["start"])]
    if len(twin):
        raise change.wrong(
            "conflict_id", row["conflict_id"],
            f"a conflict that the data do not have; between the two they have"
            f" {twin['conflict_id'].iloc[0]!r} from {_day_words(twin['start'].iloc[0])}. To change"
            " it: 'correct_conflict' or 'end_conflict'",
        )  # fmt: skip
    work.add("conflicts", change, row)


def _correct_conflict(work: Work, change: Change, values: dict[str, Any]) -> None:
    at = _known_conflict(work, change, values)
    facts = {c: v for c, v in values.items() if c not in ("conflict_id", "source", *_SIDES)}
    if not facts:
        raise change.wrong(None, "no new value", "the columns that are to be other than now")
    old = work.frames["conflicts"].loc[at]
    first, second = int(old["ccode_a"]), int(old["ccode_b"])
    if _named_first(work, change, values, old) == second:
        # What is said of sides a and b is said in the user's order.
        facts = _ordered(facts, second, first)
    if "end" in facts and old["outcome"] == "ongoing":
        facts.setdefault("outcome", "unclear")
    said = f"{old['source']} Amended by the user ({work.name}): {change.cells['source']}"
    work.check("conflicts", change, {**old.to_dict(), **facts})
    work.put("conflicts", at, {**facts, "source": said})


def _end_conflict(work: Work, change: Change, values: dict[str, Any]) -> None:
    old = work.frames["conflicts"].loc[_known_conflict(work, change, values)]
    if not pd.isna(old["end"]):
        raise change.wrong(
            "conflict_id", change.cells["conflict_id"],
            f"a conflict that is open; it ended on {_day_words(old['end'])} (to change that:"
            " 'correct_conflict')",
        )  # fmt: skip
    _correct_conflict(work, change, values)


def _named_first(work: Work, change: Change, values: Mapping[str, Any], old: pd.Series) -> int:
    """Which state of a conflict the user calls a."""
    pair = {int(old["ccode_a"]), int(old["ccode_b"])}
    named = {s: work.state(change, s, values[s], old["start"]) for s in _SIDES if s in values}
    if "state_a" in named:
        return named["state_a"]
    return (pair - {named["state_b"]}).pop() if named else min(pair)


def _known_conflict(work: Work, change: Change, values: Mapping[str, Any]) -> Any:
    """Label of the row of a conflict, told by its states where it has several pairs."""
    given = values["conflict_id"]
    table = work.frames["conflicts"]
    its = table[table["conflict_id"] == given]
    if its.empty:
        valid = table["conflict_id"].unique().tolist()
        raise change.wrong("conflict_id", given, "a conflict of the data", valid)
    for side in _SIDES:
        if side in values:
            start = its["start"].iloc[0]
            code = work.state(change, side, values[side], start)
            its = its[(its["ccode_a"] == code) | (its["ccode_b"] == code)]
    if len(its) != 1:
        every = table[table["conflict_id"] == given]
        sides = zip(every["ccode_a"], every["ccode_b"], every["start"], strict=True)
        pairs = [f"{work.label(a, day)} and {work.label(b, day)}" for a, b, day in sides]
        raise change.wrong(
            "state_a, state_b",
            tuple(str(values.get(side, "")) for side in _SIDES),
            f"one pair of {given!r}, which has {'; '.join(pairs)}",
        )
    return its.index[0]


def _ordered(row: Mapping[str, Any], a: int, b: int) -> dict[str, Any]:
    """A conflict of `a` and `b` with the smaller number first, as the table has it."""
    if a < b:
        return {**row, "ccode_a": a, "ccode_b": b}
    turned = {c: v for c, v in row.items() if c not in ("role_a", "role_b")}
    for role, other in (("role_a", "role_b"), ("role_b", "role_a")):
        if role in row:
            turned[other] = row[role]
    for column in ("initiator", "outcome"):
        if column in row:
            turned[column] = OTHER_SIDE.get(row[column], row[column])
    return {**turned, "ccode_a": b, "ccode_b": a}


def _day_words(value: Any) -> str:
    """A date as YYYY-MM-DD; ``now`` for an end that is open."""
    return "now" if pd.isna(value) else str(pd.Timestamp(value).date())


def _holds(spells: pd.DataFrame, day: np.datetime64) -> npt.NDArray[np.bool_]:
    """Which spells hold on a day."""
    when = pd.Timestamp(day)
    return np.asarray((spells["start"] <= when) & (spells["end"].isna() | (spells["end"] >= when)))


#: What makes each kind of change of treaties, members and conflicts.
EDITS: Mapping[str, Callable[[Work, Change, dict[str, Any]], None]] = {
    "treaty": _treaty,
    "accession": _accession,
    "exit": _exit,
    "obligation": _obligation,
    "end_treaty": _end_treaty,
    "conflict": _conflict,
    "end_conflict": _end_conflict,
    "correct_conflict": _correct_conflict,
}
